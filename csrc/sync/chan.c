#include "sync/chan.h"

#include "kernel/panic.h"

/* Slots of the first ring. */
#define FIRST_SLOTS 4

const sync_type chan_type = {.name = "channel", .metatable = CHANNEL_TYPE, .size = sizeof(chan)};

/* Pushes a new channel.   [-0, +1, m] */
static chan *make(runtime *rt, lua_State *L, lua_Integer capacity, int user_values) {
  chan *c = sync_new_with(rt, L, &chan_type, user_values);
  c->capacity = capacity;
  list_init(&c->senders);
  list_init(&c->receivers);
  return c;
}

chan *chan_new(runtime *rt, lua_State *L, lua_Integer capacity) {
  return make(rt, L, capacity, capacity == 0 ? 0 : 1);
}

chan *chan_new_owned(runtime *rt, lua_State *L) {
  chan *c = make(rt, L, 0, 1);
  c->owned = true;
  lua_insert(L, -2);
  lua_setiuservalue(L, -2, CHAN_UV_OWNER);
  return c;
}

/* --- the buffer --- */

/* Returns the slot, from 0, of the value `place` places behind the oldest. */
static uint32_t slot_of(const chan *c, uint32_t place) {
  uint32_t slot = c->head + place;
  return slot < c->slots ? slot : slot - c->slots;
}

/*
** Makes a larger ring, with the values in order from slot 0. The table gets all its slots in the
** array part at once, so that filling a slot never allocates.   [-0, +0, m]
** A finalizer may run here and use the channel: afterwards the caller must look at the channel
** again.
*/
static void grow(lua_State *L, int index, chan *c) {
  lua_Integer slots = c->slots == 0 ? FIRST_SLOTS : (lua_Integer)c->slots * 2;
  if (slots > c->capacity) slots = c->capacity;
  if (slots > INT32_MAX) luaL_error(L, "not enough memory");
  lua_createtable(L, (int)slots, 0);
  if (slots <= c->slots) {
    lua_pop(L, 1);
    return;
  }
  if (c->count > 0) {
    lua_getiuservalue(L, index, CHAN_UV_BUFFER);
    for (uint32_t i = 0; i < c->count; i++) {
      lua_rawgeti(L, -1, slot_of(c, i) + 1);
      lua_rawseti(L, -3, i + 1);
    }
    lua_pop(L, 1);
  }
  lua_setiuservalue(L, index, CHAN_UV_BUFFER);
  c->slots = (uint32_t)slots;
  c->head = 0;
}

/* Pops a value and puts it into the buffer `table`, which has a free slot.   [-1, +0, -] */
static inline void put(lua_State *L, int table, chan *c) {
  lua_rawseti(L, table, slot_of(c, c->count) + 1);
  c->count++;
}

/* Takes the oldest value out of the buffer: pushes the table, and the value above it.   [-0, +2, -] */
static inline void take(lua_State *L, int index, chan *c) {
  lua_getiuservalue(L, index, CHAN_UV_BUFFER);
  lua_rawgeti(L, -1, c->head + 1);
  lua_pushnil(L);
  lua_rawseti(L, -3, c->head + 1);
  c->head = slot_of(c, 1);
  c->count--;
}

/* --- handing over --- */

/* Whether the waiter is a task that waits for one channel, and not a case of a select. */
static inline bool is_plain(const waiter *w) { return w->which == 0; }

static inline task *task_of(waiter *w) {
  return is_plain(w) ? container_of(w, task, waiter) : selection_of(w)->task;
}

/* Notes which case of a select was served, and returns its task. */
static task *fire(waiter *w) {
  task *t = selection_of(w)->task;
  t->waiter.fired = w->which;
  return t;
}

/* Wakes the task of a waiter, which was served or for which the channel was closed. */
static void wake(runtime *rt, waiter *w, wake_reason reason) {
  task_wake(rt, is_plain(w) ? task_of(w) : fire(w), reason);
}

/* A task whose coroutine a script has closed has no stack for a value. */
static inline bool is_closed(waiter *w) {
  return lua_status(task_of(w)->coroutine.top->thread) != LUA_YIELD;
}

/* The closed tasks at the head of the queue are woken, to end. */
cp_apart waiter *first_behind_closed(runtime *rt, list *queue) {
  while (!list_empty(queue)) {
    waiter *w = container_of(queue->next, waiter, link);
    if (!is_closed(w)) return w;
    wake(rt, w, WAKE_READY);
  }
  return NULL;
}

static inline waiter *first(runtime *rt, list *queue) {
  if (list_empty(queue)) return NULL;
  waiter *w = container_of(queue->next, waiter, link);
  return is_closed(w) ? first_behind_closed(rt, queue) : w;
}

waiter *chan_first(runtime *rt, list *queue) { return first(rt, queue); }

/*
** Returns the waiting task's stack, ready for a push: its C function has room for one value. Of the
** thread only its first cache line is read, because all its memory may be cold.
*/
static inline lua_State *stack_for_value(task *t) {
  t->live.height++;
  return t->coroutine.top->thread;
}

cp_apart void hand_over_to_select(runtime *rt, lua_State *L, waiter *w) {
  task *receiver = fire(w);
  lua_xmove(L, stack_for_value(receiver), 1);
  task_wake(rt, receiver, WAKE_READY);
}

/* Gives the value on top of the stack to the waiting receiver `w`.   [-1, +0, -] */
static inline void hand_over(runtime *rt, lua_State *L, waiter *w) {
  if (!is_plain(w)) {
    hand_over_to_select(rt, L, w);
    return;
  }
  task *receiver = container_of(w, task, waiter);
  lua_xmove(L, stack_for_value(receiver), 1);
  task_wake_served(rt, receiver);
}

cp_apart void take_from_select(runtime *rt, lua_State *L, waiter *w) {
  task *sender = fire(w);
  lua_State *stack = sender->coroutine.top->thread;
  lua_pushvalue(stack, w->value);
  lua_xmove(stack, L, 1);
  task_wake(rt, sender, WAKE_READY);
}

/*
** Pushes the value of the waiting sender `w`, and wakes the sender. A task that waits to send to
** one channel has the value on top of its stack, and does not need it any more.   [-0, +1, -]
*/
static inline void take_from_sender(runtime *rt, lua_State *L, waiter *w) {
  if (!is_plain(w)) {
    take_from_select(rt, L, w);
    return;
  }
  task *sender = container_of(w, task, waiter);
  lua_xmove(sender->coroutine.top->thread, L, 1);
  task_wake_served(rt, sender);
}

int chan_raise_closed(runtime *rt, lua_State *L) {
  lua_pushliteral(L, "send on closed channel");
  return panic_raise(rt, L);
}

/* The channel is closed, or its buffer has to grow first. */
cp_apart bool send_after_growing(runtime *rt, lua_State *L, chan *c, int index) {
  if (c->closed) chan_raise_closed(rt, L);
  grow(L, index, c);
  return chan_send_now(rt, L, c, index);
}

/* See chan_send_now. */
cp_inline bool send_now(runtime *rt, lua_State *L, chan *c, int index) {
  if (!c->closed) {
    waiter *receiver = first(rt, &c->receivers);
    if (receiver != NULL) {
      hand_over(rt, L, receiver);
      return true;
    }
    if (c->count == c->capacity) return false;
    if (c->count < c->slots) {
      lua_getiuservalue(L, index, CHAN_UV_BUFFER);
      lua_pushvalue(L, -2);
      put(L, -2, c);
      return true;
    }
  }
  return send_after_growing(rt, L, c, index);
}

bool chan_send_now(runtime *rt, lua_State *L, chan *c, int index) {
  return send_now(rt, L, c, index);
}

/* What a receive has got. */
typedef enum received { RECEIVED_NOTHING, RECEIVED_VALUE, RECEIVED_END } received;

/*
** Call it if the buffer was full: the value of the waiting sender, if any, takes the free place. The
** table is below the value on top.   [-0, +0, -]
*/
cp_apart void refill(runtime *rt, lua_State *L, chan *c) {
  waiter *sender = first(rt, &c->senders);
  if (sender == NULL) return;
  take_from_sender(rt, L, sender);
  put(L, -3, c);
}

/*
** Receives, if that is possible now: pushes the value, or nil at the end. If there was a buffer, its
** table is below the value.   [-0, +(0|1|2), -]
*/
cp_inline received receive_now(runtime *rt, lua_State *L, chan *c, int index) {
  if (c->count > 0) {
    take(L, index, c);
    if (!list_empty(&c->senders)) refill(rt, L, c);
    return RECEIVED_VALUE;
  }
  waiter *sender = first(rt, &c->senders);
  if (sender != NULL) {
    take_from_sender(rt, L, sender);
    return RECEIVED_VALUE;
  }
  if (!c->closed) return RECEIVED_NOTHING;
  lua_pushnil(L);
  return RECEIVED_END;
}

bool chan_receive_now(runtime *rt, lua_State *L, chan *c, int index) {
  received what = receive_now(rt, L, c, index);
  if (what == RECEIVED_NOTHING) return false;
  lua_pushboolean(L, what == RECEIVED_VALUE);
  return true;
}

void chan_close(runtime *rt, chan *c) {
  c->closed = true;
  waiter *w;
  while ((w = first(rt, &c->receivers)) != NULL) {
    lua_pushnil(stack_for_value(task_of(w)));
    wake(rt, w, WAKE_CLOSED);
  }
  while ((w = first(rt, &c->senders)) != NULL) wake(rt, w, WAKE_CLOSED);
}

void chan_collect(runtime *rt, chan *c) {
  list *queues[] = {&c->receivers, &c->senders};
  if (rt->closed) return;
  for (int i = 0; i < 2; i++) {
    chan_first(rt, queues[i]);
    while (list_take_first(queues[i]) != NULL) continue;
  }
}

/* --- waiting --- */

static void visit_channel(lua_State *L, const task *t, void (*visit)(void *ud, lua_State *L),
                          void *ud) {
  if (wait_push_self(L, t)) visit(ud, L);
}

static const wait_type wait_send = {.name = "send",
                                    .push_object = wait_push_self,
                                    .each_waker = visit_channel,
                                    .made_at = sync_made_at};
static const wait_type wait_receive = {.name = "receive",
                                       .push_object = wait_push_self,
                                       .each_waker = visit_channel,
                                       .made_at = sync_made_at};

/*
** Parks the current task in `queue`, one of the two of `c`. The stack has `height` values, the first
** of which is the channel.
*/
static inline int wait_in(runtime *rt, lua_State *L, chan *c, list *queue, const wait_type *wait,
                          int height, const char *name, lua_KFunction resumed) {
  task *t = task_check_suspend(rt, L, name);
  list_append(queue, &t->waiter.link);
  t->waits_on = c;
  return task_park_plainly(rt, L, wait, height, resumed);
}

/* The task was woken unserved.   [-0, +0, e] */
cp_apart int send_again(runtime *rt, lua_State *L) {
  const task *t = rt->current;
  if (t->wake == WAKE_CLOSED) return chan_raise_closed(rt, L);
  task_check_wake(rt, L);
  task_tidy_stack(t, L);
  return chan_send(rt, L, lua_touserdata(L, 1));
}

static int after_send(lua_State *L, int status, lua_KContext runtime_address) {
  (void)status;
  runtime *rt = (runtime *)runtime_address;
  if (!task_is_resumed(rt, L)) return task_refuse_resumption(rt, L, after_send);
  return rt->current->wake == WAKE_READY ? 0 : send_again(rt, L);
}

int chan_send(runtime *rt, lua_State *L, chan *c) {
  task_raise_pending(rt, L);
  if (send_now(rt, L, c, 1)) return 0;
  return wait_in(rt, L, c, &c->senders, &wait_send, 2, "send", after_send);
}

static int after_receive(lua_State *L, int status, lua_KContext runtime_address) {
  (void)status;
  runtime *rt = (runtime *)runtime_address;
  if (!task_is_resumed(rt, L)) return task_refuse_resumption(rt, L, after_receive);
  const task *t = rt->current;
  if (t->wake == WAKE_READY || t->wake == WAKE_CLOSED) {
    lua_pushboolean(L, t->wake == WAKE_READY);
    return 2;
  }
  task_check_wake(rt, L);
  task_tidy_stack(t, L);
  return chan_receive(rt, L, lua_touserdata(L, 1));
}

int chan_receive(runtime *rt, lua_State *L, chan *c) {
  task_raise_pending(rt, L);
  received what = receive_now(rt, L, c, 1);
  if (what != RECEIVED_NOTHING) {
    lua_pushboolean(L, what == RECEIVED_VALUE);
    return 2;
  }
  lua_settop(L, 1);
  return wait_in(rt, L, c, &c->receivers, &wait_receive, 1, "recv", after_receive);
}

/*
** Returns the value on top of the stack to `iter`. is_value: it came from the channel, so it must
** not be nil; otherwise it is the nil that ends the loop.
*/
static inline int push_next(lua_State *L, bool is_value) {
  if (is_value && lua_isnil(L, -1)) {
    return luaL_error(L,
                      "'iter' met a nil in the channel: use 'recv', which tells it from the end");
  }
  return 1;
}

static int after_next(lua_State *L, int status, lua_KContext runtime_address) {
  (void)status;
  runtime *rt = (runtime *)runtime_address;
  if (!task_is_resumed(rt, L)) return task_refuse_resumption(rt, L, after_next);
  const task *t = rt->current;
  if (t->wake == WAKE_READY || t->wake == WAKE_CLOSED) return push_next(L, t->wake == WAKE_READY);
  task_check_wake(rt, L);
  task_tidy_stack(t, L);
  return chan_next(rt, L, lua_touserdata(L, 1), 1);
}

int chan_next(runtime *rt, lua_State *L, chan *c, int index) {
  task_raise_pending(rt, L);
  received what = receive_now(rt, L, c, index);
  if (what != RECEIVED_NOTHING) return push_next(L, what == RECEIVED_VALUE);
  lua_settop(L, 1);
  lua_copy(L, index, 1);
  return wait_in(rt, L, c, &c->receivers, &wait_receive, 1, "iter", after_next);
}
