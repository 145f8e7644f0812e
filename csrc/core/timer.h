/*
** Timers: which deadline comes next. A 4-ary heap of (deadline, sequence) pairs that knows where
** each timer stands, so that adding, firing and cancelling cost O(log n) each, with at most four
** comparisons per level and those in neighbouring memory; a million pending timers are one array.
** Timers of one deadline fire in the order in which they were added.
** Source: Williams 1964 (heapsort); LaMarca and Ladner 1996 for the four-fold node.
*/
#ifndef CP_CORE_TIMER_H
#define CP_CORE_TIMER_H

#include <stdbool.h>

#include "core/base.h"

/* The timer's place in the heap while it is not in it. */
#define TIMER_IDLE UINT32_MAX

/* Embedded in what waits. Set `index` to TIMER_IDLE before first use; then only the heap writes it. */
typedef struct timer {
  uint32_t index;
  uint32_t owner; /* for the user of the heap: what it is embedded in */
} timer;

typedef struct timer_entry {
  int64_t deadline_ns;
  uint64_t sequence; /* breaks ties: first in, first out */
  timer *timer;
} timer_entry;

typedef struct timer_heap {
  timer_entry *entries;
  uint32_t count;
  uint32_t capacity;
  uint64_t next_sequence;
  const allocator *memory;
} timer_heap;

/* An empty heap that owns no memory yet. `memory` must outlive it. */
void timer_heap_init(timer_heap *heap, const allocator *memory);

/* Frees the heap's memory. The timers in it belong to their owners and are left alone. */
void timer_heap_free(timer_heap *heap);

/* Adds an idle timer. False when there is no memory; the heap and the timer are then unchanged. */
bool timer_heap_add(timer_heap *heap, timer *t, int64_t deadline_ns);

/* Takes a timer out; harmless when it is idle. */
void timer_heap_remove(timer_heap *heap, timer *t);

/*
** Takes out and returns the earliest timer whose deadline is at or before `now_ns`; NULL: none is
** due.
*/
timer *timer_heap_take_due(timer_heap *heap, int64_t now_ns);

/* The earliest deadline, or TIME_FOREVER. */
int64_t timer_heap_next_deadline(const timer_heap *heap);

/* The deadline of a timer that is in the heap. */
int64_t timer_heap_deadline_of(const timer_heap *heap, const timer *t);

#endif
