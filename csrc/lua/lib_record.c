#include "lua/lib.h"

#include "core/stack_hash.h"
#include "kernel/args.h"
#include "kernel/value_text.h"
#include "lua/record_fields.h"
#include "lua/record_table.h"
#include "report/report.h"
#include "scope/scope.h"

static const record *check_record(lua_State *L, const char *function) {
  (void)runtime_of(L); /* raises after the runtime's end, when the record's task must not be read */
  const record *r = record_test(L, 1);
  if (r == NULL) arg_type_error(L, 1, function, RECORD_TYPE);
  return r;
}

/* (record, key) → the field or the method; nil for an unknown key */
static int record_index(lua_State *L) {
  check_record(L, "__index");
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(2)) != LUA_TNIL) return 1;
  if (lua_type(L, 2) != LUA_TSTRING) return 1;
  record_fields_push(L, 1, lua_tostring(L, 2));
  return 1;
}

static int record_newindex(lua_State *L) { return luaL_error(L, "a panic record is immutable"); }

static int record_tostring(lua_State *L) {
  check_record(L, "__tostring");
  report_push(L, 1);
  return 1;
}

/* A record stands for its message, so that code that concatenates error strings still works. */
static int record_concat(lua_State *L) {
  (void)runtime_of(L);
  for (int i = 1; i <= 2; i++) {
    if (record_test(L, i) != NULL) {
      value_text_push_message(L, i);
    } else if (lua_isstring(L, i)) {
      lua_pushvalue(L, i);
    } else {
      return luaL_error(L, "attempt to concatenate a %s value", luaL_typename(L, i));
    }
  }
  lua_concat(L, 2);
  return 1;
}

static int record_to_table(lua_State *L) {
  check_record(L, "to_table");
  record_table_push(L, 1);
  return 1;
}

/* (record[, version]) → stack_hash and stack_hash_full of that version. */
static int record_stack_hashes(lua_State *L) {
  check_record(L, "stack_hashes");
  lua_Integer version = STACK_HASH_VERSION;
  if (!lua_isnoneornil(L, 2))
    version = arg_check_integer(L, 2, 1, "stack_hashes", "version", 1, STACK_HASH_VERSION);
  record_fields_push_hash(L, 1, (int)version, false);
  record_fields_push_hash(L, 1, (int)version, true);
  return 2;
}

/* (record, other) Adds a record of an earlier or later panic to `suppressed`. */
static int record_add_suppressed(lua_State *L) {
  check_record(L, "add_suppressed");
  if (record_test(L, 2) == NULL) luaL_typeerror(L, 2, RECORD_TYPE);
  luaL_argcheck(L, !lua_rawequal(L, 1, 2), 2, "another record expected");
  lua_settop(L, 2);
  record_fields_push(L, 1, "suppressed");
  lua_pushvalue(L, 3);
  record_set_detail(L, 1, DETAIL_SUPPRESSED);
  lua_Integer count = (lua_Integer)lua_rawlen(L, 3);
  if (count < SCOPE_MAX_SUPPRESSED) {
    lua_pushvalue(L, 2);
    lua_rawseti(L, 3, count + 1);
  } else {
    lua_getfield(L, 3, "omitted");
    lua_pushinteger(L, lua_tointeger(L, -1) + 1);
    lua_setfield(L, 3, "omitted");
  }
  return 0;
}

void lib_record_open(lua_State *L, runtime *rt) {
  static const luaL_Reg methods[] = {
      {"to_table", record_to_table},
      {"stack_hashes", record_stack_hashes},
      {"add_suppressed", record_add_suppressed},
      {NULL, NULL},
  };
  static const luaL_Reg metamethods[] = {
      {"__newindex", record_newindex},
      {"__tostring", record_tostring},
      {"__concat", record_concat},
      {NULL, NULL},
  };
  runtime_new_type(rt, L, RECORD_TYPE, metamethods);
  lua_pushlightuserdata(L, rt);
  luaL_newlibtable(L, methods);
  lua_pushvalue(L, -2);
  luaL_setfuncs(L, methods, 1);
  lua_pushcclosure(L, record_index, 2);
  lua_setfield(L, -2, "__index");
  lua_pushliteral(L, RECORD_TYPE);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}
