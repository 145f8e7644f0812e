/*
** Timers: see timer.h. While entries move, the heap has a hole, so that a step is one assignment
** and not a swap. Only `place` writes entries, so that `places` always has each timer's index.
*/
#include "core/timer.h"

#include <string.h>

#define FIRST_CAPACITY 16

/* The bytes of one timer in the three arrays. */
#define TIMER_BYTES (sizeof(timer_entry) + sizeof(timer *) + sizeof(uint32_t))

/* No number may reach TIMER_IDLE, and the block's size must fit in size_t. */
#define MOST_ENTRIES (SIZE_MAX / TIMER_BYTES)
#define MAX_CAPACITY (MOST_ENTRIES < TIMER_IDLE ? (uint32_t)MOST_ENTRIES : TIMER_IDLE)

static bool comes_before(const timer_entry *a, const timer_entry *b) {
  if (a->deadline_ns != b->deadline_ns) return a->deadline_ns < b->deadline_ns;
  return (int32_t)(a->order - b->order) < 0;
}

static uint32_t parent_of(uint32_t index) { return (index - 1) / TIMER_CHILDREN; }

static void place(timer_heap *heap, uint32_t index, timer_entry entry) {
  heap->entries[index] = entry;
  heap->places[entry.number] = index;
}

/* Puts `entry` where the hole at `index` ends up when later parents have moved down into it. */
static void sift_up(timer_heap *heap, uint32_t index, timer_entry entry) {
  while (index > 0 && comes_before(&entry, &heap->entries[parent_of(index)])) {
    place(heap, index, heap->entries[parent_of(index)]);
    index = parent_of(index);
  }
  place(heap, index, entry);
}

/*
** Returns the earliest child of `index`; `count` if it is a leaf. 64 bits, because 4 * index may
** not fit in 32.
*/
static uint32_t earliest_child(const timer_heap *heap, uint32_t index) {
  uint64_t first = (uint64_t)index * TIMER_CHILDREN + 1;
  if (first >= heap->count) return heap->count;
  uint64_t end = first + TIMER_CHILDREN < heap->count ? first + TIMER_CHILDREN : heap->count;
  uint64_t earliest = first;
  for (uint64_t i = first + 1; i < end; i++) {
    if (comes_before(&heap->entries[i], &heap->entries[earliest])) earliest = i;
  }
  return (uint32_t)earliest;
}

/* Puts `entry` where the hole at `index` ends up when earlier children have moved up into it. */
static void sift_down(timer_heap *heap, uint32_t index, timer_entry entry) {
  for (;;) {
    uint32_t child = earliest_child(heap, index);
    if (child == heap->count || !comes_before(&heap->entries[child], &entry)) break;
    place(heap, index, heap->entries[child]);
    index = child;
  }
  place(heap, index, entry);
}

/*
** Divides the block into the three arrays. Those with 64 bits come first, so that all are aligned.
*/
static void lay_out(timer_heap *heap, void *block, uint32_t capacity) {
  heap->entries = block;
  heap->timers = (timer **)(heap->entries + capacity);
  heap->places = (uint32_t *)(heap->timers + capacity);
  heap->capacity = capacity;
}

static bool grow(timer_heap *heap) {
  if (heap->capacity > MAX_CAPACITY / 2) return false;
  timer_heap old = *heap;
  uint32_t capacity = old.capacity == 0 ? FIRST_CAPACITY : old.capacity * 2;
  void *block = mem_new(heap->memory, capacity * TIMER_BYTES);
  if (block == NULL) return false;
  lay_out(heap, block, capacity);
  if (old.capacity > 0) {
    memcpy(heap->entries, old.entries, old.capacity * sizeof(timer_entry));
    memcpy(heap->timers, old.timers, old.capacity * sizeof(timer *));
    memcpy(heap->places, old.places, old.capacity * sizeof(uint32_t));
    mem_free(heap->memory, old.entries, old.capacity * TIMER_BYTES);
  }
  for (uint32_t number = old.capacity; number < capacity; number++) {
    heap->places[number] = number + 1;
  }
  return true;
}

void timer_heap_init(timer_heap *heap, const allocator *memory) {
  *heap = (timer_heap){.memory = memory};
}

void timer_heap_free(timer_heap *heap) {
  mem_free(heap->memory, heap->entries, heap->capacity * TIMER_BYTES);
  timer_heap_init(heap, heap->memory);
}

bool timer_heap_add(timer_heap *heap, timer *t, int64_t deadline_ns) {
  cp_assert(t->number == TIMER_IDLE);
  if (heap->count == heap->capacity && !grow(heap)) return false;
  t->number = heap->free & TIMER_IDLE;
  heap->free = heap->places[t->number];
  heap->timers[t->number] = t;
  timer_entry entry = {deadline_ns, heap->next_order++, t->number};
  sift_up(heap, heap->count++, entry);
  return true;
}

void timer_heap_remove(timer_heap *heap, timer *t) {
  uint32_t number = t->number;
  if (number == TIMER_IDLE) return;
  cp_assert(number < heap->capacity && heap->timers[number] == t);
  uint32_t index = heap->places[number];
  heap->places[number] = heap->free;
  heap->free = number;
  t->number = TIMER_IDLE;
  timer_entry last = heap->entries[--heap->count];
  if (index == heap->count) return;
  /* The last entry may come from another branch, so it may belong above the hole or below it. */
  if (index > 0 && comes_before(&last, &heap->entries[parent_of(index)])) {
    sift_up(heap, index, last);
  } else {
    sift_down(heap, index, last);
  }
}

timer *timer_heap_take_due(timer_heap *heap, int64_t now_ns) {
  if (heap->count == 0 || heap->entries[0].deadline_ns > now_ns) return NULL;
  timer *first = heap->timers[heap->entries[0].number];
  timer_heap_remove(heap, first);
  return first;
}

int64_t timer_heap_next_deadline(const timer_heap *heap) {
  return heap->count == 0 ? TIME_FOREVER : heap->entries[0].deadline_ns;
}

int64_t timer_heap_deadline_of(const timer_heap *heap, const timer *t) {
  cp_assert(t->number < heap->capacity && heap->timers[t->number] == t);
  return heap->entries[heap->places[t->number]].deadline_ns;
}
