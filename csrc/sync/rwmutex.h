/*
** A readers-writer lock: many readers or one writer, first come, first served: a writer that waits
** keeps later readers waiting behind it. Writers are as the owners of a mutex; readers are only
** counted, as in Go.
*/
#ifndef CP_SYNC_RWMUTEX_H
#define CP_SYNC_RWMUTEX_H

#include "sync/mutex.h"

#pragma GCC visibility push(hidden)

#define RWMUTEX_TYPE "coropanic.rwmutex"

typedef struct rwmutex {
  mutex writer; /* `locked`: by a writer */
  uint32_t readers;
} rwmutex;

extern const waitlist_type rwmutex_type;
extern const wait_type wait_read_lock, wait_write_lock;

/* Takes the lock, which is at `index`, for writing, if it is free.   [-0, +0, -] */
bool rwmutex_try_lock(runtime *rt, lua_State *L, rwmutex *rw, int index);

/* Takes it for reading, unless somebody writes, or waits already. */
bool rwmutex_try_read_lock(runtime *rt, rwmutex *rw);

/* Ends one reading and serves those who wait.   [-0, +0, e] There must be a reader. */
void rwmutex_read_unlock(runtime *rt, lua_State *L, rwmutex *rw);

#pragma GCC visibility pop

#endif
