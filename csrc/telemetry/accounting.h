/*
** Where the time of tasks goes, as histograms: how long they were ready until they ran (delay), how long
** they ran in one go (run), how long they waited (by what they waited for), and for how long the loop slept.
**
** It is off until code asks for it, and costs nothing then:
**
**   accounting *a = telemetry_account(rt);   NULL: no memory. Each call needs one of telemetry_unaccount
**   a->delay.buckets[10]                     so many delays were from 512 ns up to 1,023 ns
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

typedef struct histogram {
  uint64_t count;
  uint64_t sum_ns;
  uint64_t longest_ns;
  uint64_t buckets[HISTOGRAM_BUCKETS];
} histogram;

typedef struct accounting {
  uint32_t users;    /* who have asked for it */
  uint32_t scripts;  /* of these, calls of co.accounting(true) */
  uint64_t since_ns; /* the monotonic time when the first one asked */
  uint64_t idle_ns;  /* the loop slept */
  histogram delay;
  histogram run;
  histogram waits[WAIT_NAMES]; /* by wait_names */
} accounting;

static inline void histogram_add(histogram *h, uint64_t ns) {
  h->count++;
  h->sum_ns += ns;
  if (ns > h->longest_ns) h->longest_ns = ns;
  h->buckets[ns == 0 ? 0 : 64 - __builtin_clzll(ns)]++;
}

/* Adds all that `other` has counted. */
void histogram_merge(histogram *h, const histogram *other);

/*
** Returns a duration that so large a share of those counted do not exceed, to a factor of two: the upper
** bound of its bucket, or the longest one if that is less. 0 if nothing was counted.
*/
uint64_t histogram_quantile(const histogram *h, double share);

#pragma GCC visibility pop

#endif
