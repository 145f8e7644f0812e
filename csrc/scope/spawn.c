#include "scope/spawn.h"

#include "scope/member.h"
#include "scope/scope.h"

/* Returns the scope of the member; NULL: none, or it is gone. */
static scope *member_scope(const member *m) {
  return m->base.heir == NULL ? NULL : scope_of_heir(m->base.heir);
}

ctx *scope_current_context(const runtime *rt) {
  const task *t = rt->current;
  if (t == NULL) return NULL;
  inner_cancel_scope *c = task_innermost(t);
  if (c != NULL) return container_of(c, body, cancel)->under.context;
  return t->live.member == NULL ? NULL : member_of(t)->under.context;
}

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
    list_append(&s->members, &m->sibling);
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
  if (!list_empty(&m->sibling)) {
    list_remove(&m->sibling);
    scope *s = member_scope(m);
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
  list_init(&m->sibling);
  return &m->base;
}

static task_member *become_member(runtime *rt, lua_State *L, task *t,
                                  const spawn_options *options) {
  const scope_spawn_options *o = container_of(options, const scope_spawn_options, task);
  if (o->scope != NULL) {
    return prepare(rt, L, t, o->context, o->scope->body.under.context, o->scope);
  }
  const task *spawner = rt->current;
  scope *s = spawner == NULL ? NULL : current_scope(spawner);
  if (s != NULL && o->context != 0 &&
      !context_descends(context_test(L, o->context), s->body.under.context)) {
    s = NULL;
  }
  return prepare(rt, L, t, o->context, scope_current_context(rt), s);
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
