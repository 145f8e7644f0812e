#include "runtime/runtime.h"

#include <string.h>

#include "runtime/driver.h"
#include "runtime/io.h"
#include "runtime/select.h"
#include "runtime/task.h"
#include "runtime/threads.h"
#include "runtime/unclaimed.h"

/* The address is the registry key; the value is never read. */
static const char registry_key = 0;

/* A foreign coroutine's strand: lives as long as its thread, in a table with weak keys. */
typedef struct foreign_box {
  strand *strand; /* owned; NULL once given back */
} foreign_box;

#define FOREIGN_TYPE "coropanic.foreign"

runtime *runtime_find(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &registry_key);
  runtime *rt = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return rt;
}

void runtime_push_value(runtime *rt, lua_State *L, int uv) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->self_ref);
  lua_getiuservalue(L, -1, uv);
  lua_remove(L, -2);
}

void runtime_set_value(runtime *rt, lua_State *L, int uv) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->self_ref);
  lua_insert(L, -2);
  lua_setiuservalue(L, -2, uv);
  lua_pop(L, 1);
}

/* --- opening and closing --- */

void runtime_free_strand(runtime *rt, strand *s) {
  strand_free(s, &rt->memory);
  mem_free(&rt->memory, s, sizeof(strand));
}

/* __gc of the runtime: the universe is being closed. */
static int close_runtime(lua_State *L) {
  runtime *rt = lua_touserdata(L, 1);
  if (rt->closed) return 0;
  unclaimed_flush(rt, L);
  rt->closed = true;
  task_close_all(rt, L);
  if (rt->main_strand != NULL) runtime_free_strand(rt, rt->main_strand);
  rt->main_strand = NULL;
  while (rt->free_strands != NULL) {
    strand *s = rt->free_strands;
    rt->free_strands = s->next_free;
    runtime_free_strand(rt, s);
  }
  trace_release(rt, rt->outside.trace);
  rt->outside = (trace_context){0};
  select_close(rt);
  timer_heap_free(&rt->timers);
  site_table_free(&rt->sites);
  threads_close(rt);
  poller_close(&rt->poller);
  wakeup_close(&rt->wakeup);
  id_give_back(&rt->generator, rt->ids);
  id_source_close(rt->ids);
  rt->ids = NULL;
  return 0;
}

/* A new table, weak by `mode` if given, as a registry reference.   [-0, +0, m] */
static int new_table_ref(lua_State *L, const char *mode) {
  lua_newtable(L);
  if (mode != NULL) {
    lua_createtable(L, 0, 1);
    lua_pushstring(L, mode);
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
  }
  return luaL_ref(L, LUA_REGISTRYINDEX);
}

static lua_CFunction base_function(lua_State *L, const char *name) {
  lua_CFunction f = NULL;
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, LUA_GNAME) == LUA_TTABLE) {
    lua_getfield(L, -1, name);
    f = lua_tocfunction(L, -1);
    lua_pop(L, 1);
  }
  lua_pop(L, 2);
  return f;
}

static void init_fields(runtime *rt, lua_State *L) {
  memset(rt, 0, sizeof(runtime));
  rt->memory.fn = lua_getallocf(L, &rt->memory.ud);
  list_init(&rt->ready);
  list_init(&rt->unclaimed);
  list_init(&rt->ending);
  list_init(&rt->places);
  timer_heap_init(&rt->timers, &rt->memory);
  site_table_init(&rt->sites, &rt->memory);
  wakeup_init(&rt->wakeup);
  poller_init(&rt->poller, &rt->memory, io_wake, rt);
}

static int close_foreign_box(lua_State *L) {
  runtime *rt = runtime_of(L);
  foreign_box *box = lua_touserdata(L, 1);
  strand *s = box->strand;
  box->strand = NULL;
  if (s == NULL) return 0;
  /* Frames that are still open belong to a coroutine that nobody can resume any more. */
  if (rt->closed) {
    runtime_free_strand(rt, s);
  } else {
    runtime_release_strand(rt, L, s);
  }
  return 0;
}

/* Metatables of the runtime's own objects.   [-0, +0, m] */
static void open_metatables(runtime *rt, lua_State *L) {
  luaL_newmetatable(L, FOREIGN_TYPE);
  lua_pushlightuserdata(L, rt);
  lua_pushcclosure(L, close_foreign_box, 1);
  lua_setfield(L, -2, "__gc");
  lua_pushlightuserdata(L, rt);
  lua_pushcclosure(L, driver_close_foreign, 1);
  lua_setfield(L, -2, "__close");
  luaL_newmetatable(L, DEFER_TYPE);
  lua_pushlightuserdata(L, rt);
  lua_pushcclosure(L, driver_close_deferred, 1);
  lua_setfield(L, -2, "__close");
  rt->defer_type_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  luaL_newmetatable(L, RECORD_TYPE);
  rt->record_type_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_pop(L, 1);
  unclaimed_open(rt, L);
  lua_pushlightuserdata(L, rt);
  lua_pushcclosure(L, driver_finish, 1);
  runtime_set_value(rt, L, RUNTIME_UV_FINISH);
}

runtime *runtime_open(lua_State *L) {
  runtime *rt = runtime_find(L);
  if (rt != NULL) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &registry_key);
    return rt;
  }
  rt = lua_newuserdatauv(L, sizeof(runtime), RUNTIME_UV_COUNT);
  init_fields(rt, L);
  lua_createtable(L, 0, 2);
  lua_pushcfunction(L, close_runtime);
  lua_setfield(L, -2, "__gc");
  lua_pushliteral(L, "coropanic.runtime");
  lua_setfield(L, -2, "__name");
  lua_setmetatable(L, -2);
  rt->ids = id_source_open();
  if (rt->ids == NULL) luaL_error(L, "not enough memory");
  rng_seed(&rt->order, id_source_next(rt->ids));
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  rt->main_thread = lua_tothread(L, -1);
  lua_pop(L, 1);
  lua_pushvalue(L, -1);
  rt->self_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  rt->tasks_ref = new_table_ref(L, NULL);
  threads_open(rt, L);
  rt->anchors_ref = new_table_ref(L, NULL);
  rt->unclaimed_ref = new_table_ref(L, "v");
  rt->abandoned_ref = new_table_ref(L, NULL);
  rt->pinned_ref = new_table_ref(L, NULL);
  rt->askers_ref = new_table_ref(L, "k");
  rt->nested_ref = new_table_ref(L, "k");
  rt->carried_ref = new_table_ref(L, "k");
  rt->foreign_ref = new_table_ref(L, "k");
  rt->attributes_ref = new_table_ref(L, "k");
  rt->places_ref = new_table_ref(L, "v");
  rt->task_spans_ref = new_table_ref(L, NULL);
  lua_pushliteral(L, TASK_REFUSAL);
  rt->refusal_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  rt->sampler = (sampler){.kind = SAMPLING_PARENT, .root = SAMPLING_ALWAYS};
  rt->base_error = base_function(L, "error");
  rt->base_assert = base_function(L, "assert");
  rt->base_pcall = base_function(L, "pcall");
  rt->base_xpcall = base_function(L, "xpcall");
  open_metatables(rt, L);
  record_open(rt, L);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &registry_key);
  return rt;
}

/* --- strands --- */

/* A strand from the pool, or a new one.   [-0, +0, m] */
static strand *acquire_strand(runtime *rt, lua_State *L) {
  strand *s = rt->free_strands;
  if (s != NULL) {
    rt->free_strands = s->next_free;
    rt->free_strand_count--;
    return s;
  }
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->anchors_ref);
  lua_State *values = lua_newthread(L);
  int anchor = luaL_ref(L, -2);
  lua_pop(L, 1);
  s = mem_new(&rt->memory, sizeof(strand));
  if (s == NULL) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, rt->anchors_ref);
    luaL_unref(L, -1, anchor);
    luaL_error(L, "not enough memory");
  }
  *s = (strand){.values = values, .anchor = anchor};
  lua_pushnil(values);
  return s;
}

void runtime_release_strand(runtime *rt, lua_State *L, strand *s) {
  if (rt->free_strand_count == STRAND_POOL_MAX) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, rt->anchors_ref);
    luaL_unref(L, -1, s->anchor);
    lua_pop(L, 1);
    runtime_free_strand(rt, s);
    return;
  }
  strand_clear(s, &rt->memory);
  s->next_free = rt->free_strands;
  rt->free_strands = s;
  rt->free_strand_count++;
}

static strand *task_strand(runtime *rt, lua_State *L, task *t) {
  if (t->live.strand == NULL) {
    strand *s = acquire_strand(rt, L);
    if (!strand_push_frame(s, &rt->memory, FRAME_ENTRY, 0)) {
      runtime_release_strand(rt, L, s);
      luaL_error(L, "not enough memory");
    }
    t->live.strand = s;
  }
  return t->live.strand;
}

/* Pushes the box of somebody's coroutine, nil if it has none.   [-0, +1, -] */
static int push_foreign(runtime *rt, lua_State *L) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->foreign_ref);
  lua_pushthread(L);
  int type = lua_rawget(L, -2);
  lua_remove(L, -2);
  return type;
}

void runtime_push_foreign_box(runtime *rt, lua_State *L) { push_foreign(rt, L); }

static strand *find_foreign(runtime *rt, lua_State *L) {
  if (rt->closed || !lua_checkstack(L, 2)) return NULL;
  push_foreign(rt, L);
  const foreign_box *box = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return box == NULL ? NULL : box->strand;
}

static strand *new_foreign(runtime *rt, lua_State *L) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->foreign_ref);
  lua_pushthread(L);
  foreign_box *box = lua_newuserdatauv(L, sizeof(foreign_box), 0);
  box->strand = NULL;
  luaL_setmetatable(L, FOREIGN_TYPE);
  box->strand = acquire_strand(rt, L);
  box->strand->foreign = true;
  lua_rawset(L, -3);
  lua_pop(L, 1);
  return box->strand;
}

strand *runtime_find_strand(runtime *rt, lua_State *L) {
  const task *t = rt->current;
  if (t != NULL && t->live.thread == L) return t->live.strand;
  if (L == rt->main_thread) return rt->main_strand;
  return find_foreign(rt, L);
}

strand *runtime_make_strand(runtime *rt, lua_State *L) {
  task *t = rt->current;
  if (t != NULL && t->live.thread == L) return task_strand(rt, L, t);
  if (rt->closed) luaL_error(L, "the Lua state is being closed");
  if (L == rt->main_thread) {
    if (rt->main_strand == NULL) rt->main_strand = acquire_strand(rt, L);
    return rt->main_strand;
  }
  strand *s = find_foreign(rt, L);
  return s != NULL ? s : new_foreign(rt, L);
}
