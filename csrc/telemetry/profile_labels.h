/*
** Labels that a program gives to its code, for the samples of profiles: co.profile.labels. A task has
** a set of labels, which the tasks that it spawns inherit; the code outside tasks has one, too. A set
** is C memory and never changes; the tasks that have it count references.
**
** While nobody has labels, a spawn costs nothing more. Else a sink of the stream of events gives each
** new task its spawner's.
*/
#ifndef CP_TELEMETRY_PROFILE_LABELS_H
#define CP_TELEMETRY_PROFILE_LABELS_H

#include "kernel/task.h"

#pragma GCC visibility push(hidden)

/* The most labels of a task, and the most bytes of a label's name, and of its text. */
#define LABELS_MAX 8
#define LABEL_BYTES_MAX 64

typedef struct label {
  uint8_t name_length, length;
  char name[LABEL_BYTES_MAX + 1];
  char text[LABEL_BYTES_MAX + 1];
} label;

typedef struct label_set {
  uint32_t references;
  uint32_t count;
  label label[];
} label_set;

/* In the profiler. */
typedef struct profile_labels {
  label_set *outside; /* of the code outside tasks, counted; NULL: none */
  size_t tasks;       /* that have labels */
  probe_sink spawns;
  bool listens; /* `spawns` is in the stream */
} profile_labels;

/* Returns the labels of a live task; of the code outside tasks if it is NULL. NULL: none. */
label_set *labels_of(const profile_labels *all, const task *t);

/* Makes a set of so many labels, with one reference, which the caller owns. NULL: no memory. */
label_set *label_set_new(runtime *rt, uint32_t count);

static inline label_set *label_set_retain(label_set *set) {
  if (set != NULL) set->references++;
  return set;
}

/* Drops a reference, and frees the set with the last one. NULL is harmless. */
void label_set_release(runtime *rt, label_set *set);

/*
** Gives the live task, or the code outside tasks (NULL), these labels instead of its own, and takes
** over a reference to them; NULL: none. Returns false if there is no memory; then nothing has changed.
** [-0, +0, -]
*/
bool labels_set(profile_labels *all, runtime *rt, task *t, label_set *set);

#pragma GCC visibility pop

#endif
