/*
** co.collector: Lua's collector, stepped by the loop while no task runs. In idle mode the loop makes
** small steps until a budget of time is spent, then looks at its tasks again:
** - while nothing is ready, before it sleeps;
** - between two batches, if tasks are always ready: so many steps as go with what the last batch has
**   allocated.
**
**   heap after a cycle    an idle loop         any loop             Lua by itself, if our steps
**                         begins a cycle       begins a cycle       could not keep up
**   ├─────────────────────┼────────────────────┼────────────────────┼──────▶ allocations
**   nothing               a quarter            half                 all of the room up to the limit
**
** The collector is never stopped. Lua's own automatic steps are put off until the heap has reached
** the limit; so they bound the heap also inside one long task, and when a host steps no more. Lua's
** mode is incremental meanwhile, because a step of the generational one is not divisible.
**
** Under the virtual clock no time passes, so that a pause is a number of steps. They depend on
** nothing but what the program allocates.
*/
#ifndef CP_LOOP_COLLECTOR_H
#define CP_LOOP_COLLECTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "compat.h"

#pragma GCC visibility push(hidden)

/* What the program asks for. */
typedef struct collector_settings {
  bool idle;         /* the loop steps the collector; else only Lua itself does */
  int64_t budget_ns; /* of one pause, > 0 */
  double limit;      /* > 1: the heap may grow to so many times what the last cycle has left */
} collector_settings;

/* Counts since idle mode began. */
typedef struct collector_figures {
  uint64_t pauses;
  uint64_t overruns; /* pauses that were longer than the budget */
  uint64_t steps;
  uint64_t cycles; /* that our steps have ended */
  int64_t longest_ns;
  int64_t total_ns;
} collector_figures;

typedef enum collector_phase {
  COLLECTOR_WAITS,  /* for enough garbage */
  COLLECTOR_CYCLE,  /* our steps have begun a cycle */
  COLLECTOR_YIELDS, /* Lua itself collects: the heap has reached the limit, or a script asked */
} collector_phase;

typedef struct collector {
  collector_settings settings;
  collector_figures figures;
  bool installed;        /* Lua's collector is as idle mode needs it */
  bool was_generational; /* before, or scripts have chosen it meanwhile */
  uint8_t phase;         /* collector_phase */
  size_t base_bytes;     /* the heap that the last cycle has left */
  size_t seen_bytes;     /* the heap at our last look */
  /* CYCLE */
  size_t cycle_bytes;   /* allocated since it began */
  size_t unpaid_bytes;  /* the part of these for which no steps are owed yet */
  uint64_t owed_steps;  /* to be made before tasks run again */
  uint64_t cycle_steps; /* made since it began */
  /* YIELDS: the largest heap, and the smallest one after that */
  size_t high_bytes;
  size_t low_bytes;
  uint64_t whole_steps; /* of the last cycle that was all ours; before that a guess */
} collector;

void collector_init(collector *c);

/*
** Sets what the program asks for. Idle mode begins when the loop next comes round; automatic mode
** at once.   [-0, +0, -]
*/
void collector_set(lua_State *L, collector *c, const collector_settings *settings);

/* Whether the two functions below may have anything to do. */
static inline bool collector_is_ours(const collector *c) {
  return c->settings.idle || c->installed;
}

/* What the loop leaves to a pause. */
typedef struct collector_time {
  bool is_virtual; /* no time passes, so that the steps are counted */
  int64_t ns;      /* else: the time until the loop must go on */
} collector_time;

/*
** Call it between two batches, until it returns false, and look at descriptors and timers in
** between: makes one pause of the steps that are owed for what the last batch has allocated.
** Returns whether steps are still owed. May call finalizers.   [-0, +0, -]
*/
bool collector_pace(lua_State *L, collector *c, collector_time time);

/*
** Call it while nothing is ready: makes one pause, and returns true, if there is garbage to look
** for. Then look at everything again before you sleep. May call finalizers.   [-0, +0, -]
*/
bool collector_rest(lua_State *L, collector *c, collector_time time);

/*
** Steps Lua's collector for a host until the time is over or a cycle has ended, whatever the
** settings are. Returns whether a cycle has ended. May call finalizers.   [-0, +0, -]
*/
bool collector_spend(lua_State *L, int64_t ns);

/* Call it when a run ends: gives the collector back to Lua. The settings stay.   [-0, +0, -] */
void collector_leave(lua_State *L, collector *c);

#pragma GCC visibility pop

#endif
