/*
** Spawn locations, "file.lua:12": one for each line of the program that spawns, not one for each
** task. A task has only the number of its location.
*/
#ifndef CP_KERNEL_LOCATION_H
#define CP_KERNEL_LOCATION_H

#include <stdbool.h>

#include "compat.h"
#include "core/base.h"

#pragma GCC visibility push(hidden)

/*
** The most distinct locations. A program has as many as lines that spawn; but chunks loaded under
** ever new names would let the table grow without end. Further locations read "?".
*/
#define LOCATION_MAX UINT16_MAX

typedef struct location {
  struct location *next_in_bucket;
  const char *source;   /* compared as an address, never read: the chunk may be gone */
  size_t source_length; /* of the part of `text` before the colon */
  int line;
  uint16_t number;            /* from 1; 0: that of "?" */
  bool is_library;            /* in a Lua file of ours: see location_table_set_library */
  char text[LUA_IDSIZE + 16]; /* "file.lua:12" */
} location;

typedef struct location_table {
  location **buckets;
  location **numbered;   /* from number 1; as many as there are buckets */
  uint32_t bucket_count; /* power of two, or 0 */
  uint32_t count;
  const char *library; /* what the sources of our own Lua files begin with; NULL: not known */
  size_t library_length;
  const allocator *memory;
} location_table;

void location_table_init(location_table *table, const allocator *memory);
void location_table_free(location_table *table);

/*
** Notes what the sources of our own Lua files begin with, "@/usr/share/lua/5.4/coropanic/", of which the
** table makes a copy: who asks for a place wants that of the code that uses them. Without memory it notes
** nothing.
*/
void location_table_set_library(location_table *table, const char *prefix, size_t length);

/*
** Returns the location of an activation with its source and line, "?" for NULL or if there is no
** memory. Never NULL. It lives as long as the table.
*/
const location *location_intern(location_table *table, const lua_Debug *ar);

/* Returns the location with this number; "?" if the table was freed. Never NULL. */
const location *location_numbered(const location_table *table, uint16_t number);

#pragma GCC visibility pop

#endif
