/*
** Spans: pieces of work within a trace, with a beginning and an end, as OpenTelemetry has them. coropanic makes a span
** only while somebody listens to spans (observe.h), and only in a trace that is sampled. The listener gets it as a plain
** table. A task that is spawned in a sampled trace is a span too, from then to its end.
**
** The C part of a span, `span` (trace.h), is on the stack of a trace context. A handle, which is a to-be-closed value
** in the frame of the code, counts it, and ends it when it is closed. Its table is the handle's user value, and is found
** by runtime_push_alive until the span ends; a task's span has no handle, and its table is pinned (pinned_ref).
** A handle that is dropped with its coroutine ends the span when it is collected: nobody is told of that span.
*/
#ifndef CP_SPAN_SPAN_H
#define CP_SPAN_SPAN_H

#include "compat.h"
#include "kernel/runtime.h"
#include "kernel/task.h"

#pragma GCC visibility push(hidden)

/* Makes the metatable of handles, and lets tasks be spans.   [-0, +0, m] */
void span_open(runtime *rt, lua_State *L);

/* The rest of span_is_recorded, where there is a listener and the trace is sampled or not begun. [-0, +0, -] */
bool span_decide(runtime *rt);

/* Whether a span of the running code would be recorded; begins its trace if there is a listener.  [-0, +0, -] */
static inline bool span_is_recorded(runtime *rt) {
  if (!probe_hears_spans(&rt->probes)) return false;
  const trace *t = trace_here(rt)->trace;
  return (t == NULL || (t->flags & TRACE_FLAG_SAMPLED) != 0) && span_decide(rt);
}

/*
** Begins a span of the running code, named by the string at `name`, and pushes its handle, which ends it when it is
** closed (lua_toclose). Until then it is the innermost span, and its id is the code's.
**   kind        "internal", "server", ...
**   attributes  index of a table, or 0
**   [-0, +1, e]
*/
void span_begin(runtime *rt, lua_State *L, int name, const char *kind, int attributes);

/*
** Switches the running code to the incoming trace, with this parent and these headers, until the pushed handle is
** closed. The code becomes a span there, which gets its id on demand. The span is exported only if its id was used, or
** something was written to it: otherwise no child can refer to it.   [-0, +1, e]
*/
void span_begin_continued(runtime *rt, lua_State *L, const traceparent *parent,
                          const trace_headers *headers);

/*
** Pushes the table of the innermost span that the running code may write to: the one that it is in, or its task's.
** From now on that span has an id. False, and nothing is pushed: there is none.   [-0, +(0|1), e]
*/
bool span_push_current(runtime *rt, lua_State *L);

#pragma GCC visibility pop

#endif
