#include "lua/recorder_options.h"

#include <string.h>

#include "kernel/args.h"
#include "lua/options.h"
#include "telemetry/dump.h"
#include "telemetry/last_events.h"

#define DEFAULT_EVENTS 65536
#define MAX_EVENTS 16777216 /* half a gigabyte */
#define DEFAULT_PATH "coropanic-%p-%n.cpev"
#define DEFAULT_DUMPS 8
#define MAX_DUMPS 1000000
#define DEFAULT_COOLDOWN_MS 10000

/* Returns the number of events asked for.   [-0, +0, e] */
static size_t read_events(lua_State *L) {
  const char *expected = "power of two from 1 to 16777216";
  lua_Integer events = DEFAULT_EVENTS;
  if (lua_getfield(L, 1, "events") != LUA_TNIL) {
    int is_integer;
    if (lua_type(L, -1) != LUA_TNUMBER) options_error(L, 1, "record", "events", expected);
    events = lua_tointegerx(L, -1, &is_integer);
    bool is_power = is_integer && events > 0 && (events & (events - 1)) == 0;
    if (!is_power || events > MAX_EVENTS) options_refuse_value(L, 1, "record", "events", expected);
  }
  lua_pop(L, 1);
  return (size_t)events;
}

/* Reads the table on top of the stack, {delay = seconds}.   [-0, +0, e] */
static void read_delay(lua_State *L, triggers *t) {
  const char *expected = "delay in seconds above 0";
  int table = lua_gettop(L);
  lua_pushnil(L);
  while (lua_next(L, table) != 0) {
    lua_pop(L, 1);
    if (lua_type(L, -1) == LUA_TSTRING && strcmp(lua_tostring(L, -1), "delay") == 0) continue;
    options_refuse_value(L, 1, "record", "dump_on", "only 'delay' in a table");
  }
  lua_getfield(L, table, "delay");
  if (lua_type(L, -1) != LUA_TNUMBER) options_error(L, 1, "record", "dump_on", expected);
  double seconds = lua_tonumber(L, -1);
  if (!(seconds > 0)) options_refuse_value(L, 1, "record", "dump_on", expected);
  t->delay_ns = (uint64_t)clock_deadline_ns(0, seconds);
  t->wants |= TRIGGER_DELAY;
  lua_pop(L, 1);
}

/* Reads the list of what triggers a dump.   [-0, +0, e] */
static void read_dump_on(lua_State *L, triggers *t) {
  static const char *const words[] = {"panic", "unhandled", "deadlock", "crash", NULL};
  const char *expected =
      "list of \"panic\", \"unhandled\", \"deadlock\", \"crash\" and {delay = seconds}";
  int type = lua_getfield(L, 1, "dump_on");
  if (type != LUA_TNIL && type != LUA_TTABLE) options_error(L, 1, "record", "dump_on", expected);
  int table = lua_gettop(L);
  if (type == LUA_TTABLE) lua_pushnil(L);
  while (type == LUA_TTABLE && lua_next(L, table) != 0) {
    int word = arg_find_word(L, -1, words);
    if (!lua_isinteger(L, -2)) {
      lua_pop(L, 1);
      options_refuse_value(L, 1, "record", "dump_on", expected);
    } else if (lua_istable(L, -1)) {
      read_delay(L, t);
    } else if (word < 0) {
      options_refuse_value(L, 1, "record", "dump_on", expected);
    } else {
      t->wants |= 1U << word;
    }
    lua_pop(L, 1);
  }
  lua_settop(L, table - 1);
}

/* Reads the pattern of the files' path.   [-0, +0, e] */
static void read_path(lua_State *L, triggers *t) {
  const char *pattern = options_string(L, 1, "record", "path");
  if (pattern == NULL) pattern = DEFAULT_PATH;
  size_t length = strlen(pattern);
  bool has_zero = lua_isstring(L, -1) && lua_rawlen(L, -1) != length;
  if (length == 0 || length > TRIGGERS_PATH || has_zero) {
    lua_pushfstring(L, "%I bytes", (LUAI_UACINT)(has_zero ? lua_rawlen(L, -1) : length));
    options_refuse_value(L, 1, "record", "path", "path of 1 to 1023 bytes without a zero byte");
  }
  const char *bad = triggers_bad_path(pattern);
  if (bad != NULL) {
    lua_pushlstring(L, *bad == '%' ? bad : bad - 1, *bad == '%' ? 1 : 2);
    options_refuse_value(L, 1, "record", "path", "%p, %n or %% after a percent sign");
  }
  memcpy(t->path, pattern, length + 1);
  lua_pop(L, 1);
}

void recorder_options_read(lua_State *L, recording *r, triggers *t) {
  static const char *const names[] = {"events", "stacks",    "keep",     "dump_on",
                                      "path",   "max_dumps", "cooldown", NULL};
  *r = (recording){.events = DEFAULT_EVENTS, .keep = LAST_EVENTS_MAX};
  *t = (triggers){.write = dump_to_file};
  if (lua_isnil(L, 1)) return;
  options_check_names(L, 1, "record", names);
  r->events = read_events(L);
  r->stacks = options_integer(L, 1, "record", "stacks", 0, 1, 0) == 1;
  r->keep = (int)options_integer(L, 1, "record", "keep", 0, LAST_EVENTS_MAX, LAST_EVENTS_MAX);
  read_dump_on(L, t);
  read_path(L, t);
  t->max_dumps =
      (uint64_t)options_integer(L, 1, "record", "max_dumps", 1, MAX_DUMPS, DEFAULT_DUMPS);
  lua_Integer ms = options_milliseconds(L, 1, "record", "cooldown", DEFAULT_COOLDOWN_MS);
  t->cooldown_ns = ms * (NS_PER_SECOND / 1000);
  if (t->wants != 0) r->triggers = t;
}
