/*
** A queue of pointers, first in first out, in an array that is used in a circle. Other than in a
** list, an element far from the front is found without a look at those before it. The user reserves
** the room beforehand, so that to add an element can not fail.
*/
#ifndef CP_CORE_FIFO_H
#define CP_CORE_FIFO_H

#include <stdbool.h>

#include "core/base.h"

#pragma GCC visibility push(hidden)

typedef struct fifo {
  void **elements;
  size_t capacity; /* a power of two, or 0 */
  /* How many elements were ever taken and added. Modulo the capacity: the first, and behind the last. */
  size_t taken;
  size_t added;
} fifo;

/* Makes room for so many elements in all. Returns false, and changes nothing, without memory. */
bool fifo_reserve(fifo *r, const allocator *memory, size_t elements);

/*
** Takes out and returns the element at `index`, counted from the front. The others keep their
** order.
*/
void *fifo_take_at(fifo *r, size_t index);

/*
** Takes the element out. Cheap for those near the front or the end. Returns false if it is not in
** the queue.
*/
bool fifo_remove(fifo *r, const void *element);

static inline size_t fifo_count(const fifo *r) { return r->added - r->taken; }

/* Returns the element at `index`, counted from the front. */
static inline void *fifo_at(const fifo *r, size_t index) {
  cp_assert(index < fifo_count(r));
  return r->elements[(r->taken + index) & (r->capacity - 1)];
}

/* Adds the element, for which there must be room, at the end. */
static inline void fifo_add(fifo *r, void *element) {
  cp_assert(fifo_count(r) < r->capacity);
  r->elements[r->added++ & (r->capacity - 1)] = element;
}

/* Takes out and returns the first element. The queue must not be empty. */
static inline void *fifo_take(fifo *r) {
  cp_assert(fifo_count(r) > 0);
  return r->elements[r->taken++ & (r->capacity - 1)];
}

#pragma GCC visibility pop

#endif
