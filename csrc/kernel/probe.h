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

#include <stdbool.h>
#include <stdint.h>

#include "compat.h"
#include "core/list.h"

#pragma GCC visibility push(hidden)

struct runtime;
struct task;

/*
** The kinds of events, in the order of the table in docs/running.md. At most 31, because a mask has
** one bit for each.
*/
#define PROBE_KINDS(KIND)            \
  KIND(SPAWN, "spawn")               \
  KIND(START, "start")               \
  KIND(STOP, "stop")                 \
  KIND(WAKE, "wake")                 \
  KIND(END, "end")                   \
  KIND(PANIC, "panic")               \
  KIND(RECOVER, "recover")           \
  KIND(UNHANDLED, "unhandled")       \
  KIND(CANCEL, "cancel")             \
  KIND(SCOPE_OPEN, "scope_open")     \
  KIND(SCOPE_CLOSE, "scope_close")   \
  KIND(CONTEXT_OPEN, "context_open") \
  KIND(CONTEXT_END, "context_end")   \
  KIND(SPAN_BEGIN, "span_begin")     \
  KIND(SPAN_EVENT, "span_event")     \
  KIND(SPAN_END, "span_end")         \
  KIND(TIMER, "timer")               \
  KIND(SLEEP, "sleep")               \
  KIND(AWAKE, "awake")               \
  KIND(OVERRUN, "overrun")

typedef enum probe_kind {
#define PROBE_ENUM(kind, name) PROBE_##kind,
  PROBE_KINDS(PROBE_ENUM)
#undef PROBE_ENUM
      PROBE_COUNT
} probe_kind;

#define PROBE_BIT(kind) (UINT32_C(1) << (kind))

/* A bit beside the kinds: a sink waits for an event of any kind where scripts may be called. */
#define PROBE_PENDING PROBE_BIT(PROBE_COUNT)

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

/* A listener. It is in its owner's memory, and must stay at its address until it is removed. */
typedef struct probe_sink {
  list link;
  uint32_t wants; /* PROBE_BITs, PROBE_PENDING */
  bool timed;     /* the sink needs probe_event.slice_ns */
  /*
  ** Called for each event that the sink wants. Must not raise. May call scripts, or make Lua
  ** objects, only if event->calls is true.   [-0, +0, -]
  */
  void (*write)(struct probe_sink *self, struct runtime *rt, const probe_event *event);
} probe_sink;

typedef struct probes {
  uint64_t
      counts[PROBE_COUNT]; /* events told with `probe` since the start; co.stats() reads them */
  uint32_t mask;           /* the `wants` of all sinks */
  uint32_t muted;          /* observers running now */
  list sinks;
  int64_t slice_ns;
} probes;

/* Removes all sinks. */
void probes_init(probes *p);

/*
** Adds the sink in front of the others. Observers are added first, and so hear an event last,
** because their actions cause further events.
*/
void probe_add_sink(probes *p, probe_sink *sink);
void probe_remove_sink(probes *p, probe_sink *sink);

/* Call it after changing a sink's `wants` or `timed`: updates the mask. */
void probe_update(probes *p);

/* Whether any sink wants this kind, or waits for an event of any kind. */
static inline bool probe_is_wanted(const probes *p, probe_kind kind) {
  return (p->mask & (PROBE_BIT(kind) | PROBE_PENDING)) != 0;
}

/* Whether any sink listens to spans. */
static inline bool probe_hears_spans(const probes *p) {
  const uint32_t kinds =
      PROBE_BIT(PROBE_SPAN_BEGIN) | PROBE_BIT(PROBE_SPAN_EVENT) | PROBE_BIT(PROBE_SPAN_END);
  return (p->mask & kinds) != 0;
}

/* Counts the event. If it returns true, tell the event with probe_tell. */
static inline bool probe(probes *p, probe_kind kind) {
  p->counts[kind]++;
  return probe_is_wanted(p, kind);
}

/* Whether an observer is running, or the task `t` (NULL: none) was spawned by one. */
bool probe_is_muted(const struct runtime *rt, const struct task *t);

/* Tells the event to the sinks that want it.   [-0, +0, -] */
void probe_tell(struct runtime *rt, const probe_event *event);

#pragma GCC visibility pop

#endif
