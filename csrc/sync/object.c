#include "sync/object.h"

#include <string.h>

#include "kernel/location.h"
#include "kernel/stack.h"
#include "kernel/task.h"
#include "kernel/wait.h"

void *sync_new_with(runtime *rt, lua_State *L, const sync_type *type, int user_values) {
  sync_object *o = lua_newuserdatauv(L, type->size, user_values);
  memset(o, 0, type->size);
  o->type = type;
  o->runtime = rt;
  if (rt->notes_makers) o->made_at = stack_location(rt, L, 1)->number;
  luaL_setmetatable(L, type->metatable);
  return o;
}

uint16_t sync_made_at(lua_State *L, const task *t) {
  if (!wait_push_self(L, t)) return 0;
  const sync_object *o = lua_touserdata(L, -1);
  lua_pop(L, 1); /* the task's stack has it */
  return o->made_at;
}
