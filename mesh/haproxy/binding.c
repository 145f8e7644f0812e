/*
** The normaliser as a module of Lua 5.3, for HAProxy: normalise.lua beside it is what uses it.
**
**   local mesh = require("coropanic_mesh").new(configuration)   raises what is wrong with it
**   mesh:wants(status, grpc_status) -> boolean
**   mesh:continue(traceparents, tracestates) -> traceparent, tracestate; nil without random numbers
**   mesh:normalise(response) -> result
**
** `response` has the fields of cp_mesh_response that are texts, `status`, `time` in seconds, and
** `traceparent`, as mesh:continue gave it. `result` has error_code, error_hash, sets_headers,
** replaces_body, body and record. A handle is a userdata, and belongs to its Lua state.
*/
#include <lauxlib.h>

#include "mesh/coropanic_mesh.h"

#define HANDLE "coropanic.mesh"
#define ERROR_SIZE 256

/* Headers of one name that are looked at. */
#define MAX_HEADERS 64

static cp_mesh *check_mesh(lua_State *L) { return luaL_checkudata(L, 1, HANDLE); }

static int mesh_new(lua_State *L) {
  size_t size;
  const char *config = luaL_optlstring(L, 1, "", &size);
  char error[ERROR_SIZE];
  void *memory = lua_newuserdata(L, cp_mesh_size());
  if (cp_mesh_init(memory, config, size, error, sizeof error) == NULL)
    return luaL_error(L, "%s", error);
  luaL_setmetatable(L, HANDLE);
  return 1;
}

static cp_mesh_text text_at(lua_State *L, int index) {
  cp_mesh_text text;
  text.data = luaL_optlstring(L, index, "", &text.size);
  return text;
}

static int mesh_wants(lua_State *L) {
  uint32_t status = (uint32_t)luaL_checkinteger(L, 2);
  lua_pushboolean(L, cp_mesh_wants(check_mesh(L), status, text_at(L, 3)));
  return 1;
}

/* The strings of the list at `index`, which keeps them alive. */
static size_t read_list(lua_State *L, int index, cp_mesh_text *texts) {
  size_t count = 0;
  luaL_checktype(L, index, LUA_TTABLE);
  for (lua_Integer i = 1; count < MAX_HEADERS && lua_geti(L, index, i) == LUA_TSTRING; i++) {
    texts[count].data = lua_tolstring(L, -1, &texts[count].size);
    count++;
    lua_pop(L, 1);
  }
  lua_settop(L, 3);
  return count;
}

static int mesh_continue(lua_State *L) {
  cp_mesh_text parents[MAX_HEADERS], states[MAX_HEADERS];
  cp_mesh_trace trace;
  cp_mesh *mesh = check_mesh(L);
  lua_settop(L, 3);
  size_t parent_count = read_list(L, 2, parents), state_count = read_list(L, 3, states);
  if (!cp_mesh_continue(mesh, &trace, parents, parent_count, states, state_count)) return 0;
  lua_pushstring(L, trace.traceparent);
  lua_pushstring(L, trace.tracestate);
  return 2;
}

/* The response's field, which the table keeps alive. A number would be changed to a string of nobody's. */
static cp_mesh_text field(lua_State *L, const char *name) {
  cp_mesh_text text = {NULL, 0};
  int type = lua_getfield(L, 2, name);
  if (type == LUA_TSTRING) {
    text.data = lua_tolstring(L, -1, &text.size);
  } else if (type != LUA_TNIL) {
    luaL_error(L, "bad field '%s' of a response (string expected, got %s)", name,
               lua_typename(L, type));
  }
  lua_pop(L, 1);
  return text;
}

static lua_Number number_field(lua_State *L, const char *name) {
  int is_number;
  lua_getfield(L, 2, name);
  lua_Number value = lua_tonumberx(L, -1, &is_number);
  if (!is_number || !(value >= 0 && value < 1e10))
    luaL_error(L, "bad field '%s' of a response (number from 0 to 1e10 expected, got %s)", name,
               luaL_tolstring(L, -1, NULL));
  lua_pop(L, 1);
  return value;
}

static void set_text(lua_State *L, const char *name, cp_mesh_text text) {
  lua_pushlstring(L, text.size > 0 ? text.data : "", text.size);
  lua_setfield(L, -2, name);
}

static void push_result(lua_State *L, const cp_mesh_result *result) {
  lua_createtable(L, 0, 6);
  lua_pushboolean(L, result->sets_headers);
  lua_setfield(L, -2, "sets_headers");
  lua_pushboolean(L, result->replaces_body);
  lua_setfield(L, -2, "replaces_body");
  lua_pushstring(L, result->error_code);
  lua_setfield(L, -2, "error_code");
  lua_pushstring(L, result->error_hash);
  lua_setfield(L, -2, "error_hash");
  set_text(L, "body", result->body);
  set_text(L, "record", result->record);
}

static int mesh_normalise(lua_State *L) {
  cp_mesh *mesh = check_mesh(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  cp_mesh_response response = {
      .status = (uint32_t)number_field(L, "status"),
      .service = field(L, "service"),
      .content_type = field(L, "content_type"),
      .content_encoding = field(L, "content_encoding"),
      .grpc_status = field(L, "grpc_status"),
      .grpc_message = field(L, "grpc_message"),
      .body = field(L, "body"),
      .time_ns = (uint64_t)(number_field(L, "time") * 1e6) * 1000,
  };
  cp_mesh_text parent = field(L, "traceparent");
  cp_mesh_trace trace;
  lua_getfield(L, 2, "body_cut");
  response.body_cut = lua_toboolean(L, -1) || response.body.size > CP_MESH_MAX_BODY;
  if (parent.size > 0 && cp_mesh_continue(mesh, &trace, &parent, 1, NULL, 0))
    response.trace = &trace;
  cp_mesh_result result;
  cp_mesh_normalise(mesh, &response, &result);
  push_result(L, &result);
  return 1;
}

__attribute__((visibility("default"))) int luaopen_coropanic_mesh(lua_State *L);

int luaopen_coropanic_mesh(lua_State *L) {
  static const luaL_Reg METHODS[] = {{"wants", mesh_wants},
                                     {"continue", mesh_continue},
                                     {"normalise", mesh_normalise},
                                     {NULL, NULL}};
  static const luaL_Reg FUNCTIONS[] = {{"new", mesh_new}, {NULL, NULL}};
  if (luaL_newmetatable(L, HANDLE)) {
    luaL_newlib(L, METHODS);
    lua_setfield(L, -2, "__index");
  }
  luaL_newlib(L, FUNCTIONS);
  return 1;
}
