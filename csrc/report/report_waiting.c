#include <stdio.h>
#include <string.h>

#include "kernel/task.h"
#include "report/report_parts.h"

/* Pushes a field of the table at `index`, without metamethods.   [-0, +1, m] */
static void push_field(lua_State *L, int index, const char *name) {
  lua_pushstring(L, name);
  lua_rawget(L, index);
}

static void put_string_at(lua_State *L, int index, text_writer *w) {
  size_t length = 1;
  const char *text = "?";
  if (lua_type(L, index) == LUA_TSTRING) text = lua_tolstring(L, index, &length);
  text_put_name(w, text, length);
}

/* Whether the name is that of an unnamed task, which is made from its id. */
static bool is_made_name(const char *name, uint64_t id) {
  char made[TASK_NAME_SIZE];
  snprintf(made, sizeof(made), "task %llu", (unsigned long long)id);
  return strcmp(name, made) == 0;
}

/*
** Writes the line of the waiting task that the table at `row` describes. All fields are read before
** the first word is written, so that a lack of memory can't leave half a line.   [-0, +0, m]
*/
static void put_parked(lua_State *L, int row, text_writer *w) {
  int top = lua_gettop(L);
  push_field(L, row, "id");
  push_field(L, row, "name");
  push_field(L, row, "waiting_on");
  push_field(L, row, "where");
  push_field(L, row, "spawned_at");
  push_field(L, row, "relation");
  uint64_t id = (uint64_t)lua_tointeger(L, top + 1);
  const char *name = lua_type(L, top + 2) == LUA_TSTRING ? lua_tostring(L, top + 2) : "";
  report_put_task(w, id, is_made_name(name, id) ? "" : name);
  if (lua_type(L, top + 6) == LUA_TSTRING) {
    text_put(w, " (");
    put_string_at(L, top + 6, w);
    text_put(w, ")");
  }
  text_put(w, " waiting on ");
  put_string_at(L, top + 3, w);
  text_put(w, " at ");
  put_string_at(L, top + 4, w);
  text_put(w, ", spawned at ");
  put_string_at(L, top + 5, w);
  text_put(w, "\n");
  lua_settop(L, top);
}

/* (array of waiting tasks, writer, heading): writes them; called protected. */
static int write_tasks(lua_State *L) {
  text_writer *w = lua_touserdata(L, 2);
  lua_Integer count = (lua_Integer)lua_rawlen(L, 1);
  text_put(w, lua_touserdata(L, 3));
  for (lua_Integer i = 1; i <= count && i <= RECORD_MAX_PARKED; i++) {
    if (lua_rawgeti(L, 1, i) == LUA_TTABLE) put_parked(L, 4, w);
    lua_settop(L, 3);
  }
  push_field(L, 1, "omitted");
  lua_Integer omitted = lua_tointeger(L, -1);
  if (omitted > 0) report_put_omitted(w, (uint64_t)omitted, "task");
  return 0;
}

/* Writes the tasks of this detail of the record, if it has the detail.   [-0, +0, -] */
static void write_detail(lua_State *L, int index, text_writer *w, record_detail detail,
                         const char *heading) {
  record_push_detail(L, index, detail);
  if (!lua_istable(L, -1)) {
    lua_pop(L, 1);
    return;
  }
  lua_pushcfunction(L, write_tasks);
  lua_insert(L, -2);
  lua_pushlightuserdata(L, w);
  lua_pushlightuserdata(L, (void *)heading);
  text_put(w, "\n");
  int indent = w->indent;
  if (lua_pcall(L, 3, 0, 0) != LUA_OK) {
    w->indent = indent;
    text_put(w, "... no memory to list the waiting tasks ...\n");
    lua_pop(L, 1);
  }
}

void report_write_waiting(lua_State *L, int index, text_writer *w) {
  write_detail(L, index, w, DETAIL_PARKED, "");
  write_detail(L, index, w, DETAIL_CYCLE, "the cycle:\n");
  write_detail(L, index, w, DETAIL_SUSPENSION_POINTS, "waiting meanwhile:\n");
}
