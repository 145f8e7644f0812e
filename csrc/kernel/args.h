/*
** Checks arguments, with errors in Lua's own voice. Unlike luaL_argerror, these functions name the
** called function as the documentation does, even if it was called through a variable or pcall.
*/
#ifndef CP_KERNEL_ARGS_H
#define CP_KERNEL_ARGS_H

#include <stdbool.h>

#include "compat.h"
#include "core/base.h"

#pragma GCC visibility push(hidden)

/*
** Raises `bad argument #arg to 'function' (message)` at the caller's level. For methods, do not
** count the object in `arg`.   [-0, +0, e]
*/
int arg_error(lua_State *L, int arg, const char *function, const char *message);

/* The same with `(expected expected, got <type>)`.   [-0, +0, e] */
int arg_type_error(lua_State *L, int arg, const char *function, const char *expected);

/*
** Raises unless the argument `arg`, at stack index `index`, which is no function, has __call.
** [-0, +0, e]
*/
void arg_check_callable(lua_State *L, int index, int arg, const char *function);

/*
** Raises unless the argument `arg` of a method, at stack index `index`, is a function or has __call.
** [-0, +0, e]
*/
static inline void arg_check_method_function(lua_State *L, int index, int arg,
                                             const char *function) {
  if (!lua_isfunction(L, index)) arg_check_callable(L, index, arg, function);
}

/* The same for a function, whose arguments are at their stack indices.   [-0, +0, e] */
static inline void arg_check_function(lua_State *L, int arg, const char *function) {
  arg_check_method_function(L, arg, arg, function);
}

/*
** Returns the integer at `index`. Raises unless it is one, from `low` to `high`.   [-0, +0, e]
**   what  its name in the manual: "permits"
*/
lua_Integer arg_check_integer(lua_State *L, int index, int arg, const char *function,
                              const char *what, lua_Integer low, lua_Integer high);

/*
** Returns the position in `words`, which end with NULL, of the string at `index`; -1 if it is not
** one of them or no string.
*/
int arg_find_word(lua_State *L, int index, const char *const *words);

/* Returns a point in time, in seconds. Raises unless it is a number and not NaN.   [-0, +0, e] */
double arg_check_time(lua_State *L, int index, int arg, const char *function);

/*
** Returns a duration in seconds. Raises unless it is a number, not negative and not NaN.
** [-0, +0, e]
*/
double arg_check_seconds(lua_State *L, int index, int arg, const char *function);

/*
** Returns a time-out in seconds, or -1 (for ever) if the argument is nil or absent. Raises as
** arg_check_seconds does.   [-0, +0, e]
*/
double arg_check_timeout(lua_State *L, int index, int arg, const char *function);

/*
** Returns the userdata at index 1. Raises `calling 'send' on bad self (channel expected, got
** number)` unless it has the metatable `type` ("coropanic.channel").   [-0, +0, e]
*/
void *arg_check_self(lua_State *L, const char *type, const char *method);

/*
** Whether the value at `index` has the metatable with this address. A metatable that the registry
** keeps needs not be looked up by its name each time.   [-0, +0, -]
*/
static inline bool arg_has_metatable(lua_State *L, int index, const void *metatable) {
  if (!lua_getmetatable(L, index)) return false;
  bool has = lua_topointer(L, -1) == metatable;
  lua_pop(L, 1);
  return has;
}

/*
** Raises that error; after the runtime's end, that the Lua state is being closed.   [-0, +0, e]
*/
int arg_refuse_self(lua_State *L, const char *type, const char *method);

#pragma GCC visibility pop

#endif
