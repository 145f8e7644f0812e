/*
** Trace identity: which request this is. A `trace` is one request's part in this process (what
** came in with it, or what was made for it), shared and counted by every task that works for it;
** each task adds its own span id, made when somebody first asks for it.
*/
#ifndef CP_KERNEL_TRACE_H
#define CP_KERNEL_TRACE_H

#include <stdbool.h>
#include <string.h>

#include "core/base.h"
#include "core/traceparent.h"

#pragma GCC visibility push(hidden)

struct runtime;

typedef struct trace {
  uint32_t references;
  uint8_t flags;  /* TRACE_FLAG_SAMPLED, TRACE_FLAG_RANDOM */
  bool continued; /* by co.trace.continue: outside tasks it is inherited too */
  uint16_t state_length;
  uint16_t baggage_length;
  uint8_t trace_id[16];
  char text[]; /* the tracestate, carried unchanged, and the baggage behind it */
} trace;

/* What travels with a trace: parts of headers, cleaned. */
typedef struct trace_headers {
  const char *state;
  size_t state_length;
  const char *baggage;
  size_t baggage_length;
} trace_headers;

static inline trace_headers trace_headers_of(const trace *t) {
  return (trace_headers){t->text, t->state_length, t->text + t->state_length, t->baggage_length};
}

/*
** A place in a trace: what a task (or the code outside tasks) is working for. The fields are
** copied at spawn: the same trace, the spawner's span as parent, a span of its own that is made on
** demand.
*/
typedef struct trace_context {
  trace *trace;            /* counted; NULL only before a first id was needed outside tasks */
  uint64_t span_id;        /* 0: not made yet */
  uint64_t parent_span_id; /* 0: none */
  uint64_t place; /* the key of the innermost span, or call of co.trace.continue; 0: none */
} trace_context;

/* Makes a trace id as co.trace.use says. False: trace_why_none has the reason. */
bool trace_make_id(struct runtime *rt, uint8_t trace_id[16]);

/* The flags of a trace that begins with this id: random (W3C level 2), and sampled as co.trace.sampler says. */
uint8_t trace_root_flags(const struct runtime *rt, const uint8_t trace_id[16]);

/* A new trace. NULL: none. References: 1. */
trace *trace_new(struct runtime *rt);

/* The same with the baggage of another, if that is not NULL. */
trace *trace_new_with_baggage(struct runtime *rt, const trace *other);

/* Why there is no trace, after trace_new or trace_ensure could not make one: a message. */
const char *trace_why_none(const struct runtime *rt);

/*
** A trace that came from elsewhere, sampled as co.trace.sampler says; its headers is within the limits of
** traceparent.h and baggage.h. NULL:
** no memory, or the universe is being closed (as for trace_new). References: 1.
*/
trace *trace_continue(struct runtime *rt, const traceparent *parent, const trace_headers *headers);

/* Whether two are of one trace, whatever travels with them; neither is NULL. */
static inline bool trace_is_same(const trace *a, const trace *b) {
  return a == b || memcmp(a->trace_id, b->trace_id, sizeof(a->trace_id)) == 0;
}

/* A trace like this one with other headers, for who goes on in it alone. NULL: no memory. References: 1. */
trace *trace_repack(struct runtime *rt, const trace *t, const trace_headers *headers);

static inline trace *trace_retain(trace *t) {
  t->references++;
  return t;
}

/* Frees a trace that nobody refers to any more. */
void trace_free(struct runtime *rt, trace *t);

/* Drops one reference; frees at none. NULL is harmless. */
static inline void trace_release(struct runtime *rt, trace *t) {
  if (t == NULL) return;
  cp_assert(t->references > 0);
  if (--t->references == 0) trace_free(rt, t);
}

/* The context of the code that runs now: of its coroutine, its task, or the one outside tasks. */
trace_context *trace_current(struct runtime *rt);

/* Makes the trace if there is none yet. False: trace_why_none has the reason. */
bool trace_ensure(struct runtime *rt, trace_context *context);

/* Makes a span id for a context that has none. 0: the universe is being closed. */
uint64_t trace_make_span_id(struct runtime *rt, trace_context *context);

/* The context's span id, made now if it was not needed before. */
static inline uint64_t trace_span_id(struct runtime *rt, trace_context *context) {
  return context->span_id != 0 ? context->span_id : trace_make_span_id(rt, context);
}

/* Makes `child`, a new task's, a place below `spawner` in the same trace. */
static inline void trace_go_on(struct runtime *rt, trace_context *child, trace_context *spawner) {
  child->trace = trace_retain(spawner->trace);
  child->parent_span_id = trace_span_id(rt, spawner);
}

#pragma GCC visibility pop

#endif
