/* The live tasks of a runtime as a list, for reports, dumps and scripts. */
#ifndef CP_REPORT_INSPECT_H
#define CP_REPORT_INSPECT_H

#include "compat.h"
#include "kernel/runtime.h"

#pragma GCC visibility push(hidden)

/* Pushes an array of the live tasks in order of spawning.   [-0, +1, m] */
void inspect_push_tasks(runtime *rt, lua_State *L);

#pragma GCC visibility pop

#endif
