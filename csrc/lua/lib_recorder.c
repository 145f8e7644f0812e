/* co.record, recorder, co.accounting */
#include <errno.h>
#include <string.h>

#include "core/hex.h"
#include "kernel/args.h"
#include "lua/lib.h"
#include "lua/lib_lanes.h"
#include "lua/recorder_options.h"
#include "telemetry/dump.h"
#include "telemetry/telemetry.h"

#define RECORDER_TYPE "coropanic.recorder"

/* The address is the registry's key of the one recorder. */
static const char recorder_key = 0;

/* --- co.record --- */

/* Pushes the one recorder.   [-0, +1, m] */
static void push_recorder(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &recorder_key) != LUA_TNIL) return;
  lua_pop(L, 1);
  lua_newuserdatauv(L, 0, 0);
  luaL_setmetatable(L, RECORDER_TYPE);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &recorder_key);
}

static int recorder_record(lua_State *L) {
  runtime *rt = runtime_of(L);
  recording options;
  triggers dumps;
  lua_settop(L, 1);
  recorder_options_read(L, &options, &dumps);
  push_recorder(L);
  telemetry_watch_collector(L, rt);
  if (!telemetry_record(rt, &options)) {
    return luaL_error(L, "co.record: not enough memory for %I events", (LUAI_UACINT)options.events);
  }
  return 1;
}

/* Returns the recorder while it records, else nil. */
static int recorder_running(lua_State *L) {
  if (dump_is_possible(runtime_of(L))) {
    push_recorder(L);
  } else {
    lua_pushnil(L);
  }
  return 1;
}

/* --- the recorder's methods --- */

/* Raises unless the method is called on the recorder, and it records.   [-0, +0, e] */
static runtime *check_recording(lua_State *L, const char *method) {
  runtime *rt = runtime_of(L);
  arg_check_self(L, RECORDER_TYPE, method);
  if (!dump_is_possible(rt)) {
    luaL_error(L, "recorder:%s: the recorder has stopped; co.record starts it again", method);
  }
  return rt;
}

typedef struct memory_output {
  dump_output output;
  char *bytes;
  size_t size;
  size_t used;
} memory_output;

static bool write_memory(dump_output *self, const void *bytes, size_t length) {
  memory_output *memory = container_of(self, memory_output, output);
  cp_assert(memory->used + length <= memory->size);
  memcpy(memory->bytes + memory->used, bytes, length);
  memory->used += length;
  return true;
}

/* (memory_output) → string; called protected. */
static int push_memory(lua_State *L) {
  const memory_output *memory = lua_touserdata(L, 1);
  lua_pushlstring(L, memory->bytes, memory->used);
  return 1;
}

/* Not in a buffer of Lua's, because making that larger may run a finalizer that adds events. */
static int recorder_snapshot(lua_State *L) {
  runtime *rt = check_recording(L, "snapshot");
  memory_output memory = {.output = {.write = write_memory}, .size = dump_size(rt)};
  lua_pushcfunction(L, push_memory);
  lua_pushlightuserdata(L, &memory);
  memory.bytes = mem_new(&rt->memory, memory.size);
  if (memory.bytes == NULL) return luaL_error(L, "recorder:snapshot: not enough memory");
  int status = LUA_ERRMEM;
  bool is_written = dump_write(rt, &memory.output);
  if (is_written) status = lua_pcall(L, 1, 1, 0);
  mem_free(&rt->memory, memory.bytes, memory.size);
  if (status != LUA_OK) return luaL_error(L, "recorder:snapshot: not enough memory");
  return 1;
}

static int recorder_dump(lua_State *L) {
  runtime *rt = check_recording(L, "dump");
  if (lua_type(L, 2) != LUA_TSTRING) {
    const char *got = luaL_typename(L, 2);
    return arg_error(L, 1, "dump", lua_pushfstring(L, "path expected, got %s", got));
  }
  const char *path = lua_tostring(L, 2);
  if (dump_to_file(rt, path)) {
    lua_pushboolean(L, true);
    return 1;
  }
  int why = errno;
  lua_pushnil(L);
  lua_pushfstring(L, "%s: %s", path, strerror(why));
  lua_pushinteger(L, why);
  return 3;
}

static int recorder_stop(lua_State *L) {
  runtime *rt = runtime_of(L);
  arg_check_self(L, RECORDER_TYPE, "stop");
  telemetry_stop(rt);
  return 0;
}

static int recorder_stats(lua_State *L) {
  runtime *rt = runtime_of(L);
  arg_check_self(L, RECORDER_TYPE, "stats");
  const event_ring *r = rt->telemetry == NULL ? NULL : rt->telemetry->ring;
  if (r != NULL) telemetry_settle(rt->telemetry, rt);
  lua_createtable(L, 0, 6);
  lib_set_count(L, "events", r == NULL ? 0 : events_count(r));
  lib_set_count(L, "lost", r == NULL ? 0 : events_lost(r));
  const triggers *t = r == NULL ? NULL : rt->telemetry->triggers;
  size_t bytes = r == NULL ? 0 : events_size(r->mask + 1) + sizeof(text_names);
  lib_set_count(L, "bytes", t == NULL ? bytes : bytes + sizeof(triggers));
  if (t == NULL) return 1;
  lib_set_count(L, "dumps", t->dumps);
  lib_set_count(L, "dump_errors", t->errors);
  lib_set_count(L, "dumps_skipped", t->skipped);
  return 1;
}

static int recorder_lanes(lua_State *L) {
  runtime *rt = check_recording(L, "lanes");
  return lib_lanes_push(L, rt);
}

static int recorder_last(lua_State *L) {
  runtime *rt = check_recording(L, "last");
  return lib_lanes_push_last(L, rt);
}

static int recorder_tostring(lua_State *L) {
  const runtime *rt = runtime_of_any(L);
  bool records = !rt->closed && dump_is_possible(rt);
  lua_pushstring(L, records ? "recorder" : "recorder (stopped)");
  return 1;
}

/* --- co.accounting --- */

static void set_seconds(lua_State *L, const char *name, uint64_t ns) {
  lua_pushnumber(L, (double)ns / (double)NS_PER_SECOND);
  lua_setfield(L, -2, name);
}

/* Pushes {trace_id, span_id, value, time}.   [-0, +1, m] */
static void push_exemplar(lua_State *L, const exemplar *e) {
  char digits[2 * sizeof(e->trace_id)];
  lua_createtable(L, 0, 4);
  hex_encode(digits, e->trace_id, sizeof(e->trace_id));
  lua_pushlstring(L, digits, sizeof(digits));
  lua_setfield(L, -2, "trace_id");
  if (e->span_id != 0) {
    hex_encode_u64(digits, e->span_id);
    lua_pushlstring(L, digits, 2 * sizeof(e->span_id));
    lua_setfield(L, -2, "span_id");
  }
  set_seconds(L, "value", e->ns);
  set_seconds(L, "time", e->wall_ns);
}

/* Pushes {count, sum, longest, buckets, exemplars}.   [-0, +1, m] */
static void push_histogram(lua_State *L, const histogram *h) {
  lua_createtable(L, 0, 5);
  lib_set_count(L, "count", h->count);
  set_seconds(L, "sum", h->sum_ns);
  set_seconds(L, "longest", h->longest_ns);
  lua_newtable(L);
  for (int k = 0; k < HISTOGRAM_BUCKETS; k++) {
    if (h->buckets[k] == 0) continue;
    lua_pushinteger(L, (lua_Integer)h->buckets[k]);
    lua_rawseti(L, -2, k);
  }
  lua_setfield(L, -2, "buckets");
  lua_newtable(L);
  for (int k = 0; k < EXEMPLARS; k++) {
    if (h->exemplars[k].wall_ns == 0) continue;
    push_exemplar(L, &h->exemplars[k]);
    lua_rawseti(L, -2, k + EXEMPLAR_FIRST);
  }
  lua_setfield(L, -2, "exemplars");
}

/* Adds the histogram of each wait to that of the first wait with its name, such as a scope's end. */
static void merge_waits(accounting *kept, const wait_names *names) {
  for (int i = 1; i < WAIT_NAMES; i++) {
    if (kept->waits[i].count == 0) continue;
    int first = 1;
    while (names->at[first] == NULL || strcmp(names->at[first]->name, names->at[i]->name) != 0) {
      first++;
    }
    if (first == i) continue;
    histogram_merge(&kept->waits[first], &kept->waits[i]);
    kept->waits[i].count = 0;
  }
}

/* Pushes what `kept` has, a copy that nobody else has.   [-0, +1, m] */
static void push_accounting(lua_State *L, accounting *kept, const wait_names *names) {
  merge_waits(kept, names);
  lua_createtable(L, 0, 6);
  push_histogram(L, &kept->delay);
  lua_setfield(L, -2, "delay");
  push_histogram(L, &kept->run);
  lua_setfield(L, -2, "run");
  lua_newtable(L);
  for (int i = 0; i < WAIT_NAMES; i++) {
    if (kept->waits[i].count == 0) continue;
    push_histogram(L, &kept->waits[i]);
    lua_setfield(L, -2, i == 0 ? "?" : names->at[i]->name);
  }
  lua_setfield(L, -2, "wait");
  set_seconds(L, "idle", kept->idle_ns);
}

static int recorder_accounting(lua_State *L) {
  runtime *rt = runtime_of(L);
  lua_settop(L, 1);
  const telemetry *m = rt->telemetry;
  bool is_on = m != NULL && m->accounting != NULL && m->accounting->scripts > 0;
  if (lua_isboolean(L, 1)) {
    if (lua_toboolean(L, 1)) {
      telemetry_watch_collector(L, rt);
      accounting *begun = telemetry_account(rt);
      if (begun == NULL) return luaL_error(L, "co.accounting: not enough memory");
      begun->scripts++;
    } else if (is_on) {
      m->accounting->scripts--;
      telemetry_unaccount(rt);
    }
    return 0;
  }
  if (!lua_isnil(L, 1)) return arg_type_error(L, 1, "accounting", "boolean or nil");
  if (!is_on) {
    lua_pushnil(L);
    return 1;
  }
  accounting *kept = lua_newuserdatauv(L, sizeof(accounting), 0);
  m = rt->telemetry; /* a finalizer may have turned it off */
  if (m->accounting == NULL) {
    lua_pushnil(L);
    return 1;
  }
  *kept = *m->accounting;
  wait_names names = m->waits;
  tick_moment now = telemetry_moment(m, rt);
  uint64_t cycles = m->cycles;
  push_accounting(L, kept, &names);
  set_seconds(L, "seconds", now.monotonic_ns - kept->since_ns);
  lib_set_count(L, "cycles", cycles);
  return 1;
}

void lib_recorder_open(lua_State *L, runtime *rt) {
  static const luaL_Reg functions[] = {{"record", recorder_record},
                                       {"recorder", recorder_running},
                                       {"accounting", recorder_accounting},
                                       {NULL, NULL}};
  static const luaL_Reg methods[] = {{"snapshot", recorder_snapshot},
                                     {"dump", recorder_dump},
                                     {"stop", recorder_stop},
                                     {"stats", recorder_stats},
                                     {"lanes", recorder_lanes},
                                     {"last", recorder_last},
                                     {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__tostring", recorder_tostring}, {NULL, NULL}};
  lib_register(L, rt, functions);
  lib_new_type(L, rt, RECORDER_TYPE, methods, metamethods);
  lib_lanes_init(L, rt);
}
