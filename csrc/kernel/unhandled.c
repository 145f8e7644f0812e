#include "kernel/unhandled.h"

#include "kernel/handler.h"

/*
** A guard stands between an ended task and its record while the panic is held. Nobody else refers
** to it, so its finalizer runs when nobody can reach the task any more. User values: the record,
** the task.
*/
enum { GUARD_UV_RECORD = 1, GUARD_UV_TASK, GUARD_UV_COUNT = GUARD_UV_TASK };

#define GUARD_TYPE "coropanic.guard"

/*
** What the loop has of a panic that is held. It is the runtime's memory, since the task may be garbage, and
** Lua may have dropped the guard's finalizer.
*/
typedef struct held_panic {
  list link;      /* in runtime.unhandled_panics */
  list inherited; /* in heir->held */
  int64_t until_ns;
  uint64_t task_id;
  panic_heir *heir; /* that is given the panic if nobody comes for it; NULL: none */
  bool abandoned;   /* the guard has brought the task */
  bool searched;    /* the collector has run for it */
} held_panic;

/*
** Above so many KiB of Lua's memory the collector is not run for a panic that waits on: it would stop the loop for
** more than about a tenth of a second, and runs by itself as soon as the program works on.
*/
#define SEARCH_MAX_KB 65536

static held_panic *held_of_link(list *link) { return container_of(link, held_panic, link); }

/* The heir is not given it any more. */
static void disinherit(held_panic *held) {
  list_remove(&held->inherited);
  held->heir = NULL;
}

/* Makes the value on top of the stack the panic's entry in the table `ref`.   [-1, +0, m] */
static void set_entry(lua_State *L, int ref, const held_panic *held) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, ref);
  lua_insert(L, -2);
  lua_rawsetp(L, -2, held);
  lua_pop(L, 1);
}

/* Pushes the panic's entry in the table `ref`.   [-0, +1, -] */
static void push_entry(lua_State *L, int ref, const held_panic *held) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, ref);
  lua_rawgetp(L, -1, held);
  lua_remove(L, -2);
}

/*
** What is held of the task's panic, or NULL. A task that the collector has taken can come back, in its guard's
** finalizer or in another's: what the task points to may have been reported as lost by then.   [-0, +0, -]
*/
static held_panic *held_of_task(const runtime *rt, lua_State *L, const task *t) {
  held_panic *held = t->ended.held;
  if (held == NULL) return NULL;
  push_entry(L, rt->abandoned_ref, held);
  bool is_held = !lua_isnil(L, -1) && held->task_id == t->id;
  lua_pop(L, 1);
  return is_held ? held : NULL;
}

/* Puts it where the loop looks next. */
static void hurry(runtime *rt, held_panic *held) {
  held->until_ns = INT64_MIN;
  list_remove(&held->link);
  list_prepend(&rt->unhandled_panics, &held->link);
}

/*
** __gc: only the guard refers to the task now. The loop reports it at its next turn, since a
** finalizer may run in the middle of anything, the handler included. The entry exists, so this
** needs no memory.
*/
static int collect_guard(lua_State *L) {
  runtime *rt = runtime_of_any(L);
  lua_settop(L, 1);
  lua_getiuservalue(L, 1, GUARD_UV_TASK);
  task *t = task_test(L, 2);
  if (t == NULL || t->claimed || rt->closed) return 0;
  held_panic *held = held_of_task(rt, L, t);
  if (held == NULL) return 0;
  set_entry(L, rt->abandoned_ref, held);
  held->abandoned = true;
  hurry(rt, held);
  if (rt->host == NULL) rt->backend->notify(rt);
  return 0;
}

void unhandled_open(runtime *rt, lua_State *L) {
  luaL_newmetatable(L, GUARD_TYPE);
  lua_pushlightuserdata(L, rt);
  lua_pushcclosure(L, collect_guard, 1);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}

/*
** (task, record, runtime, held_panic) → guard; protected. What was raised is kept for the case that the
** guard is never heard of; if the task can be reached from there, it is not found to be abandoned.
*/
static int make_guard(lua_State *L) {
  runtime *rt = lua_touserdata(L, 3);
  const held_panic *held = lua_touserdata(L, 4);
  lua_getiuservalue(L, 2, RECORD_UV_VALUE);
  if (lua_isnil(L, -1)) lua_pushboolean(L, 0);
  set_entry(L, rt->abandoned_ref, held);
  lua_pushvalue(L, 1);
  set_entry(L, rt->unhandled_ref, held);
  lua_settop(L, 4);
  lua_newuserdatauv(L, 0, GUARD_UV_COUNT);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, -2, GUARD_UV_RECORD);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, GUARD_UV_TASK);
  luaL_setmetatable(L, GUARD_TYPE);
  return 1;
}

/* It is not held any more.   [-0, +0, -] */
static void let_go(runtime *rt, lua_State *L, held_panic *held) {
  disinherit(held);
  list_remove(&held->link);
  lua_pushnil(L);
  set_entry(L, rt->abandoned_ref, held);
  lua_pushnil(L);
  set_entry(L, rt->unhandled_ref, held);
  mem_free(&rt->memory, held, sizeof(held_panic));
}

/* Makes the guard, and pushes it. NULL: no memory, or the panic was claimed meanwhile.   [-0, +(0|1), -] */
static held_panic *hold(runtime *rt, lua_State *L, const task *t, int index) {
  int rec = lua_gettop(L);
  held_panic *held = mem_new(&rt->memory, sizeof(held_panic));
  if (held == NULL) return NULL;
  *held = (held_panic){.until_ns = runtime_now(rt) + UNHANDLED_GRACE_NS, .task_id = t->id};
  list_init(&held->link);
  list_init(&held->inherited);
  lua_pushcfunction(L, make_guard);
  lua_pushvalue(L, index);
  lua_pushvalue(L, rec);
  lua_pushlightuserdata(L, rt);
  lua_pushlightuserdata(L, held);
  if (lua_pcall(L, 4, 1, 0) == LUA_OK && !t->claimed) return held;
  let_go(rt, L, held);
  lua_settop(L, rec);
  return NULL;
}

void unhandled_hold(runtime *rt, lua_State *L, task *t, int index, panic_heir *heir) {
  index = lua_absindex(L, index);
  held_panic *held = hold(rt, L, t, index);
  if (held != NULL) {
    t->ended.held = held;
    held->heir = heir;
    if (heir != NULL) list_append(&heir->held, &held->inherited);
    lua_setiuservalue(L, index, TASK_UV_RESULT);
    lua_pop(L, 1);
    list_append(&rt->unhandled_panics, &held->link);
  } else if (t->claimed) { /* by a finalizer */
    lua_pop(L, 1);
  } else {
    /* No memory to wait with: better too early than never. */
    t->claimed = true;
    handler_report(rt, L, index);
  }
}

void unhandled_claim(runtime *rt, lua_State *L, task *t) {
  if (t->claimed) return;
  t->claimed = true;
  held_panic *held = held_of_task(rt, L, t);
  if (held != NULL) let_go(rt, L, held);
  t->ended.held = NULL;
}

/* Pushes the held task: nil if the collector has taken it, and its guard has not said so.   [-0, +1, -] */
static void push_held(const runtime *rt, lua_State *L, const held_panic *held) {
  push_entry(L, held->abandoned ? rt->abandoned_ref : rt->unhandled_ref, held);
}

/*
** The task is gone, and its guard was never heard of: Lua has dropped the finalizer, which it does where
** the C stack is at its limit. What the panic was is known, but not where.   [-0, +0, -]
*/
static void report_lost(runtime *rt, lua_State *L, held_panic *held) {
  push_entry(L, rt->abandoned_ref, held);
  let_go(rt, L, held);
  record_wrap_safe(rt, L, L, 0, RECORD_PANIC);
  handler_report(rt, L, 0);
}

/*
** Gives the panic of the task at `index` to the heir that it is held for. False: there is none, or it does not take it.
**   [-0, +0, -]
*/
static bool give_to_heir(runtime *rt, lua_State *L, task *t, int index) {
  panic_heir *heir = t->ended.held->heir;
  disinherit(t->ended.held);
  if (heir == NULL) return false;
  task_push_record(L, index);
  bool given = heir->type->take(rt, L, heir, index);
  lua_pop(L, 1);
  if (given) unhandled_claim(rt, L, t);
  heir->type->told(rt, heir);
  return given;
}

void unhandled_arrived(runtime *rt, lua_State *L, int index, bool comes) {
  task *t = lua_touserdata(L, index);
  if (!task_ended(t) || t->claimed || t->ended.comers == 0) return;
  if (held_of_task(rt, L, t) == NULL) return;
  t->ended.comers--;
  if (t->ended.comers > 0) return;
  if (!comes) {
    give_to_heir(rt, L, t, index);
  } else if (t->ended.held->heir != NULL) {
    panic_heir *heir = t->ended.held->heir;
    heir->type->told(rt, heir);
  }
}

/* The first panic that is held for the heir, or NULL. */
static held_panic *find_for(const panic_heir *heir) {
  if (list_empty(&heir->held)) return NULL;
  return container_of(heir->held.next, held_panic, inherited);
}

bool unhandled_is_awaited(const runtime *rt, lua_State *L, const panic_heir *heir) {
  for (list *link = heir->held.next; link != &heir->held; link = link->next) {
    push_held(rt, L, container_of(link, held_panic, inherited));
    const task *t = task_test(L, -1);
    lua_pop(L, 1);
    if (t != NULL && t->ended.comers > 0) return true;
  }
  return false;
}

void unhandled_give_all(runtime *rt, lua_State *L, panic_heir *heir) {
  held_panic *held;
  while ((held = find_for(heir)) != NULL) {
    push_held(rt, L, held);
    if (lua_isnil(L, -1)) {
      disinherit(held); /* its guard will bring it */
    } else {
      give_to_heir(rt, L, task_test(L, -1), lua_gettop(L));
    }
    lua_pop(L, 1);
  }
}

void unhandled_forget(const panic_heir *heir) {
  held_panic *held;
  while ((held = find_for(heir)) != NULL) disinherit(held);
}

/*
** Gives the first held panic to its heir, or to the handler. Of one whose task the collector has taken it
** waits for the guard to say so, which that does in the cycle that is under way, if ever.   [-0, +0, -]
*/
static void report_first(runtime *rt, lua_State *L) {
  held_panic *held = held_of_link(rt->unhandled_panics.next);
  push_held(rt, L, held);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_gc(L, LUA_GCCOLLECT);
    /* Others may have come first, or it has gone. */
    if (held_of_link(rt->unhandled_panics.next) != held) return;
    push_held(rt, L, held);
  }
  int index = lua_gettop(L);
  task *t = task_test(L, index);
  if (t == NULL) {
    report_lost(rt, L, held);
  } else if (!give_to_heir(rt, L, t, index) && !t->claimed) {
    unhandled_claim(rt, L, t);
    task_push_record(L, index);
    handler_report(rt, L, index);
  }
  lua_pop(L, 1);
}

/* Whether whoever spawned the held task may be on its way to it: it is joining somebody else.   [-0, +0, -] */
static bool spawner_is_joining(const runtime *rt, lua_State *L, const held_panic *held) {
  int top = lua_gettop(L);
  push_entry(L, rt->unhandled_ref, held);
  if (!lua_isnil(L, -1)) lua_getiuservalue(L, -1, TASK_UV_PARENT);
  const task *parent = task_test(L, -1);
  lua_settop(L, top);
  return parent != NULL && parent->status == TASK_WAITING && parent->wait->joins;
}

/*
** Runs the collector, so that the guards of what is garbage say so. It is not run a second time for panics that wait
** for the same reason by now.   [-0, +0, -]
*/
static void search(runtime *rt, lua_State *L) {
  lua_gc(L, LUA_GCCOLLECT);
  for (list *link = rt->unhandled_panics.next; link != &rt->unhandled_panics; link = link->next) {
    held_panic *held = held_of_link(link);
    if (spawner_is_joining(rt, L, held)) held->searched = true;
  }
}

/*
** Gives the first held task another while. False: there is no reason to. Where the loop is idle the collector may not
** run for long, so that nobody would find out that the task is garbage.   [-0, +0, -]
*/
static bool extend_first(runtime *rt, lua_State *L, int64_t now_ns) {
  held_panic *held = held_of_link(rt->unhandled_panics.next);
  if (held->abandoned || !spawner_is_joining(rt, L, held)) return false;
  bool may_search = lua_gc(L, LUA_GCISRUNNING) && lua_gc(L, LUA_GCCOUNT) <= SEARCH_MAX_KB;
  if (rt->ready_count == 0 && !held->searched && may_search) {
    search(rt, L);
    return true; /* it has been abandoned, or is due again */
  }
  held->until_ns = now_ns + UNHANDLED_GRACE_NS;
  list_remove(&held->link);
  list_append(&rt->unhandled_panics, &held->link);
  return true;
}

int64_t unhandled_next_deadline(const runtime *rt) {
  if (list_empty(&rt->unhandled_panics)) return TIME_FOREVER;
  return held_of_link(rt->unhandled_panics.next)->until_ns;
}

void unhandled_expire(runtime *rt, lua_State *L, int64_t now_ns) {
  while (unhandled_next_deadline(rt) <= now_ns) {
    if (!extend_first(rt, L, now_ns)) report_first(rt, L);
  }
}

void unhandled_flush(runtime *rt, lua_State *L) {
  while (!list_empty(&rt->unhandled_panics)) report_first(rt, L);
}
