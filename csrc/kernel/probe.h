/*
** The runtime's one stream of events. Every moment that counters, observers, spans and exports tell of is told at one
** place, by `probe`, and goes to the sinks that want it. A sink only learns what happened: what the runtime's behaviour
** depends on is a task_exit, a wait_type or the panic handler instead.
**
** While no sink wants a kind, its place costs one count and one test, or the test alone.
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

/* The kinds of events, in the order of the table in docs/running.md. At most 31: they are bits of a mask. */
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

/* Beside the kinds: a sink waits for any event where scripts may be called. */
#define PROBE_PENDING PROBE_BIT(PROBE_COUNT)

/* In place of a stack index. */
#define PROBE_TASK (-1)

/* What is told. The places fill in what they know, probe_tell the rest. */
typedef struct probe_event {
  probe_kind kind;
  bool calls;              /* scripts may be called here */
  bool muted;              /* an observer does this, or what one has made */
  const struct task *task; /* that it happens to; NULL: none */
  lua_State *L;            /* on whose stack the next two stand */
  int object; /* the task, record, scope, ...; 0: none; PROBE_TASK: `task`, which is live */
  int extra;  /* what else there is to say; the same */
  const char
      *word; /* in place of `extra`, a text that lives for ever: the status, reason or source */
  double seconds;   /* of kinds that have a time */
  int64_t slice_ns; /* when the running slice began; 0 unless a sink is `timed` */
} probe_event;

/* Who listens. It is the owner's memory, and stays where it is until it is removed. */
typedef struct probe_sink {
  list link;
  uint32_t wants; /* PROBE_BITs, PROBE_PENDING */
  bool timed;     /* it needs probe_event.slice_ns */
  /* Must not raise. Calls scripts, or makes anything in Lua, only where event->calls says so.   [-0, +0, -] */
  void (*write)(struct probe_sink *self, struct runtime *rt, const probe_event *event);
} probe_sink;

typedef struct probes {
  uint64_t counts
      [PROBE_COUNT]; /* of what was told with `probe`, since the start; co.stats() reads them */
  uint32_t mask;     /* what the sinks want */
  uint32_t muted;    /* observers that run */
  list sinks;
  int64_t slice_ns;
} probes;

/* Forgets all sinks. */
void probes_init(probes *p);

/* Adds it before the others: observers, which are added first, hear an event last, as what they do makes others. */
void probe_add_sink(probes *p, probe_sink *sink);
void probe_remove_sink(probes *p, probe_sink *sink);

/* Sums up what the sinks want, after one of them has changed that. */
void probe_update(probes *p);

/* Whether a sink wants this kind, or any. */
static inline bool probe_is_wanted(const probes *p, probe_kind kind) {
  return (p->mask & (PROBE_BIT(kind) | PROBE_PENDING)) != 0;
}

/* Whether anybody listens to spans. */
static inline bool probe_hears_spans(const probes *p) {
  const uint32_t kinds =
      PROBE_BIT(PROBE_SPAN_BEGIN) | PROBE_BIT(PROBE_SPAN_EVENT) | PROBE_BIT(PROBE_SPAN_END);
  return (p->mask & kinds) != 0;
}

/* Counts the event. True: it is to be told by probe_tell. */
static inline bool probe(probes *p, probe_kind kind) {
  p->counts[kind]++;
  return probe_is_wanted(p, kind);
}

/* Whether an observer runs, or the task, NULL: none, was spawned by one. */
bool probe_is_muted(const struct runtime *rt, const struct task *t);

/* Tells the sinks that want it.   [-0, +0, -] */
void probe_tell(struct runtime *rt, const probe_event *event);

#pragma GCC visibility pop

#endif
