/*
** Channels as in Go, but for values of any type, nil included. A send moves the value straight from
** the sender's stack to the stack of a task that waits for it, or into the buffer. An operation
** that does not have to wait never enters the scheduler.
** Source of the semantics: the Go language specification, and runtime/chan.go of Go.
*/
#ifndef CP_SYNC_CHAN_H
#define CP_SYNC_CHAN_H

#include <stdbool.h>

#include "compat.h"
#include "core/list.h"
#include "kernel/task.h"
#include "sync/object.h"

#pragma GCC visibility push(hidden)

#define CHANNEL_TYPE "coropanic.channel"

/* The error of code that sends on an owned channel, or closes it. */
#define CHAN_OWNED_MESSAGE "only its owner closes this channel, and nothing is sent on it"

/* The user value: of a channel with a buffer, or of an owned one, which has none. Others lack it. */
enum {
  CHAN_UV_BUFFER = 1, /* the ring of values, a table; nil until the first value is buffered */
  CHAN_UV_OWNER = 1   /* an object that alone closes the channel, scripts may not */
};

typedef struct chan {
  sync_object object;
  list senders; /* waiters; the first has waited longest */
  list receivers;
  lua_Integer capacity;
  uint32_t count; /* values in the buffer */
  uint32_t head;  /* slot of the oldest, from 0 */
  uint32_t slots; /* of the ring, which grows up to `capacity` */
  bool closed;
  bool owned;
  bool listed; /* see bounded_see */
} chan;

extern const sync_type chan_type;

/*
** The waiters of a select, one for each of its cases. A task that waits for a single channel stands
** in the queue itself.
*/
typedef struct selection {
  union {
    task *task;
    struct selection *next_free; /* the next one in its pool */
  };
  uint32_t count; /* of cases */
  uint32_t capacity;
  waiter cases[]; /* of a case that is never ready: in no queue */
} selection;

/* Returns the selection of which the waiter is a case. */
static inline selection *selection_of(waiter *w) {
  return container_of(w - w->place, selection, cases);
}

/* Pushes a new channel.   [-0, +1, m] */
chan *chan_new(runtime *rt, lua_State *L, lua_Integer capacity);

/* Pops the owner and pushes a new unbuffered channel that only the owner closes.   [-1, +1, m] */
chan *chan_new_owned(runtime *rt, lua_State *L);

/* Returns the channel at `index`, or NULL if another value is there.   [-0, +0, -] */
static inline chan *chan_test(lua_State *L, int index) { return sync_test(L, index, &chan_type); }

/*
** Call it from __gc: empties the queues. While the universe is open, they can hold only tasks whose
** coroutine a script has closed.   [-0, +0, -]
*/
void chan_collect(runtime *rt, chan *c);

/*
** Closes the channel and wakes every task that waits in it. Harmless if it is closed.   [-0, +0, -]
*/
void chan_close(runtime *rt, chan *c);

/*
** Returns the first waiter of `queue`, one of a channel's two; NULL if it is empty. Wakes the tasks
** before it whose coroutine a script has closed, so that they end.   [-0, +0, -]
*/
waiter *chan_first(runtime *rt, list *queue);

static inline bool chan_has_first(runtime *rt, list *queue) {
  return !list_empty(queue) && chan_first(rt, queue) != NULL;
}

/* Whether the operation could be done now, without waiting. */
static inline bool chan_can_receive(runtime *rt, chan *c) {
  return c->count > 0 || c->closed || chan_has_first(rt, &c->senders);
}
static inline bool chan_can_send(runtime *rt, chan *c) {
  return c->count < c->capacity || c->closed || chan_has_first(rt, &c->receivers);
}

/*
** Sends the value on top of the stack through `c`, the channel at `index`; afterwards the value, or
** nothing, or another value more is there. Returns false, and leaves the stack as it is, if the send
** would have to wait. Panics if the channel is closed.   [-(0|1), +(0|1), e]
*/
bool chan_send_now(runtime *rt, lua_State *L, chan *c, int index);

/*
** Receives from `c`, the channel at `index`: pushes a value and true, or nil and false if the
** channel is closed and drained. Returns false, and pushes nothing, if the receive would have to
** wait. There may be one value more below those two.   [-0, +(2|3|0), -]
*/
bool chan_receive_now(runtime *rt, lua_State *L, chan *c, int index);

/* Raises the panic of a send on a closed channel.   [-0, +0, e] */
int chan_raise_closed(runtime *rt, lua_State *L);

/*
** Return the result from a C function. Each call is a suspension point.   [-?, +n, e]
** For chan_send the stack is the channel `c` and the value to send; for chan_receive the channel is
** the first value; for chan_next it is at `index`.
*/
int chan_send(runtime *rt, lua_State *L, chan *c);    /* → nothing */
int chan_receive(runtime *rt, lua_State *L, chan *c); /* → value, true; or nil, false */
/* → value, or nil at the end; raises if the value is nil */
int chan_next(runtime *rt, lua_State *L, chan *c, int index);

#pragma GCC visibility pop

#endif
