/*
** Checking arguments, with errors in Lua's own voice. Unlike luaL_argerror these name the function
** as the documentation does, whatever variable or pcall it was called through.
*/
#ifndef CP_KERNEL_ARGS_H
#define CP_KERNEL_ARGS_H

#include "compat.h"
#include "core/base.h"

#pragma GCC visibility push(hidden)

/*
** Raises `bad argument #arg to 'function' (message)` at the caller's level.   [-0, +0, e]
** For methods `arg` does not count the object.
*/
int arg_error(lua_State *L, int arg, const char *function, const char *message);

/* The same with `(expected expected, got <type>)`.   [-0, +0, e] */
int arg_type_error(lua_State *L, int arg, const char *function, const char *expected);

/* The argument must be a function or something with __call. */
void arg_check_function(lua_State *L, int arg, const char *function);

/* The same of a method, whose argument `arg` is at stack index `index`. */
void arg_check_method_function(lua_State *L, int index, int arg, const char *function);

/*
** An integer from `low` to `high`, else raises that `what` should be one.   [-0, +0, e]
**   what  its name in the manual: "permits"
*/
lua_Integer arg_check_integer(lua_State *L, int index, int arg, const char *function,
                              const char *what, lua_Integer low, lua_Integer high);

/* Where in `words`, which end with NULL, the string at `index` stands, whole; -1: nowhere, or it is none. */
int arg_find_word(lua_State *L, int index, const char *const *words);

/* A point in time, in seconds: a number, not NaN. */
double arg_check_time(lua_State *L, int index, int arg, const char *function);

/* A time in seconds: a number, not negative, not NaN. */
double arg_check_seconds(lua_State *L, int index, int arg, const char *function);

/* An optional time-out in seconds; -1 (for ever) when it is nil or absent. */
double arg_check_timeout(lua_State *L, int index, int arg, const char *function);

/*
** The userdata at 1, which has the metatable `type` ("coropanic.channel"); else raises `calling
** 'send' on bad self (channel expected, got number)`.   [-0, +0, e]
*/
void *arg_check_self(lua_State *L, const char *type, const char *method);

#pragma GCC visibility pop

#endif
