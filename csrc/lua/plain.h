/*
** Copies any value as plain data, which every JSON encoder takes: bounded and without cycles. Does
** not touch the value itself and calls none of its metamethods.
*/
#ifndef CP_LUA_PLAIN_H
#define CP_LUA_PLAIN_H

#include "kernel/record.h"

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
**
** Booleans and finite numbers stay; other numbers become "nan", "inf", "-inf"; bytes of strings
** that are not UTF-8 become U+FFFD; arrays stay arrays, other tables get strings for keys; every
** other value becomes the name of its type. An array's last element, or the key "...", counts the
** entries that were left out.
*/
void plain_push(lua_State *L, int index);

#pragma GCC visibility pop

#endif
