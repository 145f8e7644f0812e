#include "loop/leaks.h"

#include <stdlib.h>

#include "kernel/deadlock.h"
#include "kernel/probe.h"
#include "kernel/reach.h"
#include "kernel/task.h"
#include "scope/member.h"
#include "scope/scope.h"
#include "sync/chan.h"
#include "sync/rwmutex.h"
#include "sync/waitgroup.h"

/* A task that waits, and may be leaked. */
typedef struct suspect {
  const task *task;
} suspect;

/* A search for leaked tasks. The first of its values is the list to fill. */
typedef struct search {
  reach reach;
  suspect *suspects; /* after the search, those that are leaked */
  size_t room;
  size_t count;
} search;

enum { LIST_INDEX = 1, SEARCH_INDEX, WALK_INDEX };

/* --- what ends a context --- */

/*
** The key of the end of a context: it is reached once code in use can end the context. It is a part of
** the context, whose own key is that of the object, which code may have merely to read values.
*/
static const void *key_of_end(const ctx *c) { return &c->bound; }

/*
** Adds the edges to a context's end: from the end of the context around it, and so on. A deadline
** reaches it at once.   [-0, +0, m]
*/
static void add_context(reach *r, const ctx *c) {
  bool is_known = !c->can_end || reach_is_known(r, key_of_end(c));
  while (!is_known) {
    reach_add_edge(r, key_of_end(c), REACH_PINNED, c); /* for its callbacks */
    if (c->links != NULL && c->links->timer.number != TIMER_IDLE) reach_key(r, key_of_end(c));
    const ctx *around = c->parent;
    if (around == NULL || !around->can_end) return;
    is_known = reach_is_known(r, key_of_end(around));
    reach_add_edge(r, key_of_end(around), REACH_KEY, key_of_end(c));
    c = around;
  }
}

/* The context on top of the stack can be ended by a function that was reached. */
static void context_may_end(reach *r) {
  const ctx *c = context_test(r->L, -1);
  add_context(r, c);
  reach_key(r, key_of_end(c));
}

/* --- what wakes a task --- */

typedef struct waker_visit {
  reach *reach;
  const task *task;
} waker_visit;

/* Pops an object that ends the task's wait. */
static void add_waker(void *ud, lua_State *L) {
  const waker_visit *v = ud;
  const chan *c = chan_test(L, -1);
  if (c == NULL || !c->owned) {
    reach_add_edge(v->reach, lua_topointer(L, -1), REACH_TASK, v->task);
  } else { /* the channel of ctx:done(), which only the end of the context closes */
    lua_getiuservalue(L, -1, CHAN_UV_OWNER);
    const ctx *owner = context_test(L, -1);
    add_context(v->reach, owner);
    reach_add_edge(v->reach, key_of_end(owner), REACH_TASK, v->task);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* Adds the edges from everything that can end the wait of the task. */
static void add_wait(reach *r, const task *t) {
  const wait_type *wait = t->wait;
  waker_visit v = {.reach = r, .task = t};
  if (wait->each_waker != NULL) {
    wait->each_waker(r->L, t, add_waker, &v);
  } else if (t->waits_on != NULL) {
    reach_add_edge(r, t->waits_on, REACH_TASK, t);
  }
  if (wait->next_blocker == NULL || t->waits_on == NULL) return;
  const task *blocker = NULL;
  while ((blocker = wait->next_blocker(t->waits_on, blocker)) != NULL) {
    reach_add_task_edge(r, blocker, REACH_TASK, t);
  }
}

/* The context under which the code of a cancel scope or task runs can end it. */
static void add_binding(reach *r, const context_binding *under, const task *t) {
  if (under->context == NULL || !under->context->can_end) return;
  add_context(r, under->context);
  reach_add_edge(r, key_of_end(under->context), REACH_TASK, t);
}

/* Adds the edges from the scopes of the task's code, and to their contexts. */
static void add_scopes(reach *r, const task *t, bool waits) {
  for (inner_cancel_scope *c = task_innermost(t); c != NULL; c = c->outer) {
    const context_binding *under = &container_of(c, body, cancel)->under;
    if (waits) reach_add_edge(r, c, REACH_TASK, t);
    if (waits) add_binding(r, under, t);
    if (scope_of(c) != NULL && under->context != NULL) {
      add_context(r, under->context);
      reach_add_edge(r, c, REACH_KEY, key_of_end(under->context));
    }
  }
}

/*
** Adds the edges from the scope in which the task is, and to it: a panic of the task ends that.
*/
static void add_member(reach *r, const task *t, bool waits) {
  const member *m = member_of(t);
  if (m == NULL) return;
  if (waits) add_binding(r, &m->under, t);
  if (m->base.heir == NULL) return;
  const scope *s = scope_of_heir(m->base.heir);
  if (waits) reach_add_edge(r, s, REACH_TASK, t);
  if (s->kind != SCOPE_SUPERVISE) reach_add_task_edge(r, t, REACH_KEY, s);
}

/* The end of the task is told to its waitgroups. */
static void add_exits(reach *r, const task *t) {
  for (const task_exit *exit = t->exits; exit != NULL; exit = exit->next) {
    const waitgroup *wg = waitgroup_of_exit(exit);
    if (wg != NULL) reach_add_task_edge(r, t, REACH_KEY, wg);
  }
}

/* --- the search --- */

/* Whether only other code in the process can wake the task, and it goes on by no other way. */
static bool may_be_leaked(const task *t) {
  return deadlock_waits_for_ever(t) && !t->forced && !t->wait->from_outside &&
         lua_status(t->coroutine.thread) == LUA_YIELD &&
         lua_status(t->coroutine.top->thread) == LUA_YIELD;
}

static void add_task(search *s, const task *t) {
  reach *r = &s->reach;
  bool waits = may_be_leaked(t);
  add_scopes(r, t, waits);
  add_member(r, t, waits);
  add_exits(r, t);
  if (!waits) {
    reach_task(r, t);
    return;
  }
  s->suspects[s->count++].task = t;
  for (const coroutine *c = t->coroutine.top; c != &t->coroutine; c = c->outer) {
    lua_rawgeti(r->L, LUA_REGISTRYINDEX, r->rt->pinned_ref);
    lua_rawgetp(r->L, -1, c);
    reach_add_edge(r, lua_topointer(r->L, -1), REACH_TASK, t);
    lua_pop(r->L, 2);
  }
  add_wait(r, t);
}

/* The task goes on: code in it can reach the contexts under which it runs. */
static void task_goes_on(reach *r, const task *t) {
  const member *m = member_of(t);
  if (m != NULL && m->under.context != NULL) reach_pinned(r, m->under.context);
  for (inner_cancel_scope *c = task_innermost(t); c != NULL; c = c->outer) {
    const ctx *context = container_of(c, body, cancel)->under.context;
    if (context != NULL) reach_pinned(r, context);
  }
}

/* A lock keeps its owner, which those who have the lock can not use. */
static int hidden_value(reach *r) {
  bool is_lock = sync_test(r->L, -1, &mutex_type.object) != NULL ||
                 sync_test(r->L, -1, &rwmutex_type.object) != NULL;
  return is_lock ? MUTEX_UV_OWNER : 0;
}

/* Adds all live tasks. */
static void add_tasks(search *s) {
  reach *r = &s->reach;
  const slot_values *values = &r->rt->slot_values;
  for (uint32_t slot = 1; slot < values->count; slot++) {
    slot_values_push(values, r->L, slot, SLOT_TASK);
    const task *t = lua_touserdata(r->L, -1);
    if (t != NULL && !task_ended(t)) add_task(s, t);
    lua_pop(r->L, 1);
  }
}

/*
** Of the pinned objects, contexts may end by their deadlines, and then start callbacks; the tables of
** spans are reached. The others belong to tasks.
*/
static void add_pinned(reach *r) {
  lua_State *L = r->L;
  lua_rawgeti(L, LUA_REGISTRYINDEX, r->rt->pinned_ref);
  lua_pushnil(L);
  while (lua_next(L, -2) != 0) {
    const ctx *c = context_test(L, -1);
    if (c != NULL) add_context(r, c);
    if (lua_istable(L, -1)) {
      reach_value(r);
    } else {
      lua_pop(L, 1);
    }
  }
  lua_pop(L, 1);
}

/* The lists that co.leaks has returned are no references to their tasks. */
static void leave_out_lists(reach *r) {
  lua_State *L = r->L;
  lua_rawgeti(L, LUA_REGISTRYINDEX, r->rt->leaks_ref);
  lua_pushnil(L);
  while (lua_next(L, -2) != 0) {
    lua_pop(L, 1);
    reach_key(r, lua_topointer(L, -1));
  }
  lua_pop(L, 1);
}

static int compare_ids(const void *a, const void *b) {
  uint64_t x = ((const suspect *)a)->task->id;
  uint64_t y = ((const suspect *)b)->task->id;
  return (x > y) - (x < y);
}

/* (list, search, the walk's own values); called protected. From here on no finalizer runs. */
static int run_search(lua_State *L) {
  search *s = lua_touserdata(L, SEARCH_INDEX);
  reach *r = &s->reach;
  runtime *rt = r->rt;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  reach_begin(r, WALK_INDEX);
  s->room = rt->live_count + 1;
  s->suspects = mem_new(&rt->memory, s->room * sizeof(suspect));
  if (s->suspects == NULL) return luaL_error(L, "not enough memory");
  leave_out_lists(r);
  add_pinned(r);
  add_tasks(s);
  if (s->count == 0) return 0;
  reach_all(r);
  size_t leaked = 0;
  for (size_t i = 0; i < s->count; i++) {
    suspect found = s->suspects[i];
    if (!reach_task_goes_on(r, found.task)) s->suspects[leaked++] = found;
  }
  s->count = leaked;
  qsort(s->suspects, leaked, sizeof(suspect), compare_ids);
  for (size_t i = 0; i < leaked; i++) {
    task_push(rt, L, s->suspects[i].task);
    lua_rawseti(L, LIST_INDEX, (lua_Integer)i + 1);
  }
  return 0;
}

/* Pushes the list of the tasks that are leaked now, and returns their number.   [-0, +1, m] */
static size_t search_once(runtime *rt, lua_State *L) {
  search s = {0};
  reach_init(&s.reach, rt, L);
  s.reach.task_goes_on = task_goes_on;
  s.reach.context_may_end = context_may_end;
  s.reach.hidden_value = hidden_value;
  lua_newtable(L);
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->leaks_ref);
  lua_pushvalue(L, -2);
  lua_pushboolean(L, 1);
  lua_rawset(L, -3);
  lua_pop(L, 1);
  lua_pushcfunction(L, run_search);
  lua_pushvalue(L, -2);
  lua_pushlightuserdata(L, &s);
  reach_push_values(L);
  int status = lua_pcall(L, WALK_INDEX - 1 + REACH_VALUES, 0, 0);
  reach_free(&s.reach);
  if (s.suspects != NULL) mem_free(&rt->memory, s.suspects, s.room * sizeof(suspect));
  if (status != LUA_OK) lua_error(L);
  return s.count;
}

/*
** The collection is needed only if tasks seem to be leaked. After it there is no garbage whose
** finalizer could wake one of them.
*/
void leaks_push(runtime *rt, lua_State *L) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  if (lua_gc(L, LUA_GCISRUNNING) < 0) {
    luaL_error(L, "co.leaks can not look for leaked tasks while Lua collects garbage");
  }
  if (search_once(rt, L) == 0) return;
  lua_pop(L, 1);
  lua_gc(L, LUA_GCCOLLECT, 0);
  search_once(rt, L);
}

/* --- what becomes of them --- */

void leaks_tell(runtime *rt, lua_State *L, int index) {
  lua_Integer count = (lua_Integer)lua_rawlen(L, index);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, index, i);
    task *t = task_test(L, -1);
    if (t != NULL && !t->leaked) {
      t->leaked = true;
      rt->leaked_count++;
      if (probe(&rt->probes, PROBE_LEAKED)) {
        probe_tell(
            rt,
            &(probe_event){
                .kind = PROBE_LEAKED, .calls = true, .task = t, .L = L, .object = lua_gettop(L)});
      }
    }
    lua_pop(L, 1);
  }
}

void leaks_cancel(runtime *rt, lua_State *L, int index) {
  lua_Integer count = (lua_Integer)lua_rawlen(L, index);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, index, i);
    task *t = task_test(L, -1);
    if (t != NULL && !task_ended(t) && may_be_leaked(t)) { /* an observer may have woken it */
      lua_pushliteral(L, TASK_LEAKED_TEXT);
      cancel_scope_cancel(rt, L, &t->entry, CANCEL_LEAKED);
      if (t->status == TASK_WAITING) task_wake(rt, t, WAKE_LEAKED);
    }
    lua_pop(L, 1);
  }
}
