#include "sync/waitlist.h"

void *waitlist_new(runtime *rt, lua_State *L, const waitlist_type *type) {
  waitlist *w = sync_new(rt, L, &type->object);
  list_init(&w->tasks);
  return w;
}

int waitlist_collect(lua_State *L) {
  waitlist *w = lua_touserdata(L, 1);
  runtime *rt = w->object.runtime;
  if (rt->closed) return 0;
  const waitlist_type *type = waitlist_type_of(w);
  if (type->close != NULL) type->close(rt, L, w);
  /* Only a task whose coroutine was closed can still wait for garbage. */
  waitlist_wake_all(rt, w, WAKE_READY);
  return 0;
}

void waitlist_left_unserved(runtime *rt, void *waits_on) { waitlist_serve(rt, waits_on); }

static bool is_closed(const task *t) { return lua_status(t->coroutine.top->thread) != LUA_YIELD; }

task *waitlist_first_alive(runtime *rt, waitlist *w) {
  while (!list_empty(&w->tasks)) {
    task *t = container_of(w->tasks.next, task, waiter.link);
    if (!is_closed(t)) return t;
    task_wake(rt, t, WAKE_READY);
  }
  return NULL;
}

void waitlist_wake_all(runtime *rt, waitlist *w, wake_reason reason) {
  while (!list_empty(&w->tasks)) {
    task_wake(rt, container_of(w->tasks.next, task, waiter.link), reason);
  }
}

int waitlist_park(runtime *rt, lua_State *L, waitlist *w, const wait_type *wait,
                  int64_t deadline_ns, const char *name) {
  task *self = rt->current;
  if (self == NULL) return task_refuse_suspension(rt, L, name);
  list_append(&w->tasks, &self->waiter.link);
  self->waits_on = w;
  return task_park(rt, L, wait, deadline_ns);
}

bool waitlist_woken_otherwise(runtime *rt, lua_State *L, waitlist *w) {
  const task *self = rt->current;
  const waitlist_type *type = waitlist_type_of(w);
  if (self->wake == WAKE_READY && cancel_will_raise(rt, self) && type->take_back != NULL) {
    type->take_back(rt, w, self);
  }
  return task_check_wake(rt, L)->wake == WAKE_READY;
}
