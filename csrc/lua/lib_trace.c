#include "lua/lib_trace.h"

#include <string.h>

#include "core/baggage.h"
#include "core/hex.h"
#include "kernel/args.h"
#include "kernel/task.h"
#include "kernel/unwind.h"
#include "lua/carrier.h"
#include "lua/lib_baggage.h"
#include "lua/lib_span.h"
#include "lua/lib_trace_use.h"
#include "lua/lib_usage.h"
#include "span/propagation.h"
#include "span/span.h"

/* --- tables --- */

static void set_trace_id(lua_State *L, const uint8_t trace_id[16]) {
  char hex[32];
  hex_encode(hex, trace_id, 16);
  lua_pushlstring(L, hex, sizeof(hex));
  lua_setfield(L, -2, "trace_id");
}

/* Sets the field, unless the id is 0.   [-0, +0, m] */
static void set_span_id(lua_State *L, const char *field, uint64_t span_id) {
  if (span_id == 0) return;
  char hex[16];
  hex_encode_u64(hex, span_id);
  lua_pushlstring(L, hex, sizeof(hex));
  lua_setfield(L, -2, field);
}

static void set_flags(lua_State *L, uint8_t flags) {
  lua_pushboolean(L, flags & TRACE_FLAG_SAMPLED);
  lua_setfield(L, -2, "sampled");
  lua_pushboolean(L, flags & TRACE_FLAG_RANDOM);
  lua_setfield(L, -2, "random");
}

/* Sets the field, unless the text is empty.   [-0, +0, m] */
static void set_text(lua_State *L, const char *field, const char *text, size_t length) {
  if (length == 0) return;
  lua_pushlstring(L, text, length);
  lua_setfield(L, -2, field);
}

static int trace_current_table(lua_State *L) {
  trace_position p;
  propagation_read(runtime_of(L), L, &p);
  lua_createtable(L, 0, 6);
  set_trace_id(L, p.here.trace_id);
  set_span_id(L, "span_id", p.here.span_id);
  set_span_id(L, "parent_span_id", p.parent_span_id);
  set_flags(L, p.here.flags);
  set_text(L, "state", p.state, p.state_length);
  return 1;
}

/* --- coming in --- */

/* Reads the baggage, which is valid whatever the traceparent is.   [-0, +0, e] */
static void read_baggage(lua_State *L, int headers, trace_incoming *in) {
  size_t length;
  carrier_push(L, headers, "baggage");
  const char *value = lua_tolstring(L, -1, &length);
  in->baggage_length = baggage_clean(in->baggage, value, length);
  lua_pop(L, 1);
}

/*
** Reads the headers. Two traceparents count as none (section 3.2), because nobody can say which one
** is right.   [-0, +0, e]
*/
static void read_headers(runtime *rt, lua_State *L, int headers, trace_incoming *in) {
  in->state.length = 0;
  read_baggage(L, headers, in);
  int count = carrier_push(L, headers, "traceparent");
  size_t length;
  const char *value = lua_tolstring(L, -1, &length);
  in->valid = count == 1 && traceparent_parse(&in->parent, value, length);
  lua_pop(L, 1);
  bool has_clock = rt->generator.kind == ID_HLC;
  if (!in->valid && !has_clock) return;
  if (carrier_push(L, headers, "tracestate") > 0) {
    value = lua_tolstring(L, -1, &length);
    if (in->valid) tracestate_parse(&in->state, value, length);
    if (has_clock) propagation_receive_clock(rt, value, length);
  }
  lua_pop(L, 1);
}

static int trace_extract(lua_State *L) {
  trace_incoming in;
  memset(&in, 0, offsetof(trace_incoming, baggage));
  carrier_check_readable(L, 1, "extract");
  read_headers(runtime_of(L), L, 1, &in);
  if (!in.valid) propagation_start(runtime_of(L), L, &in);
  lua_createtable(L, 0, 8);
  set_trace_id(L, in.parent.trace_id);
  set_span_id(L, "span_id", in.parent.span_id);
  set_span_id(L, "parent_span_id", in.parent.span_id);
  set_flags(L, in.parent.flags);
  set_text(L, "state", in.state.text, in.state.length);
  set_text(L, "baggage", in.baggage, in.baggage_length);
  lua_pushboolean(L, in.valid);
  lua_setfield(L, -2, "valid");
  return 1;
}

/* --- going out --- */

/*
** Sets a header of the carrier at 1; removes it if the text is empty.   [-0, +0, e]
**   is_new  the carrier was empty, so that there is nothing to remove
*/
static void set_header(lua_State *L, bool is_new, const char *name, const char *text,
                       size_t length) {
  if (length > 0) {
    lua_pushlstring(L, text, length);
  } else if (is_new) {
    return;
  } else {
    lua_pushnil(L);
  }
  if (is_new) {
    lua_setfield(L, 1, name);
  } else {
    carrier_set(L, 1, name);
  }
}

static int trace_inject(lua_State *L) {
  runtime *rt = runtime_of(L);
  trace_position p;
  char value[TRACEPARENT_LENGTH];
  if (lua_isnone(L, 1)) lua_newtable(L);
  carrier_check_writable(L, 1, "inject");
  lua_settop(L, 1);
  propagation_read(rt, L, &p);
  propagation_send_clock(rt, &p);
  traceparent_format(value, &p.here);
  bool is_new = carrier_is_empty(L, 1);
  set_header(L, is_new, "traceparent", value, sizeof(value));
  set_header(L, is_new, "tracestate", p.state, p.state_length);
  set_header(L, is_new, "baggage", p.baggage, p.baggage_length);
  return 1;
}

/* --- running under another trace --- */

/* Reads a field of hex digits; false if it is anything else.   [-0, +0, e] */
static bool read_hex(lua_State *L, int index, const char *field, uint8_t *bytes, size_t size) {
  size_t length;
  lua_getfield(L, index, field);
  bool is_string = lua_type(L, -1) == LUA_TSTRING;
  const char *digits = is_string ? lua_tolstring(L, -1, &length) : NULL;
  bool valid = is_string && length == 2 * size && hex_decode(bytes, digits, size);
  lua_pop(L, 1);
  return valid;
}

static bool read_boolean(lua_State *L, int index, const char *field) {
  lua_getfield(L, index, field);
  bool value = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return value;
}

/*
** Whether the table on top of the stack has a boolean of this name; headers never have booleans.
** [-0, +0, m]
*/
static bool has_boolean(lua_State *L, const char *name) {
  lua_pushstring(L, name);
  bool has_it = lua_rawget(L, -2) == LUA_TBOOLEAN;
  lua_pop(L, 1);
  return has_it;
}

/*
** Whether the value is a table that extract has returned, or a proxy of one. An __index that is a
** function is not called: it may answer any key, or raise.   [-0, +0, m]
*/
static bool is_extracted(lua_State *L, int index) {
  enum { MAX_PROXIES = 8 };
  bool extracted = false;
  lua_pushvalue(L, index);
  for (int i = 0; i < MAX_PROXIES && lua_istable(L, -1); i++) {
    extracted = has_boolean(L, "valid") && has_boolean(L, "sampled");
    if (extracted || luaL_getmetafield(L, -1, "__index") == LUA_TNIL) break;
    lua_replace(L, -2);
  }
  lua_pop(L, 1);
  return extracted;
}

static uint64_t read_span_id(lua_State *L, int index, const char *field) {
  uint8_t bytes[8];
  uint64_t span_id = 0;
  if (!read_hex(L, index, field, bytes, sizeof(bytes))) return 0;
  for (size_t i = 0; i < sizeof(bytes); i++) span_id = span_id << 8 | bytes[i];
  return span_id;
}

/*
** Reads a table that extract has returned; false if a script has changed it to invalid values.
** [-0, +0, e]
*/
static bool read_extracted(lua_State *L, int index, trace_incoming *in) {
  static const uint8_t none[sizeof(in->parent.trace_id)];
  in->valid = read_boolean(L, index, "valid");
  in->parent.span_id = in->valid ? read_span_id(L, index, "parent_span_id") : 0;
  if (in->valid && in->parent.span_id == 0) return false;
  if (!read_hex(L, index, "trace_id", in->parent.trace_id, sizeof(none))) return false;
  if (memcmp(in->parent.trace_id, none, sizeof(none)) == 0) return false;
  unsigned flags = read_boolean(L, index, "sampled") ? TRACE_FLAG_SAMPLED : 0;
  if (read_boolean(L, index, "random")) flags |= TRACE_FLAG_RANDOM;
  in->parent.flags = (uint8_t)flags;
  in->state.length = 0;
  if (lua_getfield(L, index, "state") == LUA_TSTRING) {
    size_t length;
    const char *state = lua_tolstring(L, -1, &length);
    tracestate_parse(&in->state, state, length);
  }
  lua_pop(L, 1);
  in->baggage_length = 0;
  if (lua_getfield(L, index, "baggage") == LUA_TSTRING) {
    size_t length;
    const char *text = lua_tolstring(L, -1, &length);
    in->baggage_length = baggage_clean(in->baggage, text, length);
  }
  lua_pop(L, 1);
  return true;
}

static void read_argument(runtime *rt, lua_State *L, trace_incoming *in) {
  carrier_check_readable(L, 1, "continue");
  if (!is_extracted(L, 1)) {
    read_headers(rt, L, 1, in);
    if (!in->valid) propagation_start(rt, L, in);
  } else if (!read_extracted(L, 1, in)) {
    arg_error(L, 1, "continue", "the result of extract expected, unchanged");
  }
}

/* The results are everything above the handle of the span, which is at index 1. */
static int after_continue(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  return lua_gettop(L) - 1;
}

/* Not a pcall, because frames further out must see the stack at the point of the panic. */
static int trace_continue_call(lua_State *L) {
  runtime *rt = runtime_of(L);
  trace_incoming in;
  memset(&in, 0, offsetof(trace_incoming, baggage));
  read_argument(rt, L, &in);
  arg_check_function(L, 2, "continue");
  trace_headers headers = {in.state.text, in.state.length, in.baggage, in.baggage_length};
  span_begin_continued(rt, L, &in.parent, &headers);
  lua_replace(L, 1);
  return unwind_call_closing(L, 1, lua_gettop(L) - 2, LUA_MULTRET, 0, after_continue);
}

/* --- opening --- */

int lib_trace_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"current", trace_current_table},
      {"extract", trace_extract},
      {"inject", trace_inject},
      {"continue", trace_continue_call},
      {NULL, NULL},
  };
  luaL_newlibtable(L, functions);
  lua_pushvalue(L, lua_upvalueindex(1));
  luaL_setfuncs(L, functions, 1);
  lib_trace_use_open(L);
  lib_span_open(L);
  lib_baggage_open(L);
  lib_usage_open(L);
  return 1;
}
