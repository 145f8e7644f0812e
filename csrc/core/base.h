/*
** Definitions for every layer: assertions, time units, and the allocator.
**
** All headers here declare functions between `#pragma GCC visibility push(hidden)` and `pop`. The
** module therefore exports only the functions of coropanic.h, with any compiler flags, and a host
** may have functions of the same names as ours.
*/
#ifndef CP_CORE_BASE_H
#define CP_CORE_BASE_H

#include <stddef.h>
#include <stdint.h>

/* cp_assert states an invariant. It costs nothing in release builds; `make hostile` turns it on. */
#if defined(CP_HOSTILE)
#include <assert.h>
#define cp_assert(condition) assert(condition)
#else
#define cp_assert(condition) ((void)0)
#endif

/* The struct that contains the intrusive member at `pointer`. */
#define container_of(pointer, type, member) \
  ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/*
** For the few functions that a hot path is made of, where the compiler decides otherwise: one that
** is always inlined, and one that never is, so that its callers save no registers for what they
** seldom do.
*/
#define cp_inline __attribute__((always_inline)) static inline
#define cp_apart __attribute__((noinline)) static

#define NS_PER_SECOND INT64_C(1000000000)

/* A deadline that never comes. All deadlines are nanoseconds of the runtime's clock. */
#define TIME_FOREVER INT64_MAX

/*
** The host's allocator, with the signature and contract of lua_Alloc: `fn(ud, NULL, 0, n)`
** allocates, `fn(ud, p, old, n)` resizes, `fn(ud, p, old, 0)` frees. NULL from the first two means
** no memory, and `p` is unchanged. All memory of the runtime comes from it, so that the host's
** limits hold.
*/
typedef struct allocator {
  void *(*fn)(void *ud, void *pointer, size_t old_size, size_t new_size);
  void *ud;
} allocator;

static inline void *mem_new(const allocator *a, size_t size) { return a->fn(a->ud, NULL, 0, size); }

static inline void *mem_resize(const allocator *a, void *pointer, size_t old_size,
                               size_t new_size) {
  return a->fn(a->ud, pointer, old_size, new_size);
}

static inline void mem_free(const allocator *a, void *pointer, size_t size) {
  if (pointer != NULL) a->fn(a->ud, pointer, size, 0);
}

/* Room that an array gets at first. */
#define MEM_FIRST_ROOM 16

/*
** Returns the array, which has room for `*room` elements of `size` bytes (NULL: for none), with room for
** `needed` or more, at least 1: as it is, or resized, to twice as often as it takes. NULL: there is no
** memory; then array and `*room` stay as they are. New elements are not initialised.
*/
static inline void *mem_reserve(const allocator *a, void *array, uint32_t *room, uint32_t needed,
                                size_t size) {
  if (needed <= *room) return array;
  uint32_t more = *room == 0 ? MEM_FIRST_ROOM : *room;
  while (more < needed) more *= 2;
  void *grown = mem_resize(a, array, *room * size, more * size);
  if (grown != NULL) *room = more;
  return grown;
}

#endif
