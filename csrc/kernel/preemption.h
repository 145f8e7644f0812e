/* The state of preemption in the runtime; see preempt.h. */
#ifndef CP_KERNEL_PREEMPTION_H
#define CP_KERNEL_PREEMPTION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/ticker.h"
#include "kernel/sink.h"

struct cpu_account;
typedef struct cooperative_file cooperative_file;

/* The signal handler may read all of it, and writes what is atomic. */
typedef struct preemption {
  ticker ticker;
  int64_t slice_ns;              /* 0: off */
  int64_t deadline_ns;           /* of the step that runs; TIME_FOREVER: it has none */
  size_t metered;                /* live tasks with a CPU budget */
  struct cpu_account *meter;     /* of the turn that runs; NULL: its task has no CPU budget */
  cooperative_file *cooperative; /* those whose code is not preempted; freed with the universe */
  probe_sink turn_end;           /* hears the end of such a turn (cpu_budget.c) */
  bool asleep;                   /* the loop sleeps */
  atomic_bool ticks;             /* the ticker is set */
  atomic_uint_fast64_t turn;     /* the count of turns at the last tick */
  atomic_uint_fast64_t due;      /* the number of the turn that is to end; 0: none */
  uint64_t count;                /* of preemptions */
} preemption;

#endif
