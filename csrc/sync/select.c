#include "sync/select.h"

#include "kernel/args.h"
#include "sync/order.h"

/*
** Pooled selections have room for 2, 4 or 8 cases, so that a task that waits in a select takes no
** more memory than its cases need.
*/
#define FEWEST_CASES 2u

/* The most channels that the text of one select names. */
#define MAX_CHANNELS_SHOWN 4

/* --- queue entries --- */

static size_t size_of(uint32_t capacity) { return sizeof(selection) + capacity * sizeof(waiter); }

/* Returns the pool of selections with room for `count` cases; SELECTION_POOLS: larger ones have none. */
static int pool_for(uint32_t count) {
  int pool = 0;
  while (pool < SELECTION_POOLS && count > FEWEST_CASES << pool) pool++;
  return pool;
}

/*
** Returns a selection with room for `count` cases, from the pool if that has one.
** [-0, +0, m]
*/
static selection *take_selection(runtime *rt, lua_State *L, uint32_t count) {
  int pool = pool_for(count);
  bool pooled = pool < SELECTION_POOLS;
  selection *s = pooled ? rt->free_selections[pool] : NULL;
  if (s != NULL) {
    rt->free_selections[pool] = s->next_free;
    return s;
  }
  uint32_t capacity = pooled ? FEWEST_CASES << pool : count;
  s = mem_new(&rt->memory, size_of(capacity));
  if (s == NULL) {
    luaL_error(L, "not enough memory");
    compat_unreachable();
  }
  s->capacity = capacity;
  return s;
}

static void give_back(runtime *rt, selection *s) {
  int pool = pool_for(s->capacity);
  if (pool == SELECTION_POOLS) {
    mem_free(&rt->memory, s, size_of(s->capacity));
    return;
  }
  s->next_free = rt->free_selections[pool];
  rt->free_selections[pool] = s;
}

static void leave(runtime *rt, task *t) {
  selection *s = t->waits_on;
  if (s == NULL) return;
  for (uint32_t i = 0; i < s->count; i++) list_remove(&s->cases[i].link);
  give_back(rt, s);
}

/* --- the cases --- */

/*
** The stack is [time-out] [case 1] ... [case n]. Above these stand, for each case that sends, in
** order, its value and its channel, as they were when select was called.
*/
static int case_index(uint32_t number) { return (int)number + 1; }

/*
** A case as it was found: its channel (NULL: it is never ready), and the index of the copy of the value
** that it sends (0: it receives).
*/
typedef struct found_case {
  chan *chan;
  int value;
} found_case;

/*
** So many cases are kept as check_cases has found them; those behind them are looked at again in
** each step.
*/
#define KEPT_CASES 8

/*
** Copies the value and the channel of the case at `index`, which is no channel; raises unless the
** case sends.   [-0, +(0|2), e]
*/
cp_apart found_case check_sending_case(lua_State *L, int index) {
  static const char expected[] = "channel or {channel, value}";
  if (lua_isnil(L, index)) return (found_case){0};
  if (!lua_istable(L, index)) arg_type_error(L, index, "select", expected);
  luaL_checkstack(L, LUA_MINSTACK, "too many cases");
  lua_rawgeti(L, index, 2);
  int value = lua_gettop(L);
  lua_rawgeti(L, index, 1);
  chan *c = chan_test(L, -1);
  if (c == NULL && !lua_isnil(L, -1)) {
    arg_type_error(L, index, "select", expected);
    compat_unreachable();
  }
  if (c != NULL && c->owned) arg_error(L, index, "select", CHAN_OWNED_MESSAGE);
  return (found_case){.chan = c, .value = value};
}

/*
** Checks the cases, and copies the value and the channel of each case that sends.
** [-0, +2 each, e]
*/
static void check_cases(lua_State *L, uint32_t count, found_case kept[KEPT_CASES]) {
  for (uint32_t i = 1; i <= count; i++) {
    found_case found = {.chan = chan_test(L, case_index(i))};
    if (found.chan == NULL) found = check_sending_case(L, case_index(i));
    if (i <= KEPT_CASES) kept[i - 1] = found;
  }
}

/*
** Returns case `number`. copies: the index of the next sending case's copies; moves on past those
** used.
*/
static inline found_case case_at(lua_State *L, uint32_t number, const found_case kept[KEPT_CASES],
                                 int *copies) {
  found_case found = {0};
  if (number <= KEPT_CASES) {
    found = kept[number - 1];
  } else if (lua_istable(L, case_index(number))) {
    found = (found_case){.chan = chan_test(L, *copies + 1), .value = *copies};
  } else {
    found.chan = chan_test(L, case_index(number));
  }
  if (found.value != 0) *copies += 2;
  return found;
}

static inline bool is_ready(runtime *rt, const found_case *s) {
  if (s->chan == NULL) return false;
  return s->value != 0 ? chan_can_send(rt, s->chan) : chan_can_receive(rt, s->chan);
}

/*
** Chooses one of the ready cases, each with the same probability, and returns its number; 0 if none
** is ready. (Algorithm R of Vitter 1985, for one place.)
*/
static uint32_t choose(runtime *rt, lua_State *L, uint32_t count, const found_case kept[KEPT_CASES],
                       found_case *chosen) {
  uint32_t number = 0;
  uint64_t ready = 0;
  int copies = case_index(count) + 1;
  for (uint32_t i = 1; i <= count; i++) {
    found_case candidate = case_at(L, i, kept, &copies);
    if (!is_ready(rt, &candidate)) continue;
    if (++ready > 1 && rng_below(&rt->order, ready) != 0) continue;
    number = i;
    *chosen = candidate;
  }
  return number;
}

/*
** Sends or receives for the chosen case, and returns the number of results. 0: the case is not
** ready any more, because a finalizer that ran meanwhile has used the channel.
*/
static int finish(runtime *rt, lua_State *L, uint32_t number, const found_case *chosen) {
  if (chosen->value != 0) {
    lua_pushvalue(L, chosen->value);
    if (!chan_send_now(rt, L, chosen->chan, chosen->value + 1)) {
      lua_pop(L, 1);
      return 0;
    }
    lua_pushinteger(L, number);
    return 1;
  }
  int top = lua_gettop(L);
  lua_pushinteger(L, number);
  if (!chan_receive_now(rt, L, chosen->chan, case_index(number))) return 0;
  if (lua_gettop(L) > top + 3) { /* the value that may be below the two */
    lua_pushinteger(L, number);
    lua_replace(L, -4);
  }
  return 3;
}

/* --- entering queues --- */

/* Returns the queue in which the case waits; NULL: it is never ready. */
static list *queue_of(const found_case *found) {
  if (found->chan == NULL) return NULL;
  return found->value != 0 ? &found->chan->senders : &found->chan->receivers;
}

/* Tells co.order from which channels the running code receives. */
cp_apart void note_receives(runtime *rt, lua_State *L, uint32_t count,
                            const found_case kept[KEPT_CASES]) {
  int copies = case_index(count) + 1;
  for (uint32_t i = 1; i <= count; i++) {
    found_case found = case_at(L, i, kept, &copies);
    if (found.chan != NULL && found.value == 0) order_receives(rt, L, found.chan);
  }
}

/* Whether the last waiter in the queue is another case of the same select. */
static bool is_repeated(const selection *s, const list *queue) {
  uintptr_t last = (uintptr_t)queue->prev;
  return last - (uintptr_t)s->cases < s->count * sizeof(waiter);
}

/*
** Several cases are for one channel, of which the first in its queue is served: puts all cases into
** the queues again, in random order. (Durstenfeld's shuffle of the cases.) `link.next` of a case
** that has not entered yet is its queue.
*/
static void shuffle(runtime *rt, lua_State *L, selection *s, const found_case kept[KEPT_CASES]) {
  int copies = case_index(s->count) + 1;
  for (uint32_t i = 0; i < s->count; i++) {
    found_case found = case_at(L, i + 1, kept, &copies);
    list_remove(&s->cases[i].link);
    s->cases[i].link.next = queue_of(&found);
  }
  for (uint32_t left = s->count; left > 0; left--) {
    uint32_t chosen = (uint32_t)rng_below(&rt->order, left);
    waiter entry = s->cases[chosen];
    s->cases[chosen] = s->cases[left - 1];
    waiter *entered = &s->cases[left - 1];
    *entered = entry;
    entered->place = (uint16_t)(left - 1);
    list_init(&entered->link);
    if (entry.link.next != NULL) list_append(entry.link.next, &entered->link);
  }
}

/* Puts the cases into the queues of their channels.   [-0, +0, m] */
static selection *enter_queues(runtime *rt, lua_State *L, task *t, uint32_t count,
                               const found_case kept[KEPT_CASES]) {
  selection *s = take_selection(rt, L, count);
  int copies = case_index(count) + 1;
  bool repeated = false;
  s->task = t;
  s->count = count;
  for (uint32_t i = 0; i < count; i++) {
    waiter *entry = &s->cases[i];
    found_case found = case_at(L, i + 1, kept, &copies);
    entry->which = (uint16_t)(i + 1);
    entry->place = (uint16_t)i;
    entry->value = found.value;
    list_init(&entry->link);
    list *queue = queue_of(&found);
    if (queue == NULL) continue;
    repeated = repeated || is_repeated(s, queue);
    list_append(queue, &entry->link);
  }
  if (repeated) shuffle(rt, L, s, kept);
  return s;
}

/* --- in reports --- */

/* Pushes each channel of the select in which the task waits, for `visit`, which pops it. */
static void each_channel(lua_State *L, const task *t, void (*visit)(void *ud, lua_State *L),
                         void *ud) {
  bool selects = t->status == TASK_WAITING && t->wait->leave == leave;
  const selection *s = selects ? t->waits_on : NULL;
  uint32_t count = s == NULL ? 0 : s->count;
  int copies = case_index(count) + 1;
  for (uint32_t i = 1; i <= count && wait_push_local(L, t, case_index(i)); i++) {
    if (lua_istable(L, -1)) {
      lua_pop(L, 1);
      wait_push_local(L, t, copies + 1);
      copies += 2;
    }
    if (lua_isnil(L, -1)) {
      lua_pop(L, 1);
    } else {
      visit(ud, L);
    }
  }
}

/* Moves the channel on top of the stack to the array below it. */
static void add_channel(void *ud, lua_State *L) {
  lua_Integer *listed = ud;
  lua_rawseti(L, -2, ++*listed);
}

/*
** Pushes an array of the channels that the task, waiting in a select, waits for.   [-0, +(0|1), m]
*/
static bool push_channels(lua_State *L, const task *t) {
  if (t->waits_on == NULL) return false;
  lua_createtable(L, (int)((const selection *)t->waits_on)->count, 0);
  /* A finalizer may have woken the task, which may wait for another thing now. */
  lua_Integer listed = 0;
  each_channel(L, t, add_channel, &listed);
  return true;
}

/* `select of channel (unbuffered), channel (0 of 3 buffered)`   [-0, +(0|1), m] */
static bool push_text(lua_State *L, const task *t) {
  if (!push_channels(L, t)) return false;
  int channels = lua_gettop(L);
  lua_Integer count = (lua_Integer)lua_rawlen(L, channels);
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  luaL_addstring(&b, count == 0 ? "select of nothing" : "select of ");
  for (lua_Integer i = 1; i <= count && i <= MAX_CHANNELS_SHOWN; i++) {
    if (i > 1) luaL_addstring(&b, ", ");
    lua_rawgeti(L, channels, i);
    luaL_tolstring(L, -1, NULL);
    lua_remove(L, -2);
    luaL_addvalue(&b);
  }
  if (count > MAX_CHANNELS_SHOWN) luaL_addstring(&b, ", ...");
  luaL_pushresult(&b);
  lua_remove(L, channels);
  return true;
}

/* --- waiting --- */

/*
** Woken. If a value was sent to this task, or a channel that it receives from was closed, the waker
** has pushed the value or nil.
*/
static int after_select(lua_State *L, int status, lua_KContext runtime_address) {
  (void)status;
  runtime *rt = (runtime *)runtime_address;
  const task *t = rt->current;
  if (t->wake != WAKE_READY && t->wake != WAKE_CLOSED) {
    task_check_wake(rt, L);
    lua_pushinteger(L, 0);
    return 1;
  }
  bool received = !lua_istable(L, case_index(t->waiter.fired));
  if (!received && t->wake == WAKE_CLOSED) return chan_raise_closed(rt, L);
  lua_pushinteger(L, t->waiter.fired);
  if (!received) return 1;
  lua_insert(L, -2);
  lua_pushboolean(L, t->wake == WAKE_READY);
  return 3;
}

static const wait_type wait_select = {
    .name = "select",
    .push_object = push_channels,
    .push_text = push_text,
    .leave = leave,
    .each_waker = each_channel,
    .continuation = after_select,
};

int select_run(runtime *rt, lua_State *L) {
  double seconds = arg_check_timeout(L, 1, 1, "select");
  if (lua_gettop(L) == 0) lua_settop(L, 1);
  if (lua_gettop(L) - 1 > SELECT_MAX_CASES) return luaL_error(L, "too many cases");
  uint32_t count = (uint32_t)lua_gettop(L) - 1;
  found_case kept[KEPT_CASES];
  check_cases(L, count, kept);
  task_raise_pending(rt, L);
  if (rt->lock_order != NULL) note_receives(rt, L, count, kept);
  found_case chosen = {0};
  uint32_t number;
  while ((number = choose(rt, L, count, kept, &chosen)) != 0) {
    int results = finish(rt, L, number, &chosen);
    if (results != 0) return results;
  }
  if (seconds == 0) {
    lua_pushinteger(L, 0);
    return 1;
  }
  luaL_checkstack(L, LUA_MINSTACK, NULL); /* for the value that another task will push */
  task *t = task_check_suspend(rt, L, "select");
  t->waits_on = enter_queues(rt, L, t, count, kept);
  int64_t deadline = runtime_deadline(rt, seconds);
  return task_park(rt, L, &wait_select, deadline);
}
