#include "kernel/wait.h"

#include "kernel/stack.h"
#include "kernel/task.h"

const wait_type wait_none = {.name = "nothing"};

bool wait_push_local(lua_State *L, const task *t, int index) {
  if (task_ended(t)) return false;
  lua_State *top = t->coroutine.top->thread;
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

/*
** Pushes "<verb> of <object>". Returns false, and pushes nothing, if the task waits for no object.
** [-0, +(0|1), m]
*/
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

void wait_push_where(lua_State *L, const task *t) {
  lua_Debug ar;
  stack_walk w = stack_begin_at(task_ended(t) ? &t->coroutine : t->coroutine.top);
  if (task_ended(t) || !stack_next_line(&w, &ar)) {
    lua_pushliteral(L, "?");
  } else {
    lua_pushfstring(L, "%s:%d", ar.short_src, ar.currentline);
  }
}

void wait_push_task(lua_State *L, const task *t) {
  char buffer[TASK_NAME_SIZE];
  lua_createtable(L, 0, 8);
  lua_pushinteger(L, (lua_Integer)t->id);
  lua_setfield(L, -2, "id");
  lua_pushstring(L, task_name(t, buffer));
  lua_setfield(L, -2, "name");
  lua_pushstring(L, t->wait->name);
  lua_setfield(L, -2, "operation");
  wait_push_text(L, t);
  lua_setfield(L, -2, "waiting_on");
  wait_push_where(L, t);
  lua_setfield(L, -2, "where");
  lua_pushstring(L, task_spawned_at(runtime_find(L), t));
  lua_setfield(L, -2, "spawned_at");
}

/* Appends a table of the waiting task to the array on top of the stack.   [-0, +0, m] */
static void append_point(lua_State *L, const task *t, const char *relation) {
  wait_push_task(L, t);
  lua_getfield(L, -1, "name");
  lua_setfield(L, -2, "task");
  lua_pushstring(L, relation);
  lua_setfield(L, -2, "relation");
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}

/*
** Replaces the task on top of the stack by its nearest waiting ancestor. Returns NULL if there is
** none within the generations left in `steps`.   [-1, +1, -]
*/
static const task *next_parked_ancestor(lua_State *L, int *steps) {
  const task *t = NULL;
  while ((*steps)-- > 0) {
    lua_getiuservalue(L, -1, TASK_UV_PARENT);
    lua_remove(L, -2);
    t = task_test(L, -1);
    if (t == NULL || t->status == TASK_WAITING) return t;
  }
  return NULL;
}

static void append_ancestors(runtime *rt, lua_State *L, const task *t) {
  int steps = RECORD_MAX_ANCESTORS;
  task_push(rt, L, t);
  for (int i = 0; i < SUSPENSION_MAX_POINTS; i++) {
    const task *ancestor = next_parked_ancestor(L, &steps);
    if (ancestor == NULL) break;
    lua_insert(L, -2);
    append_point(L, ancestor, "parent");
    lua_insert(L, -2);
  }
  lua_pop(L, 1);
}

static bool is_ancestor(runtime *rt, lua_State *L, const task *t, const task *candidate) {
  int steps = RECORD_MAX_ANCESTORS;
  task_push(rt, L, t);
  const task *ancestor;
  do {
    ancestor = next_parked_ancestor(L, &steps);
  } while (ancestor != NULL && ancestor != candidate);
  lua_pop(L, 1);
  return ancestor != NULL;
}

/*
** Finds the awaiters before it lists them, because a finalizer that runs meanwhile may wake them.
*/
static void append_awaiters(runtime *rt, lua_State *L, const task *t) {
  const task *awaiters[SUSPENSION_MAX_POINTS];
  int count = 0;
  list *link = NULL;
  while ((link = ring_next(t->live.joiners, link)) != NULL) {
    const task *awaiter = container_of(link, task, waiter.link);
    if (is_ancestor(rt, L, t, awaiter)) continue;
    if (count == SUSPENSION_MAX_POINTS) break;
    awaiters[count++] = awaiter;
  }
  for (int i = 0; i < count; i++) append_point(L, awaiters[i], "awaiter");
}

/* Whether any task that depends on this one waits. Cheap, because most panics have none. */
static bool has_points(runtime *rt, lua_State *L, const task *t) {
  if (t->live.joiners != NULL) return true;
  if (t->generation == 0) return false;
  int steps = RECORD_MAX_ANCESTORS;
  task_push(rt, L, t);
  bool found = next_parked_ancestor(L, &steps) != NULL;
  lua_pop(L, 1);
  return found;
}

void wait_note_suspensions(runtime *rt, lua_State *L, const task *t) {
  if (!has_points(rt, L, t)) return;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  lua_newtable(L);
  append_ancestors(rt, L, t);
  append_awaiters(rt, L, t);
  record_set_detail(L, -2, DETAIL_SUSPENSION_POINTS);
}
