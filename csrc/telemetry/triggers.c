#define _POSIX_C_SOURCE 200809L /* getpid */

#include "telemetry/triggers.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kernel/runtime.h"

/* Room for a path whose numbers are written out. */
#define PATH_SIZE 4096

const char *triggers_bad_path(const char *pattern) {
  for (const char *at = strchr(pattern, '%'); at != NULL; at = strchr(at + 2, '%')) {
    if (at[1] == '\0') return at;
    if (strchr("pn%", at[1]) == NULL) return at + 1;
  }
  return NULL;
}

/* Writes the path of the dump with this number. Returns false if there is no room. */
static bool expand(const char *pattern, uint64_t number, char path[PATH_SIZE]) {
  size_t used = 0;
  for (const char *from = pattern; *from != '\0'; from++) {
    char part[24] = {*from};
    if (*from == '%') {
      from++;
      if (*from == 'p') snprintf(part, sizeof(part), "%ld", (long)getpid());
      if (*from == 'n') snprintf(part, sizeof(part), "%llu", (unsigned long long)number);
    }
    size_t length = strlen(part);
    if (used + length >= PATH_SIZE) return false;
    memcpy(path + used, part, length);
    used += length;
  }
  path[used] = '\0';
  return true;
}

/* Whether a bound forbids a dump now. */
static bool is_bounded(const triggers *t, const runtime *rt, int64_t now_ns, unsigned bits) {
  if (t->dumps >= t->max_dumps) return true;
  /* The process ends: no other dump follows. */
  if ((t->wants & bits & TRIGGER_CRASH) != 0) return false;
  /* Each run under the virtual clock begins at 0. */
  bool is_comparable = t->was_virtual == rt->clock->is_virtual && now_ns >= t->tried_ns;
  return t->has_tried && is_comparable && now_ns - t->tried_ns < t->cooldown_ns;
}

static void write_dump(triggers *t, runtime *rt) {
  char path[PATH_SIZE];
  bool fits = expand(t->path, t->dumps + 1, path);
  if (fits && t->write(rt, path)) {
    t->dumps++;
    return;
  }
  const char *why = strerror(fits ? errno : ENAMETOOLONG);
  if (t->errors++ > 0) return;
  fprintf(stderr,
          "coropanic: the recorder can not write %s: %s (told once; recorder:stats() counts)\n",
          fits ? path : t->path, why);
}

void triggers_fire(triggers *t, runtime *rt, unsigned bits) {
  if (t == NULL || (t->wants & bits) == 0) return;
  int64_t now_ns = runtime_now(rt);
  if (is_bounded(t, rt, now_ns, bits)) {
    t->skipped++;
    return;
  }
  int saved_errno = errno;
  t->has_tried = true;
  t->was_virtual = rt->clock->is_virtual;
  t->tried_ns = now_ns;
  write_dump(t, rt);
  errno = saved_errno;
}
