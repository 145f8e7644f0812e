#include "core/fifo.h"

#define FIRST_CAPACITY 64

static void **place(const fifo *r, size_t number) {
  return &r->elements[number & (r->capacity - 1)];
}

bool fifo_reserve(fifo *r, const allocator *memory, size_t elements) {
  if (elements <= r->capacity) return true;
  size_t capacity = r->capacity == 0 ? FIRST_CAPACITY : r->capacity;
  while (capacity < elements) {
    if (capacity > SIZE_MAX / 2 / sizeof(void *)) return false;
    capacity *= 2;
  }
  fifo larger = {.capacity = capacity, .taken = r->taken, .added = r->added};
  larger.elements = mem_new(memory, capacity * sizeof(void *));
  if (larger.elements == NULL) return false;
  for (size_t i = r->taken; i != r->added; i++) *place(&larger, i) = *place(r, i);
  mem_free(memory, r->elements, r->capacity * sizeof(void *));
  *r = larger;
  return true;
}

/* Closes the gap from the nearer end. */
void *fifo_take_at(fifo *r, size_t index) {
  cp_assert(index < fifo_count(r));
  size_t at = r->taken + index;
  void *element = *place(r, at);
  if (index < fifo_count(r) / 2) {
    for (; at != r->taken; at--) *place(r, at) = *place(r, at - 1);
    r->taken++;
  } else {
    for (; at + 1 != r->added; at++) *place(r, at) = *place(r, at + 1);
    r->added--;
  }
  return element;
}

/* Looks from both ends at once. */
bool fifo_remove(fifo *r, const void *element) {
  size_t count = fifo_count(r);
  for (size_t i = 0; i < count - i; i++) {
    size_t index = i;
    if (fifo_at(r, index) != element) index = count - 1 - i;
    if (fifo_at(r, index) != element) continue;
    fifo_take_at(r, index);
    return true;
  }
  return false;
}
