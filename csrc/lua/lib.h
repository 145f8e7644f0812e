/*
** The binding: arguments in, one call, results out. Upvalue 1 of every function of the module is
** the runtime.
*/
#ifndef CP_LUA_LIB_H
#define CP_LUA_LIB_H

#include "compat.h"
#include "kernel/record.h"
#include "kernel/runtime.h"

#pragma GCC visibility push(hidden)

/*
** The files that add functions to the module, in this order: lib_<name>.c has lib_<name>_open. To
** add a file, add one line here.
*/
#define LIB_FILES(FILE)                                      \
  FILE(record)    /* methods and fields of records */        \
  FILE(task)      /* tasks' methods and fields, await */     \
  FILE(run)       /* run, spawn, step, sleep, hooks, ... */  \
  FILE(collector) /* collector */                            \
  FILE(preempt)   /* preempt */                              \
  FILE(chan)      /* chan, select */                         \
  FILE(context)   /* context, ctx */                         \
  FILE(scope)     /* scope, supervise, with_timeout, with */ \
  FILE(coroutine) /* coroutine, instrument */                \
  FILE(io)        /* wait_fd */                              \
  FILE(inspect)   /* current, tasks, dump, stats */          \
  FILE(leaks)     /* leaks */                                \
  FILE(explore)   /* ended, census */                        \
  FILE(observe)   /* observe */                              \
  FILE(recorder)  /* record, accounting */                   \
  FILE(panic)     /* func, defer, panic, recover, ... */     \
  FILE(lock)      /* mutex, rwmutex */                       \
  FILE(condition) /* condition */                            \
  FILE(sync)      /* semaphore, waitgroup, event */          \
  FILE(once)      /* once */                                 \
  FILE(local)     /* task_local */                           \
  FILE(order)     /* order */                                \
  FILE(forecast)  /* forecast */                             \
  FILE(profile)   /* profile */

/* Each adds its functions to the module's table on top of the stack.   [-0, +0, m] */
#define LIB_DECLARE(name) void lib_##name##_open(lua_State *L, runtime *rt);
LIB_FILES(LIB_DECLARE)
#undef LIB_DECLARE

/* Registers `functions` in the table on top of the stack with the module's upvalues.   [-0, +0, m]
 */
void lib_register(lua_State *L, runtime *rt, const luaL_Reg *functions);

/*
** The same for functions that spawn tasks: upvalue 2 is TASK_TYPE_OF_UPVALUE.   [-0, +0, m]
*/
void lib_register_spawners(lua_State *L, runtime *rt, const luaL_Reg *functions);

/* Adds such functions to the methods of the type.   [-0, +0, m] */
void lib_add_spawners(lua_State *L, runtime *rt, const char *type, const luaL_Reg *methods);

/*
** Makes the metatable `type` ("coropanic.mutex") with these metamethods, methods in __index, and
** itself hidden from scripts.   [-0, +0, m]
*/
void lib_new_type(lua_State *L, runtime *rt, const char *type, const luaL_Reg *methods,
                  const luaL_Reg *metamethods);

/* Set field `name` of the table on top of the stack to the count, and to the string.   [-0, +0, m] */
void lib_set_count(lua_State *L, const char *name, uint64_t count);
void lib_set_string(lua_State *L, const char *name, const char *string);

/*
** Returns the source that the argument names; `fallback` if it is nil. Only those are names that a
** policy of coropanic.resilience gives.   [-0, +0, e]
*/
cancel_source lib_cancel_source(lua_State *L, int arg, cancel_source fallback);

/*
** Implements co.on_panic and co.on_start: sets the runtime's user value `uv` to the function at 1,
** or nil, and returns the former one.   [-0, +1, e]
**   function  the API function's name, for messages
*/
int lib_set_hook(lua_State *L, int uv, const char *function);

/*
** Implements co.on_spawn and its like: makes the function at 1, or nil, the only observer of this
** kind that is called without the kind, and returns the former function.   [-0, +1, e]
*/
int lib_set_listener(lua_State *L, probe_kind kind, const char *function);

#pragma GCC visibility pop

#endif
