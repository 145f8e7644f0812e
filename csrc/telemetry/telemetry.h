/*
** What listens to the runtime's stream of events (kernel/probe.h) to record it and to account for time: one
** sink for what is rare, and the tap for every switch. It is made when it is first asked for, and listens
** while it records or accounts.
*/
#ifndef CP_TELEMETRY_TELEMETRY_H
#define CP_TELEMETRY_TELEMETRY_H

#include "kernel/runtime.h"
#include "telemetry/accounting.h"
#include "telemetry/event.h"
#include "telemetry/gc_cycles.h"
#include "telemetry/names.h"
#include "telemetry/ticks.h"
#include "telemetry/triggers.h"

#pragma GCC visibility push(hidden)

/* The monotonic and the wall clock at one tick. */
typedef struct tick_moment {
  uint64_t tick;
  uint64_t monotonic_ns;
  uint64_t wall_ns;
} tick_moment;

typedef struct telemetry {
  runtime_part part;
  probe_sink sink;
  probe_tap tap;
  bool listens;
  bool is_virtual; /* the ring's events, and `since`, are of the virtual clock */
  tick_clock clock;

  /* By the slot of a live task: since when it has been ready, or waited; UINT64_MAX: not known. */
  uint64_t *since;
  uint32_t since_count;
  uint64_t began;      /* the running slice */
  uint64_t running;    /* the id of its task; 0: none, or not known */
  uint64_t idle_since; /* while the loop sleeps; else UINT64_MAX */

  /* How the task before has left the loop, if that is to be told with the next START. */
  event_left left;
  uint16_t left_wait;
  const struct task *left_task;

  wait_names waits;
  text_names *texts;      /* NULL: no ring yet */
  event_ring *ring;       /* NULL: nothing is recorded */
  bool stacks;            /* a PARK or YIELD of its own says where the task stands */
  int keep;               /* the most events that a panic's record keeps */
  triggers *triggers;     /* of dumps; NULL: it writes none by itself */
  uint64_t second;        /* in ticks: for so long an exemplar stays */
  uint64_t slow;          /* a delay of so many ticks triggers one; UINT64_MAX: none does */
  tick_moment start;      /* when the ring was empty */
  uint64_t cycles;        /* of Lua's collector, since it listens */
  gc_listener gc;         /* counts them */
  accounting *accounting; /* NULL: nobody asks */
} telemetry;

/* How to record. */
typedef struct recording {
  size_t events; /* the ring's size, a power of two */
  bool stacks;
  int keep;                 /* from 0 to LAST_EVENTS_MAX */
  const triggers *triggers; /* is copied; NULL: none */
} recording;

/* Returns a duration in nanoseconds. */
static inline uint64_t telemetry_ns(const telemetry *m, uint64_t ticks) {
  return m->is_virtual ? ticks : ticks_to_ns(&m->clock, ticks);
}

/* Returns the runtime's telemetry, which is made now if there is none; NULL: no memory. */
telemetry *telemetry_of(runtime *rt);

/*
** Turns on accounting, or counts one more user of it. NULL: no memory. It lives until as many calls of
** telemetry_unaccount have ended it.
*/
accounting *telemetry_account(runtime *rt);
void telemetry_unaccount(runtime *rt);

/*
** Begins to record; if it records already, anew. Returns false, and changes nothing, if there is no memory.
*/
bool telemetry_record(runtime *rt, const recording *options);

/* Ends recording, and frees the ring. Harmless if nothing is recorded. */
void telemetry_stop(runtime *rt);

/*
** Makes it hear of the collector's cycles while it listens. Call it before telemetry_record and telemetry_account.
** [-0, +0, m]
*/
void telemetry_watch_collector(lua_State *L, runtime *rt);

/*
** Returns what the live task has used, until now; false: accounting is off, or does not know.
*/
bool telemetry_use(const telemetry *m, const runtime *rt, const struct task *t, task_use *use);

/* Writes how the last task has left the loop, if that waits for the next event. */
void telemetry_settle(telemetry *m, runtime *rt);

/* Reads the clocks. */
tick_moment telemetry_moment(const telemetry *m, const runtime *rt);

#pragma GCC visibility pop

#endif
