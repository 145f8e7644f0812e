#define _GNU_SOURCE 1 /* dladdr */

#include "telemetry/profile_native.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "compat.h"

/* Room for the name of a frame; longer ones are cut. */
#define NAME_SIZE 128

/* Returns the object at this address; NULL: none. */
static const void *object_at(uintptr_t address) {
  Dl_info info;
  return dladdr((const void *)address, &info) == 0 ? NULL : info.dli_fbase;
}

native_machinery native_find_machinery(void) {
  return (native_machinery){.lua = object_at((uintptr_t)lua_sethook),
                            .own = object_at((uintptr_t)native_find_machinery)};
}

void profile_add_native(profile_store *s, profile_key *k, const native_machinery *m, uintptr_t pc) {
  Dl_info info;
  if (pc == 0 || dladdr((const void *)pc, &info) == 0 || info.dli_fname == NULL) return;
  if (info.dli_fbase == m->lua || info.dli_fbase == m->own) return;
  const char *slash = strrchr(info.dli_fname, '/');
  const char *file = slash == NULL ? info.dli_fname : slash + 1;
  char name[NAME_SIZE];
  const char *function = info.dli_sname == NULL ? "" : info.dli_sname;
  snprintf(name, sizeof(name), "[%s]%s%s", file, *function == '\0' ? "" : " ", function);
  profile_add_frame(s, k, file, name);
}
