#include "kernel/trace.h"

#include <string.h>

#include "core/baggage.h"
#include "kernel/runtime.h"

static size_t size_of(const trace_headers *headers) {
  return sizeof(trace) + headers->state_length + headers->baggage_length;
}

static trace *make_trace(runtime *rt, uint8_t flags, const trace_headers *headers) {
  cp_assert(headers->state_length <= TRACESTATE_MAX_LENGTH);
  cp_assert(headers->baggage_length <= BAGGAGE_MAX_LENGTH);
  trace *t = mem_new(&rt->memory, size_of(headers));
  if (t == NULL) return NULL;
  t->references = 1;
  t->continued = false;
  t->flags = flags;
  t->state_length = (uint16_t)headers->state_length;
  t->baggage_length = (uint16_t)headers->baggage_length;
  if (headers->state_length > 0) memcpy(t->text, headers->state, headers->state_length);
  if (headers->baggage_length > 0) {
    memcpy(t->text + headers->state_length, headers->baggage, headers->baggage_length);
  }
  return t;
}

bool trace_make_id(runtime *rt, uint8_t trace_id[16]) {
  id128 id;
  rt->no_id = id_next(&rt->generator, rt->ids, &system_wall_clock, &id);
  if (rt->no_id != ID_OK) return false;
  id_store(trace_id, id);
  return true;
}

uint8_t trace_root_flags(const runtime *rt, const uint8_t trace_id[16]) {
  bool sampled = sampling_decide_root(&rt->sampler, trace_id);
  return TRACE_FLAG_RANDOM | (sampled ? TRACE_FLAG_SAMPLED : 0);
}

trace *trace_new_with_baggage(runtime *rt, const trace *other) {
  trace_headers headers = {NULL, 0, NULL, 0};
  if (other != NULL) headers = trace_headers_of(other);
  headers.state_length = 0;
  /* The universe is being closed: there are no ids any more, and the trace would never be freed. */
  if (rt->ids == NULL) return NULL;
  uint8_t trace_id[16];
  if (!trace_make_id(rt, trace_id)) return NULL;
  trace *t = make_trace(rt, trace_root_flags(rt, trace_id), &headers);
  if (t != NULL) memcpy(t->trace_id, trace_id, sizeof(t->trace_id));
  return t;
}

trace *trace_new(runtime *rt) { return trace_new_with_baggage(rt, NULL); }

const char *trace_why_none(const runtime *rt) {
  if (rt->ids == NULL) return "the Lua state is being closed";
  switch (rt->no_id) {
    case ID_CLOCK_BACK:
      return "no trace id: the clock was set back by more than the generator puts up with";
    case ID_CLOCK_OUT:
      return "no trace id: the clock is outside the time that the generator's ids have room for";
    case ID_NOT_LEASED:
      return "no trace id: the machine id is not leased any more; call co.trace.use again, with "
             "another generator or, in a task, with a new lease";
    case ID_AHEAD_OF_LEASE:
      return "no trace id: the clock is ahead of what the machine id is leased for";
    case ID_FORKED:
      return "no trace id: the machine id is the parent process's; call co.trace.use here too";
    default: return "not enough memory";
  }
}

trace *trace_continue(runtime *rt, const traceparent *parent, const trace_headers *headers) {
  if (rt->ids == NULL) return NULL;
  bool sampled =
      sampling_decide(&rt->sampler, parent->trace_id, (parent->flags & TRACE_FLAG_SAMPLED) != 0);
  unsigned flags = (parent->flags & ~TRACE_FLAG_SAMPLED) | (sampled ? TRACE_FLAG_SAMPLED : 0);
  trace *t = make_trace(rt, (uint8_t)flags, headers);
  if (t == NULL) return NULL;
  t->continued = true;
  memcpy(t->trace_id, parent->trace_id, sizeof(t->trace_id));
  return t;
}

trace *trace_repack(runtime *rt, const trace *t, const trace_headers *headers) {
  trace *other = make_trace(rt, t->flags, headers);
  if (other == NULL) return NULL;
  memcpy(other->trace_id, t->trace_id, sizeof(t->trace_id));
  other->continued = t->continued;
  return other;
}

void trace_free(runtime *rt, trace *t) {
  trace_headers headers = trace_headers_of(t);
  mem_free(&rt->memory, t, size_of(&headers));
}

bool trace_ensure(runtime *rt, trace_ids *ids) {
  if (ids->trace == NULL) ids->trace = trace_new(rt);
  return ids->trace != NULL;
}

uint64_t trace_make_span_id(runtime *rt, trace_ids *ids) {
  if (rt->ids != NULL) ids->span_id = id_source_next(rt->ids);
  return ids->span_id;
}

/* --- contexts --- */

/* Whether code is inside the span, which is on a stack. */
static bool span_is_open(const span *s) { return s->ids.trace != NULL; }

static void replace_trace(runtime *rt, trace_ids *ids, trace *t) {
  trace *before = ids->trace;
  ids->trace = trace_retain(t);
  trace_release(rt, before);
}

void trace_context_set(runtime *rt, trace_context *context, trace *t) {
  span *s = context->current;
  while (s != NULL && s->context == context) {
    if (span_is_open(s)) replace_trace(rt, &s->ids, t);
    if (s->continues) break;
    s = s->outer;
  }
  if (s == NULL || s->context != context) replace_trace(rt, &context->own, t);
  trace_release(rt, t);
}

void trace_context_branch(runtime *rt, trace_context *context, trace_context *from) {
  trace_ids *here = trace_ids_of(from);
  trace_span_id(rt, here);
  context->own = *here;
  trace_retain(here->trace);
  context->current = span_retain(from->current);
}

/* Drops the span's trace, because no code is inside any more. */
static void close_span(runtime *rt, span *s) {
  trace_release(rt, s->ids.trace);
  s->ids.trace = NULL;
}

/* Takes the innermost span off its stack. */
static void pop(runtime *rt, trace_context *context) {
  span *s = context->current;
  context->current = span_retain(s->outer);
  s->context = NULL;
  span_release(rt, s);
}

void trace_context_clear_spans(runtime *rt, trace_context *context) {
  while (context->current != NULL && context->current->context == context) {
    close_span(rt, context->current);
    pop(rt, context);
  }
  span_release(rt, context->current);
  context->current = NULL;
}

/* --- spans --- */

span *span_new(runtime *rt) {
  span *s = mem_new(&rt->memory, sizeof(span));
  if (s != NULL) *s = (span){.references = 1};
  return s;
}

/* Not by recursion, because spans may be nested deep. */
void span_release(runtime *rt, span *s) {
  while (s != NULL && --s->references == 0) {
    span *outer = s->outer;
    trace_release(rt, s->ids.trace);
    mem_free(&rt->memory, s, sizeof(span));
    s = outer;
  }
}

void span_enter(trace_context *context, span *s) {
  s->context = context;
  s->outer = context->current;
  context->current = span_retain(s);
}

void span_enclose(trace_context *context, span *s) {
  cp_assert(context->current == NULL);
  context->current = span_retain(s);
}

void span_leave(runtime *rt, span *s) {
  trace_context *context = s->context;
  close_span(rt, s);
  if (context == NULL) return;
  while (context->current != NULL && context->current->context == context &&
         !span_is_open(context->current)) {
    pop(rt, context);
  }
}
