/* co.current, co.tasks, co.dump, co.stats */
#include <stdio.h>

#include "core/hex.h"
#include "kernel/args.h"
#include "kernel/stack.h"
#include "kernel/task.h"
#include "lua/lib.h"
#include "report/inspect.h"

/* The most lines of one task's stack in co.dump(); more are counted. */
#define DUMP_MAX_FRAMES 20

static int inspect_current(lua_State *L) {
  runtime *rt = runtime_of(L);
  if (rt->current == NULL) {
    lua_pushnil(L);
  } else {
    task_push(rt, L, rt->current);
  }
  return 1;
}

static int inspect_tasks(lua_State *L) {
  inspect_push_tasks(runtime_of(L), L);
  return 1;
}

/* --- co.dump --- */

/*
** Adds `task 3 "reader" waiting on join of task 2 "x"` and the task's spawner. A finalizer that
** steps the loop may end the task meanwhile.   [-0, +0, m]
*/
static void dump_head(lua_State *L, luaL_Buffer *buffer, task *t, int index) {
  char name[TASK_NAME_SIZE];
  char trace_id[32];
  hex_encode(trace_id, task_trace_id(t), 16);
  lua_pushfstring(L, "task %I \"%s\" %s%s", (LUAI_UACINT)t->id, task_name(t, name),
                  task_status_name(t->status), t->daemon ? ", daemon" : "");
  luaL_addvalue(buffer);
  if (t->status == TASK_WAITING) {
    luaL_addstring(buffer, " on ");
    wait_push_text(L, t);
    luaL_addvalue(buffer);
  }
  luaL_addstring(buffer, ", trace ");
  luaL_addlstring(buffer, trace_id, sizeof(trace_id));
  lua_pushfstring(L, "\n\tspawned at %s", task_spawned_at(runtime_find(L), t));
  luaL_addvalue(buffer);
  lua_getiuservalue(L, index, TASK_UV_PARENT);
  const task *parent = task_test(L, -1);
  lua_pop(L, 1);
  if (parent != NULL) {
    lua_pushfstring(L, " by task %I \"%s\"", (LUAI_UACINT)parent->id, task_name(parent, name));
    luaL_addvalue(buffer);
  }
  luaL_addchar(buffer, '\n');
}

/* Adds the line of one activation, with its source, line and name.   [-0, +0, m] */
static void dump_activation(lua_State *L, luaL_Buffer *buffer, const lua_Debug *ar) {
  char place[LUA_IDSIZE + 16];
  const char *format = ar->currentline > 0 ? "%s:%d" : "%s";
  snprintf(place, sizeof(place), format, ar->short_src, ar->currentline);
  if (ar->name != NULL) {
    lua_pushfstring(L, "\t%s in %s\n", place, ar->name);
  } else {
    lua_pushfstring(L, "\t%s in function <%s:%d>\n", place, ar->short_src, ar->linedefined);
  }
  luaL_addvalue(buffer);
}

/*
** Adds the live task's stack, beginning with its innermost coroutine. Each coroutine is kept at
** `index` while it is read, because the task may end meanwhile.   [-0, +0, m]
*/
static void dump_stack(lua_State *L, luaL_Buffer *buffer, const task *t, int index) {
  lua_Debug ar;
  stack_walk w = stack_begin_at(t->coroutine.top);
  for (int lines = 0; stack_next(&w, &ar) && lua_checkstack(w.thread, 1); lines++) {
    if (lines == DUMP_MAX_FRAMES) {
      luaL_addstring(buffer, "\t...\n");
      break;
    }
    lua_pushthread(w.thread);
    if (w.thread != L) lua_xmove(w.thread, L, 1);
    lua_replace(L, index);
    lua_getinfo(w.thread, "Sln", &ar);
    dump_activation(L, buffer, &ar);
  }
}

static int inspect_dump(lua_State *L) {
  runtime *rt = runtime_of(L);
  if (lua_isnoneornil(L, 1)) {
    lua_settop(L, 0);
    inspect_push_tasks(rt, L);
  } else {
    if (task_test(L, 1) == NULL) arg_type_error(L, 1, "dump", "task");
    lua_settop(L, 1);
    lua_createtable(L, 1, 0);
    lua_insert(L, 1);
    lua_rawseti(L, 1, 1);
  }
  lua_Integer count = (lua_Integer)lua_rawlen(L, 1);
  lua_settop(L, 3);
  luaL_Buffer buffer;
  luaL_buffinit(L, &buffer);
  for (lua_Integer i = 1; i <= count; i++) {
    /*
    ** The task is kept at index 2 and its coroutines at 3, below the buffer, which may use the
    ** stack.
    */
    lua_rawgeti(L, 1, i);
    lua_replace(L, 2);
    task *t = task_test(L, 2);
    if (i > 1) luaL_addchar(&buffer, '\n');
    dump_head(L, &buffer, t, 2);
    if (!task_ended(t)) dump_stack(L, &buffer, t, 3);
  }
  luaL_pushresult(&buffer);
  return 1;
}

/* --- co.stats --- */

static int inspect_stats(lua_State *L) {
  const runtime *rt = runtime_of(L);
  const struct {
    const char *name;
    uint64_t value;
  } counters[] = {
      {"spawned", rt->probes.counts[PROBE_SPAWN]},
      {"live", rt->live_count},
      {"ready", fifo_count(&rt->ready)},
      {"switches", rt->probes.counts[PROBE_START]},
      {"panics", rt->probes.counts[PROBE_PANIC]},
      {"recovered", rt->probes.counts[PROBE_RECOVER]},
      {"unhandled", rt->probes.counts[PROBE_UNHANDLED]},
      {"cancelled", rt->cancelled_count},
      {"afters", rt->afters},
      {"leaked", rt->leaked_count},
      {"timers", rt->probes.counts[PROBE_TIMER]},
      {"steals", rt->probes.counts[PROBE_OVERRUN]},
      {"preemptions", rt->preemption.count},
      {"rejected_clocks", rt->generator.hlc.rejected},
  };
  size_t count = sizeof(counters) / sizeof(counters[0]);
  lua_createtable(L, 0, (int)count);
  for (size_t i = 0; i < count; i++) {
    lib_set_count(L, counters[i].name, counters[i].value);
  }
  return 1;
}

void lib_inspect_open(lua_State *L, runtime *rt) {
  static const luaL_Reg functions[] = {
      {"current", inspect_current},
      {"tasks", inspect_tasks},
      {"dump", inspect_dump},
      {"stats", inspect_stats},
      {NULL, NULL},
  };
  lib_register(L, rt, functions);
}
