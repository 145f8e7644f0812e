#include "core/tracestate_member.h"

#include <stdio.h>
#include <string.h>

#include "harness.h"

static tracestate parsed(const char *text) {
  tracestate state;
  tracestate_parse(&state, text, strlen(text));
  check(!state.invalid);
  return state;
}

static const char *find(const tracestate *state, const char *key, size_t *length) {
  size_t at = 0;
  return tracestate_find(state->text, state->length, key, &at, length);
}

static void check_value(const tracestate *state, const char *key, const char *expected) {
  size_t length = 0;
  const char *value = find(state, key, &length);
  check_text(value, length, expected);
}

static void a_member_is_found_by_its_whole_key(void) {
  tracestate state = parsed("ab=1,a=22,a@b=3");
  size_t length;
  check_value(&state, "a", "22");
  check_value(&state, "ab", "1");
  check_value(&state, "a@b", "3");
  check_pointer(find(&state, "b", &length), NULL);
  state = parsed("");
  check_pointer(find(&state, "a", &length), NULL);
}

static void members_are_found_in_headers_that_are_not_valid(void) {
  const char text[] = "us=1,!! no member,\t us=2 \t,,us=3 4,us=,usa=5";
  static const char *const expected[] = {"1", "2", "3 4", ""};
  size_t at = 0;
  for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
    size_t length = 0;
    const char *value = tracestate_find(text, strlen(text), "us", &at, &length);
    check_text(value, length, expected[i]);
  }
  size_t length;
  check_pointer(tracestate_find(text, strlen(text), "us", &at, &length), NULL);
}

static void a_member_that_is_put_comes_first_and_once(void) {
  static const struct {
    const char *before;
    const char *after;
  } rows[] = {
      {"", "us=new"},
      {"us=old", "us=new"},
      {"a=1,us=old,b=2", "us=new,a=1,b=2"},
      {"a=1,b=2", "us=new,a=1,b=2"},
      {"usa=1", "us=new,usa=1"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    note("row %d", (int)i);
    tracestate state = parsed(rows[i].before);
    tracestate_put(&state, "us", "new");
    check_text(state.text, state.length, rows[i].after);
  }
}

static void of_32_others_the_last_is_left_out(void) {
  char text[512] = "";
  char expected[512] = "us=new";
  for (int i = 0; i < 32; i++) {
    char member[16];
    snprintf(member, sizeof member, "k%d=v", i);
    if (i > 0) strcat(text, ",");
    strcat(text, member);
    if (i < 31) {
      strcat(expected, ",");
      strcat(expected, member);
    }
  }
  tracestate state = parsed(text);
  tracestate_put(&state, "us", "new");
  check_text(state.text, state.length, expected);
}

static void what_does_not_fit_is_left_out_whole(void) {
  char text[512] = "a=";
  memset(text + 2, 'x', 200);
  strcat(text, ",b=");
  memset(text + strlen(text), 'y', 250);
  strcat(text, ",c=3,d=");
  memset(text + strlen(text), 'z', 40);
  check_int(strlen(text), 502);
  tracestate state = parsed(text);
  tracestate_put(&state, "us", "0123456789abcdef");
  size_t length;
  check(find(&state, "us", &length) == state.text + 3);
  check(find(&state, "a", &length) != NULL);
  check_pointer(find(&state, "b", &length), NULL); /* the last of the long ones */
  check(find(&state, "d", &length) != NULL);
}

static const test tests[] = {
    TEST(a_member_is_found_by_its_whole_key),
    TEST(members_are_found_in_headers_that_are_not_valid),
    TEST(a_member_that_is_put_comes_first_and_once),
    TEST(of_32_others_the_last_is_left_out),
    TEST(what_does_not_fit_is_left_out_whole),
};

SUITE(tracestate_member);
