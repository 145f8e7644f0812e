#include "loop/outside.h"

#include <errno.h>
#include <string.h>

/* One wait, in a slot of the mailbox. It is the task's from outside_open on. */
typedef struct outside_wait {
  mail_slot slot;
  task_exit exit; /* in the task's list */
  task *task;     /* NULL: it has ended, and a post is still on its way */
  lua_KFunction resumed;
  lua_KContext ctx;
  int values;  /* of a wake-up with values: so many are on the task's stack, or packed */
  bool packed; /* they are in a table, in the registry under the address of this */
  bool posted; /* the mail of the slot is the value */
} outside_wait;

/* Returns the wait of that token; NULL: there is none any more, or never was. */
static outside_wait *find_wait(const runtime *rt, uint64_t token) {
  const mailbox *m = loop_of(rt)->mailbox;
  mail_slot *s = m == NULL ? NULL : mailbox_find(m, token);
  return s == NULL ? NULL : container_of(s, outside_wait, slot);
}

static bool is_parked(const outside_wait *w) {
  return w->task->status == TASK_WAITING && w->task->waits_on == w;
}

/* --- opening --- */

/*
** Forgets what a wake-up has packed. Without room on the stack the registry keeps it until the slot is
** packed for again, or the universe is closed.   [-0, +0, -]
*/
static void drop_packed(lua_State *L, outside_wait *w) {
  if (!w->packed) return;
  w->packed = false;
  if (!lua_checkstack(L, 1)) return;
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, w);
}

/* Ends the wait, unless a post is on its way: then outside_deliver does.   [-0, +0, -] */
static void end_wait(runtime *rt, lua_State *L, outside_wait *w) {
  task_exit_remove(&w->exit);
  drop_packed(L, w);
  w->task = NULL;
  if (mailbox_settle(&w->slot) || mailbox_phase(&w->slot) == MAIL_SETTLED) {
    mailbox_release(loop_of(rt)->mailbox, &w->slot);
  }
}

static void end_with_task(runtime *rt, lua_State *L, task_exit *self) {
  end_wait(rt, L, container_of(self, outside_wait, exit));
}

/*
** Makes the mailbox. The poller watches its wakeup, because a run may sleep in either.   [-0, +0, e]
*/
static mailbox *open_mailbox(runtime *rt, lua_State *L, const char *name) {
  event_loop *loop = loop_of(rt);
  loop_own_wakeup(rt);
  if (!wakeup_open(&loop->wakeup) || !poller_watch(&loop->poller, loop->wakeup.read_fd)) {
    luaL_error(L, "%s: %s", name, strerror(errno));
  }
  loop->mailbox = mailbox_open(&rt->memory, &loop->wakeup, sizeof(outside_wait));
  if (loop->mailbox == NULL) {
    luaL_error(L, "%s: not enough memory, or more than %d runtimes with tokens", name,
               (int)MAILBOX_MAX);
  }
  return loop->mailbox;
}

uint64_t outside_open(runtime *rt, lua_State *L, const char *name) {
  task *t = task_check_suspend(rt, L, name);
  mailbox *m = loop_of(rt)->mailbox;
  if (m == NULL) m = open_mailbox(rt, L, name);
  uint64_t token;
  mail_slot *s = mailbox_issue(m, &token);
  if (s == NULL) luaL_error(L, "%s: not enough memory, or too many tokens are open", name);
  outside_wait *w = container_of(s, outside_wait, slot);
  w->task = t;
  w->values = 0;
  w->packed = w->posted = false;
  w->exit = (task_exit){.run = end_with_task};
  task_on_end(t, &w->exit);
  return token;
}

bool outside_close(runtime *rt, lua_State *L, uint64_t token) {
  outside_wait *w = find_wait(rt, token);
  if (w == NULL || w->task == NULL || is_parked(w)) return false;
  end_wait(rt, L, w);
  return true;
}

/* --- parking --- */

static void leave_outside(runtime *rt, task *t) {
  if (t->waits_on != NULL) loop_of(rt)->outside_waiting--;
}

static int after_outside(lua_State *L, int status, lua_KContext runtime_address);

static const wait_type wait_outside = {
    .name = "park", .leave = leave_outside, .from_outside = true, .continuation = after_outside};

/* Parks with the wait on top of the stack. */
static int park(runtime *rt, lua_State *L, outside_wait *w, int64_t deadline_ns) {
  w->task->waits_on = w;
  loop_of(rt)->outside_waiting++;
  return task_park(rt, L, &wait_outside, deadline_ns);
}

/* Pushes the values of the wake-up that are not on the stack yet.   [-0, +n, e] */
static void push_values(lua_State *L, const outside_wait *w) {
  luaL_checkstack(L, w->values + LUA_MINSTACK, "too many values");
  if (w->packed) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, w);
    int packed = lua_gettop(L);
    for (int i = 1; i <= w->values; i++) lua_rawgeti(L, packed, i);
    lua_remove(L, packed);
  } else if (w->posted && w->slot.mail.is_pointer) {
    lua_pushlightuserdata(L, w->slot.mail.pointer);
  } else if (w->posted) {
    lua_pushinteger(L, w->slot.mail.integer);
  }
}

/* Goes on in the C function, whose wait is over.   [-0, +?, e] */
static int go_on(runtime *rt, lua_State *L, outside_wait *w, int status) {
  lua_KFunction resumed = w->resumed;
  lua_KContext ctx = w->ctx;
  end_wait(rt, L, w);
  if (status == OUTSIDE_TIMED_OUT) task_check_wake(rt, L);
  return resumed(L, status, ctx);
}

/*
** The task was woken. If a wake-up has won, its values are delivered even if a cancellation or the
** deadline has come since: the cancellation is raised at the next suspension point. If a post has
** won and is still on its way, the task waits for it.
*/
static int after_outside(lua_State *L, int status, lua_KContext runtime_address) {
  (void)status;
  runtime *rt = (runtime *)runtime_address;
  outside_wait *w = lua_touserdata(L, -1);
  bool late = mailbox_settle(&w->slot);
  if (!late && mailbox_phase(&w->slot) == MAIL_CLAIMED) return park(rt, L, w, TIME_FOREVER);
  lua_pop(L, 1);
  if (!late) push_values(L, w);
  return go_on(rt, L, w, late ? OUTSIDE_TIMED_OUT : OUTSIDE_WOKEN);
}

int outside_park(runtime *rt, lua_State *L, uint64_t token, int64_t deadline_ns, lua_KContext ctx,
                 lua_KFunction resumed) {
  outside_wait *w = find_wait(rt, token);
  if (w == NULL || rt->current == NULL || w->task != rt->current) {
    return luaL_error(L, "cp_park: the token is none that the running task has open");
  }
  w->resumed = resumed;
  w->ctx = ctx;
  if (outside_has_mail(rt)) outside_deliver(rt);
  if (mailbox_phase(&w->slot) == MAIL_SETTLED) {
    push_values(L, w);
    return go_on(rt, L, w, OUTSIDE_WOKEN);
  }
  if (cancel_will_raise(rt, w->task)) end_wait(rt, L, w);
  task_check_suspend(rt, L, "cp_park");
  luaL_checkstack(L, 1, NULL);
  lua_pushlightuserdata(L, w);
  return park(rt, L, w, deadline_ns);
}

/* --- waking --- */

/* Returns why the token has no open wait. */
static outside_answer refuse(uint64_t token) {
  return mailbox_look(token) == MAIL_LATE ? OUTSIDE_LATE : OUTSIDE_UNKNOWN;
}

/* Moves the values to the parked task, below the wait, which is on top of its stack. */
static outside_answer wake_parked(runtime *rt, lua_State *L, outside_wait *w, int values) {
  lua_State *thread = w->task->coroutine.top->thread;
  task_tidy_stack(w->task, thread);
  if (!lua_checkstack(thread, values + 1)) return OUTSIDE_NO_MEMORY;
  if (!mailbox_settle(&w->slot)) return OUTSIDE_LATE;
  lua_pop(thread, 1);
  lua_xmove(L, thread, values);
  lua_pushlightuserdata(thread, w);
  w->task->live.height += values;
  task_wake(rt, w->task, WAKE_READY);
  return OUTSIDE_TAKEN;
}

/* The same if the host has pushed the values on the parked thread itself, above the wait. */
static outside_answer wake_by_parked(runtime *rt, lua_State *L, outside_wait *w, int values) {
  lua_State *other = rt->running->thread;
  int base = lua_gettop(other);
  if (!lua_checkstack(other, values)) {
    lua_pop(L, values);
    return OUTSIDE_NO_MEMORY;
  }
  lua_xmove(L, other, values);
  outside_answer answer = wake_parked(rt, other, w, values);
  lua_settop(other, base);
  return answer;
}

/* A wake-up for a task that has not parked yet. */
typedef struct early_wake {
  const runtime *rt;
  uint64_t token;
  bool packed;
} early_wake;

/*
** (values..., early_wake): packs the values; called protected. Making the table may run finalizers,
** so that another wake-up may win meanwhile, or the wait be over. After that nothing runs them until
** the wait is settled.
*/
static int pack(lua_State *L) {
  early_wake *e = lua_touserdata(L, -1);
  lua_pop(L, 1);
  int values = lua_gettop(L);
  lua_createtable(L, values, 0);
  lua_insert(L, 1);
  for (int i = values; i >= 1; i--) lua_rawseti(L, 1, i);
  outside_wait *w = find_wait(e->rt, e->token);
  if (w == NULL || mailbox_phase(&w->slot) != MAIL_OPEN) return 0;
  lua_rawsetp(L, LUA_REGISTRYINDEX, w);
  e->packed = w->packed = true;
  return 0;
}

static outside_answer wake_early(const runtime *rt, lua_State *L, uint64_t token, int values) {
  early_wake e = {.rt = rt, .token = token};
  if (values > 0) {
    if (!lua_checkstack(L, 2)) return OUTSIDE_NO_MEMORY;
    lua_pushcfunction(L, pack);
    lua_insert(L, -(values + 1));
    lua_pushlightuserdata(L, &e);
    if (lua_pcall(L, values + 1, 0, 0) != LUA_OK) return OUTSIDE_NO_MEMORY;
    if (!e.packed) return OUTSIDE_LATE;
  }
  outside_wait *w = find_wait(rt, token);
  w->values = values;
  if (mailbox_settle(&w->slot)) return OUTSIDE_TAKEN;
  drop_packed(L, w);
  return OUTSIDE_LATE;
}

outside_answer outside_wake(runtime *rt, lua_State *L, uint64_t token, int values) {
  int base = lua_gettop(L) - values;
  outside_wait *w = find_wait(rt, token);
  outside_answer answer;
  if (w == NULL || w->task == NULL) {
    answer = refuse(token);
  } else if (!is_parked(w)) {
    answer = wake_early(rt, L, token, values);
  } else if (task_is_closed(rt, w->task)) {
    answer = OUTSIDE_LATE;
  } else if (w->task->coroutine.top->thread == L) {
    return wake_by_parked(rt, L, w, values);
  } else {
    answer = wake_parked(rt, L, w, values);
  }
  lua_settop(L, base);
  return answer;
}

void outside_deliver(runtime *rt) {
  mailbox *m = loop_of(rt)->mailbox;
  mail_slot *next;
  for (mail_slot *s = mailbox_take(m); s != NULL; s = next) {
    next = s->next;
    outside_wait *w = container_of(s, outside_wait, slot);
    if (w->task == NULL) {
      mailbox_release(m, s);
      continue;
    }
    w->posted = true;
    w->values = 1;
    if (is_parked(w)) task_wake(rt, w->task, WAKE_READY);
  }
}
