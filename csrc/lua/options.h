/*
** A table of options as an argument: reading it, and saying what is wrong with it. `arg` is the number
** of the argument and its index on the stack; `function` is the API function, for messages.
*/
#ifndef CP_LUA_OPTIONS_H
#define CP_LUA_OPTIONS_H

#include <stdbool.h>

#include "compat.h"

#pragma GCC visibility push(hidden)

/* Raises unless it is a table with no other keys than these; `names` ends with NULL.   [-0, +0, e] */
void options_check_names(lua_State *L, int arg, const char *function, const char *const *names);

/* Raises: of the option `name`, whose value is on top of the stack, something else was expected. */
int options_error(lua_State *L, int arg, const char *function, const char *name,
                  const char *expected);

/*
** A string option, or NULL. The string stays on the stack, so that it lives as long as the call.
** [-0, +1, e]
*/
const char *options_string(lua_State *L, int arg, const char *function, const char *name);

/* A boolean option; false if it is not given.   [-0, +0, e] */
bool options_boolean(lua_State *L, int arg, const char *function, const char *name);

/* An integer option between two bounds, or `fallback`.   [-0, +0, e] */
lua_Integer options_integer(lua_State *L, int arg, const char *function, const char *name,
                            lua_Integer low, lua_Integer high, lua_Integer fallback);

/* An option in seconds, from 0, as milliseconds, or `fallback_ms`.   [-0, +0, e] */
lua_Integer options_milliseconds(lua_State *L, int arg, const char *function, const char *name,
                                 lua_Integer fallback_ms);

/* One of several words: its place in `words`, which ends with NULL, or 0 if it is not given. [-0, +0, e]
 */
int options_word(lua_State *L, int arg, const char *function, const char *name,
                 const char *const *words);

#pragma GCC visibility pop

#endif
