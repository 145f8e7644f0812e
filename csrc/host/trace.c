/* The trace of the running code from C. */
#include <string.h>

#include "coropanic.h"
#include "host/host.h"
#include "span/propagation.h"
#include "span/span.h"

_Static_assert(CP_TRACEPARENT_SIZE == TRACEPARENT_LENGTH + 1 &&
                   CP_TRACESTATE_SIZE == TRACESTATE_MAX_LENGTH + 1 &&
                   CP_BAGGAGE_SIZE == BAGGAGE_MAX_LENGTH + 1,
               "hosts have room for what headers may be");

void cp_trace_continue(lua_State *L, const char *parent, const char *state, const char *baggage) {
  runtime *rt = host_open(L);
  trace_incoming in;
  propagation_receive(rt, L, &in, parent, state, baggage);
  trace_headers headers = {in.state.text, in.state.length, in.baggage, in.baggage_length};
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  span_begin_continued(rt, L, &in.parent, &headers);
}

int cp_trace_ids(lua_State *L, uint8_t *trace_id, uint8_t *span_id) {
  trace_position p;
  propagation_read(host_open(L), L, &p);
  if (trace_id != NULL) memcpy(trace_id, p.here.trace_id, sizeof(p.here.trace_id));
  uint64_t id = p.here.span_id;
  for (int i = 7; i >= 0 && span_id != NULL; i--, id >>= 8) span_id[i] = (uint8_t)id;
  return (p.here.flags & TRACE_FLAG_SAMPLED) != 0;
}

/* Copies a text, and a 0 behind it. */
static void write_text(char *out, const char *text, size_t length) {
  memcpy(out, text, length);
  out[length] = '\0';
}

void cp_trace_inject(lua_State *L, cp_trace_headers *out) {
  runtime *rt = host_open(L);
  trace_position p;
  propagation_read(rt, L, &p);
  propagation_send_clock(rt, &p);
  traceparent_format(out->traceparent, &p.here);
  out->traceparent[TRACEPARENT_LENGTH] = '\0';
  write_text(out->tracestate, p.state, p.state_length);
  write_text(out->baggage, p.baggage, p.baggage_length);
}
