#include "telemetry/accounting.h"

void histogram_merge(histogram *h, const histogram *other) {
  h->count += other->count;
  h->sum_ns += other->sum_ns;
  if (other->longest_ns > h->longest_ns) h->longest_ns = other->longest_ns;
  for (int k = 0; k < HISTOGRAM_BUCKETS; k++) h->buckets[k] += other->buckets[k];
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
