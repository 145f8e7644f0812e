/*
** The last events of a task that panics, of its ancestors, and of the tasks that wait for it. They are copied
** from the recorder's ring into the panic's record, which keeps them when the ring has gone on.
*/
#ifndef CP_TELEMETRY_LAST_EVENTS_H
#define CP_TELEMETRY_LAST_EVENTS_H

#include "compat.h"
#include "core/base.h"
#include "telemetry/event.h"
#include "telemetry/names.h"
#include "telemetry/ticks.h"

#pragma GCC visibility push(hidden)

struct probe_event;
struct runtime;

/* The most events of one record. */
#define LAST_EVENTS_MAX 64

/*
** So many of the ring's newest events are looked at, which takes up to 30 us: most panics are recovered, and
** nobody reads their records.
*/
#define LAST_EVENTS_SEARCHED 8192

/* Whose event it is. */
typedef enum last_relation { LAST_OF_SELF, LAST_OF_PARENT, LAST_OF_AWAITER } last_relation;

typedef struct last_event {
  uint64_t age_ns;  /* how long before the panic */
  uint64_t task;    /* its id */
  uint64_t a;       /* as in event.h; of a START: nanoseconds */
  const char *wait; /* of a PARK: what the task waits for, a constant */
  uint16_t text;    /* of marks and of CANCEL: where its text begins */
  uint16_t text_length;
  uint16_t place;   /* the number of a location; 0: none */
  uint8_t kind;     /* event_kind */
  uint8_t detail;   /* as in event.h */
  uint8_t relation; /* last_relation */
} last_event;

/* The oldest is first. The texts follow the events. */
typedef struct last_events {
  int count;
  last_event at[];
} last_events;

static inline const char *last_events_text(const last_events *all, const last_event *e) {
  return (const char *)&all->at[all->count] + e->text;
}

/* What the events are taken from. */
typedef struct last_events_source {
  const event_ring *ring; /* its newest event is that of the panic */
  const wait_names *waits;
  const text_names *texts;
  const tick_clock *clock; /* NULL: a tick is a nanosecond */
} last_events_source;

/*
** Adds the last events, `keep` at most, to the record of a panic. Without memory the record has none.
** [-0, +0, -]
*/
void last_events_keep(struct runtime *rt, const struct probe_event *told,
                      const last_events_source *source, int keep);

/*
** Pushes a value that keeps them, and returns the last events of the record at `index`. NULL: it has none.
** [-0, +1, -]
*/
const last_events *last_events_push(lua_State *L, int index);

/* Returns "self", "parent" or "awaiter". */
const char *last_event_relation(const last_event *e);

#pragma GCC visibility pop

#endif
