#include "telemetry/profile_parks.h"

#include <string.h>

/* Makes room for a slot. Returns false if there is no memory. */
static bool reserve(profile_parks *all, runtime *rt, uint32_t slot) {
  uint32_t before = all->room;
  park *at = mem_reserve(&rt->memory, all->at, &all->room, slot + 1, sizeof(park));
  if (at == NULL) return false;
  for (uint32_t i = before; i < all->room; i++) at[i] = (park){.task = 0};
  all->at = at;
  return true;
}

static void note(profile_parks *all, runtime *rt, const task *t) {
  lua_State *holder = rt->slot_values.holder;
  if (!reserve(all, rt, t->coroutine.slot)) return;
  bool is_made = t->wait->made_at != NULL;
  all->at[t->coroutine.slot] = (park){.task = t->id,
                                      .since_ns = runtime_now(rt),
                                      .location = is_made ? t->wait->made_at(holder, t) : 0};
}

static void hear(probe_sink *self, runtime *rt, const probe_event *event) {
  profile_parks *all = container_of(self, profile_parks, sink);
  const task *t = event->task;
  if (event->kind == PROBE_WAKE && all->woken != NULL) {
    all->woken(all, rt, t);
  } else if (event->kind == PROBE_STOP && t->status == TASK_WAITING) {
    note(all, rt, t);
  }
}

void parks_begin(profile_parks *all, runtime *rt) {
  all->began_ns = runtime_now(rt);
  rt->notes_makers = true;
  all->sink = (probe_sink){.wants = PROBE_BIT(PROBE_STOP), .write = hear};
  if (all->woken != NULL) all->sink.wants |= PROBE_BIT(PROBE_WAKE);
  probe_add_sink(&rt->probes, &all->sink);
}

void parks_end(profile_parks *all, runtime *rt) {
  probe_remove_sink(&rt->probes, &all->sink);
  mem_free(&rt->memory, all->at, all->room * sizeof(park));
  all->at = NULL;
  all->room = 0;
}

park parks_of(const profile_parks *all, const task *t) {
  uint32_t slot = t->coroutine.slot;
  if (slot < all->room && all->at[slot].task == t->id) return all->at[slot];
  return (park){.task = t->id, .since_ns = all->began_ns};
}

/* The clock may be another one by now: a run has begun or ended that has the virtual one. */
int64_t parks_waited(const runtime *rt, const park *p) {
  int64_t waited = runtime_now(rt) - p->since_ns;
  return waited > 0 ? waited : 0;
}

void parks_add_object(const park *p, profile *of, profile_key *k) {
  if (p->location == 0) return;
  const char *text = location_numbered(&of->rt->locations, p->location)->text;
  profile_add_text(&of->store, k, "object", text, strlen(text));
}
