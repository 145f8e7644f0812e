#include "sync/waitgroup.h"

#include "kernel/handler.h"
#include "kernel/panic.h"

/* A spawned task, which is counted until it ends. */
typedef struct waitgroup_member {
  task_exit exit;
  list link; /* in waitgroup.members */
  waitgroup *waitgroup;
} waitgroup_member;

static const char negative[] = "sync: negative WaitGroup counter";

/* Raises unless the counter can change by `delta`.   [-0, +0, e] */
static void check_change(runtime *rt, lua_State *L, const waitgroup *wg, lua_Integer delta) {
  if (delta >= -wg->count && delta <= WAITGROUP_MAX - wg->count) return;
  lua_pushstring(L, delta < 0 ? negative : "sync: WaitGroup counter too large");
  panic_raise(rt, L);
}

static void change(runtime *rt, waitgroup *wg, lua_Integer delta) {
  wg->count += delta;
  if (wg->count == 0) waitlist_wake_all(rt, &wg->waitlist, WAKE_READY);
}

void waitgroup_add(runtime *rt, lua_State *L, waitgroup *wg, lua_Integer delta) {
  check_change(rt, L, wg, delta);
  change(rt, wg, delta);
}

/*
** Pops a value and stores it as the waitgroup's entry in the table of anchored objects: the
** waitgroup itself, or false. False keeps the place in the table, so that anchoring the waitgroup
** later needs no memory.   [-1, +0, m]
*/
static void set_anchor(runtime *rt, lua_State *L, const waitgroup *wg) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->pinned_ref);
  lua_insert(L, -2);
  lua_rawsetp(L, -2, wg);
  lua_pop(L, 1);
}

static void free_member(runtime *rt, waitgroup_member *member) {
  task_exit_remove(&member->exit);
  list_remove(&member->link);
  mem_free(&rt->memory, member, sizeof(waitgroup_member));
}

/*
** A member has ended. If a script has called `done` for it too, the counter would become negative.
** There is no code to raise that in, so it is reported.
*/
static void member_ended(runtime *rt, lua_State *L, task_exit *self) {
  waitgroup_member *member = container_of(self, waitgroup_member, exit);
  waitgroup *wg = member->waitgroup;
  bool is_counted = wg->count > 0;
  free_member(rt, member);
  if (is_counted) change(rt, wg, -1);
  if (list_empty(&wg->members)) {
    lua_pushboolean(L, 0);
    set_anchor(rt, L, wg);
  }
  if (is_counted) return;
  record_make_safe(rt, L, L, 0, RECORD_PANIC, negative);
  handler_report(rt, L, 0);
}

const waitgroup *waitgroup_of_exit(const task_exit *exit) {
  return exit->run == member_ended ? container_of(exit, const waitgroup_member, exit)->waitgroup
                                   : NULL;
}

static void *reserve_member(runtime *rt, void *group) {
  waitgroup_member *member = mem_new(&rt->memory, sizeof(waitgroup_member));
  if (member == NULL) return NULL;
  *member = (waitgroup_member){.exit = {.run = member_ended}, .waitgroup = group};
  list_init(&member->link);
  return member;
}

/* The waitgroup is at index 1. */
static void join(runtime *rt, lua_State *L, task *t, void *reserved) {
  waitgroup_member *member = reserved;
  waitgroup *wg = member->waitgroup;
  task_on_end(t, &member->exit);
  list_append(&wg->members, &member->link);
  lua_pushvalue(L, 1);
  set_anchor(rt, L, wg);
  change(rt, wg, 1);
}

const spawn_group_type waitgroup_spawns = {.reserve = reserve_member, .join = join};

void waitgroup_expect(runtime *rt, lua_State *L, const waitgroup *wg) {
  check_change(rt, L, wg, 1);
  if (list_empty(&wg->members)) {
    lua_pushboolean(L, 0);
    set_anchor(rt, L, wg);
  }
}

/* There are members only if the universe is being closed. */
static void close(runtime *rt, lua_State *L, waitlist *w) {
  waitgroup *wg = (waitgroup *)w;
  while (!list_empty(&wg->members)) {
    free_member(rt, container_of(wg->members.next, waitgroup_member, link));
  }
  lua_pushnil(L);
  set_anchor(rt, L, wg);
}

waitgroup *waitgroup_new(runtime *rt, lua_State *L) {
  waitgroup *wg = waitlist_new(rt, L, &waitgroup_type);
  list_init(&wg->members);
  return wg;
}

const waitlist_type waitgroup_type = {
    .object = {.name = "waitgroup", .metatable = WAITGROUP_TYPE, .size = sizeof(waitgroup)},
    .close = close,
};
