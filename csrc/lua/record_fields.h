/*
** The fields of a panic record as Lua values.
*/
#ifndef CP_LUA_RECORD_FIELDS_H
#define CP_LUA_RECORD_FIELDS_H

#include "kernel/record.h"

#pragma GCC visibility push(hidden)

/* The version of the form of to_table's result, and of the fields' meaning. */
#define RECORD_CONTRACT "coropanic/1"

/*
** Pushes the field of the record at `index`; nil if there is no such field.   [-0, +1, m]
** Computes costly fields once; scripts then get the same table each time.
*/
void record_fields_push(lua_State *L, int index, const char *name);

/* The same, computed anew, so that a table is not the one that a script may have changed. */
void record_fields_push_fresh(lua_State *L, int index, const char *name);

/*
** Pushes the stack hash of the record at `index`, in that version, with C functions or without.
** [-0, +1, m]
*/
void record_fields_push_hash(lua_State *L, int index, int version, bool with_c);

#pragma GCC visibility pop

#endif
