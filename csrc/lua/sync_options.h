/*
** The option of every function that makes an object of which co.order has classes: {name = "cart"}.
*/
#ifndef CP_LUA_SYNC_OPTIONS_H
#define CP_LUA_SYNC_OPTIONS_H

#include "sync/order.h"

#pragma GCC visibility push(hidden)

/*
** Returns the number of the name in the options that the argument is, if it is given; 0: it has none.
** [-0, +0, e]
*/
uint16_t sync_check_name(runtime *rt, lua_State *L, int arg, const char *function);

#pragma GCC visibility pop

#endif
