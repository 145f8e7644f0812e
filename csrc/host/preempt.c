/* Preemption for hosts. */
#include "kernel/preempt.h"

#include "coropanic.h"
#include "host/host.h"

double cp_preempt(lua_State *L, double slice) {
  runtime *rt = host_open(L);
  double before = (double)rt->preemption.slice_ns / (double)NS_PER_SECOND;
  int64_t slice_ns = slice > 0 ? clock_deadline_ns(0, slice) : 0;
  if (slice_ns != 0 && slice_ns < PREEMPT_SLICE_MIN_NS) slice_ns = PREEMPT_SLICE_MIN_NS;
  if (slice_ns > PREEMPT_SLICE_MAX_NS) slice_ns = PREEMPT_SLICE_MAX_NS;
  if (slice_ns != 0) preempt_require(rt, L, "cp_preempt");
  preempt_set_slice(rt, slice_ns);
  return before;
}
