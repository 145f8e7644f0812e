/*
** Channels, as Go's: typed by nothing, nil travels too. A value goes straight from the stack of who
** sends it to the stack of the task that waits for it, or through the buffer; no operation that need
** not wait touches the scheduler.
** Source of the semantics: the Go language specification, and runtime/chan.go of Go.
*/
#ifndef CP_SYNC_CHAN_H
#define CP_SYNC_CHAN_H

#include <stdbool.h>

#include "compat.h"
#include "core/list.h"
#include "kernel/task.h"

#pragma GCC visibility push(hidden)

#define CHANNEL_TYPE "coropanic.channel"

/* To those who would send on an owned channel, or close it. */
#define CHAN_OWNED_MESSAGE "only its owner closes this channel, and nothing is sent on it"

/* The user values. */
enum {
  CHAN_UV_BUFFER = 1, /* a ring of the values, made when first needed */
  CHAN_UV_OWNER,      /* what closes it, and scripts may not; or nil */
  CHAN_UV_COUNT = CHAN_UV_OWNER
};

typedef struct chan {
  const void *magic; /* &chan_magic: what tells a channel from any other userdata */
  runtime *runtime;  /* kept here because it is faster to reach than through an upvalue */
  list senders;      /* waiters, the longest waiting first */
  list receivers;
  lua_Integer capacity;
  lua_Integer count; /* values in the buffer */
  lua_Integer head;  /* slot of the oldest, from 0 */
  lua_Integer slots; /* of the ring as it is; grows up to the capacity */
  bool closed;
  bool owned;
} chan;

/* A select's place in the queue of one of its channels; a task that waits for one channel stands there itself. */
typedef struct select_case {
  waiter waiter;
  task *task;
  chan *chan;     /* NULL: never ready */
  int value;      /* stack index of what it sends, the channel is above it; 0: it receives */
  uint32_t order; /* while the cases enter their queues: of those that are left, one */
} select_case;

/* Pushes a new channel.   [-0, +1, m] */
chan *chan_new(runtime *rt, lua_State *L, lua_Integer capacity);

/* The same, for the owner on top of the stack, which alone closes it.   [-1, +1, m] */
chan *chan_new_owned(runtime *rt, lua_State *L);

/* The channel at `index`, or NULL when there is something else.   [-0, +0, -] */
chan *chan_test(lua_State *L, int index);

/*
** __gc: while the universe is open, only tasks whose coroutine somebody has closed can still stand in
** its queues.   [-0, +0, -]
*/
void chan_collect(runtime *rt, chan *c);

/* Closes it, if it is open: wakes everyone who waits.   [-0, +0, -] */
void chan_close(runtime *rt, chan *c);

/* The first task that waits in one of its queues, NULL if none. */
waiter *chan_first(runtime *rt, list *queue);

/* Whether the operation would not wait. */
static inline bool chan_can_receive(runtime *rt, chan *c) {
  return c->count > 0 || c->closed || chan_first(rt, &c->senders) != NULL;
}
static inline bool chan_can_send(runtime *rt, chan *c) {
  return c->count < c->capacity || c->closed || chan_first(rt, &c->receivers) != NULL;
}

/*
** Sends the value at `value` through `c`, the channel at `index`; a closed one panics. [-0, +0, e]
** False: it would have to wait.
*/
bool chan_send_now(runtime *rt, lua_State *L, chan *c, int index, int value);

/*
** Pushes what `c`, the channel at `index`, gives: a value and true, or nil and false when it is closed
** and drained.   [-0, +(2|0), -] False, and nothing is pushed: it would have to wait.
*/
bool chan_receive_now(runtime *rt, lua_State *L, chan *c, int index);

/* Panics as sending on a closed channel does.   [-0, +0, e] */
int chan_raise_closed(runtime *rt, lua_State *L);

/*
** To be returned from C functions, with the channel, `c`, at index 1 and what is sent at index 2. Each
** is a suspension point.
*/
int chan_send(runtime *rt, lua_State *L, chan *c);    /* → nothing */
int chan_receive(runtime *rt, lua_State *L, chan *c); /* → value, true; or nil, false */
int chan_next(runtime *rt, lua_State *L, chan *c); /* → value, or nil at the end; a nil raises */

#pragma GCC visibility pop

#endif
