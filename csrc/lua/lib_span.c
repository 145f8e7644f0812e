/* co.trace.span, event, set, on_span, sampler, fields */
#include "lua/lib_span.h"

#include "core/hex.h"
#include "kernel/args.h"
#include "kernel/probe.h"
#include "kernel/unwind.h"
#include "lua/lib.h"
#include "lua/options.h"
#include "span/span.h"
#include "span/span_data.h"

/* --- spans --- */

#define MARK_TYPE "coropanic.span_mark"

/* Stands in the stack of a call of co.trace.span that was marked, and marks its end. */
typedef struct span_mark {
  uint64_t number; /* of its beginning; 0: the end was marked, or there is none to mark */
} span_mark;

/* __close of a mark: the function has returned, or an error leaves it. */
static int close_mark(lua_State *L) {
  runtime *rt = runtime_of_any(L);
  span_mark *m = luaL_checkudata(L, 1, MARK_TYPE);
  uint64_t number = m->number;
  m->number = 0;
  probe_tap *tap = rt->closed || number == 0 ? NULL : rt->probes.tap;
  bool failed = !lua_isnoneornil(L, 2);
  if (tap != NULL) tap->mark(tap, rt, MARK_SPAN_END, "", failed ? 1 : 0, number);
  return 0;
}

/* The results stand where the function stood, and above. */
static int after_span(lua_State *L, int status, lua_KContext function) {
  (void)status;
  return lua_gettop(L) - (int)function + 1;
}

static const char *const kinds[] = {"internal", "server", "client", "producer", "consumer", NULL};

/* Pushes the attributes in the options at 2, or nil, and returns the kind.   [-0, +1, e] */
static const char *read_options(lua_State *L) {
  static const char *const names[] = {"attributes", "kind", NULL};
  options_check_names(L, 2, "span", names);
  int kind = options_word(L, 2, "span", "kind", kinds);
  int type = lua_getfield(L, 2, "attributes");
  if (type != LUA_TNIL && type != LUA_TTABLE) options_error(L, 2, "span", "attributes", "table");
  return kinds[kind];
}

/*
** Begins a span whose name is at `name`, with the attributes above it, if the function is two above it. Replaces
** the name by its handle.   [-0, +0, e]
*/
static void begin_span(runtime *rt, lua_State *L, int name, int function, const char *kind) {
  bool has_attributes = function == name + 2 && lua_istable(L, name + 1);
  span_begin(rt, L, name, kind, has_attributes ? name + 1 : 0);
  lua_replace(L, name);
}

/* Returns the kind of a span, and leaves the attributes in the options at 2 there.   [-0, +0, e] */
static const char *take_options(lua_State *L, int function) {
  if (function == 2) return kinds[0];
  const char *kind = read_options(L);
  lua_replace(L, 2);
  return kind;
}

/* The call while there is a tap: the mark stands below all others.   [-?, +?, e] */
cp_apart int call_marked(runtime *rt, lua_State *L, int function) {
  size_t length;
  const char *name = lua_tolstring(L, 1, &length);
  bool is_recorded = span_is_recorded(rt);
  const char *kind = is_recorded ? take_options(L, function) : NULL;
  span_mark *m = lua_newuserdatauv(L, sizeof(span_mark), 0);
  m->number = 0;
  luaL_setmetatable(L, MARK_TYPE);
  lua_insert(L, 1);
  function++;
  probe_tap *tap = rt->probes.tap; /* a finalizer may have taken it away */
  if (tap != NULL) m->number = tap->mark(tap, rt, MARK_SPAN_BEGIN, name, length, 0);
  lua_toclose(L, 1);
  if (is_recorded) {
    begin_span(rt, L, 2, function, kind);
    lua_toclose(L, 2);
  }
  lua_callk(L, lua_gettop(L) - function, LUA_MULTRET, function, after_span);
  return after_span(L, LUA_OK, function);
}

/*
** (name, [options,] function, arguments...). Not a pcall, because frames further out must see the
** stack at the point of the panic. Without a listener or a sampled trace, the options are ignored.
*/
static int trace_span(lua_State *L) {
  runtime *rt = runtime_of(L);
  if (lua_type(L, 1) != LUA_TSTRING) return arg_type_error(L, 1, "span", "string");
  int function = lua_istable(L, 2) ? 3 : 2;
  arg_check_function(L, function, "span");
  if (rt->probes.tap != NULL) return call_marked(rt, L, function);
  int arguments = lua_gettop(L) - function;
  if (span_is_recorded(rt)) {
    begin_span(rt, L, 1, function, take_options(L, function));
    return unwind_call_closing(L, 1, arguments, LUA_MULTRET, function, after_span);
  }
  lua_callk(L, arguments, LUA_MULTRET, function, after_span);
  return after_span(L, LUA_OK, function);
}

/* Tells the sinks of the newest event of the span whose table is at `data`.   [-0, +0, m] */
static void tell_event(runtime *rt, lua_State *L, int data) {
  lua_getfield(L, data, "events");
  lua_rawgeti(L, -1, (lua_Integer)lua_rawlen(L, -1));
  probe_tell(rt, &(probe_event){.kind = PROBE_SPAN_EVENT,
                                .calls = true,
                                .task = rt->current,
                                .L = L,
                                .object = data,
                                .extra = lua_gettop(L)});
  lua_pop(L, 2);
}

/* [-0, +0, -] */
cp_apart void mark_event(runtime *rt, lua_State *L) {
  size_t length;
  const char *name = lua_tolstring(L, 1, &length);
  rt->probes.tap->mark(rt->probes.tap, rt, MARK_EVENT, name, length, 0);
}

static int trace_event(lua_State *L) {
  runtime *rt = runtime_of(L);
  if (lua_type(L, 1) != LUA_TSTRING) return arg_type_error(L, 1, "event", "string");
  bool has_attributes = !lua_isnoneornil(L, 2);
  if (has_attributes && !lua_istable(L, 2)) return arg_type_error(L, 2, "event", "table");
  if (rt->probes.tap != NULL) mark_event(rt, L);
  if (!span_is_recorded(rt) || !span_push_current(rt, L)) return 0;
  bool is_added = span_data_add_event(L, lua_gettop(L), 1, has_attributes ? 2 : 0);
  if (is_added && probe(&rt->probes, PROBE_SPAN_EVENT)) tell_event(rt, L, lua_gettop(L));
  return 0;
}

static int trace_set(lua_State *L) {
  runtime *rt = runtime_of(L);
  if (!lua_istable(L, 1)) return arg_type_error(L, 1, "set", "table");
  if (!span_is_recorded(rt) || !span_push_current(rt, L)) return 0;
  span_data_set(L, lua_gettop(L), 1);
  return 0;
}

static int trace_on_span(lua_State *L) { return lib_set_listener(L, PROBE_SPAN_END, "on_span"); }

/* --- sampling --- */

static const char *const samplings[] = {"always", "never", "ratio", "parent", NULL};

static sampling_kind check_sampling(lua_State *L) {
  if (lua_type(L, 1) != LUA_TSTRING) arg_type_error(L, 1, "sampler", "string");
  int kind = arg_find_word(L, 1, samplings);
  if (kind < 0) {
    arg_error(L, 1, "sampler", "\"always\", \"never\", \"ratio\" or \"parent\" expected");
  }
  return (sampling_kind)kind;
}

/* Returns the option `ratio`.   [-0, +0, e] */
static double check_ratio(lua_State *L) {
  int type = lua_getfield(L, 2, "ratio");
  double ratio = lua_tonumber(L, -1);
  if (type != LUA_TNUMBER || !(ratio >= 0 && ratio <= 1)) {
    options_error(L, 2, "sampler", "ratio", "number from 0 to 1");
  }
  lua_pop(L, 1);
  return ratio;
}

/* Pushes the options with which co.trace.sampler would make this sampler.   [-0, +1, m] */
static void push_sampler_options(lua_State *L, const sampler *s) {
  lua_newtable(L);
  if (s->kind == SAMPLING_PARENT) {
    lua_pushstring(L, samplings[s->root]);
    lua_setfield(L, -2, "root");
  }
  if (s->kind == SAMPLING_RATIO || (s->kind == SAMPLING_PARENT && s->root == SAMPLING_RATIO)) {
    lua_pushnumber(L, s->ratio);
    lua_setfield(L, -2, "ratio");
  }
}

/* (kind, [options]) → the former kind and its options */
static int trace_sampler(lua_State *L) {
  static const char *const no_names[] = {NULL};
  static const char *const ratio_names[] = {"ratio", NULL};
  static const char *const root_names[] = {"root", NULL};
  static const char *const parent_names[] = {"root", "ratio", NULL};
  static const char *const roots[] = {"always", "never", "ratio", NULL};
  runtime *rt = runtime_of(L);
  sampler next = {.kind = (uint8_t)check_sampling(L)};
  lua_settop(L, 2);
  if (lua_isnil(L, 2)) {
    lua_newtable(L);
    lua_replace(L, 2);
  }
  const char *const *names = no_names;
  if (next.kind == SAMPLING_RATIO) names = ratio_names;
  if (next.kind == SAMPLING_PARENT) names = parent_names;
  options_check_names(L, 2, "sampler", names);
  if (next.kind == SAMPLING_PARENT) {
    next.root = (uint8_t)options_word(L, 2, "sampler", "root", roots);
  }
  if (next.kind == SAMPLING_RATIO || next.root == SAMPLING_RATIO) {
    next.ratio = check_ratio(L);
    next.threshold = sampling_threshold(next.ratio);
  } else {
    options_check_names(L, 2, "sampler", next.kind == SAMPLING_PARENT ? root_names : no_names);
  }
  lua_pushstring(L, samplings[rt->sampler.kind]);
  push_sampler_options(L, &rt->sampler);
  rt->sampler = next;
  return 2;
}

/* --- fields --- */

static void set_hex(lua_State *L, const char *field, uint64_t id) {
  char hex[16];
  hex_encode_u64(hex, id);
  lua_pushlstring(L, hex, sizeof(hex));
  lua_setfield(L, -2, field);
}

static int trace_fields(lua_State *L) {
  runtime *rt = runtime_of(L);
  const task *t = rt->current;
  trace_ids *here = trace_here(rt);
  if (!trace_ensure(rt, here)) return luaL_error(L, "%s", trace_why_none(rt));
  char hex[32];
  hex_encode(hex, here->trace->trace_id, 16);
  uint8_t flags = here->trace->flags;
  uint64_t span_id = trace_span_id(rt, here);
  lua_createtable(L, 0, 6);
  lua_pushlstring(L, hex, sizeof(hex));
  lua_setfield(L, -2, "trace_id");
  hex_encode(hex, &flags, 1);
  lua_pushlstring(L, hex, 2);
  lua_setfield(L, -2, "trace_flags");
  set_hex(L, "span_id", span_id);
  lua_pushboolean(L, flags & TRACE_FLAG_SAMPLED);
  lua_setfield(L, -2, "sampled");
  if (t != NULL) {
    char buffer[TASK_NAME_SIZE];
    lua_pushinteger(L, (lua_Integer)t->id);
    lua_setfield(L, -2, "task_id");
    lua_pushstring(L, task_name(t, buffer));
    lua_setfield(L, -2, "task");
  }
  return 1;
}

void lib_span_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"span", trace_span},
      {"event", trace_event},
      {"set", trace_set},
      {"on_span", trace_on_span},
      {"sampler", trace_sampler},
      {"fields", trace_fields},
      {NULL, NULL},
  };
  static const luaL_Reg of_marks[] = {{"__close", close_mark}, {NULL, NULL}};
  runtime *rt = runtime_of(L);
  span_open(rt, L);
  runtime_new_type(rt, L, MARK_TYPE, of_marks);
  lua_pop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  luaL_setfuncs(L, functions, 1);
}
