/* recorder:lanes, recorder:last, lanes */
#include "lua/lib_lanes.h"

#include <stdio.h>
#include <string.h>

#include "kernel/args.h"
#include "kernel/record.h"
#include "kernel/task.h"
#include "lua/lib.h"
#include "telemetry/lanes.h"

#define LANES_TYPE "coropanic.lanes"

#define MAX_SECONDS 3600
#define MAX_STEP 1048576

/* Of one call of lanes:spans. */
#define SPANS_IN_PIECE 1000

/* Bounds of recorder:last: the events that it returns, and those that it looks at. */
#define MAX_LAST 1024
#define MAX_LOOK 262144

/* --- lanes --- */

int lib_lanes_push(lua_State *L, runtime *rt) {
  lua_Number seconds = 10;
  if (!lua_isnoneornil(L, 2)) {
    if (lua_type(L, 2) != LUA_TNUMBER || !(lua_tonumber(L, 2) >= 0) ||
        !(lua_tonumber(L, 2) <= MAX_SECONDS)) {
      return arg_error(L, 1, "lanes", "number of seconds from 0 to 3600 expected");
    }
    seconds = lua_tonumber(L, 2);
  }
  lanes_new(rt, L, (uint64_t)(seconds * (lua_Number)NS_PER_SECOND));
  luaL_setmetatable(L, LANES_TYPE);
  return 1;
}

static lanes *check_lanes(lua_State *L, const char *method) {
  return arg_check_self(L, LANES_TYPE, method);
}

static int method_step(lua_State *L) {
  lanes *l = check_lanes(L, "step");
  lua_Integer count = 8192;
  if (!lua_isnoneornil(L, 2)) {
    count = arg_check_integer(L, 2, 1, "step", "events", 1, MAX_STEP);
  }
  lua_pushboolean(L, lanes_step(runtime_of(L), L, l, (uint32_t)count));
  return 1;
}

static int method_window(lua_State *L) {
  const lanes *l = check_lanes(L, "window");
  lua_createtable(L, 0, 6);
  lua_pushnumber(L, l->from_wall);
  lua_setfield(L, -2, "from");
  lua_pushnumber(L, l->to_wall);
  lua_setfield(L, -2, "to");
  lib_set_count(L, "lost", l->lost);
  lib_set_count(L, "count", l->phase == LANES_DONE ? l->count : 0);
  lib_set_count(L, "omitted", l->omitted);
  lib_set_count(L, "merged", l->merged);
  return 1;
}

static lane *check_lane(lua_State *L, lanes *l, const char *method) {
  lua_Integer number = arg_check_integer(L, 2, 1, method, "lane", 1, l->count);
  return &l->lanes[number - 1];
}

/* Pushes the name of the live task, or nil.   [-0, +1, m] */
static void push_name(lua_State *L, const runtime *rt, const lane *of) {
  char name[TASK_NAME_SIZE];
  if (of->slot == 0) {
    lua_pushnil(L);
    return;
  }
  slot_values_push(&rt->slot_values, L, of->slot, SLOT_TASK);
  const task *t = lua_touserdata(L, -1);
  if (t != NULL && t->id == of->id) {
    lua_pushstring(L, task_name(t, name));
  } else {
    lua_pushnil(L);
  }
  lua_replace(L, -2);
}

static int method_lane(lua_State *L) {
  lanes *l = check_lanes(L, "lane");
  const lane *of = check_lane(L, l, "lane");
  lua_pushinteger(L, (lua_Integer)of->id);
  push_name(L, runtime_of(L), of);
  return 2;
}

/* Returns the word for what a task does. */
static const char *kind_name(const telemetry *m, uint16_t kind) {
  if (kind == LANE_RUNS) return "run";
  if (kind == LANE_READY) return "ready";
  const wait_type *wait = m->waits.at[(kind - LANE_WAITS) % WAIT_NAMES];
  return kind == LANE_WAITS || wait == NULL ? "?" : wait->name;
}

/* Adds [start, duration, "kind"], in microseconds.   [-0, +0, m] */
static void add_span(luaL_Buffer *buffer, const lane_span *s, const char *kind) {
  char text[80];
  unsigned long long start = s->start_ns / 100;
  unsigned long long length = (s->ns + 50) / 100;
  int used = snprintf(text, sizeof(text), "[%llu.%llu,%llu.%llu,\"", start / 10, start % 10,
                      length / 10, length % 10);
  luaL_addlstring(buffer, text, (size_t)used);
  luaL_addstring(buffer, kind); /* the kinds of waits have no letters that JSON escapes */
  luaL_addstring(buffer, "\"]");
}

/* (lanes, number) → the next spans of the lane as JSON, or nil: there are no more */
static int method_spans(lua_State *L) {
  lanes *l = check_lanes(L, "spans");
  lane *of = check_lane(L, l, "spans");
  if (l->phase != LANES_DONE || of->first == LANES_NONE) {
    lua_pushnil(L);
    return 1;
  }
  const telemetry *m = runtime_of(L)->telemetry;
  luaL_Buffer buffer;
  luaL_buffinit(L, &buffer);
  for (int i = 0; i < SPANS_IN_PIECE && of->first != LANES_NONE; i++) {
    const lane_span *s = &l->spans[of->first];
    if (i > 0) luaL_addchar(&buffer, ',');
    add_span(&buffer, s, kind_name(m, s->kind));
    of->first = s->next;
  }
  luaL_pushresult(&buffer);
  return 1;
}

/* --- the last events of a task --- */

/*
** Returns the event, or, if it is a START that tells how the task before has left the loop, and that is the
** task, the end of its slice.
*/
static event as_own(const event *e, uint32_t low) {
  event own = *e;
  if (e->task == low) return own;
  own.kind = e->detail == LEFT_PARKED ? EVENT_PARK : EVENT_YIELD;
  own.a = 0;
  return own;
}

/* Copies the last events of the task, the newest first; returns their number. */
static size_t collect(const event_ring *r, uint32_t low, event *own, size_t most) {
  size_t found = 0;
  uint64_t look = events_count(r) < MAX_LOOK ? events_count(r) : MAX_LOOK;
  for (uint64_t i = 1; i <= look && found < most; i++) {
    const event *e = events_at(r, r->written - i);
    bool leaves = e->kind == EVENT_START && e->detail != LEFT_NOT && (uint32_t)e->b == low;
    if (e->kind != EVENT_TRACE && (e->task == low || leaves)) own[found++] = as_own(e, low);
  }
  return found;
}

static void set_place(lua_State *L, const runtime *rt, uint64_t number) {
  if (number == 0 || number > rt->locations.count) return;
  lib_set_string(L, "site", location_numbered(&rt->locations, (uint16_t)number)->text);
}

/* Sets the name given to a span or an event, while the recorder has it.   [-0, +0, m] */
static void set_given(lua_State *L, const telemetry *m, uint16_t number) {
  if (m->texts == NULL || number == 0 || number > m->texts->count) return;
  const text_name *name = &m->texts->at[number];
  lua_pushlstring(L, m->texts->text + name->offset, name->length);
  lua_setfield(L, -2, "text");
}

/* Sets what the kind of event has in its other fields.   [-0, +0, m] */
static void set_details(lua_State *L, const runtime *rt, const event *e) {
  const telemetry *m = rt->telemetry;
  switch (e->kind) {
    case EVENT_SPAWN:
      set_place(L, rt, e->text);
      if (e->a != 0) lib_set_count(L, "by", e->a);
      break;
    case EVENT_PARK:
      lib_set_string(L, "wait", kind_name(m, (uint16_t)(LANE_WAITS + e->text)));
      set_place(L, rt, e->a);
      break;
    case EVENT_YIELD: set_place(L, rt, e->a); break;
    case EVENT_WAKE:
      lib_set_string(L, "text", wake_reason_name(e->detail));
      if (e->a != 0) lib_set_count(L, "by", e->a);
      break;
    case EVENT_END: lib_set_string(L, "text", task_status_name(e->detail)); break;
    case EVENT_CANCEL:
      set_given(L, m, e->text);
      if (e->a != 0) lib_set_count(L, "by", e->a);
      break;
    case EVENT_SPAN_END:
      lib_set_count(L, "span", e->a);
      lib_set_string(L, "text", e->detail == 1 ? "error" : "ok");
      break;
    case EVENT_SPAN_BEGIN:
      lib_set_count(L, "span", e->a);
      set_given(L, m, e->text);
      break;
    case EVENT_LOG: set_given(L, m, e->text); break;
    default: break;
  }
}

int lib_lanes_push_last(lua_State *L, runtime *rt) {
  lua_Integer id = arg_check_integer(L, 2, 1, "last", "id", 1, LUA_MAXINTEGER);
  lua_Integer most = arg_check_integer(L, 3, 2, "last", "events", 1, MAX_LAST);
  event *own = lua_newuserdatauv(L, (size_t)most * sizeof(event), 0);
  telemetry *m = rt->telemetry;
  size_t count = 0;
  if (m->ring != NULL) { /* else a finalizer has stopped the recorder */
    telemetry_settle(m, rt);
    count = collect(m->ring, (uint32_t)id, own, (size_t)most);
  }
  uint64_t now = telemetry_moment(m, rt).tick;
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    const event *e = &own[count - 1 - i];
    uint64_t age = now > e->tick ? telemetry_ns(m, now - e->tick) : 0;
    lua_createtable(L, 0, 6);
    lua_pushnumber(L, (lua_Number)age / 1e6);
    lua_setfield(L, -2, "age_ms");
    lib_set_string(L, "what", event_name(e->kind));
    set_details(L, rt, e);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

void lib_lanes_init(lua_State *L, runtime *rt) {
  static const luaL_Reg methods[] = {
      {"step", method_step}, {"window", method_window},
      {"lane", method_lane}, {"spans", method_spans},
      {NULL, NULL},
  };
  static const luaL_Reg metamethods[] = {{NULL, NULL}};
  lib_new_type(L, rt, LANES_TYPE, methods, metamethods);
}
