/*
** The last tasks that have ended, so that a report can name those that were cancelled and that
** nobody has looked at. The list begins when somebody first asks for it (ended_watch); before, it
** costs nothing.
**
** A task's outcome is claimed if
** - a task has joined or awaited it;
** - it is the main task of a run, whose caller gets the outcome;
** - it has panicked, and the scope that waits for it got the panic;
** - it was cancelled by the end of the run, or by the scope that waits for it, because the program
**   has asked for that: by scope:cancel(), by with_timeout, or by leaving only daemons in it.
** A sibling's panic, a context or task:cancel() claim nothing.
*/
#ifndef CP_TELEMETRY_ENDED_H
#define CP_TELEMETRY_ENDED_H

#include "compat.h"
#include "core/list.h"
#include "kernel/task.h"

#pragma GCC visibility push(hidden)

/* The most tasks that are kept. */
#define ENDED_MAX 256

/*
** Of these, the most that have failed: neither returned nor been cancelled by the end of the run. So a
** burst of cancellations leaves room for the newest tasks that have returned, and these, which most
** programs have by the thousand, do not drive out the others.
*/
#define ENDED_MAX_FAILED 192

/* The bytes of a name that are kept, its end included. */
#define ENDED_NAME_SIZE 64

typedef struct ended_task {
  list link;       /* in ended_list.failed or .returned, the oldest first */
  uint64_t number; /* in the order of ends, from 1 */
  uint64_t id;
  uint64_t parent;       /* its id; 0: none, or forgotten */
  uint64_t claimed_by;   /* the first task that has claimed it; 0: none has */
  uint64_t cancelled_by; /* the task that has called task:cancel(); 0: none has */
  int64_t ended_ns;      /* by the runtime's clock */
  uint16_t location;
  uint8_t status; /* task_status */
  uint8_t source; /* cancel_source; CANCEL_NONE unless it was cancelled */
  bool claimed;
  uint8_t trace_id[16];
  char name[ENDED_NAME_SIZE];
} ended_task;

typedef struct ended_list {
  probe_sink sink;
  list failed;
  list returned; /* or were cancelled by the end of the run */
  size_t failed_count;
  size_t count;
  uint64_t ends;      /* so many tasks have ended */
  uint64_t forgotten; /* those that had to make room */
  ended_task tasks[ENDED_MAX];
} ended_list;

/* Returns the runtime's list, which it begins if there is none yet.   [-0, +0, m] */
ended_list *ended_watch(runtime *rt, lua_State *L);

/*
** Returns the kept tasks, the oldest end first: writes pointers to `tasks` and returns their number.
*/
size_t ended_list_all(const ended_list *e, const ended_task *tasks[ENDED_MAX]);

#pragma GCC visibility pop

#endif
