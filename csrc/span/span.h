/*
** Spans: pieces of work within a trace, with a beginning and an end, as OpenTelemetry has them. One is made
** only when its trace is sampled and an observer wants spans (observe.h), who is given it as a plain table. A task whose trace is sampled when it is spawned is a span from then to its end.
*/
#ifndef CP_SPAN_SPAN_H
#define CP_SPAN_SPAN_H

#include "compat.h"
#include "kernel/runtime.h"
#include "kernel/task.h"

#pragma GCC visibility push(hidden)

/* Makes the metatable of places.   [-0, +0, m] */
void span_open(runtime *rt, lua_State *L);

/* The rest of span_is_recorded, where there is a listener and the trace is sampled or not begun. [-0, +0, -] */
bool span_decide(runtime *rt);

/* Whether anybody listens to spans. */
static inline bool span_is_heard(const runtime *rt) {
  const uint32_t kinds =
      PROBE_BIT(PROBE_SPAN_BEGIN) | PROBE_BIT(PROBE_SPAN_EVENT) | PROBE_BIT(PROBE_SPAN_END);
  return (rt->probes.mask & kinds) != 0;
}

/* Whether a span of the running code would be recorded; begins its trace if there is a listener.  [-0, +0, -] */
static inline bool span_is_recorded(runtime *rt) {
  if (!span_is_heard(rt)) return false;
  const trace *t = trace_current(rt)->trace;
  return (t == NULL || (t->flags & TRACE_FLAG_SAMPLED) != 0) && span_decide(rt);
}

/*
** Begins a span of the running code, named by the string at `name`, and pushes it: a place that ends it
** when it is closed (lua_toclose). The span is the innermost one until then, and its id is the code's.
**   kind        "internal", "server", ...
**   attributes  index of a table, or 0
**   [-0, +1, e]
*/
void span_begin(runtime *rt, lua_State *L, int name, const char *kind, int attributes);

/*
** Puts the running code into another trace, which came in with this parent and headers, until the value
** that is pushed is closed. There it is a span whose id is made on demand, and that the listener is told of
** if somebody asked for that, so that nobody has a parent that is not recorded.   [-0, +1, e]
*/
void span_begin_continued(runtime *rt, lua_State *L, const traceparent *parent,
                          const trace_headers *headers);

/* Begins the span of the new task on top of the stack, if it is to have one. Never raises.   [-0, +0, -] */
void span_begin_task(runtime *rt, lua_State *L, task *t);

/*
** Pushes the table of the innermost span of the running code: the one that it is in, or its task's. False,
** and nothing is pushed: there is none.   [-0, +(0|1), -]
*/
bool span_push_current(runtime *rt, lua_State *L);

#pragma GCC visibility pop

#endif
