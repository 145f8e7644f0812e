#include "span/place.h"

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

void place_register_owner(const runtime *rt, lua_State *L, int index) {
  index = lua_absindex(L, index);
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->places_ref);
  lua_pushvalue(L, index);
  lua_rawsetp(L, -2, lua_touserdata(L, index));
  lua_pop(L, 1);
}

/* Pushes the owner of places that the running code enters.   [-0, +1, -] */
static void push_owner(runtime *rt, lua_State *L) {
  const trace_context *inside = rt->current != NULL ? rt->current->inside : rt->inside;
  if (inside != NULL) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, rt->places_ref);
    lua_rawgetp(L, -1, inside);
    lua_replace(L, -2);
  } else if (rt->current != NULL) {
    task_push(rt, L, rt->current);
  } else {
    lua_pushnil(L);
  }
}

/* The context of the owner of the place at `index`; NULL: a task that has ended.   [-0, +0, -] */
static trace_context *context_of(runtime *rt, lua_State *L, int index) {
  lua_getiuservalue(L, index, PLACE_UV_OWNER);
  task *t = task_test(L, -1);
  trace_context *carried = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (t != NULL) return task_ended(t) ? NULL : &t->context;
  return carried != NULL ? carried : &rt->outside;
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
  place *p = place_new(rt, L, id_source_next(rt->ids));
  p->back = mem_new(&rt->memory, sizeof(way_back));
  if (p->back == NULL) luaL_error(L, "not enough memory");
  *p->back = (way_back){.key = p->key};
  list_init(&p->back->link);
  place_push_current(rt, L);
  lua_setiuservalue(L, -2, PLACE_UV_OUTER);
  push_owner(rt, L);
  lua_setiuservalue(L, -2, PLACE_UV_OWNER);
  return p;
}

void place_continue(place *p, trace *t) {
  p->back->continues = true;
  p->back->saved.trace = t;
}

void place_enter(runtime *rt, place *p, const trace_context *inner) {
  trace_context *context = trace_current(rt);
  p->back->saved = *context;
  p->back->is_open = true;
  list_append(&rt->places, &p->back->link);
  *context = *inner;
  context->place = p->key;
}

/* The context goes back to what is around the place; a trace may have got other baggage meanwhile. */
static void go_back(runtime *rt, trace_context *context, way_back *back) {
  if (back->continues) {
    trace_release(rt, context->trace);
    context->trace = back->saved.trace;
    back->saved.trace = NULL;
  }
  context->span_id = back->saved.span_id;
  context->parent_span_id = back->saved.parent_span_id;
  context->place = back->saved.place;
}

/* Nobody is in the place any more. */
static void close_back(way_back *back) {
  back->is_open = false;
  list_remove(&back->link);
}

void place_leave(runtime *rt, lua_State *L, int index) {
  index = lua_absindex(L, index);
  place *p = lua_touserdata(L, index);
  trace_context *context = context_of(rt, L, index);
  close_back(p->back);
  p->passed_over = context == NULL || context->place != p->key;
  p->is_known = p->is_known || p->passed_over || context->span_id != 0;
  if (p->passed_over) return;
  go_back(rt, context, p->back);
  lua_pushvalue(L, index);
  for (;;) {
    lua_getiuservalue(L, -1, PLACE_UV_OUTER);
    lua_replace(L, -2);
    p = lua_touserdata(L, -1);
    /* A coroutine is where it was made: that is left by its owner. */
    if (p == NULL || p->back == NULL || !p->passed_over || context_of(rt, L, -1) != context) break;
    p->passed_over = false;
    go_back(rt, context, p->back);
  }
  lua_pop(L, 1);
}

/*
** Lua forgets a place that was dropped before it calls the finalizer, in which the place would be left. If
** the running code is to enter another one meanwhile, it has to leave that first.
*/
static void leave_dropped(runtime *rt, trace_context *context) {
  list *at = rt->places.next;
  while (at != &rt->places && container_of(at, way_back, link)->key != context->place)
    at = at->next;
  if (at == &rt->places) {
    context->place = 0;
    return;
  }
  way_back *back = container_of(at, way_back, link);
  close_back(back);
  go_back(rt, context, back);
}

void place_push_current(runtime *rt, lua_State *L) {
  trace_context *context = trace_current(rt);
  place_push(rt, L, context);
  while (lua_isnil(L, -1) && context->place != 0) {
    lua_pop(L, 1);
    leave_dropped(rt, context);
    place_push(rt, L, context);
  }
}

/* A coroutine was dropped while it was inside: nobody can say when its span ended. */
static int collect(lua_State *L) {
  runtime *rt = runtime_of_any(L);
  place *p = lua_touserdata(L, 1);
  way_back *back = p->back;
  if (rt->closed || back == NULL) return 0;
  if (back->is_open) place_leave(rt, L, 1);
  if (back->continues) trace_release(rt, back->saved.trace);
  mem_free(&rt->memory, back, sizeof(way_back));
  p->back = NULL;
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
