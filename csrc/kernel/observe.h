/*
** Observers: functions of scripts that hear of events, any number of them, in the order in which they began to. They
** are one sink of the stream (probe.h). An event where scripts may not be called waits until one comes where they may:
** at the latest when the code that runs now suspends or ends. While an observer runs, and in tasks that it spawns, the
** stream is muted.
*/
#ifndef CP_KERNEL_OBSERVE_H
#define CP_KERNEL_OBSERVE_H

#include <stddef.h>

#include "compat.h"
#include "core/list.h"
#include "kernel/probe.h"

#pragma GCC visibility push(hidden)

/* Events that may wait; they stand on a thread's stack, which has room for a million values. Others are lost. */
#define OBSERVE_MAX_PENDING 300000

/* A userdata, which is anchored while it listens; its user value is the function. */
typedef struct observer {
  list link;
  uint32_t wants;   /* PROBE_BITs; 0: it has been stopped */
  bool is_listener; /* of co.on_spawn and its like: it is called without the kind */
} observer;

typedef struct observers {
  probe_sink sink; /* `wants` is what all of them want */
  list all;
  lua_State
      *pending; /* the events that wait: kind, object, extra; NULL: there was no observer yet */
  size_t pending_count;
  observer
      *listeners[PROBE_COUNT]; /* that of co.on_spawn and its like, by kind; NULL: none is set */
  int anchors_ref; /* address -> observer; the names of the kinds, by kind; the thread `pending` */
} observers;

/* Lets observers be made.   [-0, +0, m] */
void observe_open(struct runtime *rt, lua_State *L);

/*
** Pushes a new observer that is to call the function on top of the stack; it does not listen yet.   [-1, +1, m]
*/
observer *observe_new(struct runtime *rt, lua_State *L);

/* Lets the observer on top of the stack hear of these kinds from now on.   [-0, +0, m] */
void observe_begin(struct runtime *rt, lua_State *L, observer *o, uint32_t wants);

/* It hears of nothing any more, whether it has begun or not.   [-0, +0, -] */
void observe_stop(struct runtime *rt, lua_State *L, observer *o);

/* Pushes the observer's userdata, which has begun to listen, and has not been stopped.   [-0, +1, -] */
void observe_push(struct runtime *rt, lua_State *L, const observer *o);

/* Calls the observers with the events that wait. For a place where scripts may be called.   [-0, +0, -] */
void observe_flush(struct runtime *rt, lua_State *L);

#pragma GCC visibility pop

#endif
