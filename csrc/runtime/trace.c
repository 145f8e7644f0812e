#include "runtime/trace.h"

#include <string.h>

#include "runtime/task.h"

static size_t trace_size(size_t state_length) { return sizeof(trace) + state_length; }

static trace *make_trace(runtime *rt, uint8_t flags, const char *state, size_t length) {
  cp_assert(length <= TRACESTATE_MAX_LENGTH);
  trace *t = mem_new(&rt->memory, trace_size(length));
  if (t == NULL) return NULL;
  t->references = 1;
  t->flags = flags;
  t->state_length = (uint16_t)length;
  if (length > 0) memcpy(t->state, state, length);
  return t;
}

trace *trace_new(runtime *rt) {
  /* The universe is being closed: there are no ids any more, and nobody would free the trace. */
  if (rt->ids == NULL) return NULL;
  trace *t = make_trace(rt, TRACE_FLAG_SAMPLED | TRACE_FLAG_RANDOM, NULL, 0);
  if (t == NULL) return NULL;
  uint64_t halves[2] = {id_source_next(rt->ids), id_source_next(rt->ids)};
  memcpy(t->trace_id, halves, sizeof(t->trace_id));
  return t;
}

trace *trace_continue(runtime *rt, const traceparent *parent, const char *state, size_t length) {
  if (rt->ids == NULL) return NULL;
  trace *t = make_trace(rt, parent->flags, state, length);
  if (t == NULL) return NULL;
  memcpy(t->trace_id, parent->trace_id, sizeof(t->trace_id));
  return t;
}

void trace_free(runtime *rt, trace *t) { mem_free(&rt->memory, t, trace_size(t->state_length)); }

trace_context *trace_current(runtime *rt) {
  return rt->current != NULL ? &rt->current->context : &rt->outside;
}

bool trace_ensure(runtime *rt, trace_context *context) {
  if (context->trace == NULL) context->trace = trace_new(rt);
  return context->trace != NULL;
}

uint64_t trace_make_span_id(runtime *rt, trace_context *context) {
  if (rt->ids != NULL) context->span_id = id_source_next(rt->ids);
  return context->span_id;
}
