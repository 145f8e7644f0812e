/*
** The options of co.record.
*/
#ifndef CP_LUA_RECORDER_OPTIONS_H
#define CP_LUA_RECORDER_OPTIONS_H

#include "compat.h"
#include "telemetry/telemetry.h"

#pragma GCC visibility push(hidden)

/*
** Reads the table or nil at index 1, which may run scripts, into `r` and `t`. r->triggers is `t` if
** the recorder is to dump by itself.   [-0, +0, e]
*/
void recorder_options_read(lua_State *L, recording *r, triggers *t);

#pragma GCC visibility pop

#endif
