/*
** An event, as it stands in the ring and, little endian, in files of the format coropanic-events/1.
** docs/recorder.md describes it for readers: change both, and lua/coropanic/record/reader.lua, together.
*/
#ifndef CP_TELEMETRY_EVENT_H
#define CP_TELEMETRY_EVENT_H

#include <stdint.h>

#include "core/base.h"

#pragma GCC visibility push(hidden)

typedef enum event_kind {
  EVENT_SPAWN = 1,  /* detail: 1 daemon; text: where; a: the parent's id */
  EVENT_TRACE,      /* a, b: the 16 bytes of the task's trace id; detail: 1 it came from outside */
  EVENT_START,      /* detail: event_left of the task before; text: its wait; a: delay; b: its id */
  EVENT_PARK,       /* text: the wait; a: the number of the place, if stacks = 1 */
  EVENT_YIELD,      /* a: likewise */
  EVENT_WAKE,       /* detail: wake_reason; a: the id of the task that woke it, 0: none */
  EVENT_END,        /* detail: task_status */
  EVENT_PANIC,      /* detail: record_kind; a: the record's number */
  EVENT_RECOVER,    /* a: the record's number */
  EVENT_UNHANDLED,  /* a: the record's number */
  EVENT_CANCEL,     /* text: the source; a: the id of the task that asked, 0: none */
  EVENT_SPAN_BEGIN, /* text: its name */
  EVENT_SPAN_END,   /* a: the number of its beginning; detail: 1 an error has left it */
  EVENT_LOG,        /* text: the name given to co.trace.event */
  EVENT_IDLE_BEGIN, /* the loop sleeps */
  EVENT_IDLE_END,
  EVENT_GC,   /* a: the number of the collector's cycle that has ended */
  EVENT_KINDS /* the number of kinds, plus one */
} event_kind;

/* Returns the kind's name in the API, "spawn" and so on; "?" for what is no kind. */
const char *event_name(unsigned kind);

/* How a task left the loop, in the START of the next one, which comes in the same moment. */
typedef enum event_left { LEFT_NOT, LEFT_YIELDED, LEFT_PARKED } event_left;

typedef struct event {
  uint64_t tick;
  uint32_t task; /* the low half of its id; 0: none */
  uint8_t kind;  /* event_kind */
  uint8_t detail;
  uint16_t text; /* a number in the table of strings that belongs to the kind; 0: none */
  uint64_t a;
  uint64_t b;
} event;

_Static_assert(sizeof(event) == 32, "events are 32 bytes in files");

/* The ring: the newest events. */
typedef struct event_ring {
  uint64_t written; /* events so far; the next one's place is this, modulo the capacity */
  uint64_t mask;    /* the capacity, a power of two, less 1 */
  event events[];
} event_ring;

static inline uint64_t events_count(const event_ring *r) {
  return r->written <= r->mask ? r->written : r->mask + 1;
}

static inline uint64_t events_lost(const event_ring *r) { return r->written - events_count(r); }

static inline size_t events_size(uint64_t capacity) {
  return sizeof(event_ring) + (size_t)capacity * sizeof(event);
}

/* Returns the place of the next event, whose former content is lost. */
static inline event *events_next(event_ring *r) { return &r->events[r->written++ & r->mask]; }

/* Returns the event with this number, from 0, which must not be lost yet. */
static inline const event *events_at(const event_ring *r, uint64_t number) {
  return &r->events[number & r->mask];
}

#pragma GCC visibility pop

#endif
