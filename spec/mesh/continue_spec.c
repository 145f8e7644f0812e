/* The rules of W3C Trace Context for the headers of a request. */
#include <stdlib.h>
#include <string.h>

#include "../core/harness.h"
#include "mesh/coropanic_mesh.h"

#define IDS "12345678901234567890123456789012-1234567890123456"
#define PARENT "00-" IDS "-01"

static cp_mesh_trace trace;

/* Each list ends with NULL. */
static void continue_with(const char *const *parents, const char *const *states) {
  cp_mesh_text given[2][64];
  size_t counts[2] = {0, 0};
  const char *const *lists[2] = {parents, states};
  char error[256];
  cp_mesh *mesh = malloc(cp_mesh_size());
  check(cp_mesh_init(mesh, NULL, 0, error, sizeof error) == mesh);
  for (int i = 0; i < 2; i++) {
    for (; lists[i][counts[i]] != NULL; counts[i]++) {
      const char *text = lists[i][counts[i]];
      given[i][counts[i]] = (cp_mesh_text){text, strlen(text)};
    }
  }
  bool done = cp_mesh_continue(mesh, &trace, given[0], counts[0], given[1], counts[1]);
  free(mesh);
  check(done);
}

static void continue_one(const char *parent, const char *state) {
  continue_with((const char *const[]){parent, NULL}, (const char *const[]){state, NULL});
}

static void is_restarted(void) {
  check(trace.restarted);
  check_int(strlen(trace.traceparent), 55);
  check_text(trace.traceparent + 52, 3, "-02");
  check(strstr(trace.traceparent, IDS) == NULL);
  check_text(trace.tracestate, strlen(trace.tracestate), "");
}

static void a_valid_trace_goes_on_unchanged(void) {
  continue_one(PARENT, "a=1,b=2");
  check(!trace.restarted);
  check_text(trace.traceparent, strlen(trace.traceparent), PARENT);
  check_text(trace.tracestate, strlen(trace.tracestate), "a=1,b=2");
  check_hex(trace.span_id, 0x1234567890123456);
  check_int(trace.trace_id[0], 0x12);
  check_int(trace.flags, 1);
}

static void a_later_version_goes_on_as_version_00(void) {
  continue_one("cc-" IDS "-ff-what-the-future-will-be-like", "a=1");
  check(!trace.restarted);
  check_text(trace.traceparent, strlen(trace.traceparent), "00-" IDS "-03");
  check_text(trace.tracestate, strlen(trace.tracestate), "a=1");
}

static void an_invalid_traceparent_restarts_the_trace_and_drops_tracestate(void) {
  static const char *const invalid[] = {
      "",
      "00",
      "00-" IDS "-01.",
      "00-" IDS "-01-x",
      "ff-" IDS "-01",
      "cc-" IDS "-01.what",
      ".0-" IDS "-01",
      "000-" IDS "-01",
      "00-00000000000000000000000000000000-1234567890123456-01",
      "00-12345678901234567890123456789012-0000000000000000-01",
      "00-" IDS "-.0",
      "00-" IDS "-0",
      "00-" IDS "-001",
      "00-" IDS "-0A",
      "00_" IDS "-01",
  };
  for (size_t i = 0; i < sizeof invalid / sizeof invalid[0]; i++) {
    note("\"%s\"", invalid[i]);
    continue_one(invalid[i], "a=1");
    is_restarted();
  }
}

static void no_traceparent_or_two_of_them_restart_it_too(void) {
  static const char *const state[] = {"a=1", NULL};
  continue_with((const char *const[]){NULL}, state);
  is_restarted();
  continue_with((const char *const[]){PARENT, PARENT, NULL}, state);
  is_restarted();
}

static void restarted_traces_have_ids_of_their_own(void) {
  char first[56];
  continue_one("", "");
  strcpy(first, trace.traceparent);
  continue_one("", "");
  check(strcmp(first, trace.traceparent) != 0);
}

static void a_bad_tracestate_does_not_touch_the_traceparent(void) {
  continue_one(PARENT, "a=1,B=2");
  check(!trace.restarted);
  check_text(trace.tracestate, strlen(trace.tracestate), "");
}

static void tracestates_are_joined_in_their_order(void) {
  continue_with((const char *const[]){PARENT, NULL},
                (const char *const[]){"a=1, b=2", "", "c=3", NULL});
  check_text(trace.tracestate, strlen(trace.tracestate), "a=1,b=2,c=3");
}

static void tracestates_without_room_are_dropped(void) {
  char *large = malloc(70001);
  memset(large, 'x', 70000);
  large[70000] = '\0';
  continue_with((const char *const[]){PARENT, NULL}, (const char *const[]){"a=1", large, NULL});
  free(large);
  check(!trace.restarted);
  check_text(trace.tracestate, strlen(trace.tracestate), "");
}

static const test tests[] = {
    TEST(a_valid_trace_goes_on_unchanged),
    TEST(a_later_version_goes_on_as_version_00),
    TEST(an_invalid_traceparent_restarts_the_trace_and_drops_tracestate),
    TEST(no_traceparent_or_two_of_them_restart_it_too),
    TEST(restarted_traces_have_ids_of_their_own),
    TEST(a_bad_tracestate_does_not_touch_the_traceparent),
    TEST(tracestates_are_joined_in_their_order),
    TEST(tracestates_without_room_are_dropped),
};

SUITE(continue);
