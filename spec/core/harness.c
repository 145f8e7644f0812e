/*
** Runs the tests of suites; see harness.h. Shared with the specs of the C API.
*/
#include "harness.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static jmp_buf end_of_test;
static char current_note[256];
static char failure[2048];

void note(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(current_note, sizeof current_note, format, arguments);
  va_end(arguments);
}

/* Keeps the message for run_test, which knows the test's name, and leaves the test. */
__attribute__((format(printf, 1, 2), noreturn)) static void fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(failure, sizeof failure, format, arguments);
  va_end(arguments);
  longjmp(end_of_test, 1);
}

void check_true(const char *file, int line, const char *expression, bool condition) {
  if (!condition) fail("%s:%d: %s: false, expected true", file, line, expression);
}

void check_same_int(const char *file, int line, const char *expression, int64_t actual,
                    int64_t expected) {
  if (actual == expected) return;
  fail("%s:%d: %s: %" PRId64 ", expected %" PRId64, file, line, expression, actual, expected);
}

void check_same_hex(const char *file, int line, const char *expression, uint64_t actual,
                    uint64_t expected) {
  if (actual == expected) return;
  fail("%s:%d: %s: 0x%" PRIx64 ", expected 0x%" PRIx64, file, line, expression, actual, expected);
}

void check_same_pointer(const char *file, int line, const char *expression, const void *actual,
                        const void *expected) {
  if (actual == expected) return;
  fail("%s:%d: %s: %p, expected %p", file, line, expression, actual, expected);
}

void check_same_text(const char *file, int line, const char *expression, const char *actual,
                     size_t length, const char *expected) {
  if (length == strlen(expected) && memcmp(actual, expected, length) == 0) return;
  fail("%s:%d: %s: \"%.*s\", expected \"%s\"", file, line, expression, (int)length, actual,
       expected);
}

static bool run_test(const suite *s, const test *t) {
  current_note[0] = '\0';
  if (setjmp(end_of_test) == 0) {
    t->run();
    return true;
  }
  const char *separator = current_note[0] != '\0' ? ", at " : "";
  printf("FAILED %s: %s%s%s: %s\n", s->name, t->name, separator, current_note, failure);
  return false;
}

/* Whether the arguments, `--only name` or `--without name` if there are any, choose the suite. */
static bool is_chosen(const suite *s, int argc, char **argv) {
  if (argc < 3) return true;
  return (strcmp(s->name, argv[2]) == 0) == (strcmp(argv[1], "--only") == 0);
}

int run_suites(const char *name, const suite *const *suites, size_t count, int argc, char **argv) {
  int passed = 0, failed = 0;
  setvbuf(stdout, NULL, _IOLBF, 0); /* a crash must not swallow what failed before it */
  for (size_t i = 0; i < count; i++) {
    for (size_t j = 0; j < suites[i]->count && is_chosen(suites[i], argc, argv); j++) {
      if (run_test(suites[i], &suites[i]->tests[j])) {
        passed++;
      } else {
        failed++;
      }
    }
  }
  printf("%s: %d passed, %d failed\n", name, passed, failed);
  return failed == 0 ? 0 : 1;
}
