#include "kernel/cells.h"

/* Room on the holder's stack above the blocks, for values on their way. */
#define HOLDER_ROOM LUA_MINSTACK

void cells_init(cells *c, struct runtime *rt, lua_State *L) {
  *c = (cells){.runtime = rt, .next_size = FIRST_CELL_BLOCK};
  list_init(&c->with_room);
  c->holder = lua_newthread(L);
}

/* Makes room for one more block, and returns its position; 0: there is no memory.   [-0, +0, -] */
static uint32_t find_position(cells *c) {
  lua_State *holder = c->holder;
  if (c->vacant > 0) {
    while (!lua_isnil(holder, (int)c->lowest)) c->lowest++;
    return c->lowest;
  }
  if (!lua_checkstack(holder, 1 + HOLDER_ROOM)) return 0;
  lua_pushnil(holder);
  c->vacant++;
  c->lowest = (uint32_t)lua_gettop(holder);
  return c->lowest;
}

void cells_add_block(cells *c, lua_State *L) {
  uint32_t size = c->next_size;
  luaL_checkstack(L, 1, NULL);
  cell_block *b = lua_newuserdatauv(L, sizeof(cell_block) + size * sizeof(uint32_t), (int)size);
  uint32_t position = find_position(c);
  if (position == 0) luaL_error(L, "not enough memory");
  *b = (cell_block){.position = position, .size = (uint16_t)size, .free = 1};
  for (uint32_t i = 0; i < size; i++) b->next[i] = i + 1 < size ? i + 2 : 0;
  lua_xmove(L, c->holder, 1);
  lua_replace(c->holder, (int)position);
  c->vacant--;
  list_init(&b->link);
  list_append(&c->with_room, &b->link);
  c->last = b;
  c->free_count += size;
  if (size < CELL_BLOCK) c->next_size = size * 2;
}

void cells_drop_block(cells *c, cell_block *b) {
  list_remove(&b->link);
  c->free_count -= b->size;
  c->last = container_of(c->with_room.next, cell_block, link);
  if (c->vacant++ == 0 || b->position < c->lowest) c->lowest = b->position;
  lua_pushnil(c->holder);
  lua_replace(c->holder, (int)b->position);
}

/* (cells, wanted); called protected. */
static int reserve(lua_State *L) {
  cells_reserve(lua_touserdata(L, 1), L, (uint32_t)lua_tointeger(L, 2));
  return 0;
}

int cells_try_reserve(cells *c, lua_State *L, uint32_t wanted) {
  if (c->free_count >= wanted) return LUA_OK;
  if (!lua_checkstack(L, LUA_MINSTACK)) return LUA_ERRMEM;
  lua_pushcfunction(L, reserve);
  lua_pushlightuserdata(L, c);
  lua_pushinteger(L, (lua_Integer)wanted);
  int status = lua_pcall(L, 2, 0, 0);
  if (status == LUA_ERRMEM) lua_pop(L, 1);
  return status;
}
