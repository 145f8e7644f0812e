#include "kernel/deadlock.h"
#include "kernel/panic.h"
#include "kernel/unhandled.h"
#include "scope/membership.h"
#include "scope/region.h"

/*
** The C stack while a region ends, from the bottom: [region] [handler] [outcome of the body ...].
*/
enum { REGION_INDEX = 1, OUTCOME_INDEX = 3 };

/* --- the body's end --- */

/* Goes on with the exit that the region was opened in, if its own has taken that one's place. */
static void restore_exit(lua_State *L, frame_stack *s) {
  if (lua_getiuservalue(L, REGION_INDEX, REGION_UV_EXIT) == LUA_TNIL || !frames_has_exit(s)) {
    lua_pop(L, 1);
  } else {
    frames_set_exit(s, L);
  }
}

/*
** Whether the exit with which the body ended was the region's own: else it goes on outside.
*/
static bool is_own_exit(const region *r, const frame_stack *s) {
  return r->outcome == STATE_EXITING && !frames_is_exiting(s);
}

/* --- the end --- */

/*
** Gives the record on top of the stack the panics that came second, if any.   [-0, +0, m]
**   first  whether the first member's panic is one of them
*/
static void set_suppressed(lua_State *L, const region *r, bool first) {
  if (r->suppressed == 0 && !first) return;
  int index = lua_gettop(L);
  record_push_detail(L, index, DETAIL_SUPPRESSED); /* of a scope further in */
  if (!lua_istable(L, -1)) lua_newtable(L);
  lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
  if (first) {
    lua_getiuservalue(L, REGION_INDEX, REGION_UV_PANIC);
    lua_rawseti(L, -2, ++count);
  }
  if (lua_getiuservalue(L, REGION_INDEX, REGION_UV_SUPPRESSED) == LUA_TTABLE) {
    lua_Integer kept = (lua_Integer)lua_rawlen(L, -1);
    for (lua_Integer i = 1; i <= kept; i++) {
      lua_rawgeti(L, -1, i);
      lua_rawseti(L, -3, ++count);
    }
  }
  lua_pop(L, 1);
  if (r->suppressed > REGION_MAX_SUPPRESSED) {
    lua_pushinteger(L, (lua_Integer)(r->suppressed - REGION_MAX_SUPPRESSED));
    lua_setfield(L, -2, "omitted");
  }
  record_set_detail(L, index, DETAIL_SUPPRESSED);
  lua_settop(L, index);
}

/* Pushes the first member's panic as one of the running code.   [-0, +1, m] */
static void wrap_member_panic(runtime *rt, lua_State *L, const region *r) {
  lua_getiuservalue(L, REGION_INDEX, REGION_UV_PANIC);
  const record *child = record_test(L, -1);
  record_wrap_safe(rt, L, L, 1, child->kind);
  set_suppressed(L, r, false);
}

/* The body was unwound by the region's own request; the record of that is on top of the stack. */
static int deliver_own_exit(runtime *rt, lua_State *L, const region *r) {
  record *exit = record_test(L, -1);
  exit->recovered = true;
  rt->current->raises = 0;
  if (r->kind == REGION_TIMEOUT) {
    lua_pushboolean(L, 0);
    lua_insert(L, -2);
    return 2;
  }
  if (r->kind != REGION_WITH) return 0;
  cancel_source source = exit->cancel_source;
  record_wrap_safe(rt, L, L, 1, exit->kind);
  record_test(L, -1)->cancel_source = (uint8_t)source;
  return lua_error(L);
}

static int deliver_results(runtime *rt, lua_State *L, const region *r) {
  task *t = rt->current;
  if (task_needs_unwinding(t)) cancel_raise(rt, L, t);
  if (r->kind == REGION_TIMEOUT) {
    lua_pushboolean(L, 1);
    lua_insert(L, OUTCOME_INDEX);
  }
  return lua_gettop(L) - OUTCOME_INDEX + 1;
}

/* All members have ended: what the region comes to. A panic comes before an exit. */
static int conclude(runtime *rt, lua_State *L, region *r) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  unhandled_give_all(rt, L, r);
  membership *m = rt->current->membership;
  m->regions = r->outer;
  region_close(rt, L, r);
  membership_update_unwind(rt->current);
  if (r->outcome == STATE_PANICKING) {
    set_suppressed(L, r, r->panicked);
    return lua_error(L);
  }
  if (r->panicked) {
    wrap_member_panic(rt, L, r);
    return lua_error(L);
  }
  if (r->outcome == STATE_RETURNING) return deliver_results(rt, L, r);
  return r->own_exit ? deliver_own_exit(rt, L, r) : lua_error(L);
}

/* --- waiting --- */

static int wait_for_members(runtime *rt, lua_State *L, region *r);

/*
** Whether all members have ended, and nobody is on the way to the panic of one, which is theirs then. In a deadlock
** they do not come: somebody has closed their coroutines.   [-0, +0, -]
*/
static bool is_over(const runtime *rt, lua_State *L, const region *r) {
  if (r->live > 0) return false;
  return rt->current->wake == WAKE_DEADLOCK || !unhandled_is_awaited(rt, L, r);
}

/*
** Woken: the members have ended, or else the task is to end, which they are told. It waits on: what
** is asked of the task is raised when nothing of it outlives it.
*/
static int after_member(lua_State *L, int status, lua_KContext runtime_address) {
  (void)status;
  runtime *rt = (runtime *)runtime_address;
  region *r = lua_touserdata(L, REGION_INDEX);
  const task *t = rt->current;
  if (cancel_is_due(rt, L, t)) {
    lua_pushnil(L);
    region_cancel(rt, L, r, CANCEL_PARENT);
  }
  return wait_for_members(rt, L, r);
}

static int wait_for_members(runtime *rt, lua_State *L, region *r) {
  if (r->live > 0 && r->live == r->daemons && !r->cancelled) {
    lua_pushnil(L);
    region_cancel(rt, L, r, CANCEL_SCOPE);
  }
  if (is_over(rt, L, r)) return conclude(rt, L, r);
  if (r->live > 0 && !r->cancelled && deadlock_find(rt, L, &wait_scope, r)) {
    /* The body has a panic instead of its outcome, since its members are still to be waited for. */
    lua_insert(L, OUTCOME_INDEX);
    lua_settop(L, OUTCOME_INDEX);
    r->outcome = STATE_PANICKING;
    r->own_exit = false;
    lua_pushnil(L);
    region_cancel(rt, L, r, CANCEL_SCOPE);
  }
  rt->current->waits_on = r;
  return task_park(rt, L, &wait_scope, TIME_FOREVER, (lua_KContext)rt, after_member);
}

/*
** The innermost region has lost its body: ends its members and waits for them, then closes it. A member's panic takes
** the place of the frame's outcome.
*/
static void finish_lost(runtime *rt, lua_State *L, frame_stack *s, lua_KContext context,
                        lua_KFunction continuation) {
  task *t = rt->current;
  region *r = t->membership == NULL ? NULL : t->membership->regions;
  if (r == NULL || r->floor != s->depth - 1) return;
  lua_settop(L, 0);
  region_push(rt, L, r);
  r->body_ended = true;
  lua_pushnil(L);
  region_cancel(rt, L, r, CANCEL_PARENT);
  if (!is_over(rt, L, r)) {
    t->waits_on = r;
    task_park(rt, L, &wait_scope, TIME_FOREVER, context, continuation);
    compat_unreachable();
  }
  unhandled_give_all(rt, L, r);
  if (r->panicked) {
    wrap_member_panic(rt, L, r);
    frames_unwind(s, L, STATE_PANICKING);
  }
  t->membership->regions = r->outer;
  region_close(rt, L, r);
  membership_update_unwind(t);
}

/* The body has ended: waits for the members, then returns or raises what the region comes to. */
static int finish(runtime *rt, lua_State *L, frame_stack *s, frame_state state) {
  region *r = lua_touserdata(L, REGION_INDEX);
  r->body_ended = true;
  r->request = CANCEL_NONE;
  r->outcome = (uint8_t)state;
  restore_exit(L, s);
  r->own_exit = is_own_exit(r, s);
  membership_update_unwind(rt->current);
  bool exited = state == STATE_EXITING && !r->own_exit;
  /* A cancellation that came with what the body last waited for has not been raised in it. */
  if (exited || cancel_is_due(rt, L, rt->current)) {
    lua_pushnil(L);
    region_cancel(rt, L, r, CANCEL_PARENT);
  } else if (state == STATE_PANICKING) {
    lua_pushnil(L);
    region_cancel(rt, L, r, CANCEL_SCOPE);
  }
  return wait_for_members(rt, L, r);
}

const frame_type frame_region = {
    .shields = true,
    .has_object = true,
    .leave = finish,
    .lost = finish_lost,
};

/* The members, in the order of the list that they stand in. */
static const task *next_member(const void *waits_on, const task *previous) {
  const region *r = waits_on;
  const list *link = previous == NULL ? r->members.next : previous->membership->sibling.next;
  return link == &r->members ? NULL : container_of(link, membership, sibling)->binding.task;
}

const wait_type wait_scope = {
    .name = "end of scope",
    .verb = "end", /* the object's text says the rest */
    .push_object = wait_push_self,
    .next_blocker = next_member,
};
