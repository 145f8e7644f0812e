#include "core/list.h"

#include "harness.h"

enum { ITEMS = 6 };

typedef struct item {
  char name;
  list link;
} item;

static item items[ITEMS];
static list queue, other;

/* Items a to f in no list, and two empty lists. */
static void set_up(void) {
  list_init(&queue);
  list_init(&other);
  for (int i = 0; i < ITEMS; i++) {
    items[i].name = (char)('a' + i);
    list_init(&items[i].link);
  }
}

static void append(list *head, const char *names) {
  for (; *names != '\0'; names++) list_append(head, &items[*names - 'a'].link);
}

/* Forwards, then backwards, so that both chains of links are checked. */
static void check_list(const list *head, const char *expected) {
  char forwards[ITEMS + 1] = "", backwards[ITEMS + 1] = "";
  size_t count = 0, position = 0;
  for (const list *l = head->next; l != head && count < ITEMS; l = l->next) {
    forwards[count++] = container_of(l, item, link)->name;
  }
  check_text(forwards, count, expected);
  for (const list *l = head->prev; l != head && position < count; l = l->prev) {
    backwards[count - ++position] = container_of(l, item, link)->name;
  }
  check_text(backwards, position, expected);
  check_int(list_empty(head), count == 0);
}

static void a_new_list_is_empty(void) {
  set_up();
  check(list_empty(&queue));
  check_list(&queue, "");
}

static void appended_elements_keep_their_order(void) {
  set_up();
  append(&queue, "abc");
  check_list(&queue, "abc");
}

static void the_first_element_is_taken_first(void) {
  set_up();
  append(&queue, "abc");
  check_pointer(list_take_first(&queue), &items[0].link);
  check_pointer(list_take_first(&queue), &items[1].link);
  check_list(&queue, "c");
}

static void nothing_is_taken_from_an_empty_list(void) {
  set_up();
  check_pointer(list_take_first(&queue), NULL);
  append(&queue, "a");
  list_take_first(&queue);
  check_pointer(list_take_first(&queue), NULL);
}

static void an_element_leaves_from_any_place(void) {
  static const char *const rest[] = {"bcd", "acd", "abd", "abc"};
  for (int i = 0; i < 4; i++) {
    note("removing %c", 'a' + i);
    set_up();
    append(&queue, "abcd");
    list_remove(&items[i].link);
    check_list(&queue, rest[i]);
  }
}

static void an_element_that_left_points_to_itself(void) {
  set_up();
  append(&queue, "ab");
  list_remove(&items[0].link);
  check(list_empty(&items[0].link));
  check(list_empty(list_take_first(&queue)));
}

static void removing_twice_is_harmless(void) {
  set_up();
  append(&queue, "abc");
  list_remove(&items[1].link);
  list_remove(&items[1].link);
  check_list(&queue, "ac");
}

static void an_element_that_left_may_join_again(void) {
  set_up();
  append(&queue, "abc");
  list_remove(&items[0].link);
  append(&queue, "a");
  check_list(&queue, "bca");
}

static void all_elements_move_behind_those_of_another_list(void) {
  set_up();
  append(&queue, "ab");
  append(&other, "cde");
  list_append_all(&queue, &other);
  check_list(&queue, "abcde");
  check_list(&other, "");
}

static void all_elements_move_into_an_empty_list(void) {
  set_up();
  append(&other, "abc");
  list_append_all(&queue, &other);
  check_list(&queue, "abc");
  check_list(&other, "");
}

static void moving_no_elements_changes_nothing(void) {
  set_up();
  append(&queue, "ab");
  list_append_all(&queue, &other);
  check_list(&queue, "ab");
  check_list(&other, "");
}

static void a_list_that_was_emptied_is_usable(void) {
  set_up();
  append(&other, "ab");
  list_append_all(&queue, &other);
  append(&other, "c");
  append(&queue, "d");
  check_list(&other, "c");
  check_list(&queue, "abd");
}

/* --- rings --- */

static list *ring;

static void set_up_ring(const char *names) {
  set_up();
  ring = NULL;
  for (; *names != '\0'; names++) ring_append(&ring, &items[*names - 'a'].link);
}

static void check_ring(const char *expected) {
  char names[ITEMS + 1] = "";
  size_t count = 0;
  list *l = NULL;
  while ((l = ring_next(ring, l)) != NULL && count < ITEMS) {
    names[count++] = container_of(l, item, link)->name;
  }
  check_text(names, count, expected);
}

static void a_ring_keeps_the_order(void) {
  set_up_ring("abc");
  check_ring("abc");
}

static void an_element_leaves_a_ring_from_any_place(void) {
  set_up_ring("abcd");
  ring_remove(&ring, &items[1].link);
  check_ring("acd");
  ring_remove(&ring, &items[3].link);
  check_ring("ac");
  ring_remove(&ring, &items[0].link);
  check_ring("c");
  ring_remove(&ring, &items[2].link);
  check_pointer(ring, NULL);
}

static void a_ring_goes_on_behind_a_last_element_that_has_left(void) {
  set_up_ring("abc");
  ring_remove(&ring, &items[2].link);
  ring_append(&ring, &items[3].link);
  check_ring("abd");
}

static void removing_what_is_in_no_ring_is_harmless(void) {
  set_up_ring("ab");
  ring_remove(&ring, &items[2].link);
  check_ring("ab");
  set_up_ring("");
  ring_remove(&ring, &items[2].link);
  check_pointer(ring, NULL);
}

static const test tests[] = {
    TEST(a_new_list_is_empty),
    TEST(appended_elements_keep_their_order),
    TEST(the_first_element_is_taken_first),
    TEST(nothing_is_taken_from_an_empty_list),
    TEST(an_element_leaves_from_any_place),
    TEST(an_element_that_left_points_to_itself),
    TEST(removing_twice_is_harmless),
    TEST(an_element_that_left_may_join_again),
    TEST(all_elements_move_behind_those_of_another_list),
    TEST(all_elements_move_into_an_empty_list),
    TEST(moving_no_elements_changes_nothing),
    TEST(a_list_that_was_emptied_is_usable),
    TEST(a_ring_keeps_the_order),
    TEST(an_element_leaves_a_ring_from_any_place),
    TEST(a_ring_goes_on_behind_a_last_element_that_has_left),
    TEST(removing_what_is_in_no_ring_is_harmless),
};

SUITE(list);
