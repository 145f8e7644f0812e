/*
** The only file that depends on the version of Lua: PUC Lua 5.4 or 5.5. All others are written
** against Lua 5.4's API.
*/
#ifndef CP_COMPAT_H
#define CP_COMPAT_H

#include <lauxlib.h>
#include <lua.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/*
** Before 5.4.4, lua_resetthread loses the error or leaves the thread dead, and to-be-closed
** variables can not suspend while a function returns. 5.4.5 was withdrawn: its lua_resetthread has
** another signature under the same name.
*/
#define compat_release_works(release) ((release) >= 50404 && (release) != 50405)

#if LUA_VERSION_NUM > 505 || !compat_release_works(LUA_VERSION_RELEASE_NUM)
#error "coropanic needs the headers of Lua 5.4.4 or later, not 5.4.5, or of Lua 5.5"
#endif

/*
** Ends a coroutine's activations and makes the thread reusable. Returns the status of the
** to-be-closed variables that it ran. (lua_closethread is in 5.4.6 and later.)
*/
#if LUA_VERSION_RELEASE_NUM >= 50406
static inline int compat_close_thread(lua_State *thread, lua_State *from) {
  return lua_closethread(thread, from);
}
#else
static inline int compat_close_thread(lua_State *thread, lua_State *from) {
  (void)from;
  return lua_resetthread(thread);
}
#endif

/* The most values on a Lua stack. Lua 5.5 tells it to its own sources alone (ldo.c). */
#ifndef LUAI_MAXSTACK
#define LUAI_MAXSTACK 1000000
#endif

/* A buffer of this size holds every number's text. */
#define COMPAT_NUMBER_SIZE 64

/* Writes the number at `index`, and 0, as tostring does.   [-0, +0, -] */
#if LUA_VERSION_NUM >= 505
static inline void compat_write_number(lua_State *L, int index, char *buffer) {
  lua_numbertocstring(L, index, buffer);
}
#else
static inline void compat_write_number(lua_State *L, int index, char *buffer) {
  if (lua_isinteger(L, index)) {
    snprintf(buffer, COMPAT_NUMBER_SIZE, LUA_INTEGER_FMT, lua_tointeger(L, index));
    return;
  }
  int length = lua_number2str(buffer, COMPAT_NUMBER_SIZE, lua_tonumber(L, index));
  int looks_like_integer = buffer[strspn(buffer, "-0123456789")] == '\0';
  if (looks_like_integer) memcpy(buffer + length, ".0", 3);
}
#endif

/*
** Lua's incremental collector by pieces (loop/collector.c). COMPAT_GC_FINEST is the speed, in percent,
** at which a step is smallest.
*/
#if LUA_VERSION_NUM >= 505
#define COMPAT_GC_FINEST 20 /* 0 would be a whole collection */
static inline int compat_gc_set_speed(lua_State *L, int percent) {
  return lua_gc(L, LUA_GCPARAM, LUA_GCPSTEPMUL, percent);
}
/* Lua 5.5 has no way to put automatic steps off, so they go on beside ours. */
static inline void compat_gc_put_off(lua_State *L, int kilobytes) {
  (void)L;
  (void)kilobytes;
}
#else
#define COMPAT_GC_FINEST 0
/* Returns the speed before. */
static inline int compat_gc_set_speed(lua_State *L, int percent) {
  return lua_gc(L, LUA_GCSETSTEPMUL, percent);
}
/*
** Makes the next automatic step come after so many kilobytes have been allocated: LUA_GCRESTART
** says that the program owes the collector nothing, and a step of a negative size, that the
** collector owes so much. Call it only while the collector runs, because it would start it.
** [-0, +0, -]
*/
static inline void compat_gc_put_off(lua_State *L, int kilobytes) {
  lua_gc(L, LUA_GCRESTART);
  if (kilobytes > 0) lua_gc(L, LUA_GCSTEP, -kilobytes);
}
#endif

/* Put it after a call of a function that never returns but whose type does not say so. */
#define compat_unreachable() __builtin_unreachable()

/* Asks the processor to load the memory soon. */
#define compat_prefetch(address) __builtin_prefetch(address)

/*
** Ask for what lua_resume and lua_yield use of a coroutine. The API does not say where its stack
** and its activations are, so the second function guesses: it takes two of the first words of
** lua_State (as numbers), where all releases of Lua 5.4 and 5.5 keep the top of the stack and the
** newest activation, and prefetches what they point to. Nothing is ever read or written there, and
** a prefetch of any address, also of an invalid one, has no effect but on time. Reading the words
** themselves is safe whatever they are, because every lua_State is larger. So an interpreter with
** another lua_State loses time, and nothing else.
**
** They are always_inline because gcc 12 takes an inline function that only prefetches for one
** without effect, and deletes its calls.
*/
#define COMPAT_ALWAYS_INLINE __attribute__((always_inline)) static inline

COMPAT_ALWAYS_INLINE void compat_prefetch_thread(const lua_State *thread) {
  const char *bytes = (const char *)thread;
  compat_prefetch(bytes);
  compat_prefetch(bytes + 64);
  compat_prefetch(bytes + 128);
  compat_prefetch(bytes + 176);
}

/* The thread itself should be in the cache. A dead or new thread will do, too. */
COMPAT_ALWAYS_INLINE void compat_prefetch_stack(const lua_State *thread) {
  const uintptr_t *words = (const uintptr_t *)(const void *)thread;
  uintptr_t top = words[2];
  uintptr_t activation = words[4];
  compat_prefetch((const void *)(top - 1));
  compat_prefetch((const void *)(top - 64));
  compat_prefetch((const void *)activation);
  compat_prefetch((const void *)(activation + 48));
  compat_prefetch((const void *)(activation - 64));
}

/*
** Lua's collector may run at many calls, and with it a finalizer; a debug hook may run at any call.
** With assertions on, each call of these macros that may collect also calls the function at
** COMPAT_STORM in the registry, if there is one (spec/reentry/storm_spec.lua). The function is
** found without memory, by a number that luaL_ref does not give. Calls that do not collect, such as
** lua_rawset, have no macro.
*/
#if defined(CP_HOSTILE)
#define COMPAT_STORM (-5400)
static inline void compat_storm(lua_State *L) {
  if (!lua_checkstack(L, LUA_MINSTACK)) return;
  if (lua_rawgeti(L, LUA_REGISTRYINDEX, COMPAT_STORM) == LUA_TFUNCTION) {
    lua_pushboolean(L, 0);
    lua_rawseti(L, LUA_REGISTRYINDEX, COMPAT_STORM); /* not in itself */
    lua_pushvalue(L, -1);
    if (lua_pcall(L, 0, 0, 0) != LUA_OK) lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_rawseti(L, LUA_REGISTRYINDEX, COMPAT_STORM);
  }
  lua_pop(L, 1);
}
/*
** Calls the storm after the call has made its value and read its arguments, when the collector
** would run.
*/
static inline void *compat_storm_after(lua_State *L, const void *made) {
  compat_storm(L);
  return (void *)(uintptr_t)made;
}
static inline int compat_storm_behind(lua_State *L, int result) {
  compat_storm(L);
  return result;
}
#define lua_newuserdatauv(L, size, uvs) compat_storm_after(L, lua_newuserdatauv(L, size, uvs))
#define lua_newthread(L) ((lua_State *)compat_storm_after(L, lua_newthread(L)))
#define lua_pushstring(L, text) ((const char *)compat_storm_after(L, lua_pushstring(L, text)))
#define lua_pushlstring(L, text, length) \
  ((const char *)compat_storm_after(L, lua_pushlstring(L, text, length)))
#define lua_pushfstring(L, ...) \
  ((const char *)compat_storm_after(L, lua_pushfstring(L, __VA_ARGS__)))
#define luaL_tolstring(L, index, length) \
  ((const char *)compat_storm_after(L, luaL_tolstring(L, index, length)))
#define luaL_getmetafield(L, index, name) compat_storm_behind(L, luaL_getmetafield(L, index, name))
#define lua_createtable(L, array, hash) (lua_createtable(L, array, hash), compat_storm(L))
#define lua_pushcclosure(L, f, uvs) \
  (lua_pushcclosure(L, f, uvs), (uvs) > 0 ? compat_storm(L) : (void)0)
#define lua_concat(L, n) (lua_concat(L, n), compat_storm(L))
#define lua_pcallk(L, args, results, handler, k, f) \
  (compat_storm(L), lua_pcallk(L, args, results, handler, k, f))
#endif

/* A basic step of the collector, which may call finalizers. Returns whether it ended a cycle. */
static inline int compat_gc_step(lua_State *L) {
#if defined(CP_HOSTILE)
  compat_storm(L);
#endif
  return lua_gc(L, LUA_GCSTEP, 0) == 1;
}

/* Tells the analyzer that these do not return. */
#if defined(__clang_analyzer__)
#define luaL_error(...) (luaL_error(__VA_ARGS__), __builtin_unreachable(), 0)
#define lua_error(L) (lua_error(L), __builtin_unreachable(), 0)
#endif

#endif
