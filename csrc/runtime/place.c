#include "runtime/place.h"

#include <string.h>

/* --- finding --- */

void place_push(const runtime *rt, lua_State *L, const trace_context *context) {
  if (context->place == 0) {
    lua_pushnil(L);
    return;
  }
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->places_ref);
  lua_rawgeti(L, -1, (lua_Integer)context->place);
  lua_replace(L, -2);
}

/*
** The context of the code that is inside the place at `index` and nothing further; NULL: it is elsewhere,
** or has ended. A coroutine may have come to another task since it entered.   [-0, +0, -]
*/
static trace_context *find_context(runtime *rt, lua_State *L, int index, const place *p) {
  trace_context *context = trace_current(rt);
  if (context->place == p->key) return context;
  lua_getiuservalue(L, index, PLACE_UV_TASK);
  task *t = task_test(L, -1);
  bool outside = lua_isnil(L, -1);
  lua_pop(L, 1);
  if (outside) return rt->outside.place == p->key ? &rt->outside : NULL;
  return t != NULL && !task_ended(t) && t->context.place == p->key ? &t->context : NULL;
}

/* --- entering and leaving --- */

place *place_new(const runtime *rt, lua_State *L, uint64_t key) {
  place *p = lua_newuserdatauv(L, sizeof(place), PLACE_UV_COUNT);
  memset(p, 0, sizeof(place));
  p->key = key;
  luaL_setmetatable(L, PLACE_TYPE);
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->places_ref);
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, (lua_Integer)key);
  lua_pop(L, 1);
  return p;
}

place *place_new_here(runtime *rt, lua_State *L) {
  if (rt->ids == NULL) luaL_error(L, "the Lua state is being closed");
  place *p = place_new(rt, L, id_source_next(rt->ids));
  place_push(rt, L, trace_current(rt));
  lua_setiuservalue(L, -2, PLACE_UV_OUTER);
  if (rt->current != NULL) {
    task_push(rt, L, rt->current);
    lua_setiuservalue(L, -2, PLACE_UV_TASK);
  }
  return p;
}

void place_enter(runtime *rt, place *p, const trace_context *inner) {
  trace_context *context = trace_current(rt);
  p->saved = *context;
  p->is_open = true;
  *context = *inner;
  context->place = p->key;
}

/* The context goes back to what is around the place; a trace may have got other baggage meanwhile. */
static void go_back(runtime *rt, trace_context *context, place *p) {
  if (p->continues) {
    trace_release(rt, context->trace);
    context->trace = p->saved.trace;
    p->saved.trace = NULL;
  }
  context->span_id = p->saved.span_id;
  context->parent_span_id = p->saved.parent_span_id;
  context->place = p->saved.place;
}

void place_leave(runtime *rt, lua_State *L, int index) {
  index = lua_absindex(L, index);
  place *p = lua_touserdata(L, index);
  trace_context *context = find_context(rt, L, index, p);
  p->is_open = false;
  p->passed_over = context == NULL;
  p->is_known = p->is_known || context == NULL || context->span_id != 0;
  if (context == NULL) return;
  go_back(rt, context, p);
  lua_pushvalue(L, index);
  for (;;) {
    lua_getiuservalue(L, -1, PLACE_UV_OUTER);
    lua_replace(L, -2);
    p = lua_touserdata(L, -1);
    if (p == NULL || !p->passed_over || context->place != p->key) break;
    p->passed_over = false;
    go_back(rt, context, p);
  }
  lua_pop(L, 1);
}

/* A coroutine was dropped while it was inside: nobody can say when its span ended. */
static int collect(lua_State *L) {
  runtime *rt = runtime_of(L);
  place *p = lua_touserdata(L, 1);
  if (p->is_open && p->exit.run == NULL && !rt->closed) place_leave(rt, L, 1);
  p->is_open = false;
  if (p->continues) trace_release(rt, p->saved.trace);
  p->saved.trace = NULL;
  return 0;
}

void place_open(runtime *rt, lua_State *L, lua_CFunction close) {
  luaL_newmetatable(L, PLACE_TYPE);
  lua_pushlightuserdata(L, rt);
  lua_pushcclosure(L, close, 1);
  lua_setfield(L, -2, "__close");
  lua_pushlightuserdata(L, rt);
  lua_pushcclosure(L, collect, 1);
  lua_setfield(L, -2, "__gc");
  lua_pushliteral(L, PLACE_TYPE);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}
