#include "kernel/record.h"

#include <string.h>

#include "core/clock.h"
#include "kernel/fingerprint.h"
#include "kernel/probe.h"
#include "kernel/runtime.h"
#include "kernel/stack.h"
#include "kernel/task.h"

#define FRAMES_MAX (RECORD_FRAMES_INNER + RECORD_FRAMES_OUTER)
_Static_assert(FRAMES_MAX == STACK_COUNTED, "stack_count keeps what a record does");

const char record_magic = 0;

record *record_test(lua_State *L, int index) {
  record *r = lua_touserdata(L, index);
  if (r == NULL || lua_rawlen(L, index) < sizeof(record)) return NULL; /* 0: a light userdata */
  return r->magic == &record_magic ? r : NULL;
}

const char *record_kind_word(record_kind kind) {
  static const char *const names[] = {
      [RECORD_PANIC] = "panic",       [RECORD_ERROR] = "error",   [RECORD_MEMORY] = "memory",
      [RECORD_DEADLOCK] = "deadlock", [RECORD_GOEXIT] = "goexit", [RECORD_CANCELLED] = "cancelled",
      [RECORD_TIMEOUT] = "timeout",   [RECORD_LEAKED] = "leaked", [RECORD_WARNING] = "warning",
  };
  return names[kind];
}

const char *record_kind_name(const record *r) { return record_kind_word(r->kind); }

void record_push_detail(lua_State *L, int index, record_detail detail) {
  if (lua_getiuservalue(L, index, RECORD_UV_DETAILS) != LUA_TTABLE) return;
  lua_rawgeti(L, -1, detail);
  lua_remove(L, -2);
}

/* Few records have more than two details. */
void record_push_details(lua_State *L, int index) {
  index = lua_absindex(L, index);
  if (lua_getiuservalue(L, index, RECORD_UV_DETAILS) == LUA_TTABLE) return;
  lua_pop(L, 1);
  lua_createtable(L, 0, 2);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, index, RECORD_UV_DETAILS);
}

void record_set_detail(lua_State *L, int index, record_detail detail) {
  record_push_details(L, index);
  lua_insert(L, -2);
  lua_rawseti(L, -2, detail);
  lua_pop(L, 1);
}

/* --- the stacks of a coroutine, its resumer, ... --- */

typedef struct one_stack {
  stack_walk from;  /* at the innermost activation to capture */
  int levels;       /* the number of activations */
  lua_Debug *found; /* the activations themselves, FRAMES_MAX at most; or NULL */
} one_stack;

/*
** Returns the activation at a level; NULL: there is none. room: for an activation that was not
** stored. Since the counting, other code may have run on top of the stack (a finalizer), but not
** below it.
*/
static lua_Debug *find_activation(const one_stack *s, int level, lua_Debug *room) {
  int index = level - s->from.level;
  if (s->found != NULL && index < s->levels && index < FRAMES_MAX) return &s->found[index];
  return lua_getstack(s->from.thread, level, room) ? room : NULL;
}

/*
** Pops the function on top of `thread` and makes it user value `uv` of the record on top of L.
** [-0, +0, -]
*/
static void anchor_function(lua_State *L, lua_State *thread, int uv) {
  if (thread != L) lua_xmove(thread, L, 1);
  lua_setiuservalue(L, -2, uv);
}

/* Whether the C function is the runtime's own, or only raises the error. */
static bool is_machinery(const runtime *rt, lua_CFunction f, bool innermost) {
  return runtime_is_machinery(rt, f) ||
         (innermost && (f == rt->base_error || f == rt->base_assert));
}

static bool is_loader(const runtime *rt, lua_CFunction f) {
  return f == rt->base_load || f == rt->base_loadfile || f == rt->base_dofile;
}

/* Returns whether the C function catches an error that nothing above it on the stack has caught. */
static record_catcher catcher_of(const runtime *rt, lua_CFunction f, bool innermost) {
  if (innermost && is_loader(rt, f)) return CAUGHT_IN_LOADER;
  if (f == rt->base_load) return CAUGHT_BY_LOAD;
  bool catches = f == rt->base_pcall || f == rt->base_xpcall || runtime_is_machinery(rt, f);
  return catches ? CAUGHT_BY_OTHER : CAUGHT_UNKNOWN;
}

/*
** Captures the levels [from, to) into the record on top of L. Anchors the functions, which keeps
** the frames' strings alive. The name of a frame belongs to the constants of its caller, so one
** function more is anchored, unless the stack ends there.   [-0, +0, -]
*/
static void capture_levels(const runtime *rt, lua_State *L, const one_stack *s, record *r, int from,
                           int to, int *uv) {
  lua_Debug room;
  lua_Debug *ar;
  for (int level = from; level < to && (ar = find_activation(s, level, &room)) != NULL; level++) {
    lua_getinfo(s->from.thread, "lnf", ar);
    lua_CFunction f = lua_tocfunction(s->from.thread, -1);
    if (f != NULL && r->caught == CAUGHT_UNKNOWN)
      r->caught = (uint8_t)catcher_of(rt, f, level == s->from.level);
    if (f != NULL && is_machinery(rt, f, r->frame_count == 0)) {
      lua_pop(s->from.thread, 1);
      continue;
    }
    r->frames[r->frame_count++] =
        (record_frame){.name = ar->name, .line = ar->currentline, .function = *uv};
    anchor_function(L, s->from.thread, (*uv)++);
  }
  bool is_end = to == s->from.level + s->levels;
  if (!is_end && (ar = find_activation(s, to, &room)) != NULL) {
    lua_getinfo(s->from.thread, "f", ar);
    anchor_function(L, s->from.thread, (*uv)++);
  }
}

static void capture_stack(const runtime *rt, lua_State *L, const one_stack *s, record *r, int *uv) {
  int end = s->from.level + s->levels;
  if (s->levels <= FRAMES_MAX) {
    capture_levels(rt, L, s, r, s->from.level, end, uv);
    return;
  }
  capture_levels(rt, L, s, r, s->from.level, s->from.level + RECORD_FRAMES_INNER, uv);
  if (r->frames_omitted == 0) r->inner_count = r->frame_count;
  if (s->levels > RECORD_DEEP_STACK) {
    r->frames_omitted += (uint32_t)(s->levels - RECORD_FRAMES_INNER);
    return;
  }
  capture_levels(rt, L, s, r, end - RECORD_FRAMES_OUTER, end, uv);
  r->frames_omitted += (uint32_t)(s->levels - FRAMES_MAX);
}

void record_describe(lua_State *L, int index, const record_frame *f, lua_Debug *ar) {
  lua_getiuservalue(L, index, f->function);
  lua_getinfo(L, ">S", ar);
}

/*
** Finds the fingerprint of a frame's function. before: that of the frame before, which has the same
** function in a direct recursion; NULL: there is none. The main function of a file needs none, and
** may be large.   [-0, +0, m]
*/
static record_fingerprint find_fingerprint(lua_State *L, int index, const record_frame *f,
                                           const record_fingerprint *before) {
  record_fingerprint result = {.found = false};
  int top = lua_gettop(L);
  lua_getiuservalue(L, index, f->function);
  if (before != NULL) {
    lua_getiuservalue(L, index, f[-1].function);
    if (lua_rawequal(L, -1, -2)) {
      lua_settop(L, top);
      return *before;
    }
    lua_pop(L, 1);
  }
  lua_Debug ar;
  record_describe(L, index, f, &ar);
  if (*ar.what == 'L') result.found = fingerprint_find(L, &result.value);
  lua_settop(L, top);
  return result;
}

const record_fingerprint *record_push_fingerprints(lua_State *L, int index) {
  index = lua_absindex(L, index);
  record_push_detail(L, index, DETAIL_FINGERPRINTS);
  if (!lua_isnil(L, -1)) return lua_touserdata(L, -1);
  lua_pop(L, 1);
  const record *r = record_test(L, index);
  record_fingerprint *all = lua_newuserdatauv(L, r->frame_count * sizeof(record_fingerprint), 0);
  for (int i = 0; i < r->frame_count; i++) {
    all[i] = find_fingerprint(L, index, &r->frames[i], i > 0 ? &all[i - 1] : NULL);
  }
  lua_pushvalue(L, -1);
  record_set_detail(L, index, DETAIL_FINGERPRINTS);
  return all;
}

/* Notes the task, the trace and the time in the record. */
static void identify(runtime *rt, lua_State *L, record *r) {
  r->runtime = rt;
  r->sequence = ++rt->next_record;
  r->time_ns = clock_wall_ns();
  trace_ids *here = trace_here(rt);
  if (trace_ensure(rt, here)) {
    memcpy(r->trace_id, here->trace->trace_id, sizeof(r->trace_id));
    r->trace_flags = here->trace->flags;
    r->span_id = trace_span_id(rt, here);
    r->parent_span_id = here->parent_span_id;
  }
  const task *t = rt->current;
  if (t != NULL) {
    r->task_id = t->id;
    r->task_status = t->status;
    task_push(rt, L, t);
    lua_setiuservalue(L, -2, RECORD_UV_TASK);
  }
}

/* Cuts the chain of the record on top of L after its RECORD_MAX_CHAIN newest links. */
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

/* Links the record on top of L to the panic in flight on the thread that panicked. */
static void link_chain(runtime *rt, lua_State *L, lua_State *thread, record *r) {
  const frame_stack *s = coroutine_find_frames(rt, thread);
  if (s == NULL || !frames_push_in_flight(s, L)) return;
  const record *replaced = record_test(L, -1);
  r->chain_length = replaced->chain_length + 1;
  lua_setiuservalue(L, -2, RECORD_UV_LINK);
  if (r->chain_length > RECORD_MAX_CHAIN) trim_chain(L);
}

/*
** Takes the value below the record on top of L into the record. If the value is a record that is
** raised again, takes that one's value; and that record becomes the cause, unless it is in the
** chain already.
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

/* What a record has room for. */
typedef struct record_room {
  int frames;
  int functions; /* those of the frames, and others that own a frame's name */
} record_room;

/* Adds the room for a stack of so many levels. */
static void add_room(record_room *room, int levels) {
  bool whole = levels <= FRAMES_MAX;
  room->frames += whole ? levels : FRAMES_MAX;
  room->functions += whole ? levels : FRAMES_MAX + 1;
}

/* Pushes a record with that room. Most are garbage soon: each byte counts.   [-0, +1, m] */
static record *new_record(const runtime *rt, lua_State *L, record_room room) {
  size_t size = sizeof(record) + (size_t)room.frames * sizeof(record_frame);
  record *r = lua_newuserdatauv(L, size, RECORD_UV_FUNCTIONS - 1 + room.functions);
  memset(r, 0, sizeof(record));
  r->magic = &record_magic;
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->record_type_ref);
  lua_setmetatable(L, -2);
  return r;
}

static void renew_spare(runtime *rt, lua_State *L) {
  rt->spare_used = false;
  new_record(rt, L, (record_room){0})->kind = RECORD_MEMORY;
  runtime_set_value(rt, L, RUNTIME_UV_SPARE);
}

void record_open(runtime *rt, lua_State *L) { renew_spare(rt, L); }

/*
** Finds the stack of `thread` from `level` outwards and those of its resumers. Returns their
** number, and adds the room for them.
**   found  for the activations of the first one
*/
static int find_stacks(runtime *rt, lua_State *thread, int level,
                       one_stack stacks[RECORD_MAX_STACKS], lua_Debug found[FRAMES_MAX],
                       record_room *room) {
  int count = 0;
  stack_walk w = stack_begin(rt, thread, level);
  do {
    one_stack *s = &stacks[count++];
    s->found = count == 1 ? found : NULL;
    s->from = w;
    s->levels = stack_count(&w, RECORD_DEEP_STACK, s->found);
    add_room(room, s->levels);
  } while (count < RECORD_MAX_STACKS && stack_outer(&w));
  return count;
}

/*
** Pushes the stack kept of a dead coroutine, if the function of co.coroutine.wrap at `level` of
** `thread` is raising its error now. Returns NULL, and pushes nil, if there is none.   [-0, +1, -]
*/
static const record *push_inner(runtime *rt, lua_State *L, lua_State *thread, int level) {
  lua_Debug ar;
  bool is_wrapped = false;
  if (rt->inner_kept && thread != NULL && lua_getstack(thread, level, &ar)) {
    lua_getinfo(thread, "f", &ar);
    is_wrapped = lua_tocfunction(thread, -1) == rt->wrapped;
    lua_pop(thread, 1);
  }
  if (is_wrapped) {
    runtime_push_value(rt, L, RUNTIME_UV_INNER);
  } else {
    lua_pushnil(L);
  }
  return record_test(L, -1);
}

/*
** Makes the frames of the record on top of the stack the first frames of the record `r` below it.
** [-0, +0, -]
*/
static void take_inner(lua_State *L, record *r, const record *inner, int *uv) {
  for (int i = 0; i < inner->frame_count; i++) {
    r->frames[i] = inner->frames[i];
    r->frames[i].function = *uv;
    lua_getiuservalue(L, -1, inner->frames[i].function);
    lua_setiuservalue(L, -3, (*uv)++);
  }
  r->frame_count = inner->frame_count;
  r->inner_count = inner->inner_count;
  r->frames_omitted = inner->frames_omitted;
}

/*
** Pushes a record with the stack of `thread` from `level` outwards and those of its resumers. If
** the error of a coroutine is being raised there, the record begins with the coroutine's stack.
** [-0, +1, m]
*/
static record *capture(runtime *rt, lua_State *L, lua_State *thread, int level) {
  lua_Debug found[FRAMES_MAX]; /* for the first stack, usually the only one */
  one_stack stacks[RECORD_MAX_STACKS];
  /* A dead thread is full. Without memory for the functions on its stack the record has none. */
  if (!lua_checkstack(thread, 1)) thread = NULL;
  const record *inner = push_inner(rt, L, thread, level);
  record_room room = {0};
  if (inner != NULL) room = (record_room){inner->frame_count, inner->frame_count + 1};
  int count = thread == NULL ? 0 : find_stacks(rt, thread, level, stacks, found, &room);
  record *r = new_record(rt, L, room);
  int uv = RECORD_UV_FUNCTIONS;
  lua_insert(L, -2);
  if (inner != NULL) {
    take_inner(L, r, inner, &uv);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, -3, uv++); /* the inner record keeps the strings of its frames */
  }
  lua_pop(L, 1);
  for (int i = 0; i < count; i++) {
    capture_stack(rt, L, &stacks[i], r, &uv);
  }
  if (r->frames_omitted == 0) r->inner_count = r->frame_count;
  return r;
}

#define OVERFLOW "C stack overflow"

/*
** If the value at `index` is Lua's message about nested C calls, replaces it by one that says what
** nests.   [-0, +0, m]
*/
static void explain_overflow(lua_State *L, int index) {
  size_t length = 0;
  const size_t suffix = sizeof(OVERFLOW) - 1;
  const char *text = lua_type(L, index) == LUA_TSTRING ? lua_tolstring(L, index, &length) : NULL;
  if (length < suffix || strcmp(text + length - suffix, OVERFLOW) != 0) return;
  index = lua_absindex(L, index);
  lua_pushfstring(L,
                  "%s: co.scope, co.with_timeout, co.call, pcall and the like nest too deep (Lua "
                  "allows about 190)",
                  text);
  lua_replace(L, index);
}

/*
** Replaces the value on top of L's stack by a record of it, with the stack of `thread` from `level`
** outwards.   [-1, +1, m]
*/
static void wrap(runtime *rt, lua_State *L, lua_State *thread, int level, record_kind kind) {
  if (rt->spare_used) renew_spare(rt, L);
  explain_overflow(L, -1);
  record *r = capture(rt, L, thread, level);
  r->kind = (uint8_t)kind;
  identify(rt, L, r);
  link_chain(rt, L, thread, r);
  take_value(L);
  /*
  ** A task that is cancelled with its surroundings does not list the tasks that wait for it: one
  ** record does.
  */
  if (rt->current != NULL && kind != RECORD_CANCELLED) wait_note_suspensions(rt, L, rt->current);
  lua_remove(L, -2);
}

/* (runtime, thread) → a record of the stack alone; called protected. */
static int capture_inner(lua_State *L) {
  capture(lua_touserdata(L, 1), L, lua_touserdata(L, 2), 0);
  return 1;
}

void record_keep_inner(runtime *rt, lua_State *L, lua_State *thread) {
  lua_pushcfunction(L, capture_inner);
  lua_pushlightuserdata(L, rt);
  lua_pushlightuserdata(L, thread);
  rt->inner_kept = lua_pcall(L, 2, 1, 0) == LUA_OK;
  if (!rt->inner_kept) {
    lua_pop(L, 1);
    lua_pushnil(L);
  }
  runtime_set_value(rt, L, RUNTIME_UV_INNER);
}

typedef struct wrap_request {
  runtime *rt;
  lua_State *thread;
  const char *message; /* the value is this text; NULL: the value on the stack */
  int level;
  record_kind kind;
} wrap_request;

/* (value, request) → record; called protected. */
static int wrap_protected(lua_State *L) {
  const wrap_request *request = lua_touserdata(L, 2);
  lua_settop(L, 1);
  if (request->message != NULL) {
    lua_pushstring(L, request->message);
    lua_replace(L, 1);
  }
  /* If it is called on the thread itself, this function is a level too. */
  int level = request->thread == L ? request->level + 1 : request->level;
  wrap(request->rt, L, request->thread, level, request->kind);
  return 1;
}

/* Replaces the value on top of L by the spare record.   [-1, +1, -] */
static void use_spare(runtime *rt, lua_State *L, record_kind kind) {
  runtime_push_value(rt, L, RUNTIME_UV_SPARE);
  record *r = record_test(L, -1);
  rt->spare_used = true;
  r->kind = (uint8_t)kind;
  r->recovered = r->exits = r->forced = false;
  r->cancel_source = CANCEL_NONE;
  identify(rt, L, r);
  lua_pushnil(L); /* those of the panic before */
  lua_setiuservalue(L, -2, RECORD_UV_DETAILS);
  lua_pushvalue(L, -2);
  lua_setiuservalue(L, -2, RECORD_UV_VALUE);
  lua_remove(L, -2);
}

/* Whether a record of this kind is of a panic, and not of a task that was to end. */
static bool is_panic(record_kind kind) { return kind < RECORD_GOEXIT; }

/* Replaces the value on top of L by a record of it.   [-1, +1, -] */
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

void record_tell(runtime *rt, lua_State *L) {
  if (!probe(&rt->probes, PROBE_PANIC)) return;
  probe_tell(rt, &(probe_event){.kind = PROBE_PANIC,
                                .calls = true,
                                .task = rt->current,
                                .L = L,
                                .object = lua_gettop(L),
                                .extra = PROBE_TASK});
}

void record_wrap_untold(runtime *rt, lua_State *L, lua_State *thread, int level, record_kind kind) {
  wrap_or_spare(L, &(wrap_request){.rt = rt, .thread = thread, .level = level, .kind = kind});
}

void record_wrap_safe(runtime *rt, lua_State *L, lua_State *thread, int level, record_kind kind) {
  record_wrap_untold(rt, L, thread, level, kind);
  if (is_panic(kind)) record_tell(rt, L);
}

void record_make_safe(runtime *rt, lua_State *L, lua_State *thread, int level, record_kind kind,
                      const char *message) {
  lua_pushnil(L);
  wrap_or_spare(L,
                &(wrap_request){
                    .rt = rt, .thread = thread, .message = message, .level = level, .kind = kind});
  if (is_panic(kind)) record_tell(rt, L);
}
