#include "kernel/slot_values.h"

/* Room on the holder's stack above the blocks, for values on their way. */
#define HOLDER_ROOM LUA_MINSTACK

void slot_values_init(slot_values *v, lua_State *L) {
  *v = (slot_values){.holder = lua_newthread(L)};
}

void slot_values_reserve(slot_values *v, lua_State *L, uint32_t slot) {
  while (v->count <= slot) {
    lua_newuserdatauv(L, 0, SLOTS_IN_BLOCK * SLOT_VALUES);
    if (!lua_checkstack(v->holder, 1 + HOLDER_ROOM)) luaL_error(L, "not enough memory");
    /* A finalizer that ran meanwhile may have made a block, too: then this is the one behind it. */
    lua_xmove(L, v->holder, 1);
    v->count += SLOTS_IN_BLOCK;
  }
}
