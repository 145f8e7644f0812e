#include "scope/region.h"

#include <string.h>

#include "kernel/unhandled.h"
#include "scope/membership.h"

/* Members that a scope's text names. */
#define MAX_NAMED 8

/* Tells of the region, with it as the object.   [-0, +0, -] */
static void tell(runtime *rt, lua_State *L, const region *r, const probe_event *event) {
  if (!lua_checkstack(L, LUA_MINSTACK)) return;
  probe_event told = *event;
  region_push(rt, L, r);
  told.task = r->owner;
  told.L = L;
  told.object = lua_gettop(L);
  probe_tell(rt, &told);
  lua_pop(L, 1);
}

/* --- opening --- */

static region *new_region(lua_State *L, task *owner, region_kind kind) {
  region *r = lua_newuserdatauv(L, sizeof(region), REGION_UV_COUNT);
  memset(r, 0, sizeof(region));
  r->owner = owner;
  r->kind = (uint8_t)kind;
  r->binding = (context_binding){.task = owner, .region = r};
  list_init(&r->members);
  list_init(&r->held);
  list_init(&r->binding.link);
  luaL_setmetatable(L, REGION_TYPE);
  return r;
}

/* Keeps the exit that the region is opened in, as its own may take its place.   [-0, +0, -] */
static void save_exit(lua_State *L, const frame_stack *s, int index) {
  if (!frames_has_exit(s)) return;
  frames_push_exit(s, L);
  lua_setiuservalue(L, index, REGION_UV_EXIT);
}

/* Makes the region end with its context, or end now.   [-0, +0, -] */
static void bind(runtime *rt, lua_State *L, region *r) {
  ctx *c = r->context;
  if (c->state != CONTEXT_LIVE) {
    context_push_reason(rt, L, c);
    region_cancel(rt, L, r, context_cancel_source(c));
  } else if (c->can_end) {
    list_append(&c->bound, &r->binding.link);
  }
}

region *region_open(runtime *rt, lua_State *L, region_kind kind, int context_index) {
  task *t = rt->current;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  membership *m = membership_ensure(rt, L, t);
  frame_stack *s = task_frames_of(rt, L);
  if (!frames_reserve_frames(s, &rt->memory, s->depth + 2)) luaL_error(L, "not enough memory");
  region *r = new_region(L, t, kind);
  int index = lua_gettop(L);
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->pinned_ref);
  lua_pushboolean(L, 0); /* makes room: nothing below the pin fails */
  lua_rawsetp(L, -2, r);
  context_pin(rt, L, context_index);
  lua_pushvalue(L, index);
  lua_rawsetp(L, -2, r);
  lua_pop(L, 1);
  r->context = context_test(L, context_index);
  r->floor = s->depth;
  r->outer = m->regions;
  m->regions = r;
  save_exit(L, s, index);
  if (kind == REGION_TIMEOUT || kind == REGION_WITH) bind(rt, L, r);
  if (probe(&rt->probes, PROBE_SCOPE_OPEN)) {
    tell(rt, L, r, &(probe_event){.kind = PROBE_SCOPE_OPEN, .calls = true});
  }
  return r;
}

void region_push(runtime *rt, lua_State *L, const region *r) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->pinned_ref);
  lua_rawgetp(L, -1, r);
  lua_remove(L, -2);
}

/* --- cancelling --- */

/* Asks the body to end; the reason is on top of the stack.   [-1, +0, -] */
static void request_end(runtime *rt, lua_State *L, region *r, cancel_source source) {
  task *t = r->owner;
  r->request = (uint8_t)source;
  t->unwind = true;
  region_push(rt, L, r);
  lua_insert(L, -2);
  lua_setiuservalue(L, -2, REGION_UV_REASON);
  lua_pop(L, 1);
  if (t->status == TASK_WAITING && !cancel_is_shielded(rt, L, t, r->floor)) {
    task_wake(rt, t, WAKE_CANCELLED);
  }
}

/* Asks all members to end; the reason is on top of the stack.   [-0, +0, -] */
static void cancel_members(runtime *rt, lua_State *L, region *r, cancel_source source) {
  for (list *link = r->members.next; link != &r->members; link = link->next) {
    lua_pushvalue(L, -1);
    cancel_task(rt, L, container_of(link, membership, sibling)->binding.task, source);
  }
}

/* Ends the context that the region has made; the cause is on top of the stack.   [-0, +0, -] */
static void end_context(runtime *rt, lua_State *L, region *r) {
  if (r->kind == REGION_WITH || r->context->state != CONTEXT_LIVE) return;
  context_push(rt, L, r->context);
  lua_pushvalue(L, -2);
  lua_setiuservalue(L, -2, CONTEXT_UV_CAUSE);
  lua_pop(L, 1);
  context_end(rt, L, r->context, CONTEXT_CANCELLED);
}

bool region_cancel(runtime *rt, lua_State *L, region *r, cancel_source source) {
  if (r->cancelled || r->ended) {
    lua_pop(L, 1);
    return false;
  }
  r->cancelled = true;
  if (probe(&rt->probes, PROBE_CANCEL)) {
    tell(rt, L, r, &(probe_event){.kind = PROBE_CANCEL, .word = cancel_source_name(source)});
  }
  cancel_members(rt, L, r, source);
  end_context(rt, L, r);
  if (r->body_ended) {
    lua_pop(L, 1);
  } else {
    request_end(rt, L, r, source);
  }
  return true;
}

/* --- members --- */

/* (region, record) appends the record to the suppressed ones; protected. */
static int append_suppressed(lua_State *L) {
  if (lua_getiuservalue(L, 1, REGION_UV_SUPPRESSED) != LUA_TTABLE) {
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, 1, REGION_UV_SUPPRESSED);
  }
  lua_pushvalue(L, 2);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  return 0;
}

/* The same for the record on top of the stack. False: there is no memory.   [-0, +0, -] */
static bool suppress(runtime *rt, lua_State *L, const region *r) {
  lua_pushcfunction(L, append_suppressed);
  region_push(rt, L, r);
  lua_pushvalue(L, -3);
  if (lua_pcall(L, 2, 0, 0) == LUA_OK) return true;
  lua_pop(L, 1);
  return false;
}

bool region_take_panic(runtime *rt, lua_State *L, region *r) {
  if (!r->panicked) {
    r->panicked = true;
    region_push(rt, L, r);
    lua_pushvalue(L, -2);
    lua_setiuservalue(L, -2, REGION_UV_PANIC);
    lua_pop(L, 1);
    return true;
  }
  if (r->suppressed >= REGION_MAX_SUPPRESSED) {
    r->suppressed++;
    return true;
  }
  if (!suppress(rt, L, r)) return false;
  r->suppressed++;
  return true;
}

/* (name, id) → why its siblings are cancelled; protected. */
static int push_sibling_reason(lua_State *L) {
  lua_pushfstring(L, "task %I \"%s\" panicked", (LUAI_UACINT)lua_tointeger(L, 2),
                  (const char *)lua_touserdata(L, 1));
  return 1;
}

/* Pushes it, nil where there is no memory for it.   [-0, +1, -] */
static void push_reason(lua_State *L, const task *t) {
  char buffer[TASK_NAME_SIZE];
  lua_pushcfunction(L, push_sibling_reason);
  lua_pushlightuserdata(L, (void *)task_name(t, buffer));
  lua_pushinteger(L, (lua_Integer)t->id);
  if (lua_pcall(L, 2, 1, 0) == LUA_OK) return;
  lua_pop(L, 1);
  lua_pushnil(L);
}

bool region_offer_panic(runtime *rt, lua_State *L, region *r, int index) {
  if (r->kind == REGION_SUPERVISE) return false;
  if (!region_take_panic(rt, L, r)) return false;
  push_reason(L, task_test(L, index));
  region_cancel(rt, L, r, CANCEL_SCOPE);
  return true;
}

void region_member_ended(runtime *rt, region *r) {
  task *owner = r->owner;
  if (owner == NULL || r->live > r->daemons) return;
  if (owner->status == TASK_WAITING && owner->wait == &wait_scope && owner->waits_on == r) {
    task_wake(rt, owner, WAKE_READY);
  }
}

/* --- closing --- */

void region_close(runtime *rt, lua_State *L, region *r) {
  r->ended = true;
  unhandled_forget(r);
  if (probe(&rt->probes, PROBE_SCOPE_CLOSE)) {
    tell(rt, L, r, &(probe_event){.kind = PROBE_SCOPE_CLOSE});
  }
  list_remove(&r->binding.link);
  lua_pushnil(L);
  end_context(rt, L, r);
  lua_pop(L, 1);
  context_unpin(rt, L, r->context);
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->pinned_ref);
  lua_pushnil(L);
  lua_rawsetp(L, -2, r);
  lua_pop(L, 1);
}

static void abandon(runtime *rt, lua_State *L, region *r) {
  lua_pushnil(L);
  cancel_members(rt, L, r, CANCEL_PARENT);
  lua_pop(L, 1);
  list *link;
  while ((link = list_take_first(&r->members)) != NULL) {
    container_of(link, membership, sibling)->scope = NULL;
  }
  region_close(rt, L, r);
}

void region_abandon_all(runtime *rt, lua_State *L, region *innermost) {
  while (innermost != NULL) {
    region *r = innermost;
    innermost = r->outer;
    abandon(rt, L, r);
  }
}

/* --- text --- */

/* Pushes the first members, MAX_NAMED at most, and returns how many.   [-0, +n, -] */
static int push_members(runtime *rt, lua_State *L, const region *r) {
  int count = 0;
  for (list *link = r->members.next; link != &r->members && count < MAX_NAMED; link = link->next) {
    task_push(rt, L, container_of(link, membership, sibling)->binding.task);
    count++;
  }
  return count;
}

/* The members are on the stack before the text is made: a finalizer may let them end meanwhile. */
void region_push_text(runtime *rt, lua_State *L, const region *r) {
  static const char *const names[] = {
      [REGION_SCOPE] = "scope",
      [REGION_SUPERVISE] = "supervising scope",
      [REGION_TIMEOUT] = "scope of with_timeout",
      [REGION_WITH] = "body of co.with",
  };
  luaL_checkstack(L, MAX_NAMED + LUA_MINSTACK, NULL);
  int first = lua_gettop(L) + 1;
  int named = r->ended ? 0 : push_members(rt, L, r);
  int live = (int)r->live;
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  luaL_addstring(&b, names[r->kind]);
  if (named == 0) {
    luaL_addstring(&b, r->ended ? " (ended)" : " (no tasks)");
  } else {
    const char *cancelled = r->cancelled ? "cancelled, still running: " : "";
    lua_pushfstring(L, " (%s%d %s: ", cancelled, live, live == 1 ? "task" : "tasks");
    luaL_addvalue(&b);
    for (int i = 0; i < named; i++) {
      char buffer[TASK_NAME_SIZE];
      const char *name = task_name(lua_touserdata(L, first + i), buffer);
      lua_pushfstring(L, "%s\"%s\"", i == 0 ? "" : ", ", name);
      luaL_addvalue(&b);
    }
    luaL_addstring(&b, live > named ? ", ...)" : ")");
  }
  luaL_pushresult(&b);
  lua_copy(L, -1, first);
  lua_settop(L, first);
}
