/*
** The profile of waits: exact, because the stream of events tells of each. A wait counts when the task
** is woken, and stands still where it has waited.
*/
#include <string.h>

#include "telemetry/profile_parks.h"
#include "telemetry/profile_stack.h"

typedef struct wait_profile {
  profile base;
  profile_parks parks;
} wait_profile;

static void add_wait(profile_parks *self, runtime *rt, const task *t) {
  wait_profile *p = container_of(self, wait_profile, parks);
  if (t->id == p->base.taker) return;
  park waited = parks_of(self, t);
  profile_key k;
  profile_key_begin(&k);
  profile_add_stack(&p->base, &k, t->coroutine.top);
  profile_add_labels(&p->base, &k, t, t->coroutine.top);
  profile_add_text(&p->base.store, &k, "wait", t->wait->name, strlen(t->wait->name));
  parks_add_object(&waited, &p->base, &k);
  profile_store_add(&p->base.store, &k, 1, parks_waited(rt, &waited));
}

static void begin(profile *base, lua_State *L) {
  (void)L;
  wait_profile *p = (wait_profile *)base;
  p->parks.woken = add_wait;
  parks_begin(&p->parks, base->rt);
}

static void end(profile *base) { parks_end(&((wait_profile *)base)->parks, base->rt); }

const profile_type profile_wait = {
    .name = "wait",
    .values = {{"waits", "count"}, {"delay", "nanoseconds"}},
    .size = sizeof(wait_profile),
    .begin = begin,
    .end = end,
};
