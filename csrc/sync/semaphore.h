/*
** A semaphore: a number of permits, taken one or several at a time, first come, first served: who
** wants many is not overtaken by those who want few.
*/
#ifndef CP_SYNC_SEMAPHORE_H
#define CP_SYNC_SEMAPHORE_H

#include "sync/waitlist.h"

#pragma GCC visibility push(hidden)

#define SEMAPHORE_TYPE "coropanic.semaphore"

typedef struct semaphore {
  waitlist waitlist;
  int total; /* permits that there are */
  int free;  /* of these, not taken; from 0 to `total` */
} semaphore;

extern const waitlist_type semaphore_type;

/* Takes the permits, unless there are too few, or somebody waits already. */
bool semaphore_try_acquire(runtime *rt, semaphore *s, int permits);

/* Gives permits back, no more than are taken, and serves those who wait. */
void semaphore_release(runtime *rt, semaphore *s, int permits);

#pragma GCC visibility pop

#endif
