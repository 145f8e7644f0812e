#include "kernel/coroutine.h"

#define COROUTINE_TYPE "coropanic.coroutine"

/* --- coroutines that are no task's: one userdata for each thread --- */

/*
** __gc. Objects that are collected with the coroutine may still close or resume it, in a finalizer
** that runs after this one; so open frames stay until the next cycle. An active coroutine is
** collected only when the universe is closed, and its own code may be what closes it.
*/
static int collect(lua_State *L) {
  runtime *rt = runtime_of_any(L);
  coroutine *c = lua_touserdata(L, 1);
  if (rt->closed || c->state == COROUTINE_ACTIVE || c->state == COROUTINE_CLOSING) return 0;
  if (c->frames != NULL && c->frames->depth > 0 && !coroutine_other(c)->collected) {
    coroutine_other(c)->collected = true;
    lua_getmetatable(L, 1);
    lua_setmetatable(L, 1);
    return 0;
  }
  trace_context_clear(rt, &c->context);
  if (c->frames != NULL) {
    frames_clear(c->frames, &rt->memory);
    frames_free(c->frames, &rt->memory);
  }
  return 0;
}

void coroutine_open(runtime *rt, lua_State *L, lua_CFunction close) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  rt->coroutines_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  cells_init(&rt->cells, rt, L);
  rt->cells_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  const luaL_Reg metamethods[] = {{"__gc", collect}, {"__close", close}, {NULL, NULL}};
  runtime_new_type(rt, L, COROUTINE_TYPE, metamethods);
  rt->coroutine_type_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}

/*
** Pushes the coroutine of the thread at `index` (0: L itself); nil if it is not known.
** [-0, +1, -]
*/
static coroutine *push_known(const runtime *rt, lua_State *L, int index) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->coroutines_ref);
  if (index == 0) {
    lua_pushthread(L);
  } else {
    lua_pushvalue(L, index);
  }
  lua_rawget(L, -2);
  lua_replace(L, -2);
  return lua_touserdata(L, -1);
}

coroutine *coroutine_push_known(const runtime *rt, lua_State *L) { return push_known(rt, L, 0); }

coroutine *coroutine_find_other(const runtime *rt, lua_State *thread) {
  if (!rt->has_others || !lua_checkstack(thread, 2)) return NULL;
  coroutine *c = coroutine_push_known(rt, thread);
  lua_pop(thread, 1);
  return c;
}

/* The rest of find: it is not the one whose code runs.   [-0, +0, -] */
static coroutine *find_further(const runtime *rt, lua_State *thread) {
  for (coroutine *c = coroutine_outer(rt->running); c != NULL; c = coroutine_outer(c)) {
    if (c->thread == thread) return c;
  }
  return thread == rt->main->thread ? rt->main : coroutine_find_other(rt, thread);
}

static inline coroutine *find(const runtime *rt, lua_State *thread) {
  return rt->running->thread == thread ? rt->running : find_further(rt, thread);
}

coroutine *coroutine_find(runtime *rt, lua_State *thread) { return find(rt, thread); }

/* Pushes a new coroutine, which is in no table yet.   [-0, +1, m] */
static coroutine *make(runtime *rt, lua_State *L, lua_State *thread) {
  other_coroutine *made = lua_newuserdatauv(L, sizeof(other_coroutine), COROUTINE_UV_COUNT);
  *made = (other_coroutine){.base = {.thread = thread, .kind = COROUTINE_OTHER}};
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->coroutine_type_ref);
  lua_setmetatable(L, -2);
  rt->has_others = true;
  return &made->base;
}

coroutine *coroutine_push(runtime *rt, lua_State *L, int index) {
  index = lua_absindex(L, index);
  coroutine *c = push_known(rt, L, index);
  if (c != NULL) return c;
  coroutine *made = make(rt, L, lua_tothread(L, index));
  /* A finalizer may have needed and made it meanwhile. */
  c = push_known(rt, L, index);
  if (c == NULL) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, rt->coroutines_ref);
    lua_pushvalue(L, index);
    lua_pushvalue(L, -4);
    lua_rawset(L, -3);
    lua_pop(L, 2);
    c = made;
    lua_replace(L, -2);
  } else {
    lua_replace(L, -3);
    lua_pop(L, 1);
  }
  return c;
}

coroutine *coroutine_of(runtime *rt, lua_State *L) {
  coroutine *c = find(rt, L);
  if (c != NULL) return c;
  lua_pushthread(L);
  c = coroutine_push(rt, L, -1);
  lua_pop(L, 2);
  return c;
}

/* --- frame stacks --- */

/*
** Closes the frames inside the entry of a task that ends without unwinding them. Those of scopes
** end with the task by themselves (abandon); thin ones have only this.   [-0, +0, -]
*/
static void lose_frames(runtime *rt, lua_State *L, frame_stack *s) {
  while (s->depth > 1) {
    const frame_type *type = frames_top(s)->type;
    if (type->is_thin) type->lost(rt, L, s);
    frames_lose_frame(s);
  }
}

void coroutine_release_frames(runtime *rt, lua_State *L, coroutine *c) {
  lose_frames(rt, L, c->frames);
  frames_pool_give(rt, L, c->frames);
  c->frames = NULL;
}

/*
** Gives a coroutine a frame stack; a task's begins with its entry. A finalizer that runs meanwhile
** may need and make it.   [-0, +0, m]
*/
static void take_frames(runtime *rt, lua_State *L, coroutine *c) {
  frame_stack *s = frames_pool_take(rt, L);
  bool has_entry = c->kind == COROUTINE_OF_TASK;
  if (c->frames == NULL && (!has_entry || frames_push_frame(s, &rt->memory, rt->entry_type, 0))) {
    c->frames = s;
    return;
  }
  frames_pool_give(rt, L, s);
  if (c->frames == NULL) luaL_error(L, "not enough memory");
}

/* The frame stack of a coroutine that is no task's, with the cells for it. */
typedef struct own_frames {
  frame_stack stack;
  cells cells;
} own_frames;

/* Pushes a new one.   [-0, +1, m] */
static frame_stack *new_own_frames(runtime *rt, lua_State *L) {
  own_frames *own = lua_newuserdatauv(L, sizeof(own_frames), 1);
  frames_init(&own->stack, &own->cells);
  own->stack.foreign = true;
  cells_init(&own->cells, rt, L);
  lua_setiuservalue(L, -2, 1);
  cells_reserve(&own->cells, L, FRAMES_SPARE);
  frames_take_spares(&own->stack);
  return &own->stack;
}

/*
** The same for a coroutine that is no task's, which is on top of the stack. The frame stack lives
** as long as the coroutine.   [-0, +0, m]
*/
static void make_own_frames(runtime *rt, lua_State *L, coroutine *c) {
  frame_stack *made = new_own_frames(rt, L);
  if (c->frames == NULL) {
    c->frames = made;
    lua_setiuservalue(L, -2, COROUTINE_UV_FRAMES);
  } else {
    lua_pop(L, 1);
  }
}

frame_stack *coroutine_find_frames(runtime *rt, lua_State *L) {
  const coroutine *c = find(rt, L);
  return c == NULL ? NULL : c->frames;
}

frame_stack *coroutine_make_frames(runtime *rt, lua_State *L) {
  coroutine *c = find(rt, L);
  if (c != NULL && c->frames != NULL) return c->frames;
  if (c != NULL && c->kind != COROUTINE_OTHER) {
    take_frames(rt, L, c);
  } else {
    lua_pushthread(L);
    c = coroutine_push(rt, L, -1);
    if (c->frames == NULL) make_own_frames(rt, L, c);
    lua_pop(L, 2);
  }
  return c->frames;
}
