/*
** The kinds of events, and the sinks that listen to them; probe.h tells the events.
*/
#ifndef CP_KERNEL_SINK_H
#define CP_KERNEL_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/list.h"

#pragma GCC visibility push(hidden)

struct runtime;
struct task;
struct probe_event;

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
  KIND(OVERRUN, "overrun")           \
  KIND(LEAKED, "leaked")             \
  KIND(WARNING, "warning")

typedef enum probe_kind {
#define PROBE_ENUM(kind, name) PROBE_##kind,
  PROBE_KINDS(PROBE_ENUM)
#undef PROBE_ENUM
      PROBE_COUNT
} probe_kind;

#define PROBE_BIT(kind) (UINT32_C(1) << (kind))

/* A bit beside the kinds: a sink waits for an event of any kind where scripts may be called. */
#define PROBE_PENDING PROBE_BIT(PROBE_COUNT)

/* A listener. It is in its owner's memory, and must stay at its address until it is removed. */
typedef struct probe_sink {
  list link;
  uint32_t wants; /* PROBE_BITs, PROBE_PENDING */
  bool timed;     /* the sink needs probe_event.slice_ns */
  /*
  ** Called for each event that the sink wants. Must not raise. May call scripts, or make Lua
  ** objects, only if event->calls is true.   [-0, +0, -]
  */
  void (*write)(struct probe_sink *self, struct runtime *rt, const struct probe_event *event);
} probe_sink;

/* What code marks by the functions of co.trace, whether spans are listened to or not. */
typedef enum probe_mark {
  MARK_EVENT,      /* co.trace.event; the text is its name */
  MARK_SPAN_BEGIN, /* co.trace.span; the text is its name */
  MARK_SPAN_END, /* `of` is what `mark` has returned for the beginning; length 1: an error has left it */
  MARK_TRACE /* co.trace.continue; the text is the 16 bytes of the trace id */
} probe_mark;

/*
** A listener that only notes what it hears, and gets the events of every switch on a shorter way than
** sinks: without a probe_event, and before the sinks. Its functions must not raise and call no scripts.
** There is at most one (telemetry/telemetry.h).
*/
typedef struct probe_tap {
  void (*start)(struct probe_tap *self, struct runtime *rt, const struct task *t);
  /* t->status says whether the task waits, or is ready again */
  void (*stop)(struct probe_tap *self, struct runtime *rt, const struct task *t);
  void (*wake)(struct probe_tap *self, struct runtime *rt, const struct task *t);
  /* returns a number that stands for this mark; 0: it was not noted */
  uint64_t (*mark)(struct probe_tap *self, struct runtime *rt, probe_mark mark, const char *text,
                   size_t length, uint64_t of);
} probe_tap;

typedef struct probes {
  uint64_t counts[PROBE_COUNT]; /* told with `probe` since the start; for co.stats() */
  uint32_t mask;                /* the `wants` of all sinks, and the kinds that the tap hears */
  uint32_t told;                /* the `wants` of all sinks */
  probe_tap *tap;               /* NULL: there is none */
  uint32_t muted;               /* observers running now */
  list sinks;
  int64_t slice_ns;
} probes;

/* Removes all sinks, and the tap. */
void probes_init(probes *p);

/*
** Adds the sink in front of the others. Observers are added first, and so hear an event last,
** because their actions cause further events.
*/
void probe_add_sink(probes *p, probe_sink *sink);
void probe_remove_sink(probes *p, probe_sink *sink);

/* Call it after changing a sink's `wants` or `timed`: updates the masks. */
void probe_update(probes *p);

/* Makes it the tap; NULL: none. */
void probe_set_tap(probes *p, probe_tap *tap);

/* Whether any sink wants this kind, or waits for an event of any kind. */
static inline bool probe_is_wanted(const probes *p, probe_kind kind) {
  return (p->mask & (PROBE_BIT(kind) | PROBE_PENDING)) != 0;
}

/* Whether a sink wants this kind, for the kinds that the tap hears too. */
static inline bool probe_is_told(const probes *p, probe_kind kind) {
  return ((p->told & PROBE_BIT(kind)) | (p->mask & PROBE_PENDING)) != 0;
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

#pragma GCC visibility pop

#endif
