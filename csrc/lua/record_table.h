/*
** record:to_table(): a record as plain data, in a form that is versioned.
*/
#ifndef CP_LUA_RECORD_TABLE_H
#define CP_LUA_RECORD_TABLE_H

#include "runtime/record.h"

#pragma GCC visibility push(hidden)

/* Causes of causes that are kept, one inside the other. */
#define RECORD_TABLE_MAX_CAUSES 8

/*
** Pushes a new table of the record's fields (docs/panic-record.md). Any JSON encoder takes it.
** [-0, +1, m] Lists that would be empty are not in it, since an empty Lua table is no array to an
** encoder; how many of a list `x` were left out is in `x_omitted`.
*/
void record_table_push(lua_State *L, int index);

#pragma GCC visibility pop

#endif
