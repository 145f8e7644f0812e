/*
** Profiles: where a program spends what. A profile collects samples until it is stopped, and is then
** written in pprof's format (profile_pprof.h). Each kind is a table in a file of its own:
** profile_cpu.c, profile_wait.c, profile_tasks.c, profile_alloc.c. One profile of a kind runs at a
** time in a runtime. A kind costs nothing while no profile of it runs.
*/
#ifndef CP_TELEMETRY_PROFILE_H
#define CP_TELEMETRY_PROFILE_H

#include <stdbool.h>

#include "compat.h"
#include "kernel/runtime.h"
#include "telemetry/profile_labels.h"
#include "telemetry/profile_store.h"

#pragma GCC visibility push(hidden)

struct profile;

/* The rates of a cpu profile, in samples per second of the processor's time. */
#define PROFILE_HZ 100
#define PROFILE_HZ_MAX 10000

/* Bytes between two samples of allocations, in the mean: as in Go. */
#define PROFILE_ALLOC_BYTES INT64_C(524288)

typedef struct profile_unit {
  const char *type, *unit; /* "cpu", "nanoseconds" */
} profile_unit;

typedef struct profile_type {
  const char *name;
  profile_unit values[PROFILE_VALUES];
  profile_unit period; /* what is between two samples; type NULL: there is no such thing */
  size_t size;         /* of the struct that begins with the profile; all zero behind it */
  bool has_rate;       /* it has samples so many times a second */
  /* Begins to collect. If it raises, nothing is on.   [-0, +0, e] */
  void (*begin)(struct profile *p, lua_State *L);
  /* Adds the last samples; the code that stops the profile runs on L. NULL: none.   [-0, +0, -] */
  void (*finish)(struct profile *p, lua_State *L);
  /* Ceases to collect, and frees all but the store. Calls nothing of scripts.   [-0, +0, -] */
  void (*end)(struct profile *p);
} profile_type;

extern const profile_type profile_cpu;
extern const profile_type profile_wait;
extern const profile_type profile_tasks;
extern const profile_type profile_alloc;

typedef struct profile {
  const profile_type *type;
  runtime *rt;
  bool runs;
  profile_store store;
  int64_t began_wall_ns; /* since 1970 */
  int64_t began_ns;      /* by the system's monotonic clock */
  int64_t lasted_ns;     /* once it has ended */
  int64_t hz;            /* of types that have a rate */
  int64_t period;        /* in the type's unit */
  uint64_t taker;        /* the id of the task that waits for its end; 0: none does */
  uint64_t hidden; /* first values that were lost while a hook of the user's counted instructions */
} profile;

/* The kinds of profiles. */
enum { PROFILE_KINDS = 4 };
extern const profile_type *const profile_types[PROFILE_KINDS];

/* What profiles and their labels need in a runtime: runtime.profiler. */
typedef struct profiler {
  runtime_part part;
  profile_labels labels;
  struct alloc_tap *tap;           /* the allocator of profile_alloc.c; NULL: it is not installed */
  profile *running[PROFILE_KINDS]; /* in the order of profile_types; NULL: none */
} profiler;

/* Returns the runtime's profiler, which it makes at the first call.   [-0, +0, m] */
profiler *profiler_of(runtime *rt, lua_State *L);

/*
** Starts a profile of profile_types[kind], which the caller owns. Raises if one runs already, or it
** can't be had.   [-0, +0, e]
**   hz        for types with a rate
**   function  for messages: "co.profile.start"
*/
profile *profile_start(runtime *rt, lua_State *L, int kind, int64_t hz, const char *function);

/* Stops it, if it runs. The second also adds the last samples.   [-0, +0, -] */
void profile_stop(profile *p);
void profile_finish(profile *p, lua_State *L);

/* Frees a profile, which is stopped if it runs. NULL is harmless.   [-0, +0, -] */
void profile_free(profile *p);

#pragma GCC visibility pop

#endif
