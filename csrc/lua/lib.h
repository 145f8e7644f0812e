/*
** The binding: arguments in, one call, results out. Upvalue 1 of every function of the module is
** the runtime.
*/
#ifndef CP_LUA_LIB_H
#define CP_LUA_LIB_H

#include "compat.h"
#include "runtime/runtime.h"

/*
** Each adds its functions to the module's table on top of the stack.   [-0, +0, m]
*/
void lib_run_open(lua_State *L, runtime *rt); /* lib_run.c: run, spawn, step, sleep, hooks, ... */
void lib_io_open(lua_State *L, runtime *rt);  /* lib_io.c: wait_fd */
void lib_inspect_open(lua_State *L, runtime *rt); /* lib_inspect.c: current, tasks, dump, stats */
void lib_task_open(lua_State *L, runtime *rt);    /* lib_task.c: tasks' methods and fields, await */
void lib_context_open(lua_State *L, runtime *rt); /* lib_context.c: context, ctx */
void lib_scope_open(lua_State *L,
                    runtime *rt); /* lib_scope.c: scope, supervise, with_timeout, with */
void lib_panic_open(lua_State *L, runtime *rt); /* lib_panic.c: func, defer, panic, recover, ... */

/* Registers `functions` in the table on top of the stack with the module's upvalues.   [-0, +0, m]
 */
void lib_register(lua_State *L, runtime *rt, const luaL_Reg *functions);

/*
** Makes the metatable `type` ("coropanic.channel") of userdata with these metamethods and methods,
** closed to scripts.   [-0, +0, m]
*/
void lib_type(lua_State *L, runtime *rt, const char *type, const luaL_Reg *metamethods,
              const luaL_Reg *methods);

#endif
