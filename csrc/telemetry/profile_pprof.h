/*
** Writes a profile in pprof's format, the message Profile of profile.proto in google/pprof, which may
** be compressed, and is not here.
*/
#ifndef CP_TELEMETRY_PROFILE_PPROF_H
#define CP_TELEMETRY_PROFILE_PPROF_H

#include "telemetry/profile.h"

#pragma GCC visibility push(hidden)

/* Pushes the bytes of a profile that has stopped.   [-0, +1, m] */
void profile_push_pprof(const profile *p, lua_State *L);

#pragma GCC visibility pop

#endif
