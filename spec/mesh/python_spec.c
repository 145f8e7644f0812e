#include <stdio.h>
#include <string.h>

#include "crashes.h"

static void frames_are_turned_so_that_the_innermost_is_first(void) {
  const mesh_crash *c = parse(python_parse,
                              "Traceback (most recent call last):\n"
                              "  File \"/src/shop/main.py\", line 11, in <module>\n"
                              "    load(\"a\")\n"
                              "    ~~~~^^^^^\n"
                              "  File \"/src/shop/Orders.py\", line 9, in load\n"
                              "    raise NoOrder(\"first\\nsecond\")\n"
                              "  File \"<string>\", line 1, in <module>\n"
                              "shop.errors.NoOrder: first\nsecond\n");
  check_int(c->language, MESH_PYTHON);
  check_error(c, 0, "mesh.python.NoOrder shop.errors.NoOrder: first\nsecond");
  check_frames(c, 0, "<module> [string]:1 | load Orders.py:9 | <module> main.py:11");
}

#define TRACEBACK(line, error) \
  "Traceback (most recent call last):\n  File \"a.py\", line " line ", in f\n    x\n" error "\n"

static void chained_exceptions_are_causes_or_were_replaced(void) {
  const mesh_crash *c = parse(python_parse, TRACEBACK("1", "KeyError: 'a'") "\n"
                              "The above exception was the direct cause of the following exception:\n\n"
                              TRACEBACK("2", "ValueError: b") "\n"
                              "The above exception was the direct cause of the following exception:\n\n"
                              TRACEBACK("3", "RuntimeError"));
  check_int(c->error_count, 3);
  check_error(c, 0, "mesh.python.RuntimeError RuntimeError: ");
  check_error(c, 1, "mesh.python.ValueError ValueError: b");
  check_error(c, 2, "mesh.python.KeyError KeyError: 'a'");
  check_frames(c, 2, "f a.py:1");
  check_int(c->errors[1].relation, ERROR_CAUSE);
  check_int(c->errors[2].relation, ERROR_CAUSE);
  c = parse(python_parse, TRACEBACK("1", "KeyError: 'a'") "\n"
            "During handling of the above exception, another exception occurred:\n\n" TRACEBACK("2", "ValueError: b"));
  check_error(c, 1, "mesh.python.KeyError KeyError: 'a'");
  check_int(c->errors[1].relation, ERROR_REPLACED);
}

static void of_unrelated_tracebacks_the_last_one_counts(void) {
  const mesh_crash *c = parse(
      python_parse, TRACEBACK("1", "KeyError: 'a'") "retrying\n" TRACEBACK("2", "ValueError: b"));
  check_int(c->error_count, 1);
  check_error(c, 0, "mesh.python.ValueError ValueError: b");
}

static void a_groups_exceptions_are_suppressed_ones(void) {
  const mesh_crash *c = parse(python_parse,
                              "  + Exception Group Traceback (most recent call last):\n"
                              "  |   File \"/src/p.py\", line 13, in run\n"
                              "  |     raise ExceptionGroup(\"several\", [a, b])\n"
                              "  | ExceptionGroup: several (2 sub-exceptions)\n"
                              "  +-+---------------- 1 ----------------\n"
                              "    | Traceback (most recent call last):\n"
                              "    |   File \"/src/p.py\", line 3, in f\n"
                              "    |     raise ValueError(\"x\")\n"
                              "    | ValueError: x\n"
                              "    +---------------- 2 ----------------\n"
                              "    | ExceptionGroup: inner (1 sub-exception)\n"
                              "    +-+---------------- 1 ----------------\n"
                              "      | KeyError: 'z'\n"
                              "      +------------------------------------\n");
  check_error(c, 0, "mesh.python.ExceptionGroup ExceptionGroup: several (2 sub-exceptions)");
  check_frames(c, 0, "run p.py:13");
  check_int(c->error_count, 3);
  check_error(c, 1, "mesh.python.ValueError ValueError: x");
  check_error(c, 2, "mesh.python.ExceptionGroup ExceptionGroup: inner (1 sub-exception)");
  check_int(c->errors[2].relation, ERROR_SUPPRESSED);
}

static void of_a_groups_exception_with_a_chain_the_last_one_counts(void) {
  const mesh_crash *c =
      parse(python_parse,
            "  + Exception Group Traceback (most recent call last):\n"
            "  |   File \"/src/p.py\", line 13, in run\n"
            "  | ExceptionGroup: several (2 sub-exceptions)\n"
            "  +-+---------------- 1 ----------------\n"
            "    | Traceback (most recent call last):\n"
            "    |   File \"/src/p.py\", line 3, in f\n"
            "    | KeyError: 'a'\n"
            "    | \n"
            "    | The above exception was the direct cause of the following exception:\n"
            "    | \n"
            "    | Traceback (most recent call last):\n"
            "    |   File \"/src/p.py\", line 9, in f\n"
            "    | NoOrder: no order\n"
            "of that name\n"
            "    +---------------- 2 ----------------\n"
            "    | ValueError: x\n"
            "    +------------------------------------\n");
  check_int(c->error_count, 3);
  check_error(c, 1, "mesh.python.NoOrder NoOrder: no order");
  check_error(c, 2, "mesh.python.ValueError ValueError: x");
}

static void a_repeated_frame_counts_once_in_the_hash(void) {
  uint64_t once = parse(python_parse, TRACEBACK("1", "E: x"))->errors[0].hash.value;
  const mesh_crash *c = parse(python_parse,
                              "Traceback (most recent call last):\n"
                              "  File \"a.py\", line 1, in f\n    f()\n"
                              "  File \"a.py\", line 1, in f\n    f()\n"
                              "  [Previous line repeated 993 more times]\n"
                              "RecursionError: maximum recursion depth exceeded\n");
  check_hex(c->errors[0].hash.value, once);
}

/* `count` frames of functions f0, f1, ...: the last one is the innermost. */
static const mesh_crash *deep(int count) {
  static char text[16384];
  char *at = text + sprintf(text, "Traceback (most recent call last):\n");
  for (int i = 0; i < count; i++) at += sprintf(at, "  File \"a.py\", line 1, in f%d\n    x\n", i);
  strcpy(at, "E: x\n");
  return parse(python_parse, text);
}

static void frames_that_have_no_room_count_in_the_hash(void) {
  char first[32];
  uint64_t hash = deep(MESH_MAX_FRAMES + 1)->errors[0].hash.value;
  const mesh_crash *c = deep(MESH_MAX_FRAMES + 2);
  check_int(c->errors[0].frames_omitted, 2);
  snprintf(first, sizeof first, "f%d", MESH_MAX_FRAMES + 1);
  check_text(c->frames[0].function, strlen(c->frames[0].function), first);
  check(c->errors[0].hash.value != hash);
  stack_hash expected;
  stack_hash_init(&expected);
  for (int i = MESH_MAX_FRAMES + 1; i >= 0; i--) {
    snprintf(first, sizeof first, "f%d", i);
    stack_hash_add(&expected, "@a.py", first);
  }
  check_hex(c->errors[0].hash.value, expected.value);
}

static void other_texts_are_not_taken(void) {
  check(!takes(python_parse, ""));
  check(
      !takes(python_parse, "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\n"));
  check(!takes(python_parse, "Traceback (most recent call last):\nno type: of an exception\n"));
  check(!takes(python_parse, "ValueError: x\n"));
}

static const test tests[] = {
    TEST(frames_are_turned_so_that_the_innermost_is_first),
    TEST(chained_exceptions_are_causes_or_were_replaced),
    TEST(of_unrelated_tracebacks_the_last_one_counts),
    TEST(a_groups_exceptions_are_suppressed_ones),
    TEST(of_a_groups_exception_with_a_chain_the_last_one_counts),
    TEST(a_repeated_frame_counts_once_in_the_hash),
    TEST(frames_that_have_no_room_count_in_the_hash),
    TEST(other_texts_are_not_taken),
};

SUITE(python);
