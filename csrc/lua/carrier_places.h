/* Where a plain table of headers has a header. The table is read raw, and no metamethod is called. */
#ifndef CP_LUA_CARRIER_PLACES_H
#define CP_LUA_CARRIER_PLACES_H

#include <stdbool.h>

#include "compat.h"

#pragma GCC visibility push(hidden)

#define HEADER_NAME_MAX 11 /* "traceparent" */

/* What an item of a list is. */
typedef enum entry_form {
  ENTRY_NONE,
  ENTRY_PAIR,  /* {name, value} */
  ENTRY_FIELDS /* {name = name, value = value} */
} entry_form;

/* A key of the table. */
typedef struct place {
  entry_form form;                /* of the entry; ENTRY_NONE: the key is a name */
  lua_Integer index;              /* of the entry in the list */
  char name[HEADER_NAME_MAX + 1]; /* as it is spelled */
} place;

typedef struct places {
  size_t count;
  place one;            /* the place, if there is one, as there nearly always is */
  const place *several; /* if there are more: entries by index, then names by their bytes */
  entry_form list;      /* form of the list's first entry; ENTRY_NONE: it is no list */
  lua_Integer list_start;
  bool has_objects; /* what has a metatable is among the values, or the items of the list */
} places;

/* The array of all places. */
static inline const place *places_all(const places *p) {
  return p->count > 1 ? p->several : &p->one;
}

/*
** Finds the header in the table at the absolute index; pushes the value that it came to first, nil for none, and what
** holds the places if there are several.   [-0, +1 or 2, m]
**   name  in lower case
*/
void places_of_header(lua_State *L, int table, const char *name, places *p);

/* Finds the integer keys that are not 1 to `border`; pushes as above.   [-0, +1 or 2, m] */
void places_outside(lua_State *L, int table, lua_Integer border, places *p);

/* Pushes the value at the place; nil if it is gone.   [-0, +1, m] */
void place_push_value(lua_State *L, int table, const place *at);

#pragma GCC visibility pop

#endif
