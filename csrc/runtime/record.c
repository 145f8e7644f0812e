#include "runtime/record.h"

#include <string.h>

#include "core/clock.h"
#include "runtime/driver.h"
#include "runtime/runtime.h"
#include "runtime/suspension.h"
#include "runtime/task.h"

#define FRAMES_MAX (RECORD_FRAMES_INNER + RECORD_FRAMES_OUTER)

const char record_magic = 0;

record *record_test(lua_State *L, int index) {
  if (lua_type(L, index) != LUA_TUSERDATA || lua_rawlen(L, index) < sizeof(record)) return NULL;
  record *r = lua_touserdata(L, index);
  return r->magic == &record_magic ? r : NULL;
}

const char *record_kind_name(const record *r) {
  static const char *const names[] = {
      [RECORD_PANIC] = "panic",       [RECORD_ERROR] = "error",   [RECORD_MEMORY] = "memory",
      [RECORD_DEADLOCK] = "deadlock", [RECORD_GOEXIT] = "goexit", [RECORD_CANCELLED] = "cancelled",
      [RECORD_TIMEOUT] = "timeout",
  };
  return names[r->kind];
}

void record_push_detail(lua_State *L, int index, record_detail detail) {
  if (lua_getiuservalue(L, index, RECORD_UV_DETAILS) != LUA_TTABLE) return;
  lua_rawgeti(L, -1, detail);
  lua_remove(L, -2);
}

void record_set_detail(lua_State *L, int index, record_detail detail) {
  index = lua_absindex(L, index);
  if (lua_getiuservalue(L, index, RECORD_UV_DETAILS) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_createtable(L, DETAIL_COUNT, 0);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, index, RECORD_UV_DETAILS);
  }
  lua_insert(L, -2);
  lua_rawseti(L, -2, detail);
  lua_pop(L, 1);
}

/*
** The number of activations of `thread` from `level` outwards. Counts up to FRAMES_MAX one by one; a
** deeper stack is bisected, since lua_getstack costs as much as the level. Of a stack deeper than
** RECORD_DEEP_STACK (an overflow has a million) this is only a lower bound: each walk to its end takes
** some 20 ms.
*/
static int count_levels(lua_State *thread, int level) {
  lua_Debug ar;
  int known = level; /* levels below `known` exist */
  while (known - level <= FRAMES_MAX) {
    if (!lua_getstack(thread, known, &ar)) return known - level;
    known++;
  }
  int beyond = known;
  while (lua_getstack(thread, beyond, &ar)) {
    known = beyond;
    beyond *= 2;
  }
  if (known - level > RECORD_DEEP_STACK) return known + 1 - level;
  while (known + 1 < beyond) {
    int middle = known + (beyond - known) / 2;
    if (lua_getstack(thread, middle, &ar)) {
      known = middle;
    } else {
      beyond = middle;
    }
  }
  return known + 1 - level;
}

/* Moves the function on top of `thread` to user value `uv` of the record on top of L.   [-0, +0, -]
 */
static void anchor_function(lua_State *L, lua_State *thread, int uv) {
  if (thread != L) lua_xmove(thread, L, 1);
  lua_setiuservalue(L, -2, uv);
}

/* Whether the C function is the runtime's own machinery, or only the means of raising. */
static bool is_machinery(const runtime *rt, lua_CFunction f, bool innermost) {
  return driver_is_machinery(f) || (innermost && (f == rt->base_error || f == rt->base_assert));
}

/*
** Captures levels [from, to) into the record on top of L. The functions are anchored, which keeps
** the frames' strings alive; a frame's name belongs to the constants of its caller, so that one
** more function than frames is anchored.   [-0, +0, -]
*/
static void capture_levels(const runtime *rt, lua_State *L, lua_State *thread, record *r, int from,
                           int to, int *uv) {
  lua_Debug ar;
  for (int level = from; level < to && lua_getstack(thread, level, &ar); level++) {
    lua_getinfo(thread, "Slnf", &ar);
    lua_CFunction f = *ar.what == 'C' ? lua_tocfunction(thread, -1) : NULL;
    if (f != NULL && is_machinery(rt, f, r->frame_count == 0)) {
      lua_pop(thread, 1);
      continue;
    }
    anchor_function(L, thread, (*uv)++);
    r->frames[r->frame_count++] = (record_frame){
        .source = ar.source,
        .name = ar.name,
        .what = ar.what,
        .line = ar.currentline,
        .line_defined = ar.linedefined,
    };
  }
  if (lua_getstack(thread, to, &ar)) {
    lua_getinfo(thread, "f", &ar);
    anchor_function(L, thread, (*uv)++);
  }
}

static void capture_stack(const runtime *rt, lua_State *L, lua_State *thread, record *r, int level,
                          int levels) {
  int uv = RECORD_UV_FUNCTIONS;
  if (levels <= FRAMES_MAX) {
    capture_levels(rt, L, thread, r, level, level + levels, &uv);
    r->inner_count = r->frame_count;
    return;
  }
  capture_levels(rt, L, thread, r, level, level + RECORD_FRAMES_INNER, &uv);
  r->inner_count = r->frame_count;
  if (levels > RECORD_DEEP_STACK) {
    r->frames_omitted = (uint32_t)(levels - RECORD_FRAMES_INNER);
    return;
  }
  int outer = level + levels - RECORD_FRAMES_OUTER;
  capture_levels(rt, L, thread, r, outer, level + levels, &uv);
  r->frames_omitted = (uint32_t)(levels - FRAMES_MAX);
}

/* Who panicked, for which request, and when. */
static void identify(runtime *rt, lua_State *L, record *r) {
  r->runtime = rt;
  r->sequence = ++rt->next_record;
  r->time_ns = clock_wall_ns();
  trace_context *context = trace_current(rt);
  if (trace_ensure(rt, context)) {
    memcpy(r->trace_id, context->trace->trace_id, sizeof(r->trace_id));
    r->span_id = trace_span_id(rt, context);
    r->parent_span_id = context->parent_span_id;
  }
  const task *t = rt->current;
  if (t != NULL) {
    r->task_id = t->id;
    r->task_status = t->status;
    task_push(rt, L, t);
    lua_setiuservalue(L, -2, RECORD_UV_TASK);
  }
}

/* Cuts the chain of the record on top of L behind its RECORD_MAX_CHAIN newest links. */
static void trim_chain(lua_State *L) {
  lua_pushvalue(L, -1);
  for (int i = 0; i < RECORD_MAX_CHAIN && lua_type(L, -1) == LUA_TUSERDATA; i++) {
    lua_getiuservalue(L, -1, RECORD_UV_LINK);
    lua_remove(L, -2);
  }
  if (record_test(L, -1) != NULL) {
    lua_pushnil(L);
    lua_setiuservalue(L, -2, RECORD_UV_LINK);
  }
  lua_pop(L, 1);
}

/* Links the record on top of L to the panic that is in flight on the thread that panicked. */
static void link_chain(runtime *rt, lua_State *L, lua_State *thread, record *r) {
  const strand *s = runtime_find_strand(rt, thread);
  if (s == NULL || !strand_push_in_flight(s, L)) return;
  const record *replaced = record_test(L, -1);
  r->chain_length = replaced->chain_length + 1;
  lua_setiuservalue(L, -2, RECORD_UV_LINK);
  if (r->chain_length > RECORD_MAX_CHAIN) trim_chain(L);
}

/*
** The value is below the record on top of L. A record that is raised again stands for its own
** value; it becomes the cause unless it is in the chain already.
*/
static void take_value(lua_State *L) {
  int value = lua_gettop(L) - 1;
  if (record_test(L, value) == NULL) {
    lua_pushvalue(L, value);
    lua_setiuservalue(L, -2, RECORD_UV_VALUE);
    return;
  }
  lua_getiuservalue(L, value, RECORD_UV_VALUE);
  lua_setiuservalue(L, -2, RECORD_UV_VALUE);
  lua_getiuservalue(L, -1, RECORD_UV_LINK);
  if (!lua_rawequal(L, -1, value)) {
    lua_pushvalue(L, value);
    lua_setiuservalue(L, -3, RECORD_UV_CAUSE);
  }
  lua_pop(L, 1);
}

static record *new_record(lua_State *L, int levels) {
  size_t kept = (size_t)(levels > FRAMES_MAX ? FRAMES_MAX : levels);
  size_t size = sizeof(record) + kept * sizeof(record_frame);
  record *r = lua_newuserdatauv(L, size, RECORD_UV_FUNCTIONS - 1 + (int)kept + 2);
  memset(r, 0, sizeof(record));
  r->magic = &record_magic;
  luaL_setmetatable(L, RECORD_TYPE);
  return r;
}

static void renew_spare(runtime *rt, lua_State *L) {
  rt->spare_used = false;
  new_record(L, 0)->kind = RECORD_MEMORY;
  runtime_set_value(rt, L, RUNTIME_UV_SPARE);
}

void record_open(runtime *rt, lua_State *L) { renew_spare(rt, L); }

/*
** Replaces the value on top of L's stack by a record of it, with the stack of `thread` from `level`
** outwards.   [-1, +1, m]
*/
static void wrap(runtime *rt, lua_State *L, lua_State *thread, int level, record_kind kind) {
  if (rt->spare_used) renew_spare(rt, L);
  int levels = count_levels(thread, level);
  record *r = new_record(L, levels);
  r->kind = (uint8_t)kind;
  capture_stack(rt, L, thread, r, level, levels);
  identify(rt, L, r);
  link_chain(rt, L, thread, r);
  take_value(L);
  /* Who is cancelled with its surroundings does not say what they wait on: that is said once. */
  if (rt->current != NULL && kind != RECORD_CANCELLED) suspension_note(rt, L, rt->current);
  lua_remove(L, -2);
  rt->stats.panics++;
}

typedef struct wrap_request {
  runtime *rt;
  lua_State *thread;
  const char *message; /* the value is this text, or else what is on the stack */
  int level;
  record_kind kind;
} wrap_request;

/* (value, request) → record; protected. */
static int wrap_protected(lua_State *L) {
  const wrap_request *request = lua_touserdata(L, 2);
  lua_settop(L, 1);
  if (request->message != NULL) {
    lua_pushstring(L, request->message);
    lua_replace(L, 1);
  }
  /* Called on the thread itself, this function is a level too. */
  int level = request->thread == L ? request->level + 1 : request->level;
  wrap(request->rt, L, request->thread, level, request->kind);
  return 1;
}

/* Gives the spare record away for the value on top of L.   [-1, +1, -] */
static void use_spare(runtime *rt, lua_State *L, record_kind kind) {
  runtime_push_value(rt, L, RUNTIME_UV_SPARE);
  record *r = record_test(L, -1);
  rt->spare_used = true;
  r->kind = (uint8_t)kind;
  r->recovered = r->exits = false;
  r->cancel_source = CANCEL_NONE;
  identify(rt, L, r);
  lua_pushvalue(L, -2);
  lua_setiuservalue(L, -2, RECORD_UV_VALUE);
  lua_remove(L, -2);
  rt->stats.panics++;
}

/* Makes a record of the value on top of L.   [-1, +1, -] */
static void wrap_or_spare(lua_State *L, wrap_request *request) {
  lua_pushcfunction(L, wrap_protected);
  lua_pushvalue(L, -2);
  lua_pushlightuserdata(L, request);
  int status = lua_pcall(L, 2, 1, 0);
  if (status == LUA_OK) {
    lua_remove(L, -2);
  } else {
    lua_pop(L, 1);
    use_spare(request->rt, L, status == LUA_ERRMEM ? RECORD_MEMORY : request->kind);
  }
}

void record_wrap_safe(runtime *rt, lua_State *L, lua_State *thread, int level, record_kind kind) {
  wrap_or_spare(L, &(wrap_request){.rt = rt, .thread = thread, .level = level, .kind = kind});
}

void record_make_safe(runtime *rt, lua_State *L, lua_State *thread, int level, record_kind kind,
                      const char *message) {
  lua_pushnil(L);
  wrap_or_spare(L,
                &(wrap_request){
                    .rt = rt, .thread = thread, .message = message, .level = level, .kind = kind});
}
