/*
** What a Lua function is, whatever it is called and wherever it stands: a hash of its bytecode. Functions
** of one text have one; a change to the text changes it, unless only comments, white space or the names of local
** variables change. Lines are not in it, nor what surrounds the function: its variables from outside
** count by their names. The functions inside it are in it.
**
** It is the same on every machine and platform, with the same release of Lua. Another release may make
** other bytecode of the same text.
*/
#ifndef CP_KERNEL_FINGERPRINT_H
#define CP_KERNEL_FINGERPRINT_H

#include <stdbool.h>

#include "compat.h"
#include "core/base.h"

#pragma GCC visibility push(hidden)

/* Of a larger function, as tables of data are, only that much of the bytecode counts. */
#define FINGERPRINT_MAX_BYTES 65536

/*
** Finds the fingerprint of the function on top of the stack.   [-0, +0, m]
** False: it has none, for it is a C function, or Lua's bytecode has a form that is not known here.
*/
bool fingerprint_find(lua_State *L, uint64_t *fingerprint);

#pragma GCC visibility pop

#endif
