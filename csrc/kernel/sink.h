/*
** The kinds of events, and the sinks that listen to them; probe.h tells the events.
*/
#ifndef CP_KERNEL_SINK_H
#define CP_KERNEL_SINK_H

#include <stdbool.h>
#include <stdint.h>

#include "core/list.h"

#pragma GCC visibility push(hidden)

struct runtime;
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
  KIND(LEAKED, "leaked")

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

typedef struct probes {
  uint64_t counts[PROBE_COUNT]; /* told with `probe` since the start; for co.stats() */
  uint32_t mask;                /* the `wants` of all sinks */
  uint32_t muted;               /* observers running now */
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

#pragma GCC visibility pop

#endif
