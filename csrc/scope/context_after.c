#include "scope/context_after.h"

#include "kernel/handler.h"
#include "kernel/panic.h"
#include "kernel/probe.h"
#include "kernel/task.h"

enum { AFTER_UV_FUNCTION = 1, AFTER_UV_COUNT = AFTER_UV_FUNCTION };

typedef struct after {
  ctx *context;      /* pinned while the callback waits for its end; else NULL */
  lua_Integer place; /* in the context's array */
  bool over;         /* started or stopped */
  uint8_t spans;     /* spawn_spans, from the code that registered it */
  trace_ids ids;     /* the ids under which the callback runs; counted; without a trace: none */
} after;

static int collect_after(lua_State *L) {
  runtime *rt = runtime_of_any(L);
  after *a = lua_touserdata(L, 1);
  if (!rt->closed) trace_release(rt, a->ids.trace);
  a->ids.trace = NULL;
  return 0;
}

void context_after_open(runtime *rt, lua_State *L) {
  static const luaL_Reg metamethods[] = {{"__gc", collect_after}, {NULL, NULL}};
  runtime_new_type(rt, L, AFTER_TYPE, metamethods);
  lua_pop(L, 1);
}

/*
** Pushes the array of the callbacks of the context at `index`, made if missing. False stands in
** place of stopped ones.   [-0, +1, m]
*/
static void push_callbacks(lua_State *L, int index) {
  if (lua_getiuservalue(L, index, CONTEXT_UV_AFTERS) == LUA_TTABLE) return;
  lua_pop(L, 1);
  lua_newtable(L);
  /* A finalizer that ran meanwhile may have made one too. */
  if (lua_getiuservalue(L, index, CONTEXT_UV_AFTERS) == LUA_TTABLE) {
    lua_replace(L, -2);
    return;
  }
  lua_pop(L, 1);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, index, CONTEXT_UV_AFTERS);
}

/* Pops a callback that no context holds any more, and starts it.   [-1, +0, m] */
static void start(runtime *rt, lua_State *L) {
  const after *a = lua_touserdata(L, -1);
  lua_getiuservalue(L, -1, AFTER_UV_FUNCTION);
  const trace_ids *ids = a->ids.trace == NULL ? NULL : &a->ids;
  spawn_options options = {.name = "after", .trace = ids, .spans = a->spans};
  options.type = task_push_type(rt, L, 0);
  task_spawn(rt, L, 0, &options);
  lua_pop(L, 3);
}

/* Returns whether observers hear of tasks that the running code spawns, and of their spans. */
static spawn_spans spans_here(const runtime *rt) {
  if (task_is_muted(rt, rt->current)) return SPANS_MUTED;
  return rt->current != NULL && rt->current->silent ? SPANS_NO : SPANS_YES;
}

/* Closes the gaps in the array of callbacks on top of the stack.   [-0, +0, -] */
static void close_up(lua_State *L) {
  lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
  lua_Integer kept = 0;
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, -1, i);
    after *a = lua_touserdata(L, -1);
    if (a == NULL) {
      lua_pop(L, 1);
      continue;
    }
    a->place = ++kept;
    lua_rawseti(L, -2, kept);
  }
  for (; count > kept; count--) {
    lua_pushnil(L);
    lua_rawseti(L, -2, count);
  }
}

bool context_after_stop(runtime *rt, lua_State *L, int index) {
  after *a = lua_touserdata(L, index);
  ctx *c = a->context;
  if (a->over) return false;
  a->over = true;
  if (c == NULL) return true; /* its context never ends */
  a->context = NULL;
  rt->afters--;
  context_push(rt, L, c);
  lua_getiuservalue(L, -1, CONTEXT_UV_AFTERS);
  lua_pushboolean(L, 0);
  lua_rawseti(L, -2, a->place);
  c->stopped++;
  /* so a stop costs the same, however many callbacks there are */
  if (c->stopped > lua_rawlen(L, -1) / 2) {
    close_up(L);
    c->stopped = 0;
  }
  lua_pop(L, 2);
  context_unpin(rt, L, c);
  return true;
}

/* (array of callbacks, runtime): starts them; called protected. */
static int start_all(lua_State *L) {
  runtime *rt = lua_touserdata(L, 2);
  lua_Integer count = (lua_Integer)lua_rawlen(L, 1);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, 1, i);
    start(rt, L);
  }
  return 0;
}

/* Starts the callbacks of a context that has just ended.   [-0, +0, -] */
static void start_callbacks(runtime *rt, lua_State *L, ctx *c) {
  if (c->pins == 0) return;
  context_push(rt, L, c);
  if (lua_getiuservalue(L, -1, CONTEXT_UV_AFTERS) != LUA_TTABLE) {
    lua_pop(L, 2);
    return;
  }
  close_up(L);
  lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, -1, i);
    after *a = lua_touserdata(L, -1);
    a->over = true;
    a->context = NULL;
    rt->afters--;
    lua_pop(L, 1);
  }
  lua_pushnil(L);
  lua_setiuservalue(L, -3, CONTEXT_UV_AFTERS);
  lua_pushcfunction(L, start_all);
  lua_insert(L, -2);
  lua_pushlightuserdata(L, rt);
  int status = lua_pcall(L, 2, 0, 0);
  if (status != LUA_OK) {
    panic_settle(rt, L, status);
    handler_report(rt, L, 0);
  }
  lua_pop(L, 1);
  for (; count > 0; count--) context_unpin(rt, L, c);
}

void context_after_add(runtime *rt, lua_State *L, int index) {
  ctx *c = context_test(L, index);
  after *a = lua_newuserdatauv(L, sizeof(after), AFTER_UV_COUNT);
  *a = (after){0};
  luaL_setmetatable(L, AFTER_TYPE);
  lua_insert(L, -2);
  lua_setiuservalue(L, -2, AFTER_UV_FUNCTION);
  push_callbacks(L, index);
  /* From here on no finalizer runs that could end the context. */
  a->spans = (uint8_t)spans_here(rt);
  trace_ids *here = trace_here(rt);
  if (here->trace != NULL) trace_go_on(rt, &a->ids, here);
  if (c->state == CONTEXT_LIVE && c->can_end) {
    a->place = (lua_Integer)lua_rawlen(L, -1) + 1;
    lua_pushboolean(L, 0); /* first the memory for its place */
    lua_rawseti(L, -2, a->place);
    context_pin(rt, L, index);
    a->context = c;
    c->start_callbacks = start_callbacks;
    rt->afters++;
    lua_pushvalue(L, -2);
    lua_rawseti(L, -2, a->place);
  }
  lua_pop(L, 1);
  if (c->state == CONTEXT_LIVE) return;
  a->over = true;
  lua_pushvalue(L, -1);
  start(rt, L);
}
