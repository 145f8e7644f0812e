#include "runtime/waitgroup.h"

#include "runtime/handler.h"
#include "runtime/panic.h"

static const char negative[] = "sync: negative WaitGroup counter";

/* A task that counts. Owned by the waitgroup; freed when the task ends or the waitgroup is garbage. */
typedef struct waitgroup_member {
  task_exit exit;
  list link; /* in waitgroup.members */
  waitgroup *waitgroup;
} waitgroup_member;

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

static void free_member(runtime *rt, waitgroup_member *member) {
  task_exit_remove(&member->exit);
  list_remove(&member->link);
  mem_free(&rt->memory, member, sizeof(waitgroup_member));
}

/*
** A member has ended. Somebody may have called done for it besides, so that the counter would
** become negative: there is nobody to raise that in, but it is reported.
*/
static void member_ended(runtime *rt, lua_State *L, task_exit *self) {
  waitgroup_member *member = container_of(self, waitgroup_member, exit);
  waitgroup *wg = member->waitgroup;
  if (wg->spare == member) wg->spare = NULL;
  free_member(rt, member);
  if (wg->count > 0) {
    change(rt, wg, -1);
  } else if (!rt->closed) {
    record_make_safe(rt, L, L, 0, RECORD_PANIC, negative);
    handler_report(rt, L, 0);
  }
}

/*
** Makes a member for the next task, before that is made and where it is not lost if that fails. The
** hook that runs as a task is spawned may spawn another one, while the spare is in use already.
** [-0, +0, m]
*/
static waitgroup_member *reserve_member(runtime *rt, lua_State *L, waitgroup *wg) {
  if (wg->spare != NULL && wg->spare->exit.place == NULL) return wg->spare;
  waitgroup_member *member = mem_new(&rt->memory, sizeof(waitgroup_member));
  if (member == NULL) luaL_error(L, "not enough memory");
  *member = (waitgroup_member){.exit = {.run = member_ended}, .waitgroup = wg};
  list_init(&member->link);
  list_append(&wg->members, &member->link);
  wg->spare = member;
  return member;
}

void waitgroup_spawn(runtime *rt, lua_State *L, waitgroup *wg, int arguments) {
  check_change(rt, L, wg, 1);
  waitgroup_member *member = reserve_member(rt, L, wg);
  task_spawn(rt, L, arguments, &(spawn_options){.on_end = &member->exit});
  change(rt, wg, 1);
}

static void close(runtime *rt, waitlist *w) {
  waitgroup *wg = (waitgroup *)w;
  while (!list_empty(&wg->members)) {
    free_member(rt, container_of(wg->members.next, waitgroup_member, link));
  }
}

waitgroup *waitgroup_new(lua_State *L) {
  waitgroup *wg = waitlist_new(L, &waitgroup_type);
  list_init(&wg->members);
  return wg;
}

const waitlist_type waitgroup_type = {
    .name = "waitgroup",
    .metatable = WAITGROUP_TYPE,
    .size = sizeof(waitgroup),
    .close = close,
};
