/*
** Any value as plain data: what every JSON encoder takes, bounded, without cycles, and the value
** itself is not touched: no metamethod of it runs.
*/
#ifndef CP_LUA_PLAIN_H
#define CP_LUA_PLAIN_H

#include "runtime/record.h"

#pragma GCC visibility push(hidden)

/*
** Bounds of one value, besides RECORD_MAX_DEPTH, RECORD_MAX_ITEMS and RECORD_MAX_TEXT: 64 entries
** in each of four levels would still be 16 million.
*/
#define PLAIN_MAX_ENTRIES 1024
#define PLAIN_MAX_BYTES 65536
#define PLAIN_MAX_KEY 256

/*
** Pushes the value at `index` as plain data.   [-0, +1, m]
** Booleans and finite numbers stay; other numbers become "nan", "inf", "-inf"; in strings, what is
** no UTF-8 becomes U+FFFD; arrays stay arrays, other tables get strings for keys; the rest becomes
** its type's name. What is left out is counted, in an array's last element or under the key "...".
*/
void plain_push(lua_State *L, int index);

#pragma GCC visibility pop

#endif
