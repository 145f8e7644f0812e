#include "mesh/text.h"

#include <string.h>

#include "../core/harness.h"

static slice of(const char *string) { return text_of(string, strlen(string)); }

static void lines_are_read_from_both_ends(void) {
  slice rest = of("one\r\n\ntwo\nthree"), line;
  static const char *const lines[] = {"one", "", "two", "three"};
  for (size_t i = 0; i < 4; i++) {
    check(text_next_line(&rest, &line));
    check_text(line.start, line.length, lines[i]);
  }
  check(!text_next_line(&rest, &line));
  rest = of("one\r\n\ntwo\nthree\n");
  for (size_t i = 4; i > 0; i--) {
    check(text_last_line(&rest, &line));
    check_text(line.start, line.length, lines[i - 1]);
  }
  check(!text_last_line(&rest, &line));
}

static void a_text_is_found_at_every_place(void) {
  check_int(text_find(of("abcabd"), "abd"), 3);
  check_int(text_find(of("aab"), "ab"), 1);
  check_int(text_find(of("ab"), "ab"), 0);
  check(text_find(of("ab"), "abc") == TEXT_NONE);
  check(text_find(of(""), "a") == TEXT_NONE);
  check_int(text_find_last(of("a:b:c"), ':'), 3);
  check(text_find_last(of("abc"), ':') == TEXT_NONE);
}

static void numbers_are_digits_alone_and_bounded(void) {
  uint32_t number;
  check(text_number(of("4294967295"), &number));
  check_int(number, UINT32_MAX);
  check(text_number(of("99999999999999999999999999"), &number));
  check_int(number, UINT32_MAX);
  check(!text_number(of(""), &number));
  check(!text_number(of("+1"), &number));
  check(!text_number(of("1 "), &number));
}

typedef struct copy_case {
  const char *text, *copy;
} copy_case;

static void a_copy_is_whole_characters_of_utf8(void) {
  static const copy_case cases[] = {
      {"abc", "abc"},
      {"abcdefgh", "abcdefg"},
      {"abcdef\xc3\xa9", "abcdef"},
      {"ab\xf0\x9f\x98\x80"
       "c",
       "ab\xf0\x9f\x98\x80"
       "c"},
      {"a\xff"
       "b\xc3",
       "a?b?"},
      {"\xc0\x80\xed\xa0\x80", "?????"},
      {"\xf4\x90\x80\x80", "????"},
      {"\xe0\x80\x80", "???"},
      {"a\tb\nc\x01\x7f", "a?b?c??"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char copy[8];
    size_t length = text_copy(copy, sizeof copy, of(cases[i].text), false);
    check_text(copy, length, cases[i].copy);
    check_int(strlen(copy), length);
  }
  char copy[8];
  check_text(copy, text_copy(copy, sizeof copy, of("a\tb\nc\x01"), true), "a\tb\nc?");
}

static const test tests[] = {
    TEST(lines_are_read_from_both_ends),
    TEST(a_text_is_found_at_every_place),
    TEST(numbers_are_digits_alone_and_bounded),
    TEST(a_copy_is_whole_characters_of_utf8),
};

SUITE(text);
