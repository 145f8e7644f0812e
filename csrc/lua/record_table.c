#include "lua/record_table.h"

#include <stdio.h>

#include "kernel/text.h"
#include "lua/plain.h"
#include "lua/record_fields.h"

/* Sets, in the table on top, `name` to the plain form of the value at `index`.   [-0, +0, m] */
static void set_plain(lua_State *L, int index, const char *name) {
  plain_push(L, index);
  lua_setfield(L, -2, name);
}

/* Sets fields of the record at `index` in the table on top of the stack.   [-0, +0, m] */
static void set_fields(lua_State *L, int index, const char *const *names) {
  for (; *names != NULL; names++) {
    record_fields_push_fresh(L, index, *names);
    lua_insert(L, -2);
    set_plain(L, -2, *names);
    lua_remove(L, -2);
  }
}

/*
** Copies the count in the field `from` of the table at `list`, if it is there, to the field
** `name`_`from` of the table on top.   [-0, +0, m]
*/
static void set_count(lua_State *L, int list, const char *name, const char *from) {
  lua_pushfstring(L, "%s_%s", name, from);
  lua_pushstring(L, from);
  if (lua_rawget(L, list) == LUA_TNUMBER && lua_isinteger(L, -1)) {
    lua_rawset(L, -3);
  } else {
    lua_pop(L, 2);
  }
}

/*
** Pops a list, nil or a table, and sets the field `name` of the table below it to a copy, in which
** `push_entry` has made each entry plain.   [-1, +0, m]
*/
static void set_list(lua_State *L, const char *name, void (*push_entry)(lua_State *L, int index)) {
  int list = lua_gettop(L);
  lua_Integer count = lua_istable(L, list) ? (lua_Integer)lua_rawlen(L, list) : 0;
  if (count > 0) {
    lua_pushvalue(L, list - 1);
    lua_createtable(L, (int)count, 0);
    for (lua_Integer i = 1; i <= count; i++) {
      lua_rawgeti(L, list, i);
      push_entry(L, lua_gettop(L));
      lua_rawseti(L, -3, i);
      lua_pop(L, 1);
    }
    lua_setfield(L, -2, name);
    set_count(L, list, name, "omitted");
    set_count(L, list, name, "omitted_after");
  }
  lua_settop(L, list - 1);
}

static void set_time(lua_State *L, const record *r) {
  /* JSON's numbers are doubles, which can not hold it. */
  char digits[TEXT_NUMBER_SIZE];
  snprintf(digits, sizeof(digits), "%lld", (long long)r->time_ns);
  lua_pushstring(L, digits);
  lua_setfield(L, -2, "time");
}

/*
** Sets the field `parent` of the table on top to the id of the task's spawner; the task's table is
** below it.   [-0, +0, m]
*/
static void set_parent(lua_State *L) {
  lua_getfield(L, -2, "ancestors");
  if (lua_rawgeti(L, -1, 1) == LUA_TTABLE) {
    lua_getfield(L, -1, "id");
    lua_setfield(L, -4, "parent");
  }
  lua_pop(L, 2);
}

/*
** Sets the task of the record at `index` in the table on top of the stack, with the fields `names`,
** and either its ancestors or its parent.   [-0, +0, m]
*/
static void set_task(lua_State *L, int index, const char *const *names, bool with_ancestors) {
  record_fields_push_fresh(L, index, "task");
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    return;
  }
  lua_newtable(L);
  for (; *names != NULL; names++) {
    lua_getfield(L, -2, *names);
    lua_insert(L, -2);
    set_plain(L, -2, *names);
    lua_remove(L, -2);
  }
  if (with_ancestors) {
    lua_getfield(L, -2, "ancestors");
    set_list(L, "ancestors", plain_push);
  } else {
    set_parent(L);
  }
  lua_setfield(L, -3, "task");
  lua_pop(L, 1);
}

/*
** Pushes a table of a panic that was replaced or suppressed: its value and task, without a stack.
** [-0, +1, m]
*/
static void push_link(lua_State *L, int index) {
  static const char *const of_task[] = {"id", "name", "spawned_at", NULL};
  static const char *const names[] = {"kind",       "type",      "message", "value",
                                      "error_code", "recovered", "seq",     NULL};
  lua_createtable(L, 0, 9);
  set_fields(L, index, names);
  set_time(L, record_test(L, index));
  set_task(L, index, of_task, false);
}

static void push_record(lua_State *L, int index, int depth);

static void set_cause(lua_State *L, int index, int depth) {
  record_fields_push_fresh(L, index, "cause");
  if (record_test(L, -1) == NULL) {
    lua_pop(L, 1);
    return;
  }
  if (depth == RECORD_TABLE_MAX_CAUSES) {
    lua_pushliteral(L, "... left out: nested too deeply");
  } else {
    push_record(L, lua_gettop(L), depth + 1);
  }
  lua_setfield(L, -3, "cause");
  lua_pop(L, 1);
}

/*
** Sets the task that requested the cancellation, if the record is of one and has that task.
** [-0, +0, m]
*/
static void set_cancelled_by(lua_State *L, int index) {
  record_fields_push_fresh(L, index, "cancellation");
  if (lua_istable(L, -1)) {
    lua_getfield(L, -1, "by");
    lua_setfield(L, -3, "cancelled_by");
  }
  lua_pop(L, 1);
}

static void push_record(lua_State *L, int index, int depth) {
  static const char *const names[] = {"kind",
                                      "type",
                                      "message",
                                      "value",
                                      "error_code",
                                      "source",
                                      "reason",
                                      "trace_id",
                                      "trace_flags",
                                      "span_id",
                                      "seq",
                                      "stack_hash",
                                      "stack_hash_full",
                                      "hash_version",
                                      "recovered",
                                      "forced",
                                      "parent_span_id",
                                      NULL};
  static const char *const of_task[] = {"id", "name", "status", "spawned_at", "attributes", NULL};
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  lua_createtable(L, 0, 20);
  lua_pushliteral(L, RECORD_CONTRACT);
  lua_setfield(L, -2, "contract");
  set_fields(L, index, names);
  set_time(L, record_test(L, index));
  set_task(L, index, of_task, true);
  record_fields_push_fresh(L, index, "frames");
  set_list(L, "frames", plain_push);
  record_fields_push_fresh(L, index, "chain");
  set_list(L, "chain", push_link);
  record_fields_push_fresh(L, index, "parked");
  set_list(L, "parked", plain_push);
  record_fields_push_fresh(L, index, "cycle");
  set_list(L, "cycle", plain_push);
  record_fields_push_fresh(L, index, "suspension_points");
  set_list(L, "suspension_points", plain_push);
  record_fields_push_fresh(L, index, "last_events");
  set_list(L, "last_events", plain_push);
  record_fields_push_fresh(L, index, "suppressed");
  set_list(L, "suppressed", push_link);
  set_cancelled_by(L, index);
  set_cause(L, index, depth);
}

void record_table_push(lua_State *L, int index) { push_record(L, lua_absindex(L, index), 0); }
