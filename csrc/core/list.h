/*
** An intrusive, circular, doubly linked list. The links live in the elements, so that joining and
** leaving a queue neither allocates nor searches. A `list` is either a head or the link of one
** element. The link of an element that is in no list points to itself.
*/
#ifndef CP_CORE_LIST_H
#define CP_CORE_LIST_H

#include <stdbool.h>

#include "core/base.h"

typedef struct list {
  struct list *next;
  struct list *prev;
} list;

static inline void list_init(list *l) { l->next = l->prev = l; }

static inline bool list_empty(const list *l) { return l->next == l; }

/* Puts `element`, which is in no list, at the end of `head`. */
static inline void list_append(list *head, list *element) {
  cp_assert(list_empty(element));
  element->prev = head->prev;
  element->next = head;
  head->prev->next = element;
  head->prev = element;
}

/* Puts `element`, which is in no list, at the front of `head`. */
static inline void list_prepend(list *head, list *element) { list_append(head->next, element); }

/* Takes `element` out of its list; harmless if it is in none. */
static inline void list_remove(list *element) {
  element->prev->next = element->next;
  element->next->prev = element->prev;
  list_init(element);
}

/* Takes the first element out and returns it; NULL if the list is empty. */
static inline list *list_take_first(list *head) {
  list *first = head->next;
  if (first == head) return NULL;
  list_remove(first);
  return first;
}

/*
** A ring is a list without a head, so that an object that seldom has one needs a single pointer: to
** the last element, NULL for none.
*/

/* Puts `element`, which is in no list, at the end of the ring. */
static inline void ring_append(list **last, list *element) {
  if (*last != NULL) list_prepend(*last, element);
  *last = element;
}

/* Takes `element` out of the ring; harmless if it is in none. */
static inline void ring_remove(list **last, list *element) {
  if (*last == element) *last = list_empty(element) ? NULL : element->prev;
  list_remove(element);
}

/*
** Iterates over the ring: returns the first element if `previous` is NULL, else the one after
** `previous`, or NULL at the end.
*/
static inline list *ring_next(const list *last, list *previous) {
  if (previous == last) return NULL;
  return previous == NULL ? last->next : previous->next;
}

/* Moves all elements of `from` to the end of `to`, in order. */
static inline void list_append_all(list *to, list *from) {
  if (list_empty(from)) return;
  from->next->prev = to->prev;
  to->prev->next = from->next;
  from->prev->next = to;
  to->prev = from->prev;
  list_init(from);
}

#endif
