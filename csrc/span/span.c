#include "span/span.h"

#include "span/place.h"
#include "span/span_data.h"

/* Whether the running code makes spans if somebody listens. What an observer does is none: it would hear itself. */
static bool is_traced(const runtime *rt) {
  return !probe_is_muted(rt, rt->current) && (rt->current == NULL || !rt->current->silent);
}

static bool is_heard(const runtime *rt) { return span_is_heard(rt) && is_traced(rt); }

bool span_decide(runtime *rt) {
  if (!is_heard(rt)) return false;
  trace_context *context = trace_current(rt);
  return trace_ensure(rt, context) && (context->trace->flags & TRACE_FLAG_SAMPLED) != 0;
}

/* --- which span is the innermost --- */

bool span_push_current(runtime *rt, lua_State *L) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  place_push_current(rt, L);
  /* One that has ended is the listener's: a coroutine may still be where it was made. */
  for (place *p = lua_touserdata(L, -1); p != NULL; p = lua_touserdata(L, -1)) {
    if (lua_getiuservalue(L, -1, PLACE_UV_DATA) == LUA_TTABLE) {
      p->is_known = true;
      lua_replace(L, -2);
      return true;
    }
    lua_pop(L, 1);
    if (p->back != NULL && p->back->continues) break; /* what is around it is in another trace */
    lua_getiuservalue(L, -1, PLACE_UV_OUTER);
    lua_replace(L, -2);
  }
  lua_pop(L, 1);
  return false;
}

/*
** The parent of spans of the running code: where it is, or else what that would have as parent itself. That
** is so where no span is recorded, and in co.trace.continue as long as nobody else is told of it.
*/
static uint64_t parent_of(runtime *rt, lua_State *L, const trace_context *context) {
  place_push(rt, L, context);
  const place *p = lua_touserdata(L, -1);
  lua_pop(L, 1);
  bool is_told = p != NULL && p->is_recorded && context->span_id != 0;
  return is_told ? context->span_id : context->parent_span_id;
}

/* --- telling of it --- */

/* Tells of the span whose table is at `data`; `extra` is an index too, 0: none.   [-0, +0, -] */
static void tell(runtime *rt, lua_State *L, probe_kind kind, int data, int extra) {
  probe_tell(rt, &(probe_event){.kind = kind,
                                .calls = true,
                                .task = rt->current,
                                .L = L,
                                .object = data,
                                .extra = extra});
}

/* Tells that the span in the place at `index` has begun.   [-0, +0, -] */
static void tell_begin(runtime *rt, lua_State *L, int index) {
  if (!probe(&rt->probes, PROBE_SPAN_BEGIN)) return;
  lua_getiuservalue(L, index, PLACE_UV_DATA);
  tell(rt, L, PROBE_SPAN_BEGIN, lua_gettop(L), 0);
  lua_pop(L, 1);
}

/* --- the end --- */

/* (runtime, place, what was raised or nil): completes the table and tells of it; protected. */
static int finish(lua_State *L) {
  runtime *rt = lua_touserdata(L, 1);
  lua_settop(L, 3);
  if (lua_getiuservalue(L, 2, PLACE_UV_DATA) != LUA_TTABLE) return 0;
  lua_pushnil(L);
  lua_setiuservalue(L, 2, PLACE_UV_DATA);
  int extra = span_data_end(L, 4, 3) ? 3 : 0;
  if (probe(&rt->probes, PROBE_SPAN_END)) tell(rt, L, PROBE_SPAN_END, 4, extra);
  return 0;
}

/* Ends a span with the value on top of the stack, or nil. Without memory nobody hears of it. [-1, +0, -] */
static void end_span(runtime *rt, lua_State *L, int index) {
  index = lua_absindex(L, index);
  lua_pushcfunction(L, finish);
  lua_pushlightuserdata(L, rt);
  lua_pushvalue(L, index);
  lua_pushvalue(L, -4);
  if (lua_pcall(L, 3, 0, 0) != LUA_OK) lua_pop(L, 1);
  lua_pop(L, 1);
}

/* --- pieces of code --- */

/* __close of a place, with what was raised or nil. */
static int close_place(lua_State *L) {
  runtime *rt = runtime_of_any(L);
  const place *p = luaL_checkudata(L, 1, PLACE_TYPE);
  lua_settop(L, 2);
  if (rt->closed || p->back == NULL || !p->back->is_open) return 0;
  place_leave(rt, L, 1);
  if (!p->is_recorded || !p->is_known) return 0;
  if (p->back->continues) tell_begin(rt, L, 1); /* before now nobody knew of it */
  end_span(rt, L, 1);
  return 0;
}

void span_begin(runtime *rt, lua_State *L, int name, const char *kind, int attributes) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  place *p = place_new_here(rt, L);
  const trace_context *context = trace_current(rt);
  trace_context inner = {
      .trace = context->trace, .span_id = p->key, .parent_span_id = parent_of(rt, L, context)};
  lua_pushvalue(L, name);
  span_data_push(L, &inner, kind, rt->current);
  if (attributes != 0) span_data_set(L, lua_gettop(L), attributes);
  lua_setiuservalue(L, -2, PLACE_UV_DATA);
  /* Nothing below raises. Finalizers may have run, and given the trace other baggage. */
  inner.trace = trace_current(rt)->trace;
  p->is_recorded = true;
  place_enter(rt, p, &inner);
  tell_begin(rt, L, lua_gettop(L));
}

void span_begin_continued(runtime *rt, lua_State *L, const traceparent *parent,
                          const trace_headers *headers) {
  place *p = place_new_here(rt, L);
  trace *t = trace_continue(rt, parent, headers);
  if (t == NULL) luaL_error(L, "not enough memory");
  place_continue(p, t); /* it is freed if what is below raises */
  trace_context inner = {.trace = t, .span_id = p->key, .parent_span_id = parent->span_id};
  if (is_heard(rt) && (t->flags & TRACE_FLAG_SAMPLED) != 0) {
    lua_pushliteral(L, "continue");
    span_data_push(L, &inner, "server", rt->current);
    lua_setiuservalue(L, -2, PLACE_UV_DATA);
    p->is_recorded = true;
  }
  inner.span_id = 0;
  place_enter(rt, p, &inner);
}

/* --- tasks --- */

/* The task has ended; if not well, its record is on top of the stack.   [-0, +0, -] */
static void end_task(runtime *rt, lua_State *L, task_exit *self) {
  place *p = container_of(self, place, exit);
  if (!p->is_open || rt->closed || !lua_checkstack(L, LUA_MINSTACK)) return;
  p->is_open = false;
  bool has_record = record_test(L, -1) != NULL;
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->task_spans_ref);
  lua_rawgetp(L, -1, p);
  lua_pushnil(L);
  lua_rawsetp(L, -3, p);
  lua_replace(L, -2);
  if (has_record) {
    lua_pushvalue(L, -2);
  } else {
    lua_pushnil(L);
  }
  end_span(rt, L, -2);
  lua_pop(L, 1);
}

/*
** (runtime, task) → its span, begun; protected. Where its spawner is no span that is told of, that one's
** parent is the task's.
*/
static int begin_task(lua_State *L) {
  char buffer[TASK_NAME_SIZE];
  runtime *rt = lua_touserdata(L, 1);
  task *t = task_test(L, 2);
  const trace_context *spawner = trace_current(rt);
  if (t->context.parent_span_id == spawner->span_id) {
    t->context.parent_span_id = parent_of(rt, L, spawner);
  }
  place *p = place_new(rt, L, trace_span_id(rt, &t->context));
  lua_pushstring(L, task_name(t, buffer));
  span_data_push(L, &t->context, "internal", t);
  task_push_attributes(rt, L, 2);
  if (lua_istable(L, -1)) span_data_set(L, lua_gettop(L) - 1, lua_gettop(L));
  lua_pop(L, 1);
  lua_setiuservalue(L, 3, PLACE_UV_DATA);
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->task_spans_ref);
  lua_pushvalue(L, 3);
  lua_rawsetp(L, -2, p);
  p->is_open = true;
  p->is_recorded = true;
  t->context.place = p->key;
  p->exit.run = end_task;
  task_on_end(t, &p->exit);
  tell_begin(rt, L, 3);
  return 0;
}

void span_begin_task(runtime *rt, lua_State *L, task *t) {
  if (t->silent || t->muted || (t->context.trace->flags & TRACE_FLAG_SAMPLED) == 0) return;
  if (!lua_checkstack(L, LUA_MINSTACK)) return;
  lua_pushcfunction(L, begin_task);
  lua_pushlightuserdata(L, rt);
  lua_pushvalue(L, -3);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) lua_pop(L, 1);
}

void span_open(runtime *rt, lua_State *L) { place_open(rt, L, close_place); }
