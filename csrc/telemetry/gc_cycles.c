#include "telemetry/gc_cycles.h"

#include "kernel/probe.h"
#include "kernel/runtime.h"

/* The object is looked for at every so many ends of tasks. */
#define ENDS_PER_LOOK 64

/* The stack slots that this takes. */
#define SLOTS 4

typedef struct gc_cycles {
  probe_sink sink; /* while anybody listens */
  list listeners;
  uint32_t ends;
} gc_cycles;

/*
** The addresses are keys of the registry: of the gc_cycles, and of a table with the object as its only key. The key
** is weak, so that it goes when the object does, but not while the object's finalizer is still to be called.
*/
static const char cycles_key = 0;
static const char table_key = 0;

/* __gc of the object: a cycle has ended. */
static int tell(lua_State *L) {
  runtime *rt = runtime_of_any(L);
  if (rt->closed) return 0;
  gc_cycles *c = lua_touserdata(L, lua_upvalueindex(2));
  list *link = c->listeners.next;
  while (link != &c->listeners) {
    gc_listener *listener = container_of(link, gc_listener, link);
    link = link->next;
    if (listener->hear(listener, rt, L)) continue;
    listener->listens = false;
    list_remove(&listener->link);
    if (list_empty(&c->listeners)) probe_remove_sink(&rt->probes, &c->sink);
  }
  lua_getmetatable(L, 1);
  lua_setmetatable(L, 1);
  return 0;
}

/* Whether the object is there. Needs SLOTS free slots.   [-0, +0, -] */
static bool is_watched(lua_State *L) {
  int top = lua_gettop(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &table_key);
  lua_pushnil(L);
  bool found = lua_next(L, -2) != 0;
  lua_settop(L, top);
  return found;
}

/* (runtime, gc_cycles) makes the object. */
static int watch(lua_State *L) {
  static const luaL_Reg metamethods[] = {{"__gc", tell}, {NULL, NULL}};
  lua_rawgetp(L, LUA_REGISTRYINDEX, &table_key);
  lua_newuserdatauv(L, 0, 0);
  lua_createtable(L, 0, 1);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 2);
  luaL_setfuncs(L, metamethods, 2);
  lua_setmetatable(L, -2);
  lua_pushboolean(L, true);
  lua_rawset(L, -3);
  return 0;
}

static void push_watch(lua_State *L, runtime *rt, gc_cycles *c) {
  lua_pushcfunction(L, watch);
  lua_pushlightuserdata(L, rt);
  lua_pushlightuserdata(L, c);
}

static void look(probe_sink *sink, runtime *rt, const probe_event *told) {
  gc_cycles *c = container_of(sink, gc_cycles, sink);
  if (++c->ends % ENDS_PER_LOOK != 0 || !told->calls || !lua_checkstack(told->L, SLOTS)) return;
  if (is_watched(told->L)) return;
  push_watch(told->L, rt, c);
  if (lua_pcall(told->L, 2, 0, 0) != LUA_OK) lua_pop(told->L, 1);
}

/* Pushes the weak table.   [-0, +1, m] */
static void push_table(lua_State *L) {
  lua_createtable(L, 0, 1);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
}

/* Returns what the runtime has one of.   [-0, +0, m] */
static gc_cycles *cycles_of(lua_State *L, runtime *rt) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &cycles_key);
  gc_cycles *c = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (c != NULL) return c;
  push_table(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &table_key);
  c = mem_new(&rt->memory, sizeof(gc_cycles));
  if (c == NULL) luaL_error(L, "not enough memory");
  *c = (gc_cycles){.sink = {.wants = PROBE_BIT(PROBE_END), .write = look}};
  list_init(&c->listeners);
  lua_pushlightuserdata(L, c);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &cycles_key);
  return c;
}

void gc_cycles_listen(lua_State *L, runtime *rt, gc_listener *listener) {
  luaL_checkstack(L, SLOTS, NULL);
  gc_cycles *c = cycles_of(L, rt);
  if (!is_watched(L)) {
    push_watch(L, rt, c);
    lua_call(L, 2, 0);
  }
  if (listener->listens) return;
  if (list_empty(&c->listeners)) probe_add_sink(&rt->probes, &c->sink);
  listener->listens = true;
  list_init(&listener->link);
  list_append(&c->listeners, &listener->link);
}
