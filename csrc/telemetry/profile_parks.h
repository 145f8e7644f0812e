/* When the tasks that wait have begun to wait: a sink of the stream of events that notes it. */
#ifndef CP_TELEMETRY_PROFILE_PARKS_H
#define CP_TELEMETRY_PROFILE_PARKS_H

#include "kernel/probe.h"
#include "telemetry/profile.h"

#pragma GCC visibility push(hidden)

/* A task's wait. A slot of a thread has one, which is of another task if its id is not the task's. */
typedef struct park {
  uint64_t task;
  int64_t since_ns;  /* by the runtime's clock */
  uint16_t location; /* where the task or object that it waits for was made; 0: not known */
} park;

typedef struct profile_parks {
  probe_sink sink;
  park *at; /* by the slots of threads */
  uint32_t room;
  int64_t began_ns; /* when it began to note */
  /* Called when a task is woken, which still stands where it has waited. NULL: not.   [-0, +0, -] */
  void (*woken)(struct profile_parks *self, runtime *rt, const task *t);
} profile_parks;

/* Begins to note; `woken` must be set, and all else zero. */
void parks_begin(profile_parks *all, runtime *rt);

/* Ends that, and frees the memory. */
void parks_end(profile_parks *all, runtime *rt);

/*
** Returns the wait of a task that waits, or was just woken. If it began to wait earlier, or there was
** no memory to note it, it counts from when the noting began.
*/
park parks_of(const profile_parks *all, const task *t);

/* Adds the label `object` to the key: the park's location, if it is known. */
void parks_add_object(const park *p, profile *of, profile_key *k);

/* Returns how long the task has waited, in nanoseconds of the runtime's clock. */
int64_t parks_waited(const runtime *rt, const park *p);

#pragma GCC visibility pop

#endif
