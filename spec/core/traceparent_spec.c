#include "core/traceparent.h"

#include <string.h>

#include "harness.h"

#define TRACE_ID "12345678901234567890123456789012"
#define SPAN_ID "1234567890123456"
#define IDS TRACE_ID "-" SPAN_ID

/* A copy of just the value's size, so that the sanitizers see what is read behind its end. */
static bool parse(traceparent *out, const char *value) {
  static char copy[256];
  size_t length = strlen(value);
  char *start = copy + sizeof copy - length;
  memcpy(start, value, length);
  return traceparent_parse(out, start, length);
}

typedef struct valid_case {
  const char *value;
  const char *sent; /* what goes out when the same span is sent on */
} valid_case;

/* The cases of the W3C's test suite, and what level 2 adds. */
static void a_valid_value_is_read_and_sent_as_version_00(void) {
  static const valid_case cases[] = {
      {"00-" IDS "-01", "00-" IDS "-01"},
      {"00-" IDS "-00", "00-" IDS "-00"},
      {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
       "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
      {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
       "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"},
      {"00-00000000000000000000000000000001-0000000000000001-00",
       "00-00000000000000000000000000000001-0000000000000001-00"},
      {"00-ffffffffffffffffffffffffffffffff-ffffffffffffffff-00",
       "00-ffffffffffffffffffffffffffffffff-ffffffffffffffff-00"},
      {"00-" IDS "-02", "00-" IDS "-02"},
      {"00-" IDS "-03", "00-" IDS "-03"},
      {"00-" IDS "-ff", "00-" IDS "-03"},
      {"00-" IDS "-fc", "00-" IDS "-00"},
      {"01-" IDS "-01", "00-" IDS "-01"},
      {"cc-" IDS "-01", "00-" IDS "-01"},
      {"cc-" IDS "-01-what-the-future-will-be-like", "00-" IDS "-01"},
      {"cc-" IDS "-01-", "00-" IDS "-01"},
      {"fe-" IDS "-09", "00-" IDS "-01"},
      {" 00-" IDS "-01", "00-" IDS "-01"},
      {"\t00-" IDS "-01", "00-" IDS "-01"},
      {"00-" IDS "-01 ", "00-" IDS "-01"},
      {"00-" IDS "-01\t", "00-" IDS "-01"},
      {"\t 00-" IDS "-01 \t", "00-" IDS "-01"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    traceparent parent;
    char sent[TRACEPARENT_LENGTH];
    note("\"%s\"", cases[i].value);
    check(parse(&parent, cases[i].value));
    traceparent_format(sent, &parent);
    check_text(sent, sizeof sent, cases[i].sent);
  }
}

static void an_invalid_value_is_refused(void) {
  static const char *const values[] = {
      "",
      " ",
      "00",
      "cc-" IDS "-01.what-the-future-will-not-be-like",
      "cc-" IDS "-012",
      "00-" IDS "-01-what-the-future-will-be-like",
      "00-" IDS "-01.",
      "00-" IDS "-01-",
      "00-" IDS "-01-x",
      "00-" IDS "-01 x",
      "ff-" IDS "-01",
      "ff-" IDS "-01-x",
      ".0-" IDS "-01",
      "0.-" IDS "-01",
      "0A-" IDS "-01",
      "000-" IDS "-01",
      "0-" IDS "-01",
      "-" IDS "-01",
      "00-00000000000000000000000000000000-" SPAN_ID "-01",
      "00-.2345678901234567890123456789012-" SPAN_ID "-01",
      "00-1234567890123456789012345678901.-" SPAN_ID "-01",
      "00-1234567890123456789012345678901A-" SPAN_ID "-01",
      "00-123456789012345678901234567890123-" SPAN_ID "-01",
      "00-1234567890123456789012345678901-" SPAN_ID "-01",
      "00-" TRACE_ID "-0000000000000000-01",
      "00-" TRACE_ID "-.234567890123456-01",
      "00-" TRACE_ID "-123456789012345.-01",
      "00-" TRACE_ID "-A234567890123456-01",
      "00-" TRACE_ID "-12345678901234567-01",
      "00-" TRACE_ID "-123456789012345-01",
      "00-" IDS "-.0",
      "00-" IDS "-0.",
      "00-" IDS "-0A",
      "00-" IDS "-001",
      "00-" IDS "-1",
      "00-" IDS "-",
      "00-" IDS,
      "00_" IDS "-01",
      "00-" TRACE_ID "_" SPAN_ID "-01",
      "00-" IDS "_01",
      "00-" IDS "-01,00-" IDS "-01",
      "\n00-" IDS "-01",
  };
  for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
    traceparent parent;
    note("\"%s\"", values[i]);
    check(!parse(&parent, values[i]));
  }
}

static void every_shortened_value_is_refused(void) {
  const char *value = "cc-" IDS "-01";
  for (size_t length = 0; length < TRACEPARENT_LENGTH; length++) {
    traceparent parent;
    note("length %zu", length);
    check(!traceparent_parse(&parent, value, length));
  }
}

/* No other byte may stand where a digit or a dash stands. */
static void every_position_takes_only_what_the_grammar_allows(void) {
  for (size_t position = 0; position < TRACEPARENT_LENGTH; position++) {
    for (int c = 0; c < 256; c++) {
      char value[] = "00-" IDS "-01";
      bool is_dash = value[position] == '-';
      bool is_digit = c != 0 && strchr("0123456789abcdef", c) != NULL;
      traceparent parent;
      note("position %zu, character %d", position, c);
      value[position] = (char)c;
      bool is_allowed = is_dash ? c == '-' : is_digit;
      check_int(traceparent_parse(&parent, value, TRACEPARENT_LENGTH), is_allowed);
    }
  }
}

static void the_fields_are_read_as_values(void) {
  traceparent parent;
  check(parse(&parent, "00-0123456789abcdef0123456789abcdef-fedcba9876543210-03"));
  check_hex(parent.trace_id[0], 0x01);
  check_hex(parent.trace_id[7], 0xef);
  check_hex(parent.trace_id[15], 0xef);
  check_hex(parent.span_id, UINT64_C(0xfedcba9876543210));
  check_hex(parent.flags, TRACE_FLAG_SAMPLED | TRACE_FLAG_RANDOM);
}

static void unknown_flags_are_cleared(void) {
  traceparent parent;
  check(parse(&parent, "00-" IDS "-fd"));
  check_hex(parent.flags, TRACE_FLAG_SAMPLED);
}

static void unknown_flags_are_never_sent(void) {
  traceparent parent = {.trace_id = {[15] = 1}, .span_id = 2, .flags = 0xff};
  char sent[TRACEPARENT_LENGTH + 1] = {[TRACEPARENT_LENGTH] = 'x'};
  traceparent_format(sent, &parent);
  check_text(sent, sizeof sent, "00-00000000000000000000000000000001-0000000000000002-03x");
}

static const test tests[] = {
    TEST(a_valid_value_is_read_and_sent_as_version_00),
    TEST(an_invalid_value_is_refused),
    TEST(every_shortened_value_is_refused),
    TEST(every_position_takes_only_what_the_grammar_allows),
    TEST(the_fields_are_read_as_values),
    TEST(unknown_flags_are_cleared),
    TEST(unknown_flags_are_never_sent),
};

SUITE(traceparent);
