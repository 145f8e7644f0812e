/*
** coropanic for C hosts: open the module in a Lua state, and drive its tasks from a loop of your
** own.
**
** A host that has a loop (a game, a server) never calls co.run. It spawns tasks, calls cp_step once
** each time round, does its own work, and then waits for its own events, but no longer than
** cp_timeout. Nothing here is thread-safe: call it from the thread that runs the Lua state, and not
** from a signal handler.
*/
#ifndef COROPANIC_H
#define COROPANIC_H

#include <lua.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this header and of the module: co._VERSION. Makefile reads it here. */
#define CP_VERSION "0.1.0"

#define CP_API __attribute__((visibility("default")))

/*
** Opens the module and pushes its table.   [-0, +1, m]
** Static hosts: luaL_requiref(L, "coropanic.core", luaopen_coropanic_core, 0).
*/
CP_API int luaopen_coropanic_core(lua_State *L);

/*
** Makes a task of the function and its `arguments` on top of the stack, and pushes the task.
**   [-(arguments + 1), +1, e]
** It is a child of the running task, if there is one, and runs at the next cp_step. Errors: not
** enough memory; the value to run is not callable.
*/
CP_API void cp_spawn(lua_State *L, int arguments);

/*
** Runs tasks that are ready, and never blocks.   [-0, +0, e]
**   budget  seconds after which it returns, between two tasks; 0 for one round
** Returns 1 if a task is still ready: the budget is used up, or the round is over. Do your own work
** before you call it again, since a task that yields for ever is always ready; cp_timeout is 0
** then, so that you do not sleep. Otherwise returns 0. Raises an error inside a task or another
** step. It does not raise the panics of tasks: they go to the tasks that join, or to the panic
** handler.
*/
CP_API int cp_step(lua_State *L, double budget);

/*
** Returns the seconds until cp_step has work: 0 if a task is ready, negative if nothing is pending.
**   [-0, +0, -]
** It is short while a task waits for a descriptor, unless the host polls co.pollfd(), which stands
** for all descriptors.
*/
CP_API double cp_timeout(lua_State *L);

#ifdef __cplusplus
}
#endif

#endif
