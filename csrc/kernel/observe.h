/*
** Observers: Lua functions that are called with events. Any number can listen; they are called in
** the order in which they began. Together they are one sink of the stream (probe.h). If an event
** happens where scripts may not be called, it waits for the next event where they may: at the
** latest when the running code suspends or ends. While an observer runs, and in tasks that it
** spawns, observers hear no events.
*/
#ifndef CP_KERNEL_OBSERVE_H
#define CP_KERNEL_OBSERVE_H

#include <stddef.h>

#include "compat.h"
#include "core/list.h"
#include "kernel/probe.h"

#pragma GCC visibility push(hidden)

/*
** The most events that can wait. They stand on a thread's stack, which has room for a million
** values. Further events are lost.
*/
#define OBSERVE_MAX_PENDING 300000

/* A userdata. It is anchored while it listens, and its user value is the function. */
typedef struct observer {
  list link;
  uint32_t wants;   /* PROBE_BITs; 0: stopped */
  bool is_listener; /* set by co.on_spawn and its like: called without the kind */
} observer;

typedef struct observers {
  probe_sink sink; /* its `wants` are those of all observers */
  list all;
  /* the waiting events, three values each: kind, object, extra; NULL before the first observer */
  lua_State *pending;
  size_t pending_count;
  /* by kind, the one that co.on_spawn and its like have set; or NULL */
  observer *listeners[PROBE_COUNT];
  int anchors_ref; /* a table: address -> observer; kind -> its name; also the thread `pending` */
} observers;

/* Call it once for each runtime, before observe_new.   [-0, +0, m] */
void observe_open(struct runtime *rt, lua_State *L);

/*
** Pops a function and pushes a new observer that will call it. The observer does not listen before
** observe_begin.   [-1, +1, m]
*/
observer *observe_new(struct runtime *rt, lua_State *L);

/*
** Starts the observer `o`, which is on top of the stack: from now on it hears the kinds in `wants`.
** [-0, +0, m]
*/
void observe_begin(struct runtime *rt, lua_State *L, observer *o, uint32_t wants);

/* Stops the observer. It need not have begun.   [-0, +0, -] */
void observe_stop(struct runtime *rt, lua_State *L, observer *o);

/* Pushes the userdata of an observer that listens.   [-0, +1, -] */
void observe_push(struct runtime *rt, lua_State *L, const observer *o);

/*
** Calls the observers with the waiting events. Call it only where scripts may be called.
** [-0, +0, -]
*/
void observe_flush(struct runtime *rt, lua_State *L);

#pragma GCC visibility pop

#endif
