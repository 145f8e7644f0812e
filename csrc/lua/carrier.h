/*
** Headers as scripts have them: a table that maps names, in any case, to a value or an array of
** values, or an array of {name, value} pairs, or both at once. HTTP servers differ; a trace must
** get through.
*/
#ifndef CP_LUA_CARRIER_H
#define CP_LUA_CARRIER_H

#include <stdbool.h>

#include "compat.h"

/*
** Pushes all values of the header, joined by ",", and returns how many there were; pushes "" for
** none. [-0, +1, m]
**   name  in lower case
** Pairs come before named values, in their order. What is no string is no value.
*/
int carrier_push(lua_State *L, int headers, const char *name);

/*
** Sets the header to the string on top of the stack, or removes it if that is nil, and removes it
** under any other spelling.   [-1, +0, m] In an array of pairs it becomes the last pair.
*/
void carrier_set(lua_State *L, int headers, const char *name);

#endif
