/*
** A semaphore: a number of permits. A task takes one or several at once, first come, first served:
** a task that waits for many permits is not overtaken by tasks that want few.
*/
#ifndef CP_SYNC_SEMAPHORE_H
#define CP_SYNC_SEMAPHORE_H

#include "sync/waitlist.h"

#pragma GCC visibility push(hidden)

#define SEMAPHORE_TYPE "coropanic.semaphore"

typedef struct semaphore {
  waitlist waitlist;
  int total;   /* all permits */
  int free;    /* the permits that nobody has taken; from 0 to `total` */
  bool listed; /* see bounded_see */
} semaphore;

extern const waitlist_type semaphore_type;

/*
** Takes the permits. Returns false if too few are free or any task waits for permits.   [-0, +0, -]
*/
bool semaphore_try_acquire(runtime *rt, semaphore *s, int permits);

/* Gives back `permits`, which must have been taken, and serves the waiting tasks.   [-0, +0, -] */
void semaphore_release(runtime *rt, semaphore *s, int permits);

#pragma GCC visibility pop

#endif
