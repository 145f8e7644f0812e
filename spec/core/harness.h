/*
** A small harness for the tests of csrc/core and of the C API. A test is a function whose name says what holds; its
** first failing check ends it, with one line: where, which expression, which values.
*/
#ifndef SPEC_CORE_HARNESS_H
#define SPEC_CORE_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct test {
  const char *name;
  void (*run)(void);
} test;

typedef struct suite {
  const char *name;
  const test *tests;
  size_t count;
} suite;

#define TEST(function) \
  { #function, function }

/* Defines the suite that main.c lists, over the array `tests` of the same file. */
#define SUITE(suite_name) \
  const suite suite_name##_suite = {#suite_name, tests, sizeof tests / sizeof tests[0]}

/*
** Runs all tests; with the arguments `--only name` those of that suite, with `--without name` all but
** those. Prints a line for each that failed, and the sum: "name: N passed, N failed". Returns the exit
** status: 1 if any failed.
*/
int run_suites(const char *name, const suite *const *suites, size_t count, int argc, char **argv);

/* Says in which row or round the test is; printed when a check fails. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The checks below evaluate each argument once. Not for forked children. */
#define check(condition) check_true(__FILE__, __LINE__, #condition, (condition))
#define check_int(actual, expected) \
  check_same_int(__FILE__, __LINE__, #actual, (int64_t)(actual), (int64_t)(expected))
#define check_hex(actual, expected) \
  check_same_hex(__FILE__, __LINE__, #actual, (uint64_t)(actual), (uint64_t)(expected))
#define check_pointer(actual, expected) \
  check_same_pointer(__FILE__, __LINE__, #actual, (actual), (expected))
/* `actual` is `length` characters, `expected` a string. */
#define check_text(actual, length, expected) \
  check_same_text(__FILE__, __LINE__, #actual, (actual), (length), (expected))

void check_true(const char *file, int line, const char *expression, bool condition);
void check_same_int(const char *file, int line, const char *expression, int64_t actual,
                    int64_t expected);
void check_same_hex(const char *file, int line, const char *expression, uint64_t actual,
                    uint64_t expected);
void check_same_pointer(const char *file, int line, const char *expression, const void *actual,
                        const void *expected);
void check_same_text(const char *file, int line, const char *expression, const char *actual,
                     size_t length, const char *expected);

#endif
