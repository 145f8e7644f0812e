/*
** The binding: arguments in, one call, results out. Upvalue 1 of every function of the module is
** the runtime.
*/
#ifndef CP_LUA_LIB_H
#define CP_LUA_LIB_H

#include "compat.h"
#include "runtime/runtime.h"

#pragma GCC visibility push(hidden)

/*
** Each adds its functions to the module's table on top of the stack.   [-0, +0, m]
*/
void lib_run_open(lua_State *L, runtime *rt); /* lib_run.c: run, spawn, step, sleep, hooks, ... */
void lib_io_open(lua_State *L, runtime *rt);  /* lib_io.c: wait_fd */
void lib_inspect_open(lua_State *L, runtime *rt); /* lib_inspect.c: current, tasks, dump, stats */
void lib_task_open(lua_State *L, runtime *rt);    /* lib_task.c: tasks' methods and fields, await */
void lib_chan_open(lua_State *L, runtime *rt);    /* lib_chan.c: chan, select */
void lib_context_open(lua_State *L, runtime *rt); /* lib_context.c: context, ctx */
void lib_coroutine_open(lua_State *L, runtime *rt); /* lib_coroutine.c: coroutine, instrument */
void lib_scope_open(lua_State *L,
                    runtime *rt); /* lib_scope.c: scope, supervise, with_timeout, with */
void lib_panic_open(lua_State *L, runtime *rt); /* lib_panic.c: func, defer, panic, recover, ... */

void lib_lock_open(lua_State *L, runtime *rt);  /* lib_lock.c: mutex, rwmutex */
void lib_sync_open(lua_State *L, runtime *rt);  /* lib_sync.c: semaphore, waitgroup, event */
void lib_once_open(lua_State *L, runtime *rt);  /* lib_once.c: once */
void lib_local_open(lua_State *L, runtime *rt); /* lib_local.c: task_local */

/* Registers `functions` in the table on top of the stack with the module's upvalues.   [-0, +0, m]
 */
void lib_register(lua_State *L, runtime *rt, const luaL_Reg *functions);

/*
** Makes the metatable `type` ("coropanic.mutex") with these metamethods, methods in __index, and
** itself hidden from scripts.   [-0, +0, m]
*/
void lib_new_type(lua_State *L, runtime *rt, const char *type, const luaL_Reg *methods,
                  const luaL_Reg *metamethods);

/*
** What co.on_spawn and its like do: makes the function at 1, or nil, the hook `uv`, and returns the one
** before. `function` is the name, for messages.
*/
int lib_set_hook(lua_State *L, int uv, const char *function);

#pragma GCC visibility pop

#endif
