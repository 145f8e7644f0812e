#include "scope/membership.h"

#include "scope/region.h"

/* NULL: there is no memory. */
static membership *new_membership(const runtime *rt, task *t) {
  membership *m = mem_new(&rt->memory, sizeof(membership));
  if (m == NULL) return NULL;
  *m = (membership){.binding = {.task = t}};
  list_init(&m->binding.link);
  list_init(&m->sibling);
  return m;
}

membership *membership_ensure(runtime *rt, lua_State *L, task *t) {
  if (t->membership == NULL) t->membership = new_membership(rt, t);
  if (t->membership == NULL) luaL_error(L, "not enough memory");
  return t->membership;
}

ctx *membership_current_context(const runtime *rt) {
  const membership *m = rt->current == NULL ? NULL : rt->current->membership;
  if (m == NULL) return NULL;
  return m->regions != NULL ? m->regions->context : m->context;
}

region *membership_current_scope(const runtime *rt) {
  const membership *m = rt->current == NULL ? NULL : rt->current->membership;
  if (m == NULL) return NULL;
  region *r = m->regions;
  while (r != NULL && r->kind == REGION_WITH) r = r->outer;
  return r != NULL ? r : m->scope;
}

/* Asks a new task to end before it runs; the reason is in place. */
static void end_at_once(task *t, cancel_source source) {
  t->cancel = (uint8_t)source;
  t->unwind = true;
}

static void join_context(runtime *rt, lua_State *L, task *t, bool shielded) {
  ctx *c = t->membership->context;
  if (c->state == CONTEXT_LIVE) {
    if (c->can_end) list_append(&c->bound, &t->membership->binding.link);
    return;
  }
  context_push_reason(rt, L, c);
  lua_setiuservalue(L, -2, TASK_UV_RESULT);
  if (!shielded) end_at_once(t, context_cancel_source(c));
}

static void join_scope(task *t, bool shielded) {
  region *scope = t->membership->scope;
  bool is_over = scope->ended || scope->cancelled;
  if (scope->ended) {
    t->membership->scope = NULL;
  } else {
    list_append(&scope->members, &t->membership->sibling);
    scope->live++;
    if (t->daemon) scope->daemons++;
  }
  if (is_over && !shielded && !t->unwind) end_at_once(t, CANCEL_SCOPE);
}

void membership_prepare(runtime *rt, lua_State *L, task *t, int index, ctx *c, region *scope) {
  if (index != 0) c = context_test(L, index);
  if (c != NULL && c->parent == NULL) c = NULL;
  if (c == NULL && scope == NULL) return;
  if (c != NULL && index != 0) {
    context_pin(rt, L, index);
  } else if (c != NULL) {
    context_push(rt, L, c);
    context_pin(rt, L, lua_gettop(L));
    lua_pop(L, 1);
  }
  t->membership = new_membership(rt, t);
  if (t->membership == NULL) {
    if (c != NULL) context_unpin(rt, L, c);
    luaL_error(L, "not enough memory");
  }
  t->membership->context = c;
  t->membership->scope = scope;
}

void membership_join(runtime *rt, lua_State *L, task *t) {
  const membership *m = t->membership;
  if (m == NULL) return;
  bool shielded = rt->current != NULL && cancel_is_shielded(rt, L, rt->current, 0);
  if (m->context != NULL) join_context(rt, L, t, shielded);
  if (m->scope != NULL) join_scope(t, shielded);
}

region *membership_leave(runtime *rt, lua_State *L, task *t) {
  membership *m = t->membership;
  if (m == NULL) return NULL;
  region *open = m->regions;
  list_remove(&m->binding.link);
  if (m->context != NULL) context_unpin(rt, L, m->context);
  if (!list_empty(&m->sibling)) {
    list_remove(&m->sibling);
    m->scope->live--;
    if (t->daemon) m->scope->daemons--;
  }
  mem_free(&rt->memory, m, sizeof(membership));
  t->membership = NULL;
  return open;
}

void membership_update_unwind(task *t) {
  t->unwind = t->cancel != CANCEL_NONE;
  if (t->membership == NULL) return;
  for (const region *r = t->membership->regions; r != NULL; r = r->outer) {
    if (r->request != CANCEL_NONE) t->unwind = true;
  }
}
