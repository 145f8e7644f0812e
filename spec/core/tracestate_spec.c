#include <stdio.h>
#include <string.h>

#include "core/traceparent.h"
#include "harness.h"

/* A header value in the making. */
static char value[8192];

static void begin(void) { value[0] = '\0'; }

static void add(const char *text) { strcat(value, text); }

static void add_repeated(char c, size_t count) {
  size_t length = strlen(value);
  memset(value + length, c, count);
  value[length + count] = '\0';
}

/* A member of `length` characters with the one-letter key `key`. */
static void add_member(char key, size_t length) {
  if (value[0] != '\0') add(",");
  add_repeated(key, 1);
  add("=");
  add_repeated('v', length - 2);
}

static tracestate parse(const char *text) {
  tracestate state;
  memset(&state, 0xff, sizeof state); /* whatever was there before */
  tracestate_parse(&state, text, strlen(text));
  return state;
}

typedef struct valid_case {
  const char *value;
  const char *kept;
  int members;
} valid_case;

static void a_valid_list_is_kept_in_order(void) {
  static const valid_case cases[] = {
      {"", "", 0},
      {" \t ", "", 0},
      {",", "", 0},
      {"foo=1", "foo=1", 1},
      {"foo=1,bar=2", "foo=1,bar=2", 2},
      {"foo=1,bar=2,rojo=1,congo=2,baz=3", "foo=1,bar=2,rojo=1,congo=2,baz=3", 5},
      {"foo=1 \t , \t bar=2, \t baz=3", "foo=1,bar=2,baz=3", 3},
      {"foo=1\t \t,\t \tbar=2,\t \tbaz=3", "foo=1,bar=2,baz=3", 3},
      {"\t foo=1 \t", "foo=1", 1},
      {"foo=1,", "foo=1", 1},
      {",foo=1", "foo=1", 1},
      {"foo=1,, ,bar=2", "foo=1,bar=2", 2},
      {"1foo=1", "1foo=1", 1},
      {"a=1,ab=1,b=1", "a=1,ab=1,b=1", 3},
      {"foo@bar=1", "foo@bar=1", 1},
      {"0tenant@system=1", "0tenant@system=1", 1},
      {"foo@=1,bar=2", "foo@=1,bar=2", 2},
      {"foo@@bar=1", "foo@@bar=1", 1},
      {"foo@bar@baz=1,bar=2", "foo@bar@baz=1,bar=2", 2},
      {"foo@1bar=1", "foo@1bar=1", 1},
      {"foo@_bar=1", "foo@_bar=1", 1},
      {"foo=1,foo=1", "foo=1,foo=1", 2},
      {"a=1,foo=1,b=2,foo=2", "a=1,foo=1,b=2,foo=2", 4},
      {"a_-*/0=1", "a_-*/0=1", 1},
      {"foo= 1", "foo= 1", 1},
      {"foo=a b", "foo=a b", 1},
      {"foo=!\"#$%&'()*+-./09:;<>?@AZ[\\]^_`az{|}~", "foo=!\"#$%&'()*+-./09:;<>?@AZ[\\]^_`az{|}~",
       1},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    note("\"%s\"", cases[i].value);
    tracestate state = parse(cases[i].value);
    check(!state.invalid);
    check_text(state.text, state.length, cases[i].kept);
    check_int(state.members, cases[i].members);
  }
}

static void an_invalid_list_leaves_nothing(void) {
  static const char *const values[] = {
      "foo",         "=",        "=1",           "foo=",         "foo= ",         "foo=,bar=3",
      "foo=bar=baz", "foo==1",   "foo =1",       "FOO=1",        "fOo=1",         "foo.bar=1",
      "_foo=1",      "-foo=1",   "*foo=1",       "f\xc3\xb6o=1", "@foo=1,bar=2",  "foo=1 bar=2",
      "foo=\x7f",    "foo=a\tb", "foo=\xc3\xb6", "foo=1\n",      "foo=1;bar=2=3", "bar=2,foo",
  };
  for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
    note("\"%s\"", values[i]);
    tracestate state = parse(values[i]);
    check(state.invalid);
    check_int(state.length, 0);
    check_int(state.members, 0);
  }
}

static void a_nul_byte_is_invalid(void) {
  tracestate state;
  tracestate_parse(&state, "a=x\0y", 5);
  check(state.invalid);
}

static bool key_is_valid(size_t before, size_t after) {
  begin();
  add_repeated('t', before);
  if (after > 0) add("@");
  add_repeated('v', after);
  add("=1");
  return !parse(value).invalid;
}

static void keys_have_a_length_limit(void) {
  check(key_is_valid(256, 0));
  check(!key_is_valid(257, 0));
  check(key_is_valid(241, 14));
  check(key_is_valid(1, 254)); /* with the "@" */
  check(!key_is_valid(1, 255));
}

static void values_have_a_length_limit(void) {
  begin();
  add_member('a', 2 + 256);
  check(!parse(value).invalid);
  begin();
  add_member('a', 2 + 257);
  check(parse(value).invalid);
}

static void add_numbered_members(int count) {
  begin();
  for (int i = 1; i <= count; i++) {
    char text[32];
    snprintf(text, sizeof text, "%sbar%02d=%02d", i > 1 ? "," : "", i, i);
    add(text);
  }
}

static void there_may_be_32_members_but_not_33(void) {
  add_numbered_members(32);
  tracestate state = parse(value);
  check_int(state.members, 32);
  check_text(state.text, state.length, value);
  add_numbered_members(33);
  check(parse(value).invalid);
}

static void empty_members_do_not_count(void) {
  add_numbered_members(32);
  add(", ,,,");
  check_int(parse(value).members, 32);
}

static void check_kept(const char *expected_keys, size_t expected_length) {
  tracestate state = parse(value);
  char keys[TRACESTATE_MAX_MEMBERS];
  size_t count = 0;
  check(!state.invalid);
  for (size_t i = 0; i < state.length; i++) {
    if (state.text[i] == '=') keys[count++] = state.text[i - 1];
  }
  check_text(keys, count, expected_keys);
  check_int(state.length, expected_length);
}

static void exactly_512_characters_are_kept(void) {
  begin();
  add_member('a', 255);
  add_member('b', 256);
  check_kept("ab", 512);
}

static void above_512_characters_a_long_member_goes_first(void) {
  begin();
  add_member('a', 128);
  add_member('b', 129);
  add_member('c', 128);
  add_member('d', 128);
  check_kept("acd", 128 * 3 + 2);
}

static void of_several_long_members_the_last_goes_first(void) {
  begin();
  add_member('a', 200);
  add_member('b', 200);
  add_member('c', 10);
  add_member('d', 200);
  add_member('e', 10);
  check_kept("abce", 200 + 1 + 200 + 1 + 10 + 1 + 10);
}

static void without_long_members_the_last_goes_first(void) {
  begin();
  for (char key = 'a'; key <= 'f'; key++) add_member(key, 128);
  check_kept("abc", 128 * 3 + 2);
}

static void long_members_that_do_not_suffice_are_followed_by_the_last(void) {
  begin();
  add_member('a', 250);
  for (char key = 'b'; key <= 'f'; key++) add_member(key, 128);
  check_kept("bcd", 128 * 3 + 2);
}

static void no_more_is_dropped_than_needed(void) {
  begin();
  add_member('a', 129);
  add_member('b', 129);
  add_member('c', 129);
  add_member('d', 129);
  check_kept("abc", 129 * 3 + 2);
  check_int(parse(value).members, 4);
}

static void members_are_never_cut(void) {
  begin();
  add_member('a', 258);
  add_member('b', 258);
  check_kept("a", 258);
}

static const test tests[] = {
    TEST(a_valid_list_is_kept_in_order),
    TEST(an_invalid_list_leaves_nothing),
    TEST(a_nul_byte_is_invalid),
    TEST(keys_have_a_length_limit),
    TEST(values_have_a_length_limit),
    TEST(there_may_be_32_members_but_not_33),
    TEST(empty_members_do_not_count),
    TEST(exactly_512_characters_are_kept),
    TEST(above_512_characters_a_long_member_goes_first),
    TEST(of_several_long_members_the_last_goes_first),
    TEST(without_long_members_the_last_goes_first),
    TEST(long_members_that_do_not_suffice_are_followed_by_the_last),
    TEST(no_more_is_dropped_than_needed),
    TEST(members_are_never_cut),
};

SUITE(tracestate);
