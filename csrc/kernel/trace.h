/*
** Trace identity: which request this is. A `trace` is one request's part in this process (what
** came in with it, or what was made for it), shared and counted by every task that works for it;
** each task adds its own span id, made when somebody first asks for it.
**
** Each task, each coroutine of co.coroutine and the code outside tasks has a `trace_context`: ids of its own, and
** the stack of spans in which its code is. A generator that yields leaves its span on the stack of its task, so spans
** end in any order. A span that has ended stays on the stack until it is the innermost one, and then goes.
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
** The ids under which code works. A spawned task has the same trace, its spawner's span as parent, and a span id of
** its own that is made on demand.
*/
typedef struct trace_ids {
  trace *trace;            /* counted; NULL only before a first id was needed outside tasks */
  uint64_t span_id;        /* 0: not made yet */
  uint64_t parent_span_id; /* 0: none */
} trace_ids;

/*
** A span, or a call of co.trace.continue (span/span.h). C memory, counted by its handle, by the contexts whose
** `current` it is, and by the spans directly inside it.
*/
typedef struct span {
  trace_ids ids;                 /* of the code inside; without a trace once nobody is inside */
  struct span *outer;            /* the span around it, counted; NULL: none */
  struct trace_context *context; /* on whose stack it is; NULL: on none */
  uint32_t references;
  bool continues; /* co.trace.continue: what is around it is in another trace */
  bool recorded;  /* listeners are told of it, or were */
} span;

typedef struct trace_context {
  trace_ids own; /* of the code that is in no span of this context */
  /*
  ** Counted: the innermost span on this context's stack. If there is none: the task's own span, or the span in which
  ** the coroutine was made, which its code can't leave; NULL: none either.
  */
  span *current;
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

/* Makes the trace if there is none yet. False: trace_why_none has the reason. */
bool trace_ensure(struct runtime *rt, trace_ids *ids);

/* Makes a span id for ids that have none. 0: the universe is being closed. */
uint64_t trace_make_span_id(struct runtime *rt, trace_ids *ids);

/* The span id, made now if it was not needed before. */
static inline uint64_t trace_span_id(struct runtime *rt, trace_ids *ids) {
  return ids->span_id != 0 ? ids->span_id : trace_make_span_id(rt, ids);
}

/* Makes `child` the ids of a task that is spawned under `spawner`, in the same trace. */
static inline void trace_go_on(struct runtime *rt, trace_ids *child, trace_ids *spawner) {
  child->trace = trace_retain(spawner->trace);
  child->parent_span_id = trace_span_id(rt, spawner);
}

/* --- contexts --- */

/* The context of the code that runs now: of its coroutine, its task, or the one outside tasks. */
trace_context *trace_current(struct runtime *rt);

/*
** The ids under which the context's code works now: those of its innermost span, or its own. The pointer is valid until
** scripts may run, which may end the span.
*/
static inline trace_ids *trace_ids_of(trace_context *context) {
  span *s = context->current;
  return s == NULL || s->context != context ? &context->own : &s->ids;
}

/* The same for the code that runs now. */
trace_ids *trace_here(struct runtime *rt);

/*
** Puts the context's code into another trace, a reference of which it takes: for other headers of the same trace. All
** spans up to the next call of co.trace.continue are in it then, so it lasts beyond their ends.
*/
void trace_context_set(struct runtime *rt, trace_context *context, trace *t);

/* Begins `context`, which is empty, where the code of `from` is now. That has a trace. */
void trace_context_branch(struct runtime *rt, trace_context *context, trace_context *from);

/* The rest of trace_context_clear: empties the stack. */
void trace_context_clear_spans(struct runtime *rt, trace_context *context);

/*
** Lets go of all that the context holds, once its code does not run any more; to be called before it is freed. The spans
** on its stack may end later. Its own span ids stay readable.
*/
static inline void trace_context_clear(struct runtime *rt, trace_context *context) {
  trace_release(rt, context->own.trace);
  context->own.trace = NULL;
  if (context->current != NULL) trace_context_clear_spans(rt, context);
}

/* --- spans --- */

/* A new span, in which no code is yet. NULL: no memory. References: 1. */
span *span_new(struct runtime *rt);

/* NULL is harmless. */
static inline span *span_retain(span *s) {
  if (s != NULL) s->references++;
  return s;
}

/* Drops one reference; frees at none. NULL is harmless. */
void span_release(struct runtime *rt, span *s);

/* The code of the context enters the new span, whose ids are set and count a reference to their trace. */
void span_enter(trace_context *context, span *s);

/* The new span is that of a task, which has not begun: it is around all of its code, whose ids are the context's own. */
void span_enclose(trace_context *context, span *s);

/*
** The span ends, and lets go of its trace; it keeps its span ids. If it is the innermost one on its stack it goes, and
** with it those around it that have ended before.
*/
void span_leave(struct runtime *rt, span *s);

#pragma GCC visibility pop

#endif
