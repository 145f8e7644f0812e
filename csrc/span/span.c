#include "span/span.h"

#include <string.h>

#include "core/hex.h"
#include "kernel/probe.h"
#include "span/span_data.h"
#include "span/usage.h"

#define SPAN_TYPE "coropanic.span"

enum { SPAN_UV_DATA = 1, SPAN_UV_COUNT = SPAN_UV_DATA };

/* The handle of a span, which a frame holds. */
typedef struct span_handle {
  span *span; /* counted; NULL: the span has ended, or could not be made */
} span_handle;

/* Ends a task's span with the task. */
typedef struct task_span {
  task_exit exit;
  span *span; /* counted */
  const task *task;
} task_span;

/*
** Whether the running code makes spans if a listener is set. Observers make none: they would hear
** themselves.
*/
static bool is_traced(const runtime *rt) {
  return !task_is_muted(rt, rt->current) && (rt->current == NULL || !rt->current->silent);
}

static bool is_heard(const runtime *rt) { return probe_hears_spans(&rt->probes) && is_traced(rt); }

bool span_decide(runtime *rt) {
  if (!is_heard(rt)) return false;
  trace_ids *here = trace_here(rt);
  return trace_ensure(rt, here) && (here->trace->flags & TRACE_FLAG_SAMPLED) != 0;
}

/*
** Returns the parent of new spans of the running code: the innermost span if it is recorded and its
** id was used, or else the parent of that.
*/
static uint64_t parent_here(runtime *rt) {
  const trace_ids *here = trace_here(rt);
  const span *s = trace_current(rt)->current;
  return s != NULL && s->recorded && here->span_id != 0 ? here->span_id : here->parent_span_id;
}

/* --- the table --- */

/* Sets the id in the table: a span of co.trace.continue got its id only on demand.   [-0, +0, m] */
static void identify(runtime *rt, lua_State *L, span *s) {
  if (s->continues) span_data_set_id(L, trace_span_id(rt, &s->ids));
}

static void forget_in(lua_State *L, int table_ref, const span *s) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, table_ref);
  lua_pushnil(L);
  lua_rawsetp(L, -2, s);
  lua_pop(L, 1);
}

/* Makes the span's table impossible to find.   [-0, +0, -] */
static void forget_data(const runtime *rt, lua_State *L, const span *s) {
  forget_in(L, rt->alive_ref, s);
  forget_in(L, rt->pinned_ref, s);
}

bool span_push_current(runtime *rt, lua_State *L) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  /*
  ** A span that has ended may still be `current`, because a coroutine stays in the span in which it
  ** was made. Its table is the listener's.
  */
  for (span *s = trace_current(rt)->current; s != NULL; s = s->outer) {
    runtime_push_alive(rt, L, s);
    if (lua_istable(L, -1)) {
      identify(rt, L, s);
      return true;
    }
    lua_pop(L, 1);
    if (s->continues) break; /* the code around it is in another trace */
  }
  return false;
}

/*
** Drops a reference to a span that has ended, whether a listener has heard of it or not.
** [-0, +0, -]
*/
static void let_go(runtime *rt, lua_State *L, span *s) {
  forget_data(rt, L, s);
  span_release(rt, s);
}

/* --- telling the listener --- */

/* Sets an attribute in the table on top of the stack.   [-0, +0, m] */
static void set_figure(lua_State *L, const char *name, uint64_t value) {
  lua_pushinteger(L, (lua_Integer)value);
  lua_setfield(L, -2, name);
}

/*
** Whether the parent of a span, whose table is at `data`, is in another process, or there is none.   [-0, +0, -]
*/
static bool is_root(lua_State *L, const span *s, int data) {
  char digits[2 * sizeof(uint64_t)];
  bool has_parent = lua_getfield(L, data, "parent_span_id") == LUA_TSTRING;
  const char *parent = lua_tostring(L, -1);
  lua_pop(L, 1); /* the table keeps it */
  if (s->continues || !has_parent) return true;
  const span *outer = s->outer;
  while (outer != NULL && !outer->continues) outer = outer->outer;
  if (outer == NULL) return false;
  hex_encode_u64(digits, outer->ids.parent_span_id);
  return memcmp(parent, digits, sizeof(digits)) == 0;
}

/*
** Notes in the table at `data` of a root span, which ends, what its trace has used, if that is counted. There is
** always room for it. `t`: whose slice it is, or NULL.   [-0, +0, m]
*/
static void set_usage(runtime *rt, lua_State *L, const span *s, int data, const task *t) {
  uint8_t trace_id[16];
  if (rt->usage == NULL || !is_root(L, s, data)) return;
  lua_getfield(L, data, "trace_id");
  bool is_id = hex_decode(trace_id, lua_tostring(L, -1), sizeof(trace_id));
  lua_getfield(L, data, "attributes");
  usage *u = rt->usage; /* a finalizer may have ended it */
  const trace_usage *found = is_id && u != NULL ? usage_settle(u, trace_id, t) : NULL;
  if (found != NULL) {
    const trace_usage used = *found;
    set_figure(L, "coropanic.usage.tasks", used.tasks);
    set_figure(L, "coropanic.usage.switches", used.switches);
    set_figure(L, "coropanic.usage.spans", used.spans);
    set_figure(L, "coropanic.usage.run_ns", (uint64_t)used.run_ns);
    set_figure(L, "coropanic.usage.wait_ns", (uint64_t)used.wait_ns);
    if (used.allocated > 0) set_figure(L, "coropanic.usage.allocated", used.allocated);
  }
  lua_pop(L, 2);
}

/*
** Tells the sinks of the span whose table is at `data`. extra: an index too; 0: none.   [-0, +0, -]
*/
static void tell(runtime *rt, lua_State *L, probe_kind kind, int data, int extra) {
  if (!probe(&rt->probes, kind)) return;
  probe_tell(rt, &(probe_event){.kind = kind,
                                .calls = true,
                                .task = rt->current,
                                .L = L,
                                .object = data,
                                .extra = extra});
}

/*
** (runtime, task, span, raised value or nil): completes the table and tells the sinks; called protected.
*/
static int finish(lua_State *L) {
  enum { RAISED = 4, DATA };
  runtime *rt = lua_touserdata(L, 1);
  span *s = lua_touserdata(L, 3);
  runtime_push_alive(rt, L, s);
  forget_data(rt, L, s);
  if (!lua_istable(L, DATA)) return 0;
  lua_settop(L, DATA);
  identify(rt, L, s);
  /* the sinks have not heard of it before */
  if (s->continues) tell(rt, L, PROBE_SPAN_BEGIN, DATA, 0);
  set_usage(rt, L, s, DATA, lua_touserdata(L, 2));
  int extra = span_data_end(L, DATA, RAISED) ? RAISED : 0;
  tell(rt, L, PROBE_SPAN_END, DATA, extra);
  return 0;
}

/*
** Pops the raised value or nil, and ends the span, in which `t` has run until now (NULL: none). Without memory
** no listener hears of it.   [-1, +0, -]
*/
static void end_span(runtime *rt, lua_State *L, span *s, const task *t) {
  lua_pushcfunction(L, finish);
  lua_insert(L, -2);
  lua_pushlightuserdata(L, rt);
  lua_insert(L, -2);
  lua_pushlightuserdata(L, (void *)t);
  lua_insert(L, -2);
  lua_pushlightuserdata(L, s);
  lua_insert(L, -2);
  if (lua_pcall(L, 4, 0, 0) != LUA_OK) lua_pop(L, 1);
}

/* --- pieces of code --- */

/*
** Takes the code out of the handle's span, and gives the caller a reference to it. NULL: that was
** done before.
*/
static span *leave(runtime *rt, span_handle *handle) {
  span *s = handle->span;
  if (rt->closed || s == NULL) return NULL;
  handle->span = NULL;
  span_leave(rt, s);
  return s;
}

/* __close of a handle: (handle, raised value or nil). */
static int close_handle(lua_State *L) {
  runtime *rt = runtime_of_any(L);
  lua_settop(L, 2);
  span *s = leave(rt, luaL_checkudata(L, 1, SPAN_TYPE));
  if (s == NULL) return 0;
  if (s->recorded && s->ids.span_id != 0) end_span(rt, L, s, rt->current);
  let_go(rt, L, s);
  return 0;
}

/*
** __gc of a handle: a coroutine was dropped inside the span, and it is unknown when the span ended.
*/
static int collect_handle(lua_State *L) {
  runtime *rt = runtime_of_any(L);
  span *s = leave(rt, lua_touserdata(L, 1));
  if (s != NULL) let_go(rt, L, s);
  return 0;
}

/* Pushes the handle of a new span.   [-0, +1, e] */
static span *push_handle(runtime *rt, lua_State *L) {
  span_handle *handle = lua_newuserdatauv(L, sizeof(span_handle), SPAN_UV_COUNT);
  handle->span = NULL;
  luaL_setmetatable(L, SPAN_TYPE);
  handle->span = span_new(rt);
  if (handle->span == NULL) luaL_error(L, "not enough memory");
  return handle->span;
}

/*
** Makes the table on top of the stack the table of the new span, whose handle is below it.
** [-0, +0, m]
*/
static void set_data(runtime *rt, lua_State *L, span *s) {
  runtime_note_alive(rt, L, s);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, -3, SPAN_UV_DATA);
  s->recorded = true;
}

void span_begin(runtime *rt, lua_State *L, int name, const char *kind, int attributes) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  span *s = push_handle(rt, L);
  trace_ids ids = {trace_here(rt)->trace, id_source_next(rt->ids), parent_here(rt)};
  lua_pushvalue(L, name);
  span_data_push(L, &ids, kind, rt->current);
  if (attributes != 0) span_data_set(L, lua_gettop(L), attributes);
  set_data(rt, L, s);
  /* Nothing below raises. Finalizers may have run, and given the trace other baggage. */
  s->ids = ids;
  s->ids.trace = trace_retain(trace_here(rt)->trace);
  span_enter(trace_current(rt), s);
  tell(rt, L, PROBE_SPAN_BEGIN, lua_gettop(L), 0);
  lua_pop(L, 1);
}

void span_begin_continued(runtime *rt, lua_State *L, const traceparent *parent,
                          const trace_headers *headers) {
  span *s = push_handle(rt, L);
  trace *t = trace_continue(rt, parent, headers);
  if (t == NULL) luaL_error(L, "not enough memory");
  probe_tap *tap = rt->probes.tap;
  if (tap != NULL) tap->mark(tap, rt, MARK_TRACE, (const char *)t->trace_id, 16, 0);
  s->ids = (trace_ids){.trace = t, .parent_span_id = parent->span_id};
  s->continues = true;
  if (is_heard(rt) && (t->flags & TRACE_FLAG_SAMPLED) != 0) {
    lua_pushliteral(L, "continue");
    span_data_push(L, &s->ids, "server", rt->current);
    set_data(rt, L, s);
    lua_pop(L, 1);
  }
  span_enter(trace_current(rt), s);
}

/* --- tasks --- */

/*
** Ends the span of a task that has ended. If the task did not return, its record is on top of the
** stack.   [-0, +0, -]
*/
static void end_task(runtime *rt, lua_State *L, task_exit *self) {
  task_span *own = container_of(self, task_span, exit);
  if (rt->closed || !lua_checkstack(L, LUA_MINSTACK)) return;
  if (record_test(L, -1) != NULL) {
    lua_pushvalue(L, -1);
  } else {
    lua_pushnil(L);
  }
  end_span(rt, L, own->span, own->task);
  let_go(rt, L, own->span);
  mem_free(&rt->memory, own, sizeof(task_span));
}

/*
** (runtime, task, task_span): begins the task's span; called protected. If the spawner's span is
** not recorded, the task gets that span's parent.
*/
static int begin_task(lua_State *L) {
  char buffer[TASK_NAME_SIZE];
  runtime *rt = lua_touserdata(L, 1);
  task *t = task_test(L, 2);
  task_span *own = lua_touserdata(L, 3);
  trace_ids *ids = &t->coroutine.context.own;
  if (ids->parent_span_id == trace_here(rt)->span_id) ids->parent_span_id = parent_here(rt);
  trace_span_id(rt, ids);
  lua_pushstring(L, task_name(t, buffer));
  span_data_push(L, ids, "internal", t);
  task_push_attributes(L, 2);
  if (lua_istable(L, -1)) span_data_set(L, lua_gettop(L) - 1, lua_gettop(L));
  lua_pop(L, 1);
  runtime_note_alive(rt, L, own->span);
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->pinned_ref);
  lua_pushvalue(L, -2);
  lua_rawsetp(L, -2, own->span);
  lua_pop(L, 1);
  /* Nothing below raises. */
  own->span->recorded = true;
  span_enclose(&t->coroutine.context, own->span);
  task_on_end(t, &own->exit);
  tell(rt, L, PROBE_SPAN_BEGIN, 4, 0);
  return 0;
}

/* The function runtime.begin_span. Without memory the task has no span. */
static void span_begin_task(runtime *rt, lua_State *L, task *t) {
  if (t->silent || t->muted || (t->coroutine.context.own.trace->flags & TRACE_FLAG_SAMPLED) == 0)
    return;
  if (!lua_checkstack(L, LUA_MINSTACK)) return;
  task_span *own = mem_new(&rt->memory, sizeof(task_span));
  if (own == NULL) return;
  *own = (task_span){.exit.run = end_task, .span = span_new(rt), .task = t};
  if (own->span != NULL) {
    lua_pushcfunction(L, begin_task);
    lua_pushlightuserdata(L, rt);
    lua_pushvalue(L, -3);
    lua_pushlightuserdata(L, own);
    if (lua_pcall(L, 3, 0, 0) == LUA_OK) return;
    lua_pop(L, 1);
    if (own->exit.place != NULL) return; /* a debug hook has failed since the span began */
    let_go(rt, L, own->span);
  }
  mem_free(&rt->memory, own, sizeof(task_span));
}

void span_open(runtime *rt, lua_State *L) {
  static const luaL_Reg metamethods[] = {
      {"__close", close_handle},
      {"__gc", collect_handle},
      {NULL, NULL},
  };
  runtime_new_type(rt, L, SPAN_TYPE, metamethods);
  lua_pushliteral(L, SPAN_TYPE);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
  rt->begin_span = span_begin_task;
}
