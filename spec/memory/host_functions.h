/* The C API for the programs of memory_spec.c: the global table `host`. */
#ifndef SPEC_MEMORY_HOST_FUNCTIONS_H
#define SPEC_MEMORY_HOST_FUNCTIONS_H

#include <lua.h>

/* Makes the table, and counts anew.   [-0, +0, m] */
void host_functions_open(lua_State *L);

/* Returns how many pointers were given to tasks and not freed; negative: freed twice. */
int host_functions_balance(void);

#endif
