#include "scope/spawn.h"

#include "scope/member.h"
#include "scope/scope.h"

/* Returns the scope of the member; NULL: none, or it is gone. */
static scope *member_scope(const member *m) {
  return m->base.heir == NULL ? NULL : scope_of_heir(m->base.heir);
}

/* --- contexts --- */

/*
** Returns the context of the task's code in the cancel scope (NULL: in its entry alone); NULL: the
** background.   [-0, +0, m]
*/
static ctx *context_of(runtime *rt, lua_State *L, const task *t, inner_cancel_scope *c) {
  if (c == NULL) return t->live.member == NULL ? NULL : member_of(t)->under.context;
  scope *s = scope_of(c);
  return s == NULL ? container_of(c, body, cancel)->under.context : scope_context(rt, L, s);
}

/*
** Goes from the outermost context that is missing to the innermost one by recursion. Scopes nest no
** deeper than calls of C functions do, 200.
*/
ctx *scope_context(runtime *rt, lua_State *L, scope *s) {
  body *b = &s->body;
  if (b->under.context != NULL || b->cancel.base.state == CANCEL_SCOPE_CLOSED) {
    return b->under.context;
  }
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  context_push(rt, L, context_of(rt, L, b->cancel.owner, b->cancel.outer));
  ctx *c = context_new(rt, L, lua_gettop(L), s->is_linked);
  c->can_end = true;
  context_pin(rt, L, lua_gettop(L));
  if (b->under.context != NULL || b->cancel.base.state == CANCEL_SCOPE_CLOSED) {
    context_unpin(rt, L, c); /* a finalizer that ran meanwhile has made it, or closed the scope */
    lua_pop(L, 2);
    return b->under.context;
  }
  b->under.context = c;
  if (s->is_timed) c->deadline_ns = container_of(s, timed_scope, scope)->deadline_ns;
  if (s->context_ended) {
    cancel_scope_push(rt, L, &b->cancel.base);
    lua_getiuservalue(L, -1, BODY_UV_REASON);
    lua_setiuservalue(L, -3, CONTEXT_UV_CAUSE);
    lua_pop(L, 1);
    c->state = CONTEXT_LIVE; /* those around it have ended later, if they have */
    context_end(rt, L, c,
                b->cancel.base.source == CANCEL_DEADLINE ? CONTEXT_EXPIRED : CONTEXT_CANCELLED);
  }
  if (s->is_timed) context_bind(&b->under);
  lua_pop(L, 2);
  return c;
}

bool scope_context_can_end(const task *t) {
  inner_cancel_scope *inner = task_innermost(t);
  if (inner != NULL && scope_of(inner) != NULL) return true;
  const ctx *c = inner != NULL            ? container_of(inner, body, cancel)->under.context
                 : t->live.member != NULL ? member_of(t)->under.context
                                          : NULL;
  return c != NULL && c->can_end;
}

ctx *scope_current_context(runtime *rt, lua_State *L) {
  const task *t = rt->current;
  return t == NULL ? NULL : context_of(rt, L, t, task_innermost(t));
}

/* --- scopes --- */

/* Returns the scope that a task spawned now joins; NULL: none. */
static scope *current_scope(const task *t) {
  inner_cancel_scope *c = task_innermost(t);
  while (c != NULL && scope_of(c) == NULL) c = c->outer;
  if (c != NULL) return scope_of(c);
  return t->live.member == NULL ? NULL : member_scope(member_of(t));
}

/* --- joining --- */

/*
** Puts the task on top of the stack under its context; if the context has ended, cancels the task.
** [-0, +0, -]
*/
static void join_context(runtime *rt, lua_State *L, task *t, bool shielded) {
  context_binding *under = &member_of(t)->under;
  t->entry.has_deadline = under->context->deadline_ns != TIME_FOREVER;
  if (context_bind(under) || shielded) return;
  context_push_reason(rt, L, under->context);
  cancel_scope_cancel_new(L, &t->entry, context_cancel_source(under->context));
}

static void join_scope(lua_State *L, task *t, bool shielded) {
  member *m = member_of(t);
  scope *s = member_scope(m);
  const cancel_scope *c = &s->body.cancel.base;
  bool is_over = c->state == CANCEL_SCOPE_CLOSED || cancel_scope_is_cancelled(c);
  if (c->state == CANCEL_SCOPE_CLOSED) {
    member_lose_scope(m);
  } else {
    list_init(&m->sibling);
    ring_append(&s->members, &m->sibling);
    s->live++;
    if (t->daemon) s->daemons++;
  }
  if (is_over && !shielded && t->asked == 0) {
    lua_pushnil(L);
    cancel_scope_cancel_new(L, &t->entry, CANCEL_SCOPE);
  }
}

static void join(runtime *rt, lua_State *L, task *t) {
  const member *m = member_of(t);
  bool shielded = rt->current != NULL && cancel_is_shielded(rt->current, 0);
  if (m->under.context != NULL) join_context(rt, L, t, shielded);
  if (m->base.heir != NULL) join_scope(L, t, shielded);
}

/* --- leaving --- */

static void leave(runtime *rt, lua_State *L, task *t) {
  member *m = member_of(t);
  list_remove(&m->under.link);
  if (m->under.context != NULL) context_unpin(rt, L, m->under.context);
  if (m->base.heir != NULL && m->sibling.next != NULL) {
    scope *s = member_scope(m);
    ring_remove(&s->members, &m->sibling);
    s->live--;
    if (t->daemon) s->daemons--;
  }
  mem_free(&rt->memory, m, sizeof(member));
}

void scope_register_members(runtime *rt) {
  static const task_member_type type = {.join = join, .leave = leave};
  rt->member_type = &type;
}

/* --- spawning --- */

/*
** Makes the new task a member of the context at `index` (0: in `c`, which is pinned; NULL:
** the background), and of the scope (NULL: none). Neither has the task in its list yet. If it
** raises, nothing has changed.   [-0, +0, m]
*/
static task_member *prepare(runtime *rt, lua_State *L, task *t, int index, ctx *c, scope *s) {
  if (index != 0) c = context_test(L, index);
  if (c != NULL && c->parent == NULL) c = NULL;
  if (c == NULL && s == NULL) return NULL;
  if (c != NULL && index != 0) {
    context_pin(rt, L, index);
  } else if (c != NULL) {
    context_pin_again(c);
  }
  member *m = mem_new(&rt->memory, sizeof(member));
  if (m == NULL) {
    if (c != NULL) context_unpin(rt, L, c);
    luaL_error(L, "not enough memory");
  }
  *m = (member){
      .base = {.heir = s == NULL ? NULL : &s->heir},
      .under = {.context = c, .scope = &t->entry},
  };
  list_init(&m->under.link);
  return &m->base;
}

/* Whether the context descends from the scope's; none does from one that nobody has needed. */
static bool descends_from(const ctx *c, const scope *s) {
  return s->body.under.context != NULL && context_descends(c, s->body.under.context);
}

static task_member *become_member(runtime *rt, lua_State *L, task *t,
                                  const spawn_options *options) {
  const scope_spawn_options *o = container_of(options, const scope_spawn_options, task);
  if (o->scope != NULL) {
    ctx *c = o->context == 0 ? scope_context(rt, L, o->scope) : NULL;
    return prepare(rt, L, t, o->context, c, o->scope);
  }
  const task *spawner = rt->current;
  scope *s = spawner == NULL ? NULL : current_scope(spawner);
  if (o->context == 0) return prepare(rt, L, t, 0, scope_current_context(rt, L), s);
  if (s != NULL && !descends_from(context_test(L, o->context), s)) s = NULL;
  return prepare(rt, L, t, o->context, NULL, s);
}

task *scope_spawn(runtime *rt, lua_State *L, int arguments, scope_spawn_options *options) {
  const task *spawner = rt->current;
  bool inherits =
      spawner != NULL && (spawner->live.member != NULL || task_innermost(spawner) != NULL);
  if (inherits || options->scope != NULL || options->context != 0) {
    options->task.become_member = become_member;
  }
  return task_spawn(rt, L, arguments, &options->task);
}
