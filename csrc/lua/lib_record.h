/*
** What scripts see of a panic record: its fields (computed when first asked for), tostring,
** to_table.
*/
#ifndef CP_LUA_LIB_RECORD_H
#define CP_LUA_LIB_RECORD_H

#include "compat.h"
#include "runtime/runtime.h"

#pragma GCC visibility push(hidden)

/* Fills in the metatable RECORD_TYPE.   [-0, +0, m] */
void lib_record_open(lua_State *L, runtime *rt);

#pragma GCC visibility pop

#endif
