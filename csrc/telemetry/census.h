/*
** A count of the live tasks in slices, so that a look at very many of them stops no task for long.
** It keeps the oldest ones, and counts all in groups: of the same parent, place of spawning, status
** and kind of wait. Tasks that are spawned or end meanwhile are counted or not.
*/
#ifndef CP_TELEMETRY_CENSUS_H
#define CP_TELEMETRY_CENSUS_H

#include "compat.h"
#include "kernel/task.h"

#pragma GCC visibility push(hidden)

/* The most groups; tasks of further ones are counted together. */
#define CENSUS_MAX_GROUPS 512

/* Of the hash table of groups. */
#define CENSUS_BUCKETS 1024

typedef struct census_group {
  uint64_t parent; /* the id; 0: none */
  const wait_type *wait;
  uint64_t first; /* the oldest task's id */
  uint64_t count;
  uint16_t location;
  uint8_t status;
} census_group;

typedef struct census_task {
  uint64_t id;
  uint32_t slot;
} census_task;

/* A userdata; it owns no other memory. */
typedef struct census {
  uint32_t next_slot;
  uint32_t find_slot; /* that census_find has looked at last; 0: none */
  uint32_t limit;     /* the most tasks that are kept */
  uint32_t kept;
  uint32_t group_count;
  uint64_t newest; /* later tasks are not counted */
  uint64_t live;   /* tasks counted so far */
  uint64_t others; /* of these, in no group */
  census_group groups[CENSUS_MAX_GROUPS];
  uint32_t buckets[CENSUS_BUCKETS]; /* the number of a group, from 1; 0: none */
  census_task tasks[];              /* a heap, the youngest first, of the oldest ones */
} census;

/* Pushes a new one, which keeps at most `limit` tasks.   [-0, +1, m] */
census *census_new(runtime *rt, lua_State *L, uint32_t limit);

/* Counts the tasks in the next `slots` slots. Returns whether there are more.   [-0, +0, e] */
bool census_step(runtime *rt, lua_State *L, census *c, uint32_t slots);

/* Pushes an array of the kept tasks that still live, the oldest first.   [-0, +1, m] */
void census_push_tasks(const runtime *rt, lua_State *L, census *c);

/*
** Looks for the live task with this id in the next `slots` slots, and pushes it. False, and pushes nothing: it
** is not there. After the last slot it begins again with the first.   [-0, +(0|1), e]
*/
bool census_find(const runtime *rt, lua_State *L, census *c, uint64_t id, uint32_t slots);

/* Whether the last census_find has left slots to look at. */
static inline bool census_finds_more(const census *c) { return c->find_slot > 0; }

#pragma GCC visibility pop

#endif
