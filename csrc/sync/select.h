/*
** Waiting on several channels at once. A parked select stands in the queue of each of its channels;
** whoever wakes it takes it out of all of them. The places in the queues come from a pool, so that a
** select allocates nothing.
** Source of the semantics: the Go language specification, "Select statements".
*/
#ifndef CP_SYNC_SELECT_H
#define CP_SYNC_SELECT_H

#include <stdbool.h>

#include "compat.h"
#include "kernel/task.h"
#include "sync/chan.h"

#pragma GCC visibility push(hidden)

/* The most cases of one select: their numbers are kept in 16 bits. */
#define SELECT_MAX_CASES 65535

typedef struct selection {
  struct selection *next_free; /* in the pool */
  uint32_t count;
  uint32_t capacity;
  select_case cases[];
} selection;

/*
** co.select on the stack of a C function: (time-out in seconds or nil, cases...) → index, value, ok;
** index; or 0. To be returned from it.
*/
int select_run(runtime *rt, lua_State *L);

#pragma GCC visibility pop

#endif
