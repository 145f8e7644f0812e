/*
** What makes the recorder write a dump by itself, and how often it may: at most so many files, and a
** pause after each, so that a storm of panics can not fill a disk.
**
** triggers_fire writes the file at once, where sinks and taps are told of events: no list, stack or object is
** half changed there, and a dump allocates nothing of Lua's. It never raises.
*/
#ifndef CP_TELEMETRY_TRIGGERS_H
#define CP_TELEMETRY_TRIGGERS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base.h"

#pragma GCC visibility push(hidden)

struct runtime;

/* What may trigger a dump, a bit each. */
enum {
  TRIGGER_PANIC = 1,     /* any panic, recovered or not */
  TRIGGER_UNHANDLED = 2, /* a panic without an owner, before its handler is called */
  TRIGGER_DEADLOCK = 4,  /* a panic of that kind */
  TRIGGER_CRASH = 8,     /* an unhandled panic that ends the process, before it is reported */
  TRIGGER_DELAY = 16     /* a task was ready for `delay_ns` until it ran */
};

/* The longest pattern of a path, in bytes. */
#define TRIGGERS_PATH 1023

typedef struct triggers {
  /* How they were asked for. */
  unsigned wants; /* TRIGGER_ bits; 0: none */
  uint64_t delay_ns;
  uint64_t max_dumps;
  int64_t cooldown_ns;          /* from one attempt to the next, by the run's clock */
  char path[TRIGGERS_PATH + 1]; /* see triggers_bad_path */

  /* Writes a dump to the file; false, with errno set: it could not (dump_to_file). */
  bool (*write)(struct runtime *rt, const char *path);

  /* What has become of them. */
  uint64_t dumps;   /* files that were written */
  uint64_t errors;  /* files that could not be written */
  uint64_t skipped; /* dumps that the two bounds have prevented */
  bool has_tried;   /* `tried_ns` is meaningful */
  bool was_virtual; /* the clock of `tried_ns` */
  int64_t tried_ns; /* the last attempt */
} triggers;

/*
** Returns the first character after a '%' in the pattern that is none of p (process id), n (number of the
** dump) and % itself, or that '%' if the pattern ends there; NULL: there is none.
*/
const char *triggers_bad_path(const char *pattern);

/*
** Writes a dump, if it is wanted for one of the TRIGGER_ bits and not bounded. Harmless if `t` is NULL. It does not look at the
** events: add the one that is its reason first.   [-0, +0, -]
*/
void triggers_fire(triggers *t, struct runtime *rt, unsigned bits);

#pragma GCC visibility pop

#endif
