/*
** Timers: see timer.h. The heap keeps a hole while it moves entries, so that a step is one
** assignment and not a swap; `place` alone writes entries, so that every timer always knows its
** index.
*/
#include "core/timer.h"

#define CHILDREN 4
#define FIRST_CAPACITY 16

/* No index may reach TIMER_IDLE, and the array's size must fit in size_t. */
#define MOST_ENTRIES (SIZE_MAX / sizeof(timer_entry))
#define MAX_CAPACITY (MOST_ENTRIES < UINT32_MAX ? (uint32_t)MOST_ENTRIES : UINT32_MAX)

static bool comes_before(const timer_entry *a, const timer_entry *b) {
  if (a->deadline_ns != b->deadline_ns) return a->deadline_ns < b->deadline_ns;
  return a->sequence < b->sequence;
}

static uint32_t parent_of(uint32_t index) { return (index - 1) / CHILDREN; }

static void place(timer_heap *heap, uint32_t index, timer_entry entry) {
  heap->entries[index] = entry;
  entry.timer->index = index;
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
** The earliest child of `index`, or `count` when it is a leaf. 64 bits: 4 * index may not fit in
** 32.
*/
static uint32_t earliest_child(const timer_heap *heap, uint32_t index) {
  uint64_t first = (uint64_t)index * CHILDREN + 1;
  if (first >= heap->count) return heap->count;
  uint64_t end = first + CHILDREN < heap->count ? first + CHILDREN : heap->count;
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

static bool grow(timer_heap *heap) {
  if (heap->capacity > MAX_CAPACITY / 2) return false;
  uint32_t capacity = heap->capacity == 0 ? FIRST_CAPACITY : heap->capacity * 2;
  size_t old_size = heap->capacity * sizeof(timer_entry);
  void *entries = mem_resize(heap->memory, heap->entries, old_size, capacity * sizeof(timer_entry));
  if (entries == NULL) return false;
  heap->entries = entries;
  heap->capacity = capacity;
  return true;
}

void timer_heap_init(timer_heap *heap, const allocator *memory) {
  *heap = (timer_heap){.memory = memory};
}

void timer_heap_free(timer_heap *heap) {
  mem_free(heap->memory, heap->entries, heap->capacity * sizeof(timer_entry));
  timer_heap_init(heap, heap->memory);
}

bool timer_heap_add(timer_heap *heap, timer *t, int64_t deadline_ns) {
  cp_assert(t->index == TIMER_IDLE);
  if (heap->count == heap->capacity && !grow(heap)) return false;
  timer_entry entry = {deadline_ns, heap->next_sequence++, t};
  sift_up(heap, heap->count++, entry);
  return true;
}

void timer_heap_remove(timer_heap *heap, timer *t) {
  uint32_t index = t->index;
  if (index == TIMER_IDLE) return;
  cp_assert(index < heap->count && heap->entries[index].timer == t);
  t->index = TIMER_IDLE;
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
  timer *first = heap->entries[0].timer;
  timer_heap_remove(heap, first);
  return first;
}

int64_t timer_heap_next_deadline(const timer_heap *heap) {
  return heap->count == 0 ? TIME_FOREVER : heap->entries[0].deadline_ns;
}

int64_t timer_heap_deadline_of(const timer_heap *heap, const timer *t) {
  cp_assert(t->index < heap->count && heap->entries[t->index].timer == t);
  return heap->entries[t->index].deadline_ns;
}
