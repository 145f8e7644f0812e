#include "runtime/context.h"

#include <string.h>

#include "runtime/chan.h"
#include "runtime/context_after.h"
#include "runtime/region.h"
#include "runtime/task.h"

ctx *context_test(lua_State *L, int index) { return (ctx *)luaL_testudata(L, index, CONTEXT_TYPE); }

/* --- making --- */

/* Pushes a context without parent.   [-0, +1, m] */
static ctx *new_context(lua_State *L) {
  ctx *c = lua_newuserdatauv(L, sizeof(ctx), CONTEXT_UV_COUNT);
  memset(c, 0, sizeof(ctx));
  c->timer.number = TIMER_IDLE;
  c->timer.owner = TIMER_OF_CONTEXT;
  c->deadline_ns = TIME_FOREVER;
  list_init(&c->sibling);
  list_init(&c->children);
  list_init(&c->bound);
  luaL_setmetatable(L, CONTEXT_TYPE);
  return c;
}

void context_open(runtime *rt, lua_State *L) {
  lua_pushstring(L, context_error(&(ctx){.state = CONTEXT_CANCELLED}));
  runtime_set_value(rt, L, RUNTIME_UV_CANCELED);
  lua_pushstring(L, context_error(&(ctx){.state = CONTEXT_EXPIRED}));
  runtime_set_value(rt, L, RUNTIME_UV_EXCEEDED);
  new_context(L);
  rt->background_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}

ctx *context_new(runtime *rt, lua_State *L, int parent, bool linked) {
  (void)rt;
  parent = lua_absindex(L, parent);
  ctx *above = context_test(L, parent);
  ctx *c = new_context(L);
  c->parent = above;
  lua_pushvalue(L, parent);
  lua_setiuservalue(L, -2, CONTEXT_UV_PARENT);
  if (!linked || !above->can_end) return c;
  c->can_end = true;
  c->deadline_ns = above->deadline_ns;
  c->state = above->state;
  if (c->state == CONTEXT_LIVE) list_append(&above->children, &c->sibling);
  return c;
}

void context_set_deadline(runtime *rt, lua_State *L, ctx *c, int64_t deadline_ns) {
  c->can_end = true;
  if (deadline_ns >= c->deadline_ns) return;
  c->deadline_ns = deadline_ns;
  if (c->state != CONTEXT_LIVE) return;
  if (deadline_ns <= runtime_now(rt)) {
    context_end(rt, L, c, CONTEXT_EXPIRED);
  } else if (!timer_heap_add(&rt->timers, &c->timer, deadline_ns)) {
    luaL_error(L, "not enough memory");
  } else {
    rt->stats.timers++;
  }
}

void context_collect(runtime *rt, ctx *c) {
  if (rt->closed) return;
  timer_heap_remove(&rt->timers, &c->timer);
  list_remove(&c->sibling);
}

/* --- anchoring --- */

void context_push(runtime *rt, lua_State *L, const ctx *c) {
  if (c == NULL) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, rt->background_ref);
    return;
  }
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->pinned_ref);
  lua_rawgetp(L, -1, c);
  lua_remove(L, -2);
}

void context_pin(runtime *rt, lua_State *L, int index) {
  ctx *c = context_test(L, index);
  if (c->pins == 0) {
    lua_pushvalue(L, index);
    lua_rawgeti(L, LUA_REGISTRYINDEX, rt->pinned_ref);
    lua_insert(L, -2);
    lua_rawsetp(L, -2, c);
    lua_pop(L, 1);
  }
  c->pins++;
}

void context_unpin(runtime *rt, lua_State *L, ctx *c) {
  if (--c->pins > 0) return;
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->pinned_ref);
  lua_pushnil(L);
  lua_rawsetp(L, -2, c);
  lua_pop(L, 1);
}

/* --- ending --- */

const char *context_error(const ctx *c) {
  switch (c->state) {
    case CONTEXT_CANCELLED: return "context canceled";
    case CONTEXT_EXPIRED: return "context deadline exceeded";
    default: return NULL;
  }
}

bool context_descends(const ctx *c, const ctx *ancestor) {
  while (c != NULL && c != ancestor) c = c->parent;
  return c == ancestor;
}

void context_push_cause(runtime *rt, lua_State *L, int index) {
  const ctx *c = context_test(L, index);
  if (c->state == CONTEXT_LIVE) {
    lua_pushnil(L);
    return;
  }
  int uv = c->state == CONTEXT_CANCELLED ? RUNTIME_UV_CANCELED : RUNTIME_UV_EXCEEDED;
  lua_pushvalue(L, index);
  while (!c->own_end && c->parent != NULL) {
    lua_getiuservalue(L, -1, CONTEXT_UV_PARENT);
    lua_remove(L, -2);
    c = c->parent;
  }
  lua_getiuservalue(L, -1, CONTEXT_UV_CAUSE);
  lua_remove(L, -2);
  if (!lua_isnil(L, -1)) return;
  lua_pop(L, 1);
  runtime_push_value(rt, L, uv);
}

void context_push_reason(runtime *rt, lua_State *L, const ctx *c) {
  context_push(rt, L, c);
  context_push_cause(rt, L, -1);
  lua_remove(L, -2);
}

/* Asks what is bound to the context to end.   [-0, +0, -] */
static void end_bound(runtime *rt, lua_State *L, ctx *c) {
  if (list_empty(&c->bound)) return;
  cancel_source source = context_cancel_source(c);
  context_push_reason(rt, L, c);
  for (list *link = c->bound.next; link != &c->bound; link = link->next) {
    const context_binding *binding = container_of(link, context_binding, link);
    lua_pushvalue(L, -1);
    if (binding->region != NULL) {
      region_cancel(rt, L, binding->region, source);
    } else {
      cancel_task(rt, L, binding->task, source);
    }
  }
  lua_pop(L, 1);
}

/* Marks the context as ended, and puts it into the queue of those that have to tell others. */
static void enqueue(runtime *rt, ctx *c, context_state state) {
  c->state = (uint8_t)state;
  timer_heap_remove(&rt->timers, &c->timer);
  list_remove(&c->sibling);
  list_append(&rt->ending, &c->sibling);
}

/*
** Breadth first, so that parents end before children and brothers in the order in which they were
** made; the queue is made of the contexts' own links, so that no tree is too deep.
*/
void context_end(runtime *rt, lua_State *L, ctx *c, context_state state) {
  if (c->state != CONTEXT_LIVE || !c->can_end) return;
  c->own_end = true;
  enqueue(rt, c, state);
  list *link;
  while ((link = list_take_first(&rt->ending)) != NULL) {
    ctx *next = container_of(link, ctx, sibling);
    while (!list_empty(&next->children)) {
      enqueue(rt, container_of(next->children.next, ctx, sibling), next->state);
    }
    if (next->done != NULL) chan_close(rt, next->done);
    end_bound(rt, L, next);
    context_after_start(rt, L, next);
  }
}

void context_expire(runtime *rt, lua_State *L, timer *t) {
  context_end(rt, L, container_of(t, ctx, timer), CONTEXT_EXPIRED);
}
