#include "sync/object.h"

#include <string.h>

void *sync_new_with(runtime *rt, lua_State *L, const sync_type *type, int user_values) {
  sync_object *o = lua_newuserdatauv(L, type->size, user_values);
  memset(o, 0, type->size);
  o->type = type;
  o->runtime = rt;
  luaL_setmetatable(L, type->metatable);
  return o;
}
