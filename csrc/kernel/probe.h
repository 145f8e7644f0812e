/*
** The runtime's one stream of events. Counters, observers, spans and exports all listen to it: each
** kind of event is told at one place in the code, by `probe`, to the sinks that want the kind. A
** sink can only watch. Code that the runtime's behaviour depends on is not a sink; it is a
** task_exit, a wait_type or the panic handler.
**
** If no sink wants a kind, telling it costs one count and one test, or the test alone.
*/
#ifndef CP_KERNEL_PROBE_H
#define CP_KERNEL_PROBE_H

#include "compat.h"
#include "kernel/sink.h"

#pragma GCC visibility push(hidden)

struct runtime;
struct task;

/* Instead of a stack index: the event's task. */
#define PROBE_TASK (-1)

/* One event. The code that tells it fills in the fields that it knows, probe_tell the others. */
typedef struct probe_event {
  probe_kind kind;
  bool calls;              /* sinks may call scripts here */
  bool muted;              /* an observer caused the event, or a task that one has spawned */
  const struct task *task; /* the task that the event happens to; NULL: none */
  lua_State *L;            /* the stack of `object` and `extra` */
  /* stack index of the task, record, scope, ...; 0: none; PROBE_TASK: `task`, which must be live */
  int object;
  int extra;        /* likewise, of a second value */
  const char *word; /* instead of `extra`, a text that lives for ever: a status, reason or source */
  double seconds;   /* a duration, for kinds that have one */
  int64_t slice_ns; /* when the running slice began; 0 unless a sink is `timed` */
} probe_event;

/* Tells the event to the sinks that want it.   [-0, +0, -] */
void probe_tell(struct runtime *rt, const probe_event *event);

#pragma GCC visibility pop

#endif
