#include "kernel/open.h"

#include <string.h>

#include "kernel/cpu_budget.h"
#include "kernel/interrupt.h"
#include "kernel/observe.h"
#include "kernel/preempt.h"
#include "kernel/record.h"
#include "kernel/task.h"
#include "kernel/threads.h"
#include "kernel/unhandled.h"
#include "kernel/unwind.h"

/*
** __gc of the runtime: the universe is being closed. The finalizers of older objects run after this
** one. They find `closed` set (runtime_of), and no object is freed before the last of them has run.
*/
static int close_runtime(lua_State *L) {
  runtime *rt = lua_touserdata(L, 1);
  if (rt->closed) return 0;
  interrupt_close(rt);
  preempt_close(rt);
  unhandled_flush(rt, L);
  rt->closed = true;
  probes_init(&rt->probes);
  rt->current = rt->main_task = NULL;
  rt->ready = (fifo){0};
  frames_pool_init(&rt->frames);
  rt->running = rt->main;
  rt->main->frames = NULL;
  rt->main->context = (trace_context){0};
  rt->has_others = false;
  for (runtime_part *part = rt->parts; part != NULL; part = part->next) part->close(rt);
  id_give_back(&rt->generator, rt->ids);
  id_source_close(rt->ids);
  rt->ids = NULL;
  owned_memory_free_all(&rt->owned);
  return 0;
}

/* Makes a table, weak by `mode` if given, and returns a registry reference to it.   [-0, +0, m] */
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

/*
** Finalizers that run after the runtime's end still find the main thread's coroutine: it is no
** owned memory.
*/
typedef struct opened {
  runtime runtime;
  coroutine main;
} opened;

static void init_fields(opened *o, lua_State *L) {
  runtime *rt = &o->runtime;
  memset(rt, 0, sizeof(runtime));
  allocator host;
  host.fn = lua_getallocf(L, &host.ud);
  owned_memory_init(&rt->owned, host);
  rt->memory = owned_memory_allocator(&rt->owned);
  list_init(&rt->unhandled_panics);
  list_init(&rt->ending);
  frames_pool_init(&rt->frames);
  probes_init(&rt->probes);
  preempt_init(rt);
  location_table_init(&rt->locations, &rt->memory);
  rt->main = &o->main;
  *rt->main = (coroutine){.kind = COROUTINE_MAIN};
  rt->running = rt->main;
}

/* Makes the metatables of the runtime's own objects.   [-0, +0, m] */
static void open_metatables(runtime *rt, lua_State *L) {
  unwind_open(rt, L);
  luaL_newmetatable(L, RECORD_TYPE);
  rt->record_type_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  coroutine_open(rt, L, unwind_close_foreign);
  unhandled_open(rt, L);
  interrupt_open(rt, L);
  cpu_budget_open(rt, L);
}

runtime *open_runtime(lua_State *L, void (*report)(lua_State *L, int index)) {
  opened *o = lua_newuserdatauv(L, sizeof(opened), RUNTIME_UV_COUNT);
  runtime *rt = &o->runtime;
  init_fields(o, L);
  rt->report = report;
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
  rt->main->thread = lua_tothread(L, -1);
  lua_pop(L, 1);
  lua_pushvalue(L, -1);
  rt->self_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  threads_open(rt, L);
  rt->anchors_ref = new_table_ref(L, NULL);
  rt->pinned_ref = new_table_ref(L, NULL);
  rt->alive_ref = new_table_ref(L, "v");
  rt->held_ref = new_table_ref(L, NULL);
  rt->held_tasks_ref = new_table_ref(L, "v");
  rt->askers_ref = new_table_ref(L, "k");
  rt->leaks_ref = new_table_ref(L, "k");
  rt->bounded_ref = new_table_ref(L, "k");
  lua_pushliteral(L, TASK_REFUSAL);
  rt->refusal_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  rt->sampler = (sampler){.kind = SAMPLING_PARENT, .root = SAMPLING_ALWAYS};
  rt->base_error = base_function(L, "error");
  rt->base_assert = base_function(L, "assert");
  rt->base_pcall = base_function(L, "pcall");
  rt->base_xpcall = base_function(L, "xpcall");
  rt->base_load = base_function(L, "load");
  rt->base_loadfile = base_function(L, "loadfile");
  rt->base_dofile = base_function(L, "dofile");
  open_metatables(rt, L);
  record_open(rt, L);
  observe_open(rt, L);
  runtime_register(L);
  return rt;
}
