/* Panic records as hosts read them. */
#include <string.h>

#include "coropanic.h"
#include "host/host.h"
#include "kernel/record.h"
#include "kernel/value_text.h"
#include "lua/record_fields.h"
#include "report/report.h"

/*
** Pops a string, and returns its text. The record at `index` keeps it under that name; the first one
** stays, because hosts may still read what an earlier call has told them.   [-1, +0, m]
*/
static const char *keep(lua_State *L, int index, const char *name) {
  lua_tostring(L, -1); /* converts a number */
  record_push_details(L, index);
  if (lua_getfield(L, -1, name) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_pushvalue(L, -2);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, name);
  }
  const char *text = lua_tostring(L, -1);
  lua_pop(L, 3);
  return text;
}

static void write_span_id(uint8_t bytes[8], uint64_t id) {
  for (int i = 7; i >= 0; i--, id >>= 8) bytes[i] = (uint8_t)id;
}

/* Reads the record at the absolute `index`.   [-0, +0, m] */
static void read_record(lua_State *L, int index, const record *r, cp_record *out) {
  char buffer[TASK_NAME_SIZE];
  out->kind = record_kind_name(r);
  value_text_push_message(L, index);
  out->message = lua_tolstring(L, -1, &out->message_length);
  lua_pop(L, 1); /* the record has it */
  record_fields_push(L, index, "error_code");
  out->code = keep(L, index, "host_code");
  record_fields_push(L, index, "type");
  out->type = keep(L, index, "host_type");
  memcpy(out->trace_id, r->trace_id, sizeof(out->trace_id));
  write_span_id(out->span_id, r->span_id);
  out->sampled = (r->trace_flags & TRACE_FLAG_SAMPLED) != 0;
  out->recovered = r->recovered;
  out->time_ns = r->time_ns;
  out->task_id = r->task_id;
  lua_getiuservalue(L, index, RECORD_UV_TASK);
  const task *t = task_test(L, -1);
  lua_pushstring(L, t == NULL ? "" : task_name(t, buffer));
  out->task_name = keep(L, index, "host_task_name");
  lua_pop(L, 1);
}

int cp_get_record(lua_State *L, int index, cp_record *out) {
  const record *r = record_test(L, index);
  size_t size = out->size;
  if (r == NULL || r->runtime->closed || size < sizeof(size)) return 0;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  cp_record read = {.size = size};
  read_record(L, lua_absindex(L, index), r, &read);
  memcpy(out, &read, size < sizeof(read) ? size : sizeof(read));
  return 1;
}

const char *cp_record_text(lua_State *L, int index, size_t *length) {
  const record *r = record_test(L, index);
  if (length != NULL) *length = 0;
  if (r == NULL || r->runtime->closed) return NULL;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  report_push(L, lua_absindex(L, index));
  return lua_tolstring(L, -1, length);
}
