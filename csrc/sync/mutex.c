#include "sync/mutex.h"

#include "kernel/panic.h"
#include "kernel/stack.h"

bool mutex_is_abandoned(const mutex *m) {
  return m->locked && m->owner != NULL && task_ended(m->owner);
}

/* Pushes `task 2 "a"`, or `the main program`.   [-0, +1, m] */
static const char *push_owner(lua_State *L, const mutex *m) {
  char buffer[TASK_NAME_SIZE];
  if (m->owner == NULL) return lua_pushliteral(L, "the main program");
  return lua_pushfstring(L, "task %I \"%s\"", (LUAI_UACINT)m->owner->id,
                         task_name(m->owner, buffer));
}

void mutex_push_text(lua_State *L, const mutex *m) {
  const char *name = m->waitlist.object.type->name;
  if (!m->locked) {
    lua_pushfstring(L, "%s (unlocked)", name);
    return;
  }
  const char *owner = push_owner(L, m);
  lua_pushfstring(L, "%s (held by %s, taken at %s)", name, owner, m->location->text);
  lua_remove(L, -2);
}

/* --- errors --- */

int mutex_raise_abandoned(runtime *rt, lua_State *L, const mutex *m) {
  const char *owner = push_owner(L, m);
  lua_pushfstring(L, "%s is held by %s, which has ended (taken at %s)",
                  m->waitlist.object.type->name, owner, m->location->text);
  return panic_raise(rt, L);
}

void mutex_check_hope(runtime *rt, lua_State *L, const mutex *m) {
  if (m->owner == NULL) return;
  if (task_ended(m->owner)) mutex_raise_abandoned(rt, L, m);
  if (m->owner != rt->current) return;
  lua_pushfstring(L, "%s is already held by this task (taken at %s)", m->waitlist.object.type->name,
                  m->location->text);
  panic_raise_kind(rt, L, RECORD_DEADLOCK);
}

/* --- taking --- */

/*
** The owner has ended. If it had accepted the lock, the mutex is abandoned; if not, the lock goes
** on.
*/
static void owner_ended(runtime *rt, lua_State *L, task_exit *self) {
  runtime_push_alive(rt, L, self);
  mutex *m = lua_touserdata(L, -1);
  if (m != NULL && m->accepted) {
    waitlist_wake_all(rt, &m->waitlist, WAKE_ABANDONED);
  } else if (m != NULL) {
    mutex_release(rt, m);
  }
  lua_pop(L, 1);
}

void mutex_new(runtime *rt, lua_State *L, const waitlist_type *type) {
  mutex *m = waitlist_new(rt, L, type);
  m->exit = mem_new(&rt->memory, sizeof(task_exit));
  if (m->exit == NULL) luaL_error(L, "not enough memory");
  *m->exit = (task_exit){.run = owner_ended};
  runtime_note_alive(rt, L, m->exit);
}

void mutex_give(runtime *rt, mutex *m, task *t, lua_State *thread) {
  cp_assert(!m->locked);
  m->locked = true;
  m->accepted = false;
  m->owner = t;
  m->location = stack_location(rt, thread, 1);
  if (t != NULL && m->exit != NULL) task_on_end(t, m->exit);
}

void mutex_accept(runtime *rt, lua_State *L, mutex *m, int index) {
  index = lua_absindex(L, index);
  m->accepted = true;
  if (m->owner == NULL) return;
  task_push(rt, L, m->owner);
  lua_setiuservalue(L, index, MUTEX_UV_OWNER);
}

bool mutex_try_lock(runtime *rt, lua_State *L, mutex *m, int index) {
  if (m->locked) return false;
  mutex_give(rt, m, rt->current, L);
  mutex_accept(rt, L, m, index);
  return true;
}

/* --- giving --- */

void mutex_release(runtime *rt, mutex *m) {
  if (m->exit != NULL) task_exit_remove(m->exit);
  m->owner = NULL;
  m->locked = false;
  waitlist_serve(rt, &m->waitlist);
}

void mutex_unlock(runtime *rt, lua_State *L, mutex *m, int index) {
  index = lua_absindex(L, index);
  const char *name = m->waitlist.object.type->name;
  if (!m->locked) luaL_error(L, "unlock of unlocked %s", name);
  if (m->owner != rt->current) {
    const char *owner = push_owner(L, m);
    luaL_error(L, "unlock of a %s that %s holds (taken at %s)", name, owner, m->location->text);
  }
  lua_pushnil(L);
  lua_setiuservalue(L, index, MUTEX_UV_OWNER);
  mutex_release(rt, m);
}

static void serve(runtime *rt, waitlist *w) {
  mutex *m = (mutex *)w;
  if (m->locked) return;
  task *next = waitlist_first(rt, w);
  if (next == NULL) return;
  mutex_give(rt, m, next, next->coroutine.top->thread);
  task_wake(rt, next, WAKE_READY);
}

static void take_back(runtime *rt, waitlist *w, const task *t) {
  (void)t;
  mutex_release(rt, (mutex *)w);
}

void mutex_close(runtime *rt, lua_State *L, waitlist *w) {
  (void)L;
  mutex *m = (mutex *)w;
  if (m->exit == NULL) return;
  task_exit_remove(m->exit);
  mem_free(&rt->memory, m->exit, sizeof(task_exit));
  m->exit = NULL;
}

const waitlist_type mutex_type = {
    .object = {.name = "mutex",
               .metatable = MUTEX_TYPE,
               .size = sizeof(mutex),
               .user_values = MUTEX_UV_COUNT},
    .serve = serve,
    .take_back = take_back,
    .close = mutex_close,
};

const task *mutex_next_blocker(const void *waits_on, const task *previous) {
  const task *owner = mutex_owner(waits_on);
  return previous == NULL && owner != NULL && !task_ended(owner) ? owner : NULL;
}
