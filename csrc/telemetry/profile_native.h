/* The native function in which a sample was taken, which Lua's stack does not show. */
#ifndef CP_TELEMETRY_PROFILE_NATIVE_H
#define CP_TELEMETRY_PROFILE_NATIVE_H

#include "telemetry/profile_store.h"

#pragma GCC visibility push(hidden)

/* The objects (programs and libraries) whose code is not worth a name: Lua's VM, and ours. */
typedef struct native_machinery {
  const void *lua;
  const void *own;
} native_machinery;

native_machinery native_find_machinery(void);

/*
** Adds the frame "[libm.so.6] sin", or "[libm.so.6]" if the object's symbols do not name the function.
** Adds none for the machinery, or if the address is not known. Not for signal handlers.
*/
void profile_add_native(profile_store *s, profile_key *k, const native_machinery *m, uintptr_t pc);

#pragma GCC visibility pop

#endif
