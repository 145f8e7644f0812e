/*
** The pointers that hosts attach to tasks. Each is freed once: at the end of its task, when another
** one takes its place, or when the universe is closed.
*/
#ifndef CP_HOST_DATA_H
#define CP_HOST_DATA_H

#include "host/host.h"

#pragma GCC visibility push(hidden)

typedef struct host_data {
  task_exit exit; /* in its task's list */
  list link;      /* in host.data */
  void *data;
  void (*free)(void *data);
} host_data;

/* Makes one, of no task yet. NULL: there is no memory. */
host_data *data_new(runtime *rt, void *data, void (*free)(void *data));

/* Gives it to the live task, which has none. */
void data_attach(runtime *rt, task *t, host_data *d);

/* Frees its memory without calling `free`: no task has it. */
void data_discard(runtime *rt, host_data *d);

#pragma GCC visibility pop

#endif
