/*
** Spans: pieces of work within a trace, with a beginning and an end, as in OpenTelemetry. coropanic
** makes a span only while a listener is set (observe.h), and only in a sampled trace. The listener
** gets the span as a plain table. A task that is spawned in a sampled trace is a span too, from its
** spawn to its end.
**
** The C part of a span, `span` (trace.h), is on the stack of a trace context. A handle, a
** to-be-closed value in the frame of the code, has a reference to it, and ends it when it is
** closed. The span's table is the handle's user value; runtime_push_alive finds it until the span
** ends. A task's span has no handle, and its table is pinned (pinned_ref). If a handle is dropped
** with its coroutine, the collector ends the span, and no listener hears of it.
*/
#ifndef CP_SPAN_SPAN_H
#define CP_SPAN_SPAN_H

#include "compat.h"
#include "kernel/runtime.h"
#include "kernel/task.h"

#pragma GCC visibility push(hidden)

/* Makes the metatable of handles, and enables the spans of tasks.   [-0, +0, m] */
void span_open(runtime *rt, lua_State *L);

/*
** The second half of span_is_recorded, if a listener is set and the trace is sampled or not begun.
** [-0, +0, -]
*/
bool span_decide(runtime *rt);

/*
** Whether a span of the running code would be recorded. Begins the code's trace if a listener is
** set.   [-0, +0, -]
*/
static inline bool span_is_recorded(runtime *rt) {
  if (!probe_hears_spans(&rt->probes)) return false;
  const trace *t = trace_here(rt)->trace;
  return (t == NULL || (t->flags & TRACE_FLAG_SAMPLED) != 0) && span_decide(rt);
}

/*
** Begins a span of the running code, named by the string at `name`, and pushes its handle, which
** ends the span when it is closed (unwind_call_closing). Until then it is the innermost span, and
** the code's span id is its id.   [-0, +1, e]
**   kind        "internal", "server", ...
**   attributes  index of a table, or 0
*/
void span_begin(runtime *rt, lua_State *L, int name, const char *kind, int attributes);

/*
** Switches the running code to the incoming trace, with this parent and these headers, until the
** pushed handle is closed. The code becomes a span there, which gets its id on demand. The span is
** exported only if its id was used, or an event or attribute was written to it: otherwise no child
** can refer to it.   [-0, +1, e]
*/
void span_begin_continued(runtime *rt, lua_State *L, const traceparent *parent,
                          const trace_headers *headers);

/*
** Pushes the table of the innermost span that the running code may write to: the span around it, or
** its task's. Gives the span an id. Returns false, and pushes nothing, if there is none.
** [-0, +(0|1), e]
*/
bool span_push_current(runtime *rt, lua_State *L);

#pragma GCC visibility pop

#endif
