/*
** Spawn locations: "file.lua:12", once per place in the program and not once per task.
*/
#ifndef CP_KERNEL_LOCATION_H
#define CP_KERNEL_LOCATION_H

#include <stdbool.h>

#include "compat.h"
#include "core/base.h"

#pragma GCC visibility push(hidden)

/*
** Distinct locations kept; a program has as many as it has lines that spawn. Chunks loaded without end
** under ever new names would grow the table without end: beyond this, locations read "?".
*/
#define LOCATION_MAX 65536

typedef struct location {
  struct location *next_in_bucket;
  const char *source; /* identity only, never read: the chunk may be gone */
  int line;
  char text[LUA_IDSIZE + 16]; /* "file.lua:12" */
} location;

typedef struct location_table {
  location **buckets;
  uint32_t bucket_count; /* power of two, or 0 */
  uint32_t count;
  const allocator *memory;
} location_table;

void location_table_init(location_table *table, const allocator *memory);
void location_table_free(location_table *table);

/*
** The location of the innermost Lua function at or above `level` of L's stack.   [-0, +0, -]
** Never NULL, never raises: "?" when there is no Lua function or no memory. Lives as long as the
** table.
*/
const location *location_of_caller(location_table *table, lua_State *L, int level);

#pragma GCC visibility pop

#endif
