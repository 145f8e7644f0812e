/*
** What each task did in the last seconds, drawn from the recorder's ring as lanes of spans: it ran, was ready,
** or waited for something. The ring is read in steps, so that no task is stopped for long. Only the tasks that
** ran longest have a lane; of many spans, short ones that follow each other become one.
**
**   lanes *l = lanes_new(rt, L, 10 * NS_PER_SECOND);   the recorder must record
**   while (lanes_step(rt, L, l, 8192)) ...             other tasks may run in between
**   l->lanes[0].first                                  a chain of spans, by `next`
*/
#ifndef CP_TELEMETRY_LANES_H
#define CP_TELEMETRY_LANES_H

#include "compat.h"
#include "telemetry/telemetry.h"

#pragma GCC visibility push(hidden)

#define LANES_MAX 200
#define LANES_MAX_SPANS 20000

/* The most events that are read, the newest ones. */
#define LANES_MAX_EVENTS (UINT64_C(1) << 20)

/* The most tasks among which the lanes are chosen. */
#define LANES_MAX_TASKS UINT64_C(16384)

/* No span. */
#define LANES_NONE UINT32_MAX

/* What a task does: LANE_WAITS + n is the wait with this number in telemetry.waits. */
enum { LANE_UNKNOWN, LANE_RUNS, LANE_READY, LANE_WAITS };

typedef struct lane_span {
  uint64_t start_ns; /* since lanes.from */
  uint64_t ns;
  uint16_t kind;
  uint16_t lane;
  uint32_t next;
} lane_span;

typedef struct lane {
  uint64_t id;
  uint64_t run;   /* ticks */
  uint64_t since; /* the tick at which it began what it does */
  uint32_t slot;  /* of the live task; 0: it has ended */
  uint32_t first; /* spans */
  uint32_t last;
  uint16_t kind; /* what it does */
} lane;

/* A task of which an event was read. */
typedef struct lane_task {
  uint64_t run;  /* ticks in the window */
  uint32_t low;  /* the low half of its id; 0: the place is free */
  uint16_t lane; /* plus 1; 0: it has none */
  bool gone;     /* it ended before the window */
} lane_task;

typedef enum lanes_phase { LANES_WEIGHS, LANES_DRAWS, LANES_FINDS, LANES_DONE } lanes_phase;

/* A userdata; it owns no other memory. */
typedef struct lanes {
  lanes_phase phase;
  const event_ring *ring; /* is only compared: the recorder may have freed it */
  bool is_virtual;
  uint64_t oldest; /* number of the first event to read */
  uint64_t known;  /* number of the first one that was not overwritten meanwhile */
  uint64_t end;    /* number after the last one */
  uint64_t next;
  uint32_t next_slot;
  uint64_t from; /* the window, in ticks */
  uint64_t to;
  double from_wall; /* seconds since 1970 */
  double to_wall;
  uint64_t lost;    /* events of the window that were overwritten, or some before it */
  uint64_t running; /* while it weighs: the low half of the running task's id; 0: none */
  uint64_t began;
  uint64_t newest_task;
  uint64_t merged;        /* spans that became a part of another one */
  uint64_t resolution_ns; /* spans that are shorter may be merged */
  uint32_t task_count;
  uint32_t omitted; /* tasks without a lane */
  uint32_t count;
  uint32_t span_count;
  lane lanes[LANES_MAX];
  lane_span spans[LANES_MAX_SPANS];
  uint32_t room; /* of the table, a power of two */
  lane_task tasks[];
} lanes;

/* Pushes a new one of the last `ns`.   [-0, +1, m] */
lanes *lanes_new(runtime *rt, lua_State *L, uint64_t ns);

/*
** Reads so many more events, or looks at so many slots of tasks. Returns whether there is more to do. If the
** recorder has stopped or begun anew meanwhile, what was read is all there is.   [-0, +0, e]
*/
bool lanes_step(runtime *rt, lua_State *L, lanes *l, uint32_t count);

#pragma GCC visibility pop

#endif
