#include "kernel/wait.h"

#include "kernel/task.h"

const wait_type wait_none = {.name = "nothing"};

bool wait_push_local(lua_State *L, const task *t, int index) {
  if (task_ended(t)) return false;
  lua_State *top = t->live.top->thread;
  if (t->status != TASK_RUNNING && lua_status(top) != LUA_YIELD) return false;
  lua_pushvalue(top, index);
  if (top != L) lua_xmove(top, L, 1);
  return true;
}

bool wait_push_self(lua_State *L, const task *t) { return wait_push_local(L, t, 1); }

void wait_push_object(lua_State *L, const task *t) {
  const wait_type *wait = t->wait;
  if (t->status != TASK_WAITING) {
    lua_pushnil(L);
  } else if (wait->push_object == NULL || !wait->push_object(L, t)) {
    lua_pushstring(L, wait->name);
  }
}

/* Pushes "<verb> of <object>"; false: the task does not wait for one.   [-0, +(0|1), m] */
static bool push_text_of_object(lua_State *L, const task *t) {
  const wait_type *wait = t->wait; /* the object's __tostring may let the task go on */
  if (wait->push_object == NULL || !wait->push_object(L, t)) return false;
  const char *verb = wait->verb != NULL ? wait->verb : wait->name;
  lua_pushfstring(L, "%s of %s", verb, luaL_tolstring(L, -1, NULL));
  lua_replace(L, -3);
  lua_pop(L, 1);
  return true;
}

void wait_push_text(lua_State *L, const task *t) {
  const wait_type *wait = t->wait;
  bool (*push)(lua_State * L, const task *t) = wait->push_text;
  if (push == NULL) push = push_text_of_object;
  if (!push(L, t)) lua_pushstring(L, wait->name);
}
