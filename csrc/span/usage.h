/*
** What each live trace has used: tasks, switches, time of running and of waiting, spans, and memory while a
** profile of allocations runs. It is a sink of the stream of events, and costs nothing until it is begun. A
** trace is live while a live task has it, or has code in it.
*/
#ifndef CP_SPAN_USAGE_H
#define CP_SPAN_USAGE_H

#include <stdint.h>

#include "compat.h"
#include "kernel/runtime.h"
#include "kernel/sink.h"
#include "kernel/task.h"

#pragma GCC visibility push(hidden)

/* The most traces that are counted at once. The traces that come when there are so many are not. */
#define USAGE_MAX_TRACES 1000

/* A power of two, above twice as many. */
#define USAGE_BUCKETS 2048

typedef struct trace_usage {
  uint8_t trace_id[16];
  uint64_t tasks; /* live ones when counting began, and those spawned since */
  uint64_t switches;
  uint64_t spans;
  int64_t run_ns;
  int64_t wait_ns;
  uint64_t allocated; /* bytes */
  bool live;          /* used while they are swept */
} trace_usage;

typedef struct usage {
  probe_sink sink;
  struct runtime *rt;
  uint32_t count;
  uint64_t allocated; /* by all, when the running slice began */
  uint32_t patience;  /* so many new traces are left out before the table is swept again */
  int64_t *
      since_ns; /* by slot: when the task began to run, to wait, or became ready, plus 1; 0: not known */
  uint32_t slots;                  /* room in `since_ns` */
  uint16_t buckets[USAGE_BUCKETS]; /* indexes in `traces` + 1, by hash; 0: free */
  trace_usage traces[USAGE_MAX_TRACES];
} usage;

/* Begins to count, if it was not begun. Returns NULL if there is no memory.   [-0, +0, -] */
usage *usage_begin(runtime *rt);

/* Ends counting; harmless if it was not begun.   [-0, +0, -] */
void usage_end(runtime *rt);

/*
** Returns what the trace has used until now; NULL: it is not counted. The running slice, if it is one of `t`,
** counts for this trace.
*/
const trace_usage *usage_settle(usage *u, const uint8_t trace_id[16], const task *t);

/* Forgets the traces that are not live any more.   [-0, +0, -] */
void usage_sweep(usage *u);

/* Returns what the trace has used; NULL: it is not counted. */
trace_usage *usage_find(usage *u, const uint8_t trace_id[16]);

#pragma GCC visibility pop

#endif
