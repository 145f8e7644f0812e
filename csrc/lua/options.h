/*
** Reads a table of options that a function got as an argument, and raises errors about it. `arg` is
** the number of the argument and its index on the stack; `function` is the API function, for
** messages.
*/
#ifndef CP_LUA_OPTIONS_H
#define CP_LUA_OPTIONS_H

#include <stdbool.h>

#include "compat.h"

#pragma GCC visibility push(hidden)

/*
** Raises unless the argument is a table whose keys are all in `names`, which ends with NULL. Returns
** which of them may be given: bit 0 is that of the first name. The others need not be read.
** [-0, +0, e]
*/
unsigned options_check_names(lua_State *L, int arg, const char *function, const char *const *names);

/* Raises an error: the option `name`, whose value is on top of the stack, is not as `expected`. */
int options_error(lua_State *L, int arg, const char *function, const char *name,
                  const char *expected);

/* The same for a value whose type is right: shows it instead of its type. */
int options_refuse_value(lua_State *L, int arg, const char *function, const char *name,
                         const char *expected);

/*
** Returns a string option, or NULL if it is not given. The string stays on the stack, so that it
** lives as long as the call.   [-0, +1, e]
*/
const char *options_string(lua_State *L, int arg, const char *function, const char *name);

/* Returns a boolean option; false if it is not given.   [-0, +0, e] */
bool options_boolean(lua_State *L, int arg, const char *function, const char *name);

/* Returns an integer option between two bounds, or `fallback` if it is not given.   [-0, +0, e] */
lua_Integer options_integer(lua_State *L, int arg, const char *function, const char *name,
                            lua_Integer low, lua_Integer high, lua_Integer fallback);

/*
** Returns an option in seconds, from 0, as milliseconds, or `fallback_ms` if it is not given.
** [-0, +0, e]
*/
lua_Integer options_milliseconds(lua_State *L, int arg, const char *function, const char *name,
                                 lua_Integer fallback_ms);

/*
** Returns the index in `words` of an option that is one of several words; 0 if it is not given.
** `words` ends with NULL.   [-0, +0, e]
*/
int options_word(lua_State *L, int arg, const char *function, const char *name,
                 const char *const *words);

#pragma GCC visibility pop

#endif
