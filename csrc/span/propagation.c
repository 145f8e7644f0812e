#include "span/propagation.h"

#include <string.h>

#include "core/hex.h"
#include "core/tracestate_member.h"
#include "kernel/coroutine.h"
#include "kernel/trace.h"

/* Raises if no id could be made.   [-0, +0, e] */
static void check_ids(const runtime *rt, lua_State *L, bool made) {
  if (!made) luaL_error(L, "%s", trace_why_none(rt));
}

void propagation_read(runtime *rt, lua_State *L, trace_position *p) {
  trace_ids *here = trace_here(rt);
  check_ids(rt, L, trace_ensure(rt, here));
  const trace *t = here->trace;
  memcpy(p->here.trace_id, t->trace_id, sizeof(p->here.trace_id));
  p->here.span_id = trace_span_id(rt, here);
  p->here.flags = t->flags;
  p->parent_span_id = here->parent_span_id;
  trace_headers headers = trace_headers_of(t);
  p->state_length = headers.state_length;
  memcpy(p->state, headers.state, headers.state_length);
  p->baggage_length = headers.baggage_length;
  memcpy(p->baggage, headers.baggage, headers.baggage_length);
}

/* --- the hybrid logical clock, which travels in our member of tracestate --- */

#define OUR_KEY "coropanic"
#define CLOCK_PREFIX "hlc:"
#define CLOCK_DIGITS 16

/* Reads the clock from a member's value; false if the value is no clock. */
static bool read_clock(const char *value, size_t length, uint64_t *clock) {
  size_t prefix = strlen(CLOCK_PREFIX);
  uint8_t bytes[CLOCK_DIGITS / 2];
  if (length != prefix + CLOCK_DIGITS || memcmp(value, CLOCK_PREFIX, prefix) != 0) return false;
  if (!hex_decode(bytes, value + prefix, sizeof(bytes))) return false;
  *clock = 0;
  for (size_t i = 0; i < sizeof(bytes); i++) *clock = *clock << 8 | bytes[i];
  return true;
}

void propagation_receive_clock(runtime *rt, const char *header, size_t header_length) {
  hlc *h = &rt->generator.hlc;
  const char *value;
  size_t at = 0, length;
  uint64_t remote, latest = 0, absurd = 0;
  bool found = false, believed = false;
  while ((value = tracestate_find(header, header_length, OUR_KEY, &at, &length)) != NULL) {
    if (!read_clock(value, length, &remote)) continue;
    found = true;
    if (!hlc_believes(h, &system_wall_clock, remote)) {
      absurd = remote;
      continue;
    }
    believed = true;
    if (remote > latest) latest = remote;
  }
  if (found) hlc_merge(h, &system_wall_clock, believed ? latest : absurd);
}

void propagation_send_clock(runtime *rt, trace_position *p) {
  if (rt->generator.kind != ID_HLC) return;
  uint64_t timestamp;
  if (hlc_tick(&rt->generator.hlc, &system_wall_clock, &timestamp) != ID_OK) return;
  char value[sizeof(CLOCK_PREFIX) + CLOCK_DIGITS] = CLOCK_PREFIX;
  hex_encode_u64(value + strlen(CLOCK_PREFIX), timestamp);
  tracestate state = {.length = p->state_length};
  memcpy(state.text, p->state, p->state_length);
  tracestate_put(&state, OUR_KEY, value);
  p->state_length = state.length;
  memcpy(p->state, state.text, state.length);
}

/* --- coming in --- */

void propagation_start(runtime *rt, lua_State *L, trace_incoming *in) {
  check_ids(rt, L, rt->ids != NULL && trace_make_id(rt, in->parent.trace_id));
  in->parent.span_id = 0;
  in->parent.flags = trace_root_flags(rt, in->parent.trace_id);
}

void propagation_receive(runtime *rt, lua_State *L, trace_incoming *in, const char *parent,
                         const char *state, const char *baggage) {
  in->state.length = in->baggage_length = 0;
  if (baggage != NULL) in->baggage_length = baggage_clean(in->baggage, baggage, strlen(baggage));
  in->valid = parent != NULL && traceparent_parse(&in->parent, parent, strlen(parent));
  if (state != NULL && in->valid) tracestate_parse(&in->state, state, strlen(state));
  if (state != NULL && rt->generator.kind == ID_HLC) {
    propagation_receive_clock(rt, state, strlen(state));
  }
  if (!in->valid) propagation_start(rt, L, in);
}
