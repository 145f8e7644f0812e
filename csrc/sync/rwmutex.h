/*
** A readers-writer lock: many readers or one writer at a time, first come, first served. A waiting
** writer keeps later readers waiting behind it. The writer is the owner of a mutex; readers are
** only counted, as in Go.
*/
#ifndef CP_SYNC_RWMUTEX_H
#define CP_SYNC_RWMUTEX_H

#include "sync/mutex.h"

#pragma GCC visibility push(hidden)

#define RWMUTEX_TYPE "coropanic.rwmutex"

typedef struct rwmutex {
  mutex writer; /* `writer.locked`: a writer has the lock */
  uint32_t readers;
} rwmutex;

extern const waitlist_type rwmutex_type;

/* Locks the rwmutex at `index` for writing. Returns false if it is locked.   [-0, +0, -] */
bool rwmutex_try_lock(runtime *rt, lua_State *L, rwmutex *rw, int index);

/* Locks it for reading. Returns false if a writer has it or any task waits for it.   [-0, +0, -] */
bool rwmutex_try_read_lock(runtime *rt, rwmutex *rw);

/* Removes one reader and serves the waiting tasks. Raises if there is no reader.   [-0, +0, e] */
void rwmutex_read_unlock(runtime *rt, lua_State *L, rwmutex *rw);

#pragma GCC visibility pop

#endif
