#include "scope/scope.h"

#include <string.h>

#include "kernel/probe.h"
#include "kernel/record.h"
#include "kernel/text.h"
#include "scope/member.h"

/* The most members that a scope's text names. */
#define MAX_NAMED 8

/* --- cancelling --- */

/* Cancels all members; the reason is on top of the stack.   [-0, +0, -] */
static void cancel_members(runtime *rt, lua_State *L, scope *s, cancel_source source) {
  list *link = NULL;
  while ((link = ring_next(s->members, link)) != NULL) {
    lua_pushvalue(L, -1);
    cancel_scope_cancel(rt, L, container_of(link, member, sibling)->under.scope, source);
  }
}

/*
** Whether the context of the scope, which nobody has needed, would be live: no context around it has
** ended.
*/
static bool would_be_live(scope *s) {
  const task *t = s->body.cancel.owner;
  if (task_ended(t)) return false;
  while (s->is_linked) {
    inner_cancel_scope *outer = s->body.cancel.outer;
    const task_member *m = t->live.member;
    const ctx *c = NULL;
    if (outer != NULL) {
      c = container_of(outer, body, cancel)->under.context;
    } else if (m != NULL) {
      c = member_of(t)->under.context;
    }
    if (c != NULL) return c->state == CONTEXT_LIVE;
    if (outer == NULL) return true;
    s = scope_of(outer); /* the body of a co.with has a context */
    if (s->context_ended) return false;
  }
  return true;
}

/* Ends the scope's context; the cause is on top of the stack.   [-0, +0, -] */
static void end_context(runtime *rt, lua_State *L, scope *s) {
  ctx *c = s->body.under.context;
  if (c == NULL) {
    if (!would_be_live(s)) return;
    cancel_scope_push(rt, L, &s->body.cancel.base);
    lua_pushvalue(L, -2);
    lua_setiuservalue(L, -2, BODY_UV_REASON);
    lua_pop(L, 1);
    s->context_ended = true;
    return;
  }
  if (c->state != CONTEXT_LIVE) return;
  context_push(rt, L, c);
  lua_pushvalue(L, -2);
  lua_setiuservalue(L, -2, CONTEXT_UV_CAUSE);
  lua_pop(L, 1);
  context_end(rt, L, c, CONTEXT_CANCELLED);
}

static void stop_timer(runtime *rt, scope *s) {
  if (s->is_timed) runtime_stop_timer(rt, &s->timer);
}

static void pass_on(runtime *rt, lua_State *L, inner_cancel_scope *c, cancel_source source) {
  scope *s = (scope *)c;
  stop_timer(rt, s);
  cancel_members(rt, L, s, source);
  end_context(rt, L, s);
}

/* --- members --- */

/* (cells, scope) Makes room for one more record behind those that it has; protected. */
static int reserve_panic(lua_State *L) {
  cells *c = lua_touserdata(L, 1);
  scope *s = lua_touserdata(L, 2);
  if (s->panics == 0) {
    cells_reserve(c, L, 1);
    return 0;
  }
  cells_push(c, L, s->records);
  if (!lua_istable(L, 3)) {
    lua_createtable(L, 2, 0);
    lua_insert(L, 3);
    lua_rawseti(L, 3, 1);
    lua_pushvalue(L, 3);
    cells_set(c, L, s->records);
  }
  lua_pushboolean(L, 0);
  lua_rawseti(L, 3, (lua_Integer)s->panics + 1);
  return 0;
}

/* Makes sure that keep_panic needs no memory; false if there is none.   [-0, +0, -] */
static bool has_room(runtime *rt, lua_State *L, scope *s) {
  if (s->panics > SCOPE_MAX_SUPPRESSED) return true;
  lua_pushcfunction(L, reserve_panic);
  lua_pushlightuserdata(L, &rt->cells);
  lua_pushlightuserdata(L, s);
  if (lua_pcall(L, 2, 0, 0) == LUA_OK) return true;
  lua_pop(L, 1);
  return false;
}

/*
** Keeps the record on top of the stack as a panic of the scope; has_room must have been true.
** [-0, +0, -]
*/
static void keep_panic(runtime *rt, lua_State *L, scope *s) {
  uint32_t before = s->panics;
  s->panics = (before + 1) & SCOPE_PANICS_MASK;
  if (before > SCOPE_MAX_SUPPRESSED) return;
  lua_pushvalue(L, -1);
  if (before == 0) {
    s->records = cells_take(&rt->cells, 0);
    cells_set(&rt->cells, L, s->records);
  } else {
    cells_push(&rt->cells, L, s->records);
    lua_insert(L, -2);
    lua_rawseti(L, -2, (lua_Integer)before + 1);
    lua_pop(L, 1);
  }
}

/* Leaves the records to the scope's object.   [-0, +0, -] */
static void hand_over_panics(runtime *rt, lua_State *L, scope *s) {
  if (s->records == 0) return;
  cancel_scope_push(rt, L, &s->body.cancel.base);
  cells_push(&rt->cells, L, s->records);
  lua_setiuservalue(L, -2, SCOPE_UV_PANICS);
  lua_pop(L, 1);
  cells_clear(&rt->cells, s->records);
  cells_free(&rt->cells, s->records);
  s->records = 0;
}

/* (name, id) → the reason for which the task's siblings are cancelled; called protected. */
static int push_sibling_reason(lua_State *L) {
  lua_pushfstring(L, "task %I \"%s\" panicked", (LUAI_UACINT)lua_tointeger(L, 2),
                  (const char *)lua_touserdata(L, 1));
  return 1;
}

/* Pushes that reason; nil without memory.   [-0, +1, -] */
static void push_reason(lua_State *L, const task *t) {
  char buffer[TASK_NAME_SIZE];
  lua_pushcfunction(L, push_sibling_reason);
  lua_pushlightuserdata(L, (void *)task_name(t, buffer));
  lua_pushinteger(L, (lua_Integer)t->id);
  if (lua_pcall(L, 2, 1, 0) == LUA_OK) return;
  lua_pop(L, 1);
  lua_pushnil(L);
}

static void inherit_panic(runtime *rt, lua_State *L, panic_heir *heir, int index) {
  scope *s = scope_of_heir(heir);
  task *t = task_test(L, index);
  if (s->kind == SCOPE_SUPERVISE || !has_room(rt, L, s)) return;
  if (!unhandled_give(rt, L, t, PANIC_HEIRS)) return;
  task_claim(rt, t);
  keep_panic(rt, L, s);
  if (!cancel_scope_is_cancelled(&s->body.cancel.base)) s->heir.asked = false;
  push_reason(L, t);
  cancel_scope_cancel(rt, L, &s->body.cancel.base, CANCEL_SCOPE);
}

static void member_ended(runtime *rt, panic_heir *heir) {
  scope *s = scope_of_heir(heir);
  if (s->live > s->daemons || !scope_is_ending(s)) return;
  task_wake(rt, s->body.cancel.owner, WAKE_READY);
}

void scope_register_heirs(runtime *rt) {
  static const panic_heir_type heirs = {.take = inherit_panic, .told = member_ended};
  rt->heir_type = &heirs;
}

/* --- opening and closing --- */

void scope_close(runtime *rt, lua_State *L, scope *s) {
  unhandled_forget(rt, &s->heir);
  stop_timer(rt, s);
  body_close(rt, L, &s->body);
  if (s->body.under.context != NULL) {
    lua_pushnil(L);
    end_context(rt, L, s);
    lua_pop(L, 1);
  }
  hand_over_panics(rt, L, s);
  body_release(rt, L, &s->body);
}

void scope_abandon(runtime *rt, lua_State *L, scope *s) {
  lua_pushnil(L);
  cancel_members(rt, L, s, CANCEL_PARENT);
  lua_pop(L, 1);
  list *link;
  while ((link = ring_next(s->members, NULL)) != NULL) {
    ring_remove(&s->members, link);
    member_lose_scope(container_of(link, member, sibling));
  }
  scope_close(rt, L, s);
}

/* The task has ended with the scope open.   [-0, +0, -] */
static void abandon(runtime *rt, lua_State *L, inner_cancel_scope *c) {
  scope_abandon(rt, L, (scope *)c);
}

static const cancel_scope_type type = {.pass_on = pass_on, .abandon = abandon};

scope *scope_of(inner_cancel_scope *c) { return c->type == &type ? (scope *)c : NULL; }

static scope *new_scope(lua_State *L, scope_kind kind, size_t size) {
  scope *s = lua_newuserdatauv(L, size, SCOPE_UV_COUNT);
  memset(s, 0, size);
  s->kind = kind & 3U;
  s->heir.asked = kind == SCOPE_TIMEOUT; /* by its deadline */
  luaL_setmetatable(L, SCOPE_TYPE);
  return s;
}

/*
** Notes what the scope's context will inherit, which is made later. Returns whether that is a
** deadline.
*/
static bool note_context(scope *s, const task *t) {
  s->is_linked = !cancel_is_shielded(t, 0);
  const inner_cancel_scope *c = task_innermost(t);
  return s->is_linked && (c == NULL ? t->entry.has_deadline : c->base.has_deadline);
}

static void tell_open(runtime *rt, lua_State *L, const scope *s) {
  if (!probe(&rt->probes, PROBE_SCOPE_OPEN)) return;
  body_tell(rt, L, &s->body, &(probe_event){.kind = PROBE_SCOPE_OPEN, .calls = true});
}

scope *scope_open(runtime *rt, lua_State *L, scope_kind kind, int context) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  scope *s = new_scope(L, kind, sizeof(scope));
  bool has_deadline = context == 0 ? note_context(s, rt->current)
                                   : context_test(L, context)->deadline_ns != TIME_FOREVER;
  body_open(rt, L, &s->body, &type, context, has_deadline);
  if (kind == SCOPE_TIMEOUT) body_bind(rt, L, &s->body);
  tell_open(rt, L, s);
  return s;
}

scope *scope_open_timed(runtime *rt, lua_State *L, int64_t deadline_ns) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  scope *s = new_scope(L, SCOPE_TIMEOUT, sizeof(timed_scope));
  timed_scope *timed = container_of(s, timed_scope, scope);
  timed->deadline_ns = deadline_ns;
  s->timer = (timer){.number = TIMER_IDLE, .owner = TIMER_OF_SCOPE};
  s->is_timed = true;
  note_context(s, rt->current);
  body_open(rt, L, &s->body, &type, 0, true);
  if (!rt->backend->timer_set(rt, &s->timer, deadline_ns)) {
    scope_close(rt, L, s);
    luaL_error(L, "not enough memory");
  }
  probe(&rt->probes, PROBE_TIMER); /* counts it */
  tell_open(rt, L, s);
  return s;
}

void scope_expire(runtime *rt, lua_State *L, timer *t) {
  scope *s = container_of(t, scope, timer);
  ctx *c = s->body.under.context;
  if (c != NULL) {
    context_push(rt, L, c);
    context_end(rt, L, c, CONTEXT_EXPIRED);
    lua_pop(L, 1);
  } else {
    runtime_push_value(rt, L, RUNTIME_UV_EXCEEDED);
    cancel_scope_cancel(rt, L, &s->body.cancel.base, CANCEL_DEADLINE);
  }
}

/* --- text --- */

/* Pushes the first members, at most MAX_NAMED, and returns their number.   [-0, +n, -] */
static int push_members(runtime *rt, lua_State *L, const scope *s) {
  int count = 0;
  list *link = NULL;
  while (count < MAX_NAMED && (link = ring_next(s->members, link)) != NULL) {
    task_push(rt, L, member_task(container_of(link, member, sibling)));
    count++;
  }
  return count;
}

/*
** Adds ` (3 tasks: `. The pieces are no strings of Lua: each panic of a member makes this text
** (wait_note_suspensions), and a million panics would leave millions of pieces among Lua's strings.
** [-0, +?, m]
*/
static void add_count(luaL_Buffer *b, bool cancelled, uint32_t live) {
  char digits[TEXT_NUMBER_SIZE];
  luaL_addstring(b, cancelled ? " (cancelled, still running: " : " (");
  luaL_addstring(b, text_digits(digits, live));
  luaL_addstring(b, live == 1 ? " task: " : " tasks: ");
}

static void add_name(luaL_Buffer *b, const task *t, bool first) {
  char buffer[TASK_NAME_SIZE];
  luaL_addstring(b, first ? "\"" : ", \"");
  luaL_addstring(b, task_name(t, buffer));
  luaL_addchar(b, '"');
}

/*
** The members are pushed before the text is made, because a finalizer may let them end meanwhile.
*/
void scope_push_text(runtime *rt, lua_State *L, const scope *s) {
  static const char *const names[] = {
      [SCOPE_PLAIN] = "scope",
      [SCOPE_SUPERVISE] = "supervising scope",
      [SCOPE_TIMEOUT] = "scope of with_timeout",
  };
  luaL_checkstack(L, MAX_NAMED + LUA_MINSTACK, NULL);
  int first = lua_gettop(L) + 1;
  bool closed = s->body.cancel.base.state == CANCEL_SCOPE_CLOSED;
  int named = closed ? 0 : push_members(rt, L, s);
  uint32_t live = s->live;
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  luaL_addstring(&b, names[s->kind]);
  if (named == 0) {
    luaL_addstring(&b, closed ? " (ended)" : " (no tasks)");
  } else {
    add_count(&b, cancel_scope_is_cancelled(&s->body.cancel.base), live);
    for (int i = 0; i < named; i++) add_name(&b, lua_touserdata(L, first + i), i == 0);
    luaL_addstring(&b, live > (uint32_t)named ? ", ...)" : ")");
  }
  luaL_pushresult(&b);
  lua_copy(L, -1, first);
  lua_settop(L, first);
}
