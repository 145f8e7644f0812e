/* Driving the loop from a host's own. */
#include "coropanic.h"
#include "host/host.h"
#include "loop/scheduler.h"

int cp_step(lua_State *L, double budget) {
  runtime *rt = host_open(L);
  return scheduler_step(rt, L, clock_deadline_ns(0, budget > 0 ? budget : 0));
}

double cp_timeout(lua_State *L) {
  const runtime *rt = host_find(L);
  if (rt == NULL) return -1;
  int64_t next = scheduler_next_deadline(rt);
  if (next == TIME_FOREVER) return -1;
  int64_t now = runtime_now(rt);
  return next <= now ? 0 : (double)(next - now) / (double)NS_PER_SECOND;
}
