#include "telemetry/profile_labels.h"

#include <string.h>

#include "kernel/probe.h"

/* In the task's list of exits, by which it is found. */
typedef struct task_labels {
  task_exit exit;
  profile_labels *all;
  label_set *set; /* counted */
} task_labels;

/* --- sets --- */

static size_t size_of(uint32_t count) { return sizeof(label_set) + count * sizeof(label); }

label_set *label_set_new(runtime *rt, uint32_t count) {
  label_set *set = mem_new(&rt->memory, size_of(count));
  if (set == NULL) return NULL;
  memset(set, 0, size_of(count));
  set->references = 1;
  set->count = count;
  return set;
}

void label_set_release(runtime *rt, label_set *set) {
  if (set == NULL || --set->references > 0) return;
  mem_free(&rt->memory, set, size_of(set->count));
}

/* --- whose they are --- */

static void give_to_spawned(probe_sink *self, runtime *rt, const probe_event *event);

/* Listens to spawns while anybody has labels. */
static void update(profile_labels *all, runtime *rt) {
  bool wanted = all->tasks > 0 || all->outside != NULL;
  if (wanted == all->listens) return;
  all->listens = wanted;
  if (wanted) {
    all->spawns = (probe_sink){.wants = PROBE_BIT(PROBE_SPAWN), .write = give_to_spawned};
    probe_add_sink(&rt->probes, &all->spawns);
  } else {
    probe_remove_sink(&rt->probes, &all->spawns);
  }
}

/* The exit: the task has ended, or has no labels any more. */
static void drop(runtime *rt, lua_State *L, task_exit *exit) {
  (void)L;
  task_labels *own = container_of(exit, task_labels, exit);
  profile_labels *all = own->all;
  label_set_release(rt, own->set);
  mem_free(&rt->memory, own, sizeof(task_labels));
  all->tasks--;
  update(all, rt);
}

static task_labels *find(const task *t) {
  task_exit *exit = t->exits;
  while (exit != NULL && exit->run != drop) exit = exit->next;
  return exit == NULL ? NULL : container_of(exit, task_labels, exit);
}

label_set *labels_of(const profile_labels *all, const task *t) {
  if (t == NULL) return all->outside;
  if (all->tasks == 0) return NULL;
  const task_labels *own = find(t);
  return own == NULL ? NULL : own->set;
}

/* Gives labels to a task that has none. */
static bool give(profile_labels *all, runtime *rt, task *t, label_set *set) {
  task_labels *own = mem_new(&rt->memory, sizeof(task_labels));
  if (own == NULL) return false;
  *own = (task_labels){.exit = {.run = drop}, .all = all, .set = set};
  task_on_end(t, &own->exit);
  all->tasks++;
  update(all, rt);
  return true;
}

bool labels_set(profile_labels *all, runtime *rt, task *t, label_set *set) {
  if (t == NULL) {
    label_set_release(rt, all->outside);
    all->outside = set;
    update(all, rt);
    return true;
  }
  task_labels *own = find(t);
  if (own == NULL) return set == NULL || give(all, rt, t, set);
  if (set == NULL) {
    task_exit_remove(&own->exit);
    drop(rt, NULL, &own->exit);
    return true;
  }
  label_set_release(rt, own->set);
  own->set = set;
  return true;
}

/*
** The sink. A task for which there is no memory goes without: to fail its spawn would be worse than a
** sample without labels.
*/
static void give_to_spawned(probe_sink *self, runtime *rt, const probe_event *event) {
  profile_labels *all = container_of(self, profile_labels, spawns);
  label_set *set = labels_of(all, rt->current);
  if (set == NULL) return;
  if (!give(all, rt, (task *)(uintptr_t)event->task, label_set_retain(set))) {
    label_set_release(rt, set);
  }
}
