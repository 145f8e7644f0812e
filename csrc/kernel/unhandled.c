#include "kernel/unhandled.h"

#include "kernel/handler.h"
#include "kernel/record.h"

/*
** A guard is a detail of the record of a task whose panic is held; its user value is the task.
** Record and task refer to each other, so the guard's finalizer runs when nobody can reach the task
** any more.
**
** The finalizer is not the task's own, because a task gets it late: lua_setmetatable then walks the
** list of all younger objects. 40,000 held panics took 2.6 s with that, and twice as many take four
** times as long.
*/
#define GUARD_TYPE "coropanic.guard"

/*
** A panic that is nobody's yet. It is an object of its own, anchored in runtime.held_ref under a
** number, because the task may be garbage, and Lua may have dropped the guard's finalizer. (Under
** an address or the task's id, a million of them would be in the hash part of a table, where each
** look misses the cache twice.)
** Its user value is the task once the guard's finalizer has run. Before that it is the raised
** value, to be reported if that finalizer never runs. (A task that can be reached from this value
** is not garbage, so it waits for the end of its grace.)
*/
typedef struct held_panic {
  list link; /* in runtime.unhandled_panics */
  int64_t until_ns;
  uint64_t task_id;
  int number;
  panic_heir *heir; /* gets the panic if no task that was woken for it comes; NULL: no heir */
  bool abandoned;   /* the guard's finalizer has run: the user value is the task */
  bool searched;    /* the idle loop has run the collector for it */
} held_panic;

/*
** The idle loop runs no full collection for a held panic while Lua uses more memory than this, in
** KiB: it would stop all tasks for more than about a tenth of a second.
*/
#define SEARCH_MAX_KB 65536

/* The greatest number of a held panic: task.ended.held has thirty bits. */
#define HELD_MAX ((UINT32_C(1) << 30) - 1)

static held_panic *held_of_link(list *link) { return container_of(link, held_panic, link); }

/* --- held panics --- */

/*
** Pushes the task's held panic and returns it; NULL, and pushes another value, if there is none.
** Finalizers can bring a collected task back after its panic was reported as lost, and its number
** may be another's then.   [-0, +1, -]
*/
static held_panic *push_held(const runtime *rt, lua_State *L, const task *t) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->held_ref);
  lua_rawgeti(L, -1, t->ended.held);
  lua_replace(L, -2);
  held_panic *held = lua_touserdata(L, -1);
  return held != NULL && held->task_id == t->id ? held : NULL;
}

/* Returns the task's held panic, or NULL.   [-0, +0, -] */
static held_panic *find_held(const runtime *rt, lua_State *L, const task *t) {
  if (t->ended.held == 0) return NULL;
  held_panic *held = push_held(rt, L, t);
  lua_pop(L, 1);
  return held;
}

/* Pushes the user value.   [-0, +1, -] */
static void push_kept(const runtime *rt, lua_State *L, const held_panic *held) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->held_ref);
  lua_rawgeti(L, -1, held->number);
  lua_getiuservalue(L, -1, 1);
  lua_replace(L, -3);
  lua_pop(L, 1);
}

/*
** Pushes the task that panicked; nil if it is garbage and its guard's finalizer has not run.
** [-0, +1, -]
*/
static void push_task(const runtime *rt, lua_State *L, const held_panic *held) {
  if (held->abandoned) {
    push_kept(rt, L, held);
    return;
  }
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->held_tasks_ref);
  lua_rawgeti(L, -1, held->number);
  lua_replace(L, -2);
}

/* The heir will not get the panic, and no longer waits for it.   [-0, +0, -] */
static void disinherit(runtime *rt, held_panic *held) {
  panic_heir *heir = held->heir;
  if (heir == NULL) return;
  held->heir = NULL;
  heir->awaited--;
  if (heir->awaited == 0) rt->heir_type->told(rt, heir);
}

/* Ends the wait; `held` is garbage afterwards.   [-0, +0, -] */
static void let_go(runtime *rt, lua_State *L, held_panic *held) {
  disinherit(rt, held);
  list_remove(&held->link);
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->held_ref);
  luaL_unref(L, -1, held->number);
  lua_pop(L, 1);
}

/*
** __gc: the guard's task is garbage. The loop reports the panic at its next turn, because a
** finalizer may run in the middle of anything, the handler included. Needs no memory.
*/
static int collect_guard(lua_State *L) {
  runtime *rt = runtime_of_any(L);
  lua_settop(L, 1);
  lua_getiuservalue(L, 1, 1);
  const task *t = task_test(L, 2);
  if (t == NULL || rt->closed) return 0;
  held_panic *held = push_held(rt, L, t);
  if (held == NULL) return 0;
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, 3, 1);
  held->abandoned = true;
  held->until_ns = INT64_MIN;
  list_remove(&held->link);
  list_prepend(&rt->unhandled_panics, &held->link);
  if (rt->driver == NULL) rt->backend->notify(rt);
  return 0;
}

void unhandled_open(runtime *rt, lua_State *L) {
  static const luaL_Reg metamethods[] = {{"__gc", collect_guard}, {NULL, NULL}};
  runtime_new_type(rt, L, GUARD_TYPE, metamethods);
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->held_ref);
  lua_pushboolean(L, 1);
  luaL_unref(L, -2, luaL_ref(L, -2)); /* Lua 5.4.0 to 5.4.2: the first time it needs memory */
  lua_pop(L, 2);
}

/*
** (task, record, runtime) Makes a held panic, in no list yet, and its guard; protected. After the
** objects are made no finalizer runs until the numbers are given, so that the number is the held
** panic's own.
*/
static int make_held(lua_State *L) {
  enum { TASK = 1, RECORD, RUNTIME, HELD = RUNTIME, GUARD };
  task *t = lua_touserdata(L, TASK);
  runtime *rt = lua_touserdata(L, RUNTIME);
  held_panic *held = lua_newuserdatauv(L, sizeof(held_panic), 1);
  lua_replace(L, HELD);
  lua_newuserdatauv(L, 0, 1);
  *held = (held_panic){.task_id = t->id};
  list_init(&held->link);
  lua_getiuservalue(L, RECORD, RECORD_UV_VALUE);
  lua_setiuservalue(L, HELD, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->held_ref);
  lua_pushvalue(L, HELD);
  held->number = luaL_ref(L, -2);
  t->ended.held = (uint32_t)held->number & HELD_MAX;
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->held_tasks_ref);
  lua_pushvalue(L, TASK);
  lua_rawseti(L, -2, held->number);
  lua_settop(L, GUARD);
  lua_pushvalue(L, TASK);
  lua_setiuservalue(L, GUARD, 1);
  luaL_setmetatable(L, GUARD_TYPE);
  record_set_detail(L, RECORD, DETAIL_GUARD);
  return 0;
}

/*
** Holds the panic of the task at `index`; its record is on top of the stack. False: there is no
** memory, or a finalizer has come for the panic.   [-0, +0, -]
*/
static bool hold(runtime *rt, lua_State *L, const task *t, int index, panic_heir *heir) {
  int rec = lua_gettop(L);
  lua_pushcfunction(L, make_held);
  lua_pushvalue(L, index);
  lua_pushvalue(L, rec);
  lua_pushlightuserdata(L, rt);
  bool made = lua_pcall(L, 3, 0, 0) == LUA_OK;
  lua_settop(L, rec);
  held_panic *held = find_held(rt, L, t);
  if (held == NULL) return false;
  if (!made || t->ended.owner != PANIC_NOBODYS) {
    let_go(rt, L, held);
    return false;
  }
  held->until_ns = runtime_now(rt) + UNHANDLED_GRACE_NS;
  held->heir = heir;
  if (heir != NULL) heir->awaited++;
  list_append(&rt->unhandled_panics, &held->link);
  return true;
}

/* --- changing hands --- */

bool unhandled_give(runtime *rt, lua_State *L, task *t, panic_owner owner) {
  if (t->status != TASK_PANICKED || t->ended.owner != PANIC_NOBODYS) return false;
  t->ended.owner = (uint32_t)owner & PANIC_OWNER_MAX;
  held_panic *held = find_held(rt, L, t);
  if (held != NULL) let_go(rt, L, held);
  return true;
}

/* Pops the record, and gives the panic to the handler unless it has an owner.   [-1, +0, -] */
static void give_to_handler(runtime *rt, lua_State *L, task *t, int index) {
  if (unhandled_give(rt, L, t, PANIC_HANDLERS)) {
    handler_report(rt, L, index);
  } else {
    lua_pop(L, 1);
  }
}

void unhandled_pass_on(runtime *rt, lua_State *L, task *t, int index, panic_heir *heir,
                       uint32_t comers) {
  if (rt->unhandled == UNHANDLED_CRASH) {
    handler_report(rt, L, index);
    return;
  }
  t->ended.comers = comers;
  if (t == rt->main_task) unhandled_give(rt, L, t, PANIC_JOINERS); /* the caller of co.run */
  if (heir != NULL && comers == 0 && t->ended.owner == PANIC_NOBODYS)
    rt->heir_type->take(rt, L, heir, index);
  if (t->ended.owner == PANIC_NOBODYS && hold(rt, L, t, index, comers > 0 ? heir : NULL)) {
    lua_pop(L, 1);
  } else {
    give_to_handler(rt, L, t, index); /* no memory to hold it: better too early than never */
  }
}

/* Offers the held panic of the task at `index` to its heir, for the last time.   [-0, +0, -] */
static void give_to_heir(runtime *rt, lua_State *L, const held_panic *held, int index) {
  panic_heir *heir = held->heir;
  if (heir == NULL) return;
  task_push_record(L, index);
  rt->heir_type->take(rt, L, heir, index);
  lua_pop(L, 1);
  held_panic *left = find_held(rt, L, task_test(L, index));
  if (left != NULL) disinherit(rt, left);
}

void unhandled_arrived(runtime *rt, lua_State *L, int index, bool comes) {
  task *t = lua_touserdata(L, index);
  if (t->status != TASK_PANICKED || t->ended.owner != PANIC_NOBODYS || t->ended.comers == 0) return;
  t->ended.comers--;
  if (comes || t->ended.comers > 0) return;
  const held_panic *held = find_held(rt, L, t);
  if (held != NULL) give_to_heir(rt, L, held, index);
}

/* Returns the first panic that is held for the heir; there is one. */
static held_panic *find_for(const runtime *rt, const panic_heir *heir) {
  list *link = rt->unhandled_panics.next;
  while (held_of_link(link)->heir != heir) link = link->next;
  return held_of_link(link);
}

void unhandled_give_all(runtime *rt, lua_State *L, panic_heir *heir) {
  while (heir->awaited > 0) {
    held_panic *held = find_for(rt, heir);
    push_task(rt, L, held);
    if (lua_isnil(L, -1)) {
      disinherit(rt, held); /* the handler gets it once the guard's finalizer has run */
    } else {
      give_to_heir(rt, L, held, lua_gettop(L));
    }
    lua_pop(L, 1);
  }
}

void unhandled_forget(const runtime *rt, panic_heir *heir) {
  for (; heir->awaited > 0; heir->awaited--) find_for(rt, heir)->heir = NULL;
}

/* --- the end of the wait --- */

/*
** The task is gone although its guard's finalizer never ran: Lua drops finalizers where the C stack
** is at its limit. Reports the raised value; the record is lost.   [-0, +0, -]
*/
static void report_lost(runtime *rt, lua_State *L, held_panic *held) {
  push_kept(rt, L, held);
  let_go(rt, L, held);
  record_wrap_safe(rt, L, L, 0, RECORD_PANIC);
  handler_report(rt, L, 0);
}

/*
** Gives the first held panic to its heir, or to the handler. If the collector has taken its task,
** first lets the collector finish its cycle, in which the guard's finalizer runs, if ever.
** [-0, +0, -]
*/
static void report_first(runtime *rt, lua_State *L) {
  held_panic *held = held_of_link(rt->unhandled_panics.next);
  push_task(rt, L, held);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_gc(L, LUA_GCCOLLECT);
    /* Finalizers may have come for it, or put another one first. */
    if (held_of_link(rt->unhandled_panics.next) != held) return;
    push_task(rt, L, held);
  }
  int index = lua_gettop(L);
  if (lua_isnil(L, index)) {
    report_lost(rt, L, held);
  } else {
    give_to_heir(rt, L, held, index);
    task_push_record(L, index);
    give_to_handler(rt, L, lua_touserdata(L, index), index);
  }
  lua_pop(L, 1);
}

/* Whether the task's spawner joins another task, and may join this one next.   [-0, +0, -] */
static bool spawner_is_joining(const runtime *rt, lua_State *L, const held_panic *held) {
  int top = lua_gettop(L);
  push_task(rt, L, held);
  if (!lua_isnil(L, -1)) lua_getiuservalue(L, -1, TASK_UV_PARENT);
  const task *parent = task_test(L, -1);
  lua_settop(L, top);
  return parent != NULL && parent->status == TASK_WAITING && parent->wait->joins;
}

/*
** Runs a full collection, so that the guards of all garbage tasks are finalized. The panics that
** wait for a joining spawner now have had theirs: it is not run for them again.   [-0, +0, -]
*/
static void search(runtime *rt, lua_State *L) {
  lua_gc(L, LUA_GCCOLLECT);
  for (list *link = rt->unhandled_panics.next; link != &rt->unhandled_panics; link = link->next) {
    held_panic *held = held_of_link(link);
    if (spawner_is_joining(rt, L, held)) held->searched = true;
  }
}

/*
** Gives the first held panic another grace while its spawner joins another task. False: it does
** not. In an idle loop the collector may not run for hours, so that the loop itself finds out
** whether the task is garbage.   [-0, +0, -]
*/
static bool extend_first(runtime *rt, lua_State *L, int64_t now_ns) {
  held_panic *held = held_of_link(rt->unhandled_panics.next);
  if (held->abandoned || !spawner_is_joining(rt, L, held)) return false;
  bool may_search = lua_gc(L, LUA_GCISRUNNING) && lua_gc(L, LUA_GCCOUNT) <= SEARCH_MAX_KB;
  if (fifo_count(&rt->ready) == 0 && !held->searched && may_search) {
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
