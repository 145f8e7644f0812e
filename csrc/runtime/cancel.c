#include "runtime/cancel.h"

#include "runtime/membership.h"
#include "runtime/panic.h"
#include "runtime/region.h"
#include "runtime/suspension.h"
#include "runtime/task.h"

cancel_request cancel_request_of(const runtime *rt, cancel_source source) {
  cancel_request request = {.source = (uint8_t)source};
  if (rt->current != NULL) {
    request.by = rt->current->id;
    request.by_slot = rt->current->slot;
  }
  return request;
}

bool cancel_is_shielded(const task *t, uint32_t floor) {
  return t->live.strand != NULL && floor < strand_shield(t->live.strand);
}

bool cancel_task(runtime *rt, lua_State *L, task *t, cancel_source source) {
  if (task_ended(t)) {
    lua_pop(L, 1);
    return false;
  }
  if (t->cancel.source != CANCEL_NONE) {
    lua_pop(L, 1);
    return true;
  }
  t->cancel = cancel_request_of(rt, source);
  t->unwind = true;
  task_push(rt, L, t);
  lua_insert(L, -2);
  lua_setiuservalue(L, -2, TASK_UV_RESULT);
  lua_pop(L, 1);
  if (t->status == TASK_WAITING && !cancel_is_shielded(t, 0)) task_wake(rt, t, WAKE_CANCELLED);
  return true;
}

/* --- raising --- */

/* (record, asker or nil, request) notes who asked, and who waits if the task alone was; protected. */
static int describe_request(lua_State *L) {
  const cancel_request *request = lua_touserdata(L, 3);
  runtime *rt = record_test(L, 1)->runtime;
  lua_settop(L, 2);
  record_set_detail(L, 1, DETAIL_CANCELLED_BY);
  if (request->source == CANCEL_EXPLICIT) suspension_note(rt, L, rt->current);
  return 0;
}

void cancel_note_asker(runtime *rt, lua_State *L, int victim) {
  if (rt->current == NULL) return;
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->askers_ref);
  lua_pushvalue(L, victim);
  task_push(rt, L, rt->current);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

/* Whether the value on top of the stack is the task that asked. */
static bool is_asker(lua_State *L, const cancel_request *request) {
  const task *asker = lua_touserdata(L, -1);
  return asker != NULL && asker->id == request->by;
}

/* Pushes the task that asked the current one; nil when it has ended unnoted.   [-0, +1, -] */
static void push_asker(runtime *rt, lua_State *L, const cancel_request *request) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->tasks_ref);
  lua_rawgeti(L, -1, request->by_slot);
  lua_remove(L, -2);
  if (is_asker(L, request)) return;
  lua_pop(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->askers_ref);
  task_push(rt, L, rt->current);
  lua_rawget(L, -2);
  lua_remove(L, -2);
  if (is_asker(L, request)) return;
  lua_pop(L, 1);
  lua_pushnil(L);
}

void cancel_make_record(runtime *rt, lua_State *L, lua_State *thread, int level,
                        const cancel_request *request) {
  record_kind kind = request->source == CANCEL_DEADLINE ? RECORD_TIMEOUT : RECORD_CANCELLED;
  record_wrap_safe(rt, L, thread, level, kind);
  record *r = record_test(L, -1);
  r->kind = (uint8_t)kind; /* even where there was no memory for more */
  r->exits = true;
  r->cancel_source = request->source;
  if (request->by == 0 && request->source != CANCEL_EXPLICIT) return;
  lua_pushcfunction(L, describe_request);
  lua_pushvalue(L, -2);
  push_asker(rt, L, request);
  lua_pushlightuserdata(L, (void *)request);
  if (lua_pcall(L, 3, 0, 0) != LUA_OK) lua_pop(L, 1);
}

/* The outermost region of the task whose request may be raised now; NULL: none. */
static region *find_region(const task *t, uint32_t shield) {
  region *found = NULL;
  if (t->membership == NULL) return NULL;
  for (region *r = t->membership->regions; r != NULL && r->floor >= shield; r = r->outer) {
    if (r->request.source != CANCEL_NONE) found = r;
  }
  return found;
}

bool cancel_is_due(const task *t) {
  if (!t->unwind) return false;
  uint32_t shield = t->live.strand == NULL ? 0 : strand_shield(t->live.strand);
  return (t->cancel.source != CANCEL_NONE && shield == 0) || find_region(t, shield) != NULL;
}

void cancel_raise(runtime *rt, lua_State *L, task *t) {
  panic_check_exit(t->live.strand, L);
  if (!t->unwind) return;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  uint32_t shield = t->live.strand == NULL ? 0 : strand_shield(t->live.strand);
  uint32_t floor = 0;
  cancel_request *request = &t->cancel;
  if (request->source != CANCEL_NONE && shield == 0) {
    task_push(rt, L, t);
    lua_getiuservalue(L, -1, TASK_UV_RESULT);
  } else {
    region *r = find_region(t, shield);
    if (r == NULL) return;
    request = &r->request;
    floor = r->floor;
    region_push(rt, L, r);
    lua_getiuservalue(L, -1, REGION_UV_REASON);
  }
  cancel_make_record(rt, L, L, 1, request);
  request->source = CANCEL_NONE;
  membership_update_unwind(t);
  panic_exit(rt, L, floor);
}
