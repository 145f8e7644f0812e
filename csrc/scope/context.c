#include "scope/context.h"

#include <string.h>

#include "kernel/probe.h"
#include "kernel/task.h"

/* Tells the sinks the event, with the context as the object.   [-0, +0, -] */
static void tell_sinks(runtime *rt, lua_State *L, const ctx *c, const probe_event *event) {
  if (c->links == NULL || !lua_checkstack(L, LUA_MINSTACK)) return;
  probe_event told = *event;
  runtime_push_alive(rt, L, c->links);
  told.muted = c->muted;
  told.L = L;
  told.object = lua_gettop(L);
  probe_tell(rt, &told);
  lua_pop(L, 1);
}

ctx *context_test(lua_State *L, int index) { return (ctx *)luaL_testudata(L, index, CONTEXT_TYPE); }

/* --- making --- */

static void init_links(context_links *links) {
  links->timer = (timer){.number = TIMER_IDLE, .owner = TIMER_OF_CONTEXT};
  list_init(&links->sibling);
  list_init(&links->children);
}

/* Pushes a context without a parent, with so many user values.   [-0, +1, m] */
static ctx *new_context(runtime *rt, lua_State *L, int values) {
  ctx *c = lua_newuserdatauv(L, sizeof(ctx), values);
  memset(c, 0, sizeof(ctx));
  c->deadline_ns = TIME_FOREVER;
  c->muted = task_is_muted(rt, rt->current);
  list_init(&c->bound);
  luaL_setmetatable(L, CONTEXT_TYPE);
  c->links = mem_new(&rt->memory, sizeof(context_links));
  if (c->links == NULL) luaL_error(L, "not enough memory");
  init_links(c->links);
  runtime_note_alive(rt, L, c->links);
  return c;
}

void context_open(runtime *rt, lua_State *L) {
  lua_pushstring(L, context_error(&(ctx){.state = CONTEXT_CANCELLED}));
  runtime_set_value(rt, L, RUNTIME_UV_CANCELED);
  lua_pushstring(L, context_error(&(ctx){.state = CONTEXT_EXPIRED}));
  runtime_set_value(rt, L, RUNTIME_UV_EXCEEDED);
  new_context(rt, L, CONTEXT_UV_COUNT);
  rt->background_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}

/* Pushes a new child, with so many user values.   [-0, +1, m] */
static ctx *new_child(runtime *rt, lua_State *L, int parent, bool linked, int values) {
  parent = lua_absindex(L, parent);
  ctx *above = context_test(L, parent);
  ctx *c = new_context(rt, L, values);
  c->parent = above;
  lua_pushvalue(L, parent);
  lua_setiuservalue(L, -2, CONTEXT_UV_PARENT);
  if (probe(&rt->probes, PROBE_CONTEXT_OPEN)) {
    tell_sinks(rt, L, c, &(probe_event){.kind = PROBE_CONTEXT_OPEN});
  }
  if (!linked || !above->can_end) return c;
  c->can_end = true;
  c->deadline_ns = above->deadline_ns;
  c->state = above->state;
  if (c->state == CONTEXT_LIVE && above->links != NULL) {
    list_append(&above->links->children, &c->links->sibling);
  }
  return c;
}

ctx *context_new(runtime *rt, lua_State *L, int parent, bool linked) {
  return new_child(rt, L, parent, linked, CONTEXT_UV_COUNT);
}

ctx *context_new_with_value(runtime *rt, lua_State *L, int parent) {
  return new_child(rt, L, parent, true, CONTEXT_UV_COUNT_WITH_VALUE);
}

void context_set_deadline(runtime *rt, lua_State *L, ctx *c, int64_t deadline_ns) {
  c->can_end = true;
  if (deadline_ns >= c->deadline_ns) return;
  c->deadline_ns = deadline_ns;
  if (c->state != CONTEXT_LIVE) return;
  if (deadline_ns <= runtime_now(rt)) {
    context_end(rt, L, c, CONTEXT_EXPIRED);
  } else if (!rt->backend->timer_set(rt, &c->links->timer, deadline_ns)) {
    luaL_error(L, "not enough memory");
  } else {
    if (probe(&rt->probes, PROBE_TIMER)) {
      double seconds = (double)deadline_ns / (double)NS_PER_SECOND;
      tell_sinks(rt, L, c, &(probe_event){.kind = PROBE_TIMER, .seconds = seconds});
    }
  }
}

void context_collect(runtime *rt, ctx *c) {
  context_links *links = c->links;
  if (rt->closed || links == NULL) return;
  c->links = NULL;
  runtime_stop_timer(rt, &links->timer);
  list_remove(&links->sibling);
  while (list_take_first(&links->children) != NULL) continue; /* garbage as well */
  mem_free(&rt->memory, links, sizeof(context_links));
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

bool context_bind(context_binding *binding) {
  ctx *c = binding->context;
  if (c->state != CONTEXT_LIVE) return false;
  if (c->can_end) list_append(&c->bound, &binding->link);
  return true;
}

/*
** Cancels the code that is bound to the context. Cancelling may take other bindings out of the
** list, so each is taken out first.   [-0, +0, -]
*/
static void end_bound(runtime *rt, lua_State *L, ctx *c) {
  if (list_empty(&c->bound)) return;
  cancel_source source = context_cancel_source(c);
  context_push_reason(rt, L, c);
  list *link;
  while ((link = list_take_first(&c->bound)) != NULL) {
    lua_pushvalue(L, -1);
    cancel_scope_cancel(rt, L, container_of(link, context_binding, link)->scope, source);
  }
  lua_pop(L, 1);
}

/* Tells everything but its children that the context has ended.   [-0, +0, -] */
static void tell(runtime *rt, lua_State *L, ctx *c) {
  if (probe(&rt->probes, PROBE_CONTEXT_END)) {
    tell_sinks(rt, L, c, &(probe_event){.kind = PROBE_CONTEXT_END, .word = context_error(c)});
  }
  if (c->done != NULL) c->close_done(rt, c->done);
  end_bound(rt, L, c);
  if (c->start_callbacks != NULL) c->start_callbacks(rt, L, c);
}

/* Takes a context that has ended out of its parent's list, and stops its timer.   [-0, +0, -] */
static void detach(runtime *rt, context_links *links) {
  runtime_stop_timer(rt, &links->timer);
  list_remove(&links->sibling);
}

/*
** Marks the children as ended, and puts them into the queue of contexts whose dependents must be
** told.   [-0, +0, -]
*/
static void enqueue_children(runtime *rt, lua_State *L, const ctx *c) {
  list *children = &c->links->children;
  while (!list_empty(children)) {
    context_links *links = container_of(children->next, context_links, sibling);
    detach(rt, links);
    runtime_push_alive(rt, L, links);
    ctx *child = lua_touserdata(L, -1);
    lua_pop(L, 1);
    if (child == NULL) continue;
    child->state = c->state;
    list_append(&rt->ending, &links->sibling);
  }
}

/*
** Goes breadth first, so that parents end before children, and siblings in the order in which they
** were made. The queue is made of the contexts' own links, so that no tree is too deep.
*/
void context_end(runtime *rt, lua_State *L, ctx *c, context_state state) {
  if (c->state != CONTEXT_LIVE || !c->can_end) return;
  c->own_end = true;
  c->state = (uint8_t)state;
  if (c->links != NULL) {
    detach(rt, c->links);
    enqueue_children(rt, L, c);
  }
  tell(rt, L, c);
  list *link;
  while ((link = list_take_first(&rt->ending)) != NULL) {
    runtime_push_alive(rt, L, container_of(link, context_links, sibling));
    ctx *next = lua_touserdata(L, -1);
    if (next != NULL) {
      enqueue_children(rt, L, next);
      tell(rt, L, next);
    }
    lua_pop(L, 1);
  }
}

void context_expire(runtime *rt, lua_State *L, timer *t) {
  runtime_push_alive(rt, L, container_of(t, context_links, timer));
  ctx *c = lua_touserdata(L, -1);
  if (c != NULL) context_end(rt, L, c, CONTEXT_EXPIRED);
  lua_pop(L, 1);
}
