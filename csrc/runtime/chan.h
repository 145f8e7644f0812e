/*
** Channels, as Go's: typed by nothing, nil travels too. A value goes straight from the stack of who
** sends it to the stack of the task that waits for it, or through the buffer; no operation that need
** not wait touches the scheduler.
** Source of the semantics: the Go language specification, and runtime/chan.go of Go.
*/
#ifndef CP_RUNTIME_CHAN_H
#define CP_RUNTIME_CHAN_H

#include <stdbool.h>

#include "compat.h"
#include "core/list.h"
#include "runtime/task.h"

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
  list senders;      /* waiters, the longest waiting first */
  list receivers;
  lua_Integer capacity;
  lua_Integer count; /* values in the buffer */
  lua_Integer head;  /* slot of the oldest, from 0 */
  lua_Integer slots; /* of the ring as it is; grows up to the capacity */
  bool closed;
  bool owned;
} chan;

/* Pushes a new channel.   [-0, +1, m] */
chan *chan_new(lua_State *L, lua_Integer capacity);

/* The same, for the owner on top of the stack, which alone closes it.   [-1, +1, m] */
chan *chan_new_owned(lua_State *L);

/* The channel at `index`, or NULL when there is something else.   [-0, +0, -] */
chan *chan_test(lua_State *L, int index);

/* Closes it, if it is open: wakes everyone who waits.   [-0, +0, -] */
void chan_close(runtime *rt, chan *c);

/* Whether the operation would not wait. */
static inline bool chan_can_receive(const chan *c) {
  return c->count > 0 || !list_empty(&c->senders) || c->closed;
}
static inline bool chan_can_send(const chan *c) {
  return c->count < c->capacity || !list_empty(&c->receivers) || c->closed;
}

/*
** Sends the value at `value` through the channel at `index`, which can_send; a closed one panics.
** [-0, +0, e]
*/
void chan_send_now(runtime *rt, lua_State *L, int index, int value);

/*
** Pushes what the channel at `index`, which can_receive, gives: a value and true, or nil and false
** when it is closed and drained.   [-0, +2, -]
*/
void chan_receive_now(runtime *rt, lua_State *L, int index);

/* Panics as sending on a closed channel does.   [-0, +0, e] */
int chan_raise_closed(runtime *rt, lua_State *L);

/*
** To be returned from C functions, with the channel at index 1 as the only value but for what is
** sent, at index 2. Each is a suspension point.
*/
int chan_send(runtime *rt, lua_State *L);    /* → nothing */
int chan_receive(runtime *rt, lua_State *L); /* → value, true; or nil, false */
int chan_next(runtime *rt, lua_State *L);    /* → value, or nil at the end; a nil raises */

#endif
