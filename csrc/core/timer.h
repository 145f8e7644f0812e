/*
** Timers, ordered by deadline. A 4-ary heap of (deadline, order) pairs: adding, firing and
** cancelling cost O(log n) each, with at most four comparisons per level, all in neighbouring
** memory. An array beside the heap says where each timer stands in it. The timers themselves do
** not, so that moving an entry touches no memory of waiting tasks, which is long out of the cache.
** Timers with the same deadline fire in the order in which they were added (as long as at most 2^31
** are pending). Source: Williams 1964 (heapsort); LaMarca and Ladner 1996 for the four-fold node.
*/
#ifndef CP_CORE_TIMER_H
#define CP_CORE_TIMER_H

#include <stdbool.h>

#include "core/base.h"

#pragma GCC visibility push(hidden)

/* The children of a timer in the heap. */
#define TIMER_CHILDREN 4

/* The number of a timer that is not in the heap. All others are smaller. */
#define TIMER_IDLE (UINT32_MAX >> 2)

/*
** Embedded in the object that waits. Set `number` to TIMER_IDLE before first use; then only the
** heap writes it.
*/
typedef struct timer {
  uint32_t number : 30; /* in the heap's `timers` and `places` */
  uint32_t owner : 2;   /* for the user of the heap: what it is embedded in */
} timer;

typedef struct timer_entry {
  int64_t deadline_ns;
  uint32_t order; /* breaks ties: first in, first out */
  uint32_t number;
} timer_entry;

/* The three arrays are one block of memory. */
typedef struct timer_heap {
  timer_entry *entries;
  timer **timers;   /* by number */
  uint32_t *places; /* by number: index in `entries`; of a free number: the next free one */
  uint32_t count;
  uint32_t capacity;
  uint32_t free; /* the first free number; `capacity`: all are in use */
  uint32_t next_order;
  const allocator *memory;
} timer_heap;

/* Makes an empty heap that owns no memory yet. `memory` must outlive it. */
void timer_heap_init(timer_heap *heap, const allocator *memory);

/* Frees the heap's memory. The timers in it belong to their owners and are left alone. */
void timer_heap_free(timer_heap *heap);

/* Adds an idle timer. False if there is no memory; the heap and the timer are then unchanged. */
bool timer_heap_add(timer_heap *heap, timer *t, int64_t deadline_ns);

/* Takes a timer out; harmless if it is idle. */
void timer_heap_remove(timer_heap *heap, timer *t);

/*
** Takes out and returns the earliest timer whose deadline is at or before `now_ns`; NULL if none is
** due.
*/
timer *timer_heap_take_due(timer_heap *heap, int64_t now_ns);

/*
** Returns the timer at `index` of the heap, below its count: the earliest is at 0, and the next one is
** among the TIMER_CHILDREN after it.
*/
static inline const timer *timer_heap_at(const timer_heap *heap, uint32_t index) {
  return heap->timers[heap->entries[index].number];
}

/* Returns the earliest deadline, or TIME_FOREVER. */
int64_t timer_heap_next_deadline(const timer_heap *heap);

/* Returns the deadline of a timer that is in the heap. */
int64_t timer_heap_deadline_of(const timer_heap *heap, const timer *t);

#pragma GCC visibility pop

#endif
