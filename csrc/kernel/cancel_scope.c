#include "kernel/cancel_scope.h"

#include "kernel/probe.h"
#include "kernel/task.h"

static const inner_cancel_scope *inner_of(const cancel_scope *c) {
  cp_assert(c->is_inner);
  return container_of(c, inner_cancel_scope, base);
}

/* Returns the task whose code it is. */
static task *owner_of(const cancel_scope *c) {
  return c->is_inner ? inner_of(c)->owner : container_of(c, task, entry);
}

/* Moves the value on top of the stack to a new cell, which is reserved.   [-1, +0, -] */
static cell keep(runtime *rt, lua_State *L) {
  cell x = cells_take(&rt->cells, 0);
  cells_set(&rt->cells, L, x);
  return x;
}

void cancel_scope_open(runtime *rt, lua_State *L, inner_cancel_scope *c,
                       const cancel_scope_type *type, const frame_stack *s) {
  task *owner = rt->current;
  cp_assert(c->base.state == CANCEL_SCOPE_OPEN && s->depth > 0);
  c->base.is_inner = true;
  c->type = type;
  c->owner = owner;
  c->floor = s->depth;
  lua_pushvalue(L, -1);
  c->object = keep(rt, L);
  if (frames_has_exit(s)) {
    frames_push_exit(s, L);
    c->exit = keep(rt, L);
  }
  c->outer = task_innermost(owner);
  owner->coroutine.frames->innermost = c;
}

/* Empties a cell, unless there is none.   [-0, +0, -] */
static void let_go(runtime *rt, cell *x) {
  if (*x == 0) return;
  cells_clear(&rt->cells, *x);
  cells_free(&rt->cells, *x);
  *x = 0;
}

void cancel_scope_release(runtime *rt, inner_cancel_scope *c) {
  let_go(rt, &c->object);
  let_go(rt, &c->exit);
}

void cancel_scope_restore_exit(const runtime *rt, lua_State *L, const inner_cancel_scope *c,
                               frame_stack *s) {
  if (c->exit == 0) {
    lua_pushnil(L);
  } else {
    cells_push(&rt->cells, L, c->exit);
  }
  frames_restore_exit(s, L);
}

void cancel_scope_answer(cancel_scope *c) {
  if (c->state != CANCEL_SCOPE_ASKED) return;
  c->state = CANCEL_SCOPE_ANSWERED;
  owner_of(c)->asked--;
}

void cancel_scope_leave(cancel_scope *c) {
  cancel_scope_answer(c);
  if (c->state == CANCEL_SCOPE_OPEN) c->state = CANCEL_SCOPE_LEFT;
}

void cancel_scope_close(cancel_scope *c) {
  frame_stack *s = owner_of(c)->coroutine.frames;
  if (c->is_inner && s != NULL) { /* at the end of the task its frames go first */
    cp_assert(s->innermost == inner_of(c));
    s->innermost = inner_of(c)->outer;
  }
  cancel_scope_answer(c);
  c->state = CANCEL_SCOPE_CLOSED;
}

/* Whether its code has begun. A debug hook or a finalizer may run before. */
static bool has_frame(const inner_cancel_scope *c) {
  return c->floor < c->owner->coroutine.frames->depth;
}

cancel_scope *cancel_scope_find_asked(const task *t, uint32_t shield) {
  if (shield == 0 && t->entry.state == CANCEL_SCOPE_ASKED) return (cancel_scope *)&t->entry;
  cancel_scope *found = NULL;
  for (inner_cancel_scope *c = task_innermost(t); c != NULL && c->floor >= shield; c = c->outer) {
    if (c->base.state == CANCEL_SCOPE_ASKED && has_frame(c)) found = &c->base;
  }
  return found;
}

void cancel_scope_push(runtime *rt, lua_State *L, const cancel_scope *c) {
  if (!c->is_inner) {
    task_push(rt, L, owner_of(c));
    return;
  }
  cells_push(&rt->cells, L, inner_of(c)->object);
}

/* --- asking --- */

/* Tells the sinks that the cancel scope was asked to end.   [-0, +0, -] */
static void tell(runtime *rt, lua_State *L, const cancel_scope *c) {
  if (!lua_checkstack(L, LUA_MINSTACK)) return;
  cancel_scope_push(rt, L, c);
  probe_tell(rt, &(probe_event){.kind = PROBE_CANCEL,
                                .task = owner_of(c),
                                .L = L,
                                .object = lua_gettop(L),
                                .word = cancel_source_name(c->source)});
  lua_pop(L, 1);
}

/* Makes the request wait to be raised. */
static void ask(cancel_scope *c) {
  c->state = CANCEL_SCOPE_ASKED;
  owner_of(c)->asked++;
}

/* Asks what depends on it to end; the reason is on top of the stack.   [-0, +0, -] */
static void pass_on(runtime *rt, lua_State *L, inner_cancel_scope *c, cancel_source source) {
  if (c->type->pass_on != NULL) c->type->pass_on(rt, L, c, source);
}

bool cancel_scope_cancel(runtime *rt, lua_State *L, cancel_scope *c, cancel_source source) {
  task *t = owner_of(c);
  if (c->state > CANCEL_SCOPE_LEFT) {
    lua_pop(L, 1);
    return false;
  }
  bool is_left = c->state == CANCEL_SCOPE_LEFT;
  c->state = CANCEL_SCOPE_ANSWERED; /* until everything that depends on it was asked */
  c->source = (uint8_t)source;
  if (probe(&rt->probes, PROBE_CANCEL)) tell(rt, L, c);
  if (c->is_inner) pass_on(rt, L, container_of(c, inner_cancel_scope, base), source);
  if (is_left) {
    lua_pop(L, 1);
    return true;
  }
  cancel_scope_push(rt, L, c);
  lua_pushvalue(L, -2);
  lua_setiuservalue(L, -2, CANCEL_SCOPE_UV_REASON);
  lua_pop(L, 2);
  ask(c);
  if (t->status == TASK_WAITING && !cancel_is_shielded(t, cancel_scope_floor(c))) {
    task_wake(rt, t, WAKE_CANCELLED);
  }
  return true;
}

void cancel_scope_cancel_new(lua_State *L, cancel_scope *c, cancel_source source) {
  lua_setiuservalue(L, -2, CANCEL_SCOPE_UV_REASON);
  c->source = (uint8_t)source;
  ask(c);
}
