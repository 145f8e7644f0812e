#include "kernel/deadlock.h"
#include "kernel/panic.h"
#include "kernel/unhandled.h"
#include "kernel/unwind.h"
#include "scope/member.h"
#include "scope/scope.h"

/* --- waiting for the members --- */

/* Iterates over the members in the order of their list. */
static const task *next_member(const void *waits_on, const task *previous) {
  const scope *s = waits_on;
  list *link = ring_next(s->members, previous == NULL ? NULL : &member_of(previous)->sibling);
  return link == NULL ? NULL : member_task(container_of(link, member, sibling));
}

static int after_member(lua_State *L, int status, lua_KContext runtime_address);

/* The fields that both waits share. The object's text says the rest. */
#define SCOPE_WAIT \
  .name = "end of scope", .verb = "end", .push_object = wait_push_self, .next_blocker = next_member

static const wait_type wait_scope = {SCOPE_WAIT, .continuation = after_member};
static const wait_type wait_lost_scope = {SCOPE_WAIT, .continuation = unwind_after_lost};

bool scope_is_ending(const scope *s) {
  const task *t = s->body.cancel.owner;
  bool waits = t->status == TASK_WAITING && t->waits_on == s;
  return waits && (t->wait == &wait_scope || t->wait == &wait_lost_scope);
}

/* --- the end --- */

/* Pushes the record of panic `i`, from 1, of those that the closed scope has.   [-0, +1, -] */
static void push_panic(lua_State *L, lua_Integer i) {
  if (lua_getiuservalue(L, BODY_INDEX, SCOPE_UV_PANICS) != LUA_TTABLE) return;
  lua_rawgeti(L, -1, i);
  lua_replace(L, -2);
}

/*
** Adds the later panics, if any, to the record on top of the stack.   [-0, +0, m]
**   first  the number of the first one to add
*/
static void set_suppressed(lua_State *L, const scope *s, uint32_t first) {
  if (s->panics < first) return;
  int index = lua_gettop(L);
  record_push_detail(L, index, DETAIL_SUPPRESSED); /* that of a scope further in */
  if (!lua_istable(L, -1)) lua_newtable(L);
  lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
  for (uint32_t i = first; i <= s->panics && i <= SCOPE_MAX_SUPPRESSED + 1; i++) {
    push_panic(L, i);
    lua_rawseti(L, -2, ++count);
  }
  if (s->panics > SCOPE_MAX_SUPPRESSED + 1) {
    lua_pushinteger(L, (lua_Integer)(s->panics - 1 - SCOPE_MAX_SUPPRESSED));
    lua_setfield(L, -2, "omitted");
  }
  record_set_detail(L, index, DETAIL_SUPPRESSED);
  lua_settop(L, index);
}

/* Pushes the first member's panic as a panic of the running code.   [-0, +1, m] */
static void wrap_member_panic(runtime *rt, lua_State *L, const scope *s) {
  push_panic(L, 1);
  const record *child = record_test(L, -1);
  record_wrap_safe(rt, L, L, 1, child->kind);
  set_suppressed(L, s, 2);
}

/* The body alone was cancelled; the record of that is on top of the stack. */
static int deliver_cancelled(runtime *rt, lua_State *L, const scope *s) {
  record_test(L, -1)->recovered = true;
  rt->current->raises = 0;
  if (s->kind != SCOPE_TIMEOUT) return 0;
  lua_pushboolean(L, 0);
  lua_insert(L, -2);
  return 2;
}

static int deliver_results(runtime *rt, lua_State *L, const scope *s) {
  int results = body_return(rt, L);
  if (s->kind != SCOPE_TIMEOUT) return results;
  lua_pushboolean(L, 1);
  lua_insert(L, BODY_OUTCOME_INDEX);
  return results + 1;
}

/*
** All members have ended: closes the scope, and returns or raises its outcome. A panic comes before
** an exit.
*/
static int conclude(runtime *rt, lua_State *L, scope *s) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  unhandled_give_all(rt, L, &s->heir);
  scope_close(rt, L, s);
  if (s->body.cancel.outcome == BODY_PANICKED) {
    set_suppressed(L, s, 1);
    return lua_error(L);
  }
  if (s->panics > 0) {
    wrap_member_panic(rt, L, s);
    return lua_error(L);
  }
  if (s->body.cancel.outcome == BODY_RETURNED) return deliver_results(rt, L, s);
  return s->body.cancel.outcome == BODY_CANCELLED ? deliver_cancelled(rt, L, s) : lua_error(L);
}

/* --- waiting --- */

static int wait_for_members(runtime *rt, lua_State *L, scope *s);

/*
** Whether all members have ended, and no task is on the way to the panic of one, which would then
** own it. In a deadlock such tasks do not come, because scripts have closed their coroutines.
*/
static bool is_over(const runtime *rt, const scope *s) {
  if (s->live > 0) return false;
  return task_is_hopeless(rt->current) || s->kind == SCOPE_SUPERVISE || s->heir.awaited == 0;
}

/*
** Woken because the members have ended, or because this task is being cancelled. In the second case
** cancels the members and waits again: the cancellation is raised after they have ended.
*/
static int after_member(lua_State *L, int status, lua_KContext runtime_address) {
  (void)status;
  runtime *rt = (runtime *)runtime_address;
  scope *s = lua_touserdata(L, BODY_INDEX);
  const task *t = rt->current;
  if (cancel_is_due(rt, t)) body_cancel(rt, L, &s->body, CANCEL_PARENT);
  return wait_for_members(rt, L, s);
}

static int wait_for_members(runtime *rt, lua_State *L, scope *s) {
  const cancel_scope *c = &s->body.cancel.base;
  if (s->live > 0 && s->live == s->daemons) {
    s->heir.asked = true;
    body_cancel(rt, L, &s->body, CANCEL_SCOPE);
  }
  if (is_over(rt, s)) return conclude(rt, L, s);
  if (s->live > 0 && !cancel_scope_is_cancelled(c) && deadlock_find(rt, L, &wait_scope, s)) {
    /* The panic replaces the outcome of the body, because the members must still be waited for. */
    lua_insert(L, BODY_OUTCOME_INDEX);
    lua_settop(L, BODY_OUTCOME_INDEX);
    s->body.cancel.outcome = BODY_PANICKED;
    body_cancel(rt, L, &s->body, CANCEL_SCOPE);
  }
  rt->current->waits_on = s;
  return task_park(rt, L, &wait_scope, TIME_FOREVER);
}

/* The body has ended: waits for the members, then returns or raises the scope's outcome. */
static int leave(runtime *rt, lua_State *L, frame_stack *frames, frame_state state) {
  scope *s = lua_touserdata(L, BODY_INDEX);
  body_leave(rt, L, &s->body, frames, state);
  return wait_for_members(rt, L, s);
}

/*
** The innermost scope has lost its body: cancels the members, waits for them if it can, and closes the
** scope. A member's panic replaces the frame's outcome.
*/
static void lost(runtime *rt, lua_State *L, frame_stack *frames) {
  scope *s = (scope *)body_leave_lost(rt, L, frames);
  if (s == NULL) return;
  if (!is_over(rt, s) && !lua_isyieldable(L)) { /* a host runs what is pending: task_run_pending */
    scope_abandon(rt, L, s);
    return;
  }
  if (!is_over(rt, s)) {
    rt->current->waits_on = s;
    task_park(rt, L, &wait_lost_scope, TIME_FOREVER);
    compat_unreachable();
  }
  unhandled_give_all(rt, L, &s->heir);
  scope_close(rt, L, s);
  if (s->panics > 0) {
    wrap_member_panic(rt, L, s);
    frames_unwind(frames, L, STATE_PANICKING);
  }
}

const frame_type frame_scope = {.shields = true, .has_object = true, .leave = leave, .lost = lost};
