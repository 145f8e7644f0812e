/*
** Finds leaked tasks: those that wait, without any time-out, for what no code in use can ever do.
** Code in use is the code that runs or will run: of the caller, of tasks that are ready or wait for a
** time, a descriptor or another thread, of handlers and of observers, and what these can reach. A
** parked task is not in use merely because it exists, nor because co.tasks() lists it.
**
** A parked task is in use as soon as code in use reaches
** - an object that can end its wait, or the task or coroutine itself;
** - a cancel scope around it: a scope that it is in, or has opened;
** - the function that cancels a context under which it runs, or for whose end it waits; or if that has
**   a deadline;
** - another task whose end ends the wait: one that it joins, the owner of the lock, a member of the
**   scope or waitgroup.
** The end of the run, which cancels all tasks, does not count.
** Source of the idea: Saioc, Chabbi et al., "Dynamic partial deadlock detection and recovery via garbage
** collection", ASPLOS 2025, and the goroutine leak profile of Go.
*/
#ifndef CP_LOOP_LEAKS_H
#define CP_LOOP_LEAKS_H

#include "compat.h"
#include "kernel/runtime.h"

#pragma GCC visibility push(hidden)

/*
** Pushes a new array of the leaked tasks, by their ids. Runs finalizers, if there seem to be any leaks:
** a finalizer of garbage may wake a task. The array itself is not seen as a reference to its tasks by
** later calls.   [-0, +1, m]
*/
void leaks_push(runtime *rt, lua_State *L);

/* Counts the tasks of the array at `index`, and tells the sinks of each once.   [-0, +0, m] */
void leaks_tell(runtime *rt, lua_State *L, int index);

/*
** Ends the tasks of the array at `index` that still wait: their deferred calls run.   [-0, +0, m]
*/
void leaks_cancel(runtime *rt, lua_State *L, int index);

#pragma GCC visibility pop

#endif
