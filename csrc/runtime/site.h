/*
** Spawn sites: "file.lua:12", once per place in the program and not once per task.
*/
#ifndef CP_RUNTIME_SITE_H
#define CP_RUNTIME_SITE_H

#include <stdbool.h>

#include "compat.h"
#include "core/base.h"

#pragma GCC visibility push(hidden)

/*
** Distinct sites kept; a program has as many as it has lines that spawn. Chunks loaded without end
** under ever new names would grow the table without end: beyond this, sites read "?".
*/
#define SITE_MAX 65536

typedef struct site {
  struct site *next_in_bucket;
  const char *source; /* identity only, never read: the chunk may be gone */
  int line;
  char text[LUA_IDSIZE + 16]; /* "file.lua:12" */
} site;

typedef struct site_table {
  site **buckets;
  uint32_t bucket_count; /* power of two, or 0 */
  uint32_t count;
  const allocator *memory;
} site_table;

void site_table_init(site_table *table, const allocator *memory);
void site_table_free(site_table *table);

/*
** The site of the innermost Lua function at or above `level` of L's stack.   [-0, +0, -]
** Never NULL, never raises: "?" when there is no Lua function or no memory. Lives as long as the
** table.
*/
const site *site_of_caller(site_table *table, lua_State *L, int level);

#pragma GCC visibility pop

#endif
