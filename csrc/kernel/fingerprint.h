/*
** The identity of a Lua function, whatever its name and place: a hash of its bytecode. Functions
** with the same text have the same fingerprint. A change to the text changes it, unless only
** comments, white space or the names of local variables change. Line numbers and the surrounding
** code are not part of it; variables from outside count by their names. The functions inside it are
** part of it.
**
** It is the same on every machine and platform with the same release of Lua. Another release may
** compile the same text to other bytecode.
*/
#ifndef CP_KERNEL_FINGERPRINT_H
#define CP_KERNEL_FINGERPRINT_H

#include <stdbool.h>

#include "compat.h"
#include "core/base.h"

#pragma GCC visibility push(hidden)

/* Of a larger function, such as a table of data, only so much of the bytecode counts. */
#define FINGERPRINT_MAX_BYTES 65536

/*
** Finds the fingerprint of the function on top of the stack. Returns false if it has none: it is a
** C function, or this Lua's bytecode has an unknown form.   [-0, +0, m]
*/
bool fingerprint_find(lua_State *L, uint64_t *fingerprint);

#pragma GCC visibility pop

#endif
