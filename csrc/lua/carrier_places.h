/*
** Finds the places of a header in a plain table of headers. The table is read raw, and no
** metamethod is called.
*/
#ifndef CP_LUA_CARRIER_PLACES_H
#define CP_LUA_CARRIER_PLACES_H

#include <stdbool.h>

#include "compat.h"

#pragma GCC visibility push(hidden)

#define HEADER_NAME_MAX 11 /* "traceparent" */

/* The forms of a list's items. */
typedef enum entry_form {
  ENTRY_NONE,
  ENTRY_PAIR,  /* {name, value} */
  ENTRY_FIELDS /* {name = name, value = value} */
} entry_form;

/* A key of the table. */
typedef struct place {
  entry_form form;                /* of the entry; ENTRY_NONE: the place is a named key */
  lua_Integer index;              /* of the entry in the list */
  char name[HEADER_NAME_MAX + 1]; /* the header's name as spelled there */
} place;

typedef struct places {
  size_t count;
  place one; /* the place if there is only one, as nearly always */
  /* all places if there are several: entries by index, then names by their bytes */
  const place *several;
  entry_form list; /* form of the list's first entry; ENTRY_NONE: the table is no list */
  lua_Integer list_start;
  bool has_objects; /* a value, or an item of the list, has a metatable */
} places;

/* Returns the array of all places. */
static inline const place *places_all(const places *p) {
  return p->count > 1 ? p->several : &p->one;
}

/*
** Finds the header in the table at the absolute index. Pushes the value found first, or nil; then,
** if there are several places, a value that holds them in memory.   [-0, +(1|2), m]
**   name  in lower case
*/
void places_of_header(lua_State *L, int table, const char *name, places *p);

/* Finds the integer keys outside 1 to `border`; pushes as above.   [-0, +(1|2), m] */
void places_outside(lua_State *L, int table, lua_Integer border, places *p);

/* Pushes the value at the place; nil if it is gone.   [-0, +1, m] */
void place_push_value(lua_State *L, int table, const place *at);

#pragma GCC visibility pop

#endif
