#include "mesh/json.h"

#include <stdlib.h>
#include <string.h>

#include "../core/harness.h"

/* Whether the text is one JSON value; in a copy of just its size. */
static bool is_json(const char *text, size_t length) {
  char *copy = malloc(length > 0 ? length : 1);
  memcpy(copy, text, length);
  json_reader json = json_read(text_of(copy, length));
  bool valid = json_skip(&json, NULL) && json_ended(&json);
  free(copy);
  return valid;
}

static void valid_texts_are_read(void) {
  static const char *const texts[] = {
      "{}",
      " [ ] ",
      "0",
      "-0",
      "1.5e+3",
      "12E-7",
      "true",
      "false",
      "null",
      "\"\"",
      "\"\\u00e9\\n\\\\\\\"\\/\"",
      "{\"a\":[1,{\"b\":null}],\"c\":\"d\"}",
      "\t\r\n1\n",
  };
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    note("%s", texts[i]);
    check(is_json(texts[i], strlen(texts[i])));
  }
}

static void other_texts_are_refused(void) {
  static const char *const texts[] = {
      "",      " ",       "{",           "[",          "[1",     "[1,",       "[1,]",
      "[,1]",  "{\"a\"}", "{\"a\":}",    "{\"a\":1,}", "{a:1}",  "{\"a\" 1}", "01",
      "1.",    ".5",      "1e",          "+1",         "-",      "tru",       "nulll",
      "\"",    "\"\\x\"", "\"\\u12g4\"", "\"\\u12\"",  "\"\n\"", "\"a\\",     "1 2",
      "[1 2]", "[1]]",    "{\"a\":1}x",
  };
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    note("%s", texts[i]);
    check(!is_json(texts[i], strlen(texts[i])));
  }
  check(!is_json("\"a\\\0b\"", 6));
  check(!is_json("1\0", 2));
}

static void depth_is_bounded(void) {
  char text[4096];
  memset(text, '[', JSON_MAX_DEPTH);
  memset(text + JSON_MAX_DEPTH, ']', JSON_MAX_DEPTH);
  check(is_json(text, 2 * (size_t)JSON_MAX_DEPTH));
  memset(text, '[', JSON_MAX_DEPTH + 1);
  memset(text + JSON_MAX_DEPTH + 1, ']', JSON_MAX_DEPTH + 1);
  check(!is_json(text, 2 * (size_t)JSON_MAX_DEPTH + 2));
  memset(text, '[', sizeof text);
  check(!is_json(text, sizeof text));
}

typedef struct string_case {
  const char *json, *text;
} string_case;

static void strings_lose_their_escapes_and_are_cut(void) {
  static const string_case cases[] = {
      {"\"a\\n\\t\\\"b\"", "a\n\t\"b"},
      {"\"\\u00e9\\u20ac\"", "\xc3\xa9\xe2\x82\xac"},
      {"\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80"},
      {"\"\\ud83d\"", "?"},
      {"\"\\ude00x\"", "?x"},
      {"\"\\ud83d\\u0041\"", "?A"},
      {"\"\\u0000\"", "?"},
      {"\"0123456789abcdef\"", "0123456789a"},
      {"\"0123456789\\u20ac\"", "0123456789"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char text[12];
    json_reader json = json_read(text_of(cases[i].json, strlen(cases[i].json)));
    note("%s", cases[i].json);
    check(json_string(&json, text, sizeof text) && json_ended(&json));
    check_text(text, strlen(text), cases[i].text);
  }
}

static void what_is_written_is_escaped_and_never_too_long(void) {
  char out[64];
  json_writer json = json_write(out, sizeof out);
  json_open(&json, '{');
  json_put_text(&json, "a", "\"\\\n\x01");
  json_put_count(&json, "b", UINT64_MAX);
  json_put_key(&json, "c");
  json_open(&json, '[');
  json_put_bool(&json, true);
  json_put_bool(&json, false);
  json_close(&json, ']');
  json_close(&json, '}');
  check_text(out, json.length,
             "{\"a\":\"\\\"\\\\\\n\\u0001\",\"b\":18446744073709551615,\"c\":[true,false]}");
  check(!json.full);
  json = json_write(out, 3);
  json_put_string(&json, text_of("abc", 3));
  check(json.full && json.length <= 3);
}

static const test tests[] = {
    TEST(valid_texts_are_read),
    TEST(other_texts_are_refused),
    TEST(depth_is_bounded),
    TEST(strings_lose_their_escapes_and_are_cut),
    TEST(what_is_written_is_escaped_and_never_too_long),
};

SUITE(json);
