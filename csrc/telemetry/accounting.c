#include "telemetry/accounting.h"

#include <string.h>

static void forget_exemplars(histogram *h) {
  for (int k = 0; k < EXEMPLARS; k++) h->exemplars[k].tick = UINT64_MAX / 2;
}

void accounting_init(accounting *a, uint64_t now_ns) {
  memset(a, 0, sizeof(accounting));
  a->since_ns = now_ns;
  forget_exemplars(&a->delay);
  forget_exemplars(&a->run);
  for (int i = 0; i < WAIT_NAMES; i++) forget_exemplars(&a->waits[i]);
}

void histogram_merge(histogram *h, const histogram *other) {
  h->count += other->count;
  h->sum_ns += other->sum_ns;
  if (other->longest_ns > h->longest_ns) h->longest_ns = other->longest_ns;
  for (int k = 0; k < HISTOGRAM_BUCKETS; k++) h->buckets[k] += other->buckets[k];
  for (int k = 0; k < EXEMPLARS; k++) {
    if (other->exemplars[k].wall_ns > h->exemplars[k].wall_ns)
      h->exemplars[k] = other->exemplars[k];
  }
}

uint64_t histogram_quantile(const histogram *h, double share) {
  double wanted = (double)h->count * share;
  uint64_t counted = 0;
  for (int k = 0; k < HISTOGRAM_BUCKETS; k++) {
    counted += h->buckets[k];
    if (h->buckets[k] == 0 || (double)counted < wanted) continue;
    uint64_t bound = k == 0 ? 0 : UINT64_MAX >> (64 - k);
    return bound < h->longest_ns ? bound : h->longest_ns;
  }
  return h->longest_ns;
}
