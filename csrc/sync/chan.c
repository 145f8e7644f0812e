#include "sync/chan.h"

#include "kernel/panic.h"

/* Slots of the first ring. */
#define FIRST_SLOTS 4

const sync_type chan_type = {.name = "channel",
                             .metatable = CHANNEL_TYPE,
                             .size = sizeof(chan),
                             .user_values = CHAN_UV_COUNT};

chan *chan_new(runtime *rt, lua_State *L, lua_Integer capacity) {
  chan *c = sync_new(rt, L, &chan_type);
  c->capacity = capacity;
  list_init(&c->senders);
  list_init(&c->receivers);
  return c;
}

chan *chan_new_owned(runtime *rt, lua_State *L) {
  chan *c = chan_new(rt, L, 0);
  c->owned = true;
  lua_insert(L, -2);
  lua_setiuservalue(L, -2, CHAN_UV_OWNER);
  return c;
}

/* --- the buffer --- */

/* Returns the slot, from 0, of the value `place` places behind the oldest. */
static lua_Integer slot_of(const chan *c, lua_Integer place) {
  lua_Integer slot = c->head + place;
  return slot < c->slots ? slot : slot - c->slots;
}

/*
** Makes a larger ring, with the values in order from slot 0. The table gets all its slots in the
** array part at once, so that filling a slot never allocates.   [-0, +0, m]
** A finalizer may run here and use the channel: afterwards the caller must look at the channel
** again.
*/
static void grow(lua_State *L, int index, chan *c) {
  lua_Integer slots = c->slots == 0 ? FIRST_SLOTS : c->slots * 2;
  if (slots > c->capacity) slots = c->capacity;
  if (slots > INT32_MAX) luaL_error(L, "not enough memory");
  lua_createtable(L, (int)slots, 0);
  if (slots <= c->slots) {
    lua_pop(L, 1);
    return;
  }
  if (c->count > 0) {
    lua_getiuservalue(L, index, CHAN_UV_BUFFER);
    for (lua_Integer i = 0; i < c->count; i++) {
      lua_rawgeti(L, -1, slot_of(c, i) + 1);
      lua_rawseti(L, -3, i + 1);
    }
    lua_pop(L, 1);
  }
  lua_setiuservalue(L, index, CHAN_UV_BUFFER);
  c->slots = slots;
  c->head = 0;
}

/* Puts the value at index `value` into the buffer, which has a free slot.   [-0, +0, -] */
static void put(lua_State *L, int index, chan *c, int value) {
  lua_getiuservalue(L, index, CHAN_UV_BUFFER);
  lua_pushvalue(L, value);
  lua_rawseti(L, -2, slot_of(c, c->count) + 1);
  lua_pop(L, 1);
  c->count++;
}

/* Takes the oldest value out of the buffer and pushes it.   [-0, +1, -] */
static void take(lua_State *L, int index, chan *c) {
  lua_getiuservalue(L, index, CHAN_UV_BUFFER);
  lua_rawgeti(L, -1, c->head + 1);
  lua_pushnil(L);
  lua_rawseti(L, -3, c->head + 1);
  lua_replace(L, -2);
  c->head = slot_of(c, 1);
  c->count--;
}

/* --- handing over --- */

/*
** Returns the task of a waiter. If the task waits in a select, notes the number of the case in
** `fired`.
*/
static task *task_of(waiter *w) {
  if (w->which == 0) return container_of(w, task, waiter);
  task *t = container_of(w, select_case, waiter)->task;
  t->fired = (uint16_t)w->which;
  return t;
}

/* A task whose coroutine a script has closed has no stack for a value: it is woken, to end. */
static inline waiter *first(runtime *rt, list *queue) {
  while (!list_empty(queue)) {
    waiter *w = container_of(queue->next, waiter, link);
    task *t = task_of(w);
    if (lua_status(t->coroutine.top->thread) == LUA_YIELD) return w;
    task_wake(rt, t, WAKE_READY);
  }
  return NULL;
}

waiter *chan_first(runtime *rt, list *queue) { return first(rt, queue); }

/* Returns the waiting task's stack, ready for a push: its C function has room for one value. */
static lua_State *stack_for_value(task *t) {
  lua_State *stack = t->coroutine.top->thread;
  lua_settop(stack, t->live.height++);
  return stack;
}

/* Gives the value on top of the stack to the waiting receiver `w`.   [-1, +0, -] */
static void hand_over(runtime *rt, lua_State *L, waiter *w) {
  task *receiver = task_of(w);
  lua_xmove(L, stack_for_value(receiver), 1);
  task_wake(rt, receiver, WAKE_READY);
}

/* Pushes the value of the waiting sender `w`, and wakes the sender.   [-0, +1, -] */
static void take_from_sender(runtime *rt, lua_State *L, waiter *w) {
  task *sender = task_of(w);
  int value = w->which == 0 ? 2 : container_of(w, select_case, waiter)->value;
  lua_State *stack = sender->coroutine.top->thread;
  lua_pushvalue(stack, value);
  lua_xmove(stack, L, 1);
  task_wake(rt, sender, WAKE_READY);
}

int chan_raise_closed(runtime *rt, lua_State *L) {
  lua_pushliteral(L, "send on closed channel");
  return panic_raise(rt, L);
}

bool chan_send_now(runtime *rt, lua_State *L, chan *c, int index, int value) {
  for (;;) {
    if (c->closed) chan_raise_closed(rt, L);
    waiter *receiver = first(rt, &c->receivers);
    if (receiver != NULL) {
      lua_pushvalue(L, value);
      hand_over(rt, L, receiver);
      return true;
    }
    if (c->count == c->capacity) return false;
    if (c->count < c->slots) {
      put(L, index, c, value);
      return true;
    }
    grow(L, index, c);
  }
}

bool chan_receive_now(runtime *rt, lua_State *L, chan *c, int index) {
  waiter *sender = first(rt, &c->senders);
  bool received = true;
  if (c->count > 0) {
    take(L, index, c);
    if (sender != NULL) {
      take_from_sender(rt, L, sender);
      put(L, index, c, lua_gettop(L));
      lua_pop(L, 1);
    }
  } else if (sender != NULL) {
    take_from_sender(rt, L, sender);
  } else if (c->closed) {
    received = false;
    lua_pushnil(L);
  } else {
    return false;
  }
  lua_pushboolean(L, received);
  return true;
}

void chan_close(runtime *rt, chan *c) {
  c->closed = true;
  waiter *w;
  while ((w = chan_first(rt, &c->receivers)) != NULL) {
    task *t = task_of(w);
    lua_pushnil(stack_for_value(t));
    task_wake(rt, t, WAKE_CLOSED);
  }
  while ((w = chan_first(rt, &c->senders)) != NULL) task_wake(rt, task_of(w), WAKE_CLOSED);
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

static const wait_type wait_send = {.name = "send", .push_object = wait_push_self};
static const wait_type wait_receive = {.name = "receive", .push_object = wait_push_self};

/* Parks the current task in `queue`, one of the two of `c`. */
static int wait_in(runtime *rt, lua_State *L, chan *c, list *queue, const wait_type *wait,
                   const char *name, lua_KFunction continuation) {
  task *t = task_check_suspend(rt, L, name);
  list_append(queue, &t->waiter.link);
  t->waits_on = c;
  return task_park(rt, L, wait, TIME_FOREVER, (lua_KContext)rt, continuation);
}

static int after_send(lua_State *L, int status, lua_KContext runtime_address) {
  (void)status;
  runtime *rt = (runtime *)runtime_address;
  const task *t = rt->current;
  if (t->wake == WAKE_READY) return 0;
  if (t->wake == WAKE_CLOSED) return chan_raise_closed(rt, L);
  task_check_wake(rt, L);
  return chan_send(rt, L, lua_touserdata(L, 1));
}

int chan_send(runtime *rt, lua_State *L, chan *c) {
  task_raise_pending(rt, L);
  if (chan_send_now(rt, L, c, 1, 2)) return 0;
  return wait_in(rt, L, c, &c->senders, &wait_send, "send", after_send);
}

static int after_receive(lua_State *L, int status, lua_KContext runtime_address) {
  (void)status;
  runtime *rt = (runtime *)runtime_address;
  const task *t = rt->current;
  if (t->wake == WAKE_READY || t->wake == WAKE_CLOSED) {
    lua_pushboolean(L, t->wake == WAKE_READY);
    return 2;
  }
  task_check_wake(rt, L);
  return chan_receive(rt, L, lua_touserdata(L, 1));
}

int chan_receive(runtime *rt, lua_State *L, chan *c) {
  task_raise_pending(rt, L);
  if (chan_receive_now(rt, L, c, 1)) return 2;
  return wait_in(rt, L, c, &c->receivers, &wait_receive, "recv", after_receive);
}

/*
** Returns the value on top of the stack to `iter`. received: it came from the channel, so it must
** not be nil; otherwise it is the nil that ends the loop.
*/
static int push_next(lua_State *L, bool received) {
  if (received && lua_isnil(L, -1)) {
    return luaL_error(L,
                      "'iter' met a nil in the channel: use 'recv', which tells it from the end");
  }
  return 1;
}

static int after_next(lua_State *L, int status, lua_KContext runtime_address) {
  (void)status;
  runtime *rt = (runtime *)runtime_address;
  const task *t = rt->current;
  if (t->wake == WAKE_READY || t->wake == WAKE_CLOSED) return push_next(L, t->wake == WAKE_READY);
  task_check_wake(rt, L);
  return chan_next(rt, L, lua_touserdata(L, 1));
}

int chan_next(runtime *rt, lua_State *L, chan *c) {
  task_raise_pending(rt, L);
  if (!chan_receive_now(rt, L, c, 1)) {
    return wait_in(rt, L, c, &c->receivers, &wait_receive, "iter", after_next);
  }
  bool received = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return push_next(L, received);
}
