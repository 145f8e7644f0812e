/*
** Trace identity: the request that code works for. A `trace` is one request's part in this process,
** with the headers that came in or those made here. All tasks that work for the request share it,
** and count references to it. Each task adds its own span id, made when it is first needed.
**
** Each task, each coroutine of co.coroutine and the code outside tasks has a `trace_context`: ids
** of its own, and a stack of the spans around its code. A generator that yields leaves its span on
** the stack of its task, so spans may end in any order. A span that has ended stays on the stack
** until it is the innermost one, and then goes.
*/
#ifndef CP_KERNEL_TRACE_H
#define CP_KERNEL_TRACE_H

#include <stdbool.h>

#include "core/base.h"
#include "core/traceparent.h"

#pragma GCC visibility push(hidden)

struct runtime;

typedef struct trace {
  uint32_t references;
  uint8_t flags;  /* TRACE_FLAG_SAMPLED, TRACE_FLAG_RANDOM */
  bool continued; /* made by co.trace.continue: outside tasks it is inherited too */
  uint16_t state_length;
  uint16_t baggage_length;
  uint8_t trace_id[16];
  char text[]; /* the tracestate, carried unchanged, with the baggage behind it */
} trace;

/* The cleaned parts of headers that travel with a trace. */
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
** The ids under which code works. A spawned task gets the same trace, its spawner's span as its
** parent, and a span id of its own, made on demand.
*/
typedef struct trace_ids {
  trace *trace;            /* counted; NULL only before the code outside tasks first needs an id */
  uint64_t span_id;        /* 0: not made yet */
  uint64_t parent_span_id; /* 0: none */
} trace_ids;

/*
** A span, or a call of co.trace.continue (span/span.h). It is C memory, with references from its
** handle, from the contexts whose `current` it is, and from the spans directly inside it.
*/
typedef struct span {
  trace_ids ids;                 /* of the code inside; without a trace once no code is inside */
  struct span *outer;            /* the span around it, counted; NULL: none */
  struct trace_context *context; /* the context whose stack it is on; NULL: none */
  uint32_t references;
  bool continues; /* a call of co.trace.continue: the code around it is in another trace */
  bool recorded;  /* listeners hear of it, or have heard */
} span;

typedef struct trace_context {
  trace_ids own; /* of the code outside all spans of this context */
  /*
  ** Counted: the innermost span on this context's stack. If the stack is empty: the task's own
  ** span, or the span in which the coroutine was made, which its code can't leave; else NULL.
  */
  span *current;
} trace_context;

/*
** Makes a trace id with the generator that co.trace.use has set. False: trace_why_none has the
** reason.
*/
bool trace_make_id(struct runtime *rt, uint8_t trace_id[16]);

/*
** Returns the flags of a trace that begins with this id: random (W3C level 2), and sampled if the
** sampler of co.trace.sampler says so.
*/
uint8_t trace_root_flags(const struct runtime *rt, const uint8_t trace_id[16]);

/*
** Makes a new trace, with one reference, which the caller owns. NULL: trace_why_none has the
** reason.
*/
trace *trace_new(struct runtime *rt);

/* The same with the baggage of `other`, if that is not NULL. */
trace *trace_new_with_baggage(struct runtime *rt, const trace *other);

/* Returns a message that says why trace_new or trace_ensure made no trace. */
const char *trace_why_none(const struct runtime *rt);

/*
** Makes the trace of an incoming request, with one reference, which the caller owns. It is sampled
** if the sampler of co.trace.sampler says so. The headers must be within the limits of
** traceparent.h and baggage.h. NULL: there is no memory, or the universe is being closed.
*/
trace *trace_continue(struct runtime *rt, const traceparent *parent, const trace_headers *headers);

/*
** Makes a copy of the trace with other headers, for code that goes on in it alone; one reference,
** which the caller owns. NULL: no memory.
*/
trace *trace_repack(struct runtime *rt, const trace *t, const trace_headers *headers);

static inline trace *trace_retain(trace *t) {
  t->references++;
  return t;
}

/* Frees a trace without references. */
void trace_free(struct runtime *rt, trace *t);

/* Drops one reference, and frees the trace with the last one. NULL is harmless. */
static inline void trace_release(struct runtime *rt, trace *t) {
  if (t == NULL) return;
  cp_assert(t->references > 0);
  if (--t->references == 0) trace_free(rt, t);
}

/* Makes the context's trace if it has none. False: trace_why_none has the reason. */
bool trace_ensure(struct runtime *rt, trace_ids *ids);

/* Makes a span id for ids without one. 0: the universe is being closed. */
uint64_t trace_make_span_id(struct runtime *rt, trace_ids *ids);

/* Returns the span id, which is made at the first call. */
static inline uint64_t trace_span_id(struct runtime *rt, trace_ids *ids) {
  return ids->span_id != 0 ? ids->span_id : trace_make_span_id(rt, ids);
}

/* Makes `child` the ids of a task that is spawned under `spawner`, in the same trace. */
static inline void trace_go_on(struct runtime *rt, trace_ids *child, trace_ids *spawner) {
  child->trace = trace_retain(spawner->trace);
  child->parent_span_id = trace_span_id(rt, spawner);
}

/* --- contexts --- */

/*
** Returns the ids under which the context's code works now: those of its innermost span, or its
** own. The pointer is valid until scripts may run, because they may end the span.
*/
static inline trace_ids *trace_ids_of(trace_context *context) {
  span *s = context->current;
  return s != NULL && s->context == context ? &s->ids : &context->own;
}

/*
** Moves the context's code to the trace `t`, with other headers of the same trace, and takes over a
** reference to it. All spans up to the next call of co.trace.continue move too, so that the change
** outlives them.
*/
void trace_context_set(struct runtime *rt, trace_context *context, trace *t);

/*
** Begins the empty `context` at the present position of the code of `from`, which must have a
** trace.
*/
void trace_context_branch(struct runtime *rt, trace_context *context, trace_context *from);

/* The second half of trace_context_clear: empties the stack. */
void trace_context_clear_spans(struct runtime *rt, trace_context *context);

/*
** Call it before a context is freed, when its code does not run any more: drops all its references.
** The spans on its stack may end later. Its own span ids stay readable.
*/
static inline void trace_context_clear(struct runtime *rt, trace_context *context) {
  trace_release(rt, context->own.trace);
  context->own.trace = NULL;
  if (context->current != NULL) trace_context_clear_spans(rt, context);
}

/* --- spans --- */

/* Makes a span, with no code inside and one reference, which the caller owns. NULL: no memory. */
span *span_new(struct runtime *rt);

/* Adds a reference. NULL is harmless. */
static inline span *span_retain(span *s) {
  if (s != NULL) s->references++;
  return s;
}

/* Drops one reference, and frees the span with the last one. NULL is harmless. */
void span_release(struct runtime *rt, span *s);

/*
** Puts the code of the context into a new span. The span's ids must be set, and count a reference
** to their trace.
*/
void span_enter(trace_context *context, span *s);

/*
** Makes a new span the span of a task that has not begun: it is around all of the task's code, and
** its ids are the context's own.
*/
void span_enclose(trace_context *context, span *s);

/*
** Ends the span: drops its trace, and keeps its span ids. If it is the innermost one on its stack
** it leaves the stack, and with it the spans around it that have ended before.
*/
void span_leave(struct runtime *rt, span *s);

#pragma GCC visibility pop

#endif
