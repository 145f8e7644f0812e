/* Implements record:to_table(): a record as plain data, in a versioned form. */
#ifndef CP_LUA_RECORD_TABLE_H
#define CP_LUA_RECORD_TABLE_H

#include "kernel/record.h"

#pragma GCC visibility push(hidden)

/* The most causes that are kept, one inside the other. */
#define RECORD_TABLE_MAX_CAUSES 8

/*
** Pushes a new table of the record's fields (docs/panic-record.md), which any JSON encoder takes.
** [-0, +1, m]
** Leaves out empty lists, since an encoder can not tell an empty Lua table from an object.
** `x_omitted` counts the items of a list `x` that were left out.
*/
void record_table_push(lua_State *L, int index);

#pragma GCC visibility pop

#endif
