/*
** Where the time of tasks goes, as histograms: how long they were ready until they ran (delay), how long
** they ran in one go (run), how long they waited (by what they waited for), and for how long the loop slept.
**
** It is off until code asks for it, and costs nothing then:
**
**   accounting *a = telemetry_account(rt);   NULL: no memory. Each call needs one of telemetry_unaccount
**   a->delay.buckets[10]                     so many delays were from 512 ns up to 1,023 ns
**
** Ranges of durations have an exemplar: the sampled trace of a task whose duration lay in it, the newest one, but for
** a second it stays.
**
** In Lua it is co.accounting, see csrc/lua/lib_recorder.c.
*/
#ifndef CP_TELEMETRY_ACCOUNTING_H
#define CP_TELEMETRY_ACCOUNTING_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base.h"
#include "telemetry/names.h"

#pragma GCC visibility push(hidden)

/* Bucket 0 counts durations of 0 ns, bucket k those from 2^(k-1) ns to below 2^k ns. */
#define HISTOGRAM_BUCKETS 65

/* Buckets up to EXEMPLAR_FIRST have one exemplar together, and so have those after the last range. */
#define EXEMPLAR_FIRST 10
#define EXEMPLARS 25

typedef struct exemplar {
  uint64_t tick;    /* when it was noted; at first long ago, by all clocks */
  uint64_t wall_ns; /* the same since 1970; 0: there is none */
  uint64_t ns;      /* the duration */
  uint64_t span_id; /* 0: the task had none yet */
  uint8_t trace_id[16];
} exemplar;

typedef struct histogram {
  uint64_t count;
  uint64_t sum_ns;
  uint64_t longest_ns;
  uint64_t buckets[HISTOGRAM_BUCKETS];
  exemplar exemplars[EXEMPLARS];
} histogram;

/* What one live task has used, in ticks, since it was spawned or accounting began. */
typedef struct task_use {
  uint64_t since;
  uint64_t run;
  uint64_t delay; /* it was ready, and did not run */
} task_use;

typedef struct accounting {
  uint32_t users;    /* who have asked for it */
  uint32_t scripts;  /* of these, calls of co.accounting(true) */
  uint64_t since_ns; /* the monotonic time when the first one asked */
  uint64_t idle_ns;  /* the loop slept */
  histogram delay;
  histogram run;
  histogram waits[WAIT_NAMES]; /* by wait_names */
  task_use *uses;              /* by slot; NULL if there was no memory */
  uint32_t use_count;
} accounting;

/* Returns the number of its bucket. */
static inline int histogram_add(histogram *h, uint64_t ns) {
  int bucket = ns == 0 ? 0 : 64 - __builtin_clzll(ns);
  h->count++;
  h->sum_ns += ns;
  if (ns > h->longest_ns) h->longest_ns = ns;
  h->buckets[bucket]++;
  return bucket;
}

/* Returns the exemplar of a bucket. */
static inline exemplar *histogram_exemplar(histogram *h, int bucket) {
  int place = bucket - EXEMPLAR_FIRST;
  return &h->exemplars[place < 0 ? 0 : place >= EXEMPLARS ? EXEMPLARS - 1 : place];
}

/* Begins to count. */
void accounting_init(accounting *a, uint64_t now_ns);

/* Adds all that `other` has counted. Of two exemplars the newer one stays. */
void histogram_merge(histogram *h, const histogram *other);

/*
** Returns a duration that so large a share of those counted do not exceed, to a factor of two: the upper
** bound of its bucket, or the longest one if that is less. 0 if nothing was counted.
*/
uint64_t histogram_quantile(const histogram *h, double share);

#pragma GCC visibility pop

#endif
