#include "mesh/streams.h"

#include <string.h>

#include "../core/harness.h"

static stream_table table;

static void a_stream_is_found_until_it_is_removed(void) {
  memset(&table, 0, sizeof table);
  stream *first = stream_add(&table, 7, 1);
  stream *second = stream_add(&table, 7 + STREAMS_BUCKETS, 2); /* of the same bucket */
  stream *third = stream_add(&table, 7 + 2 * STREAMS_BUCKETS, 1);
  check(first != NULL && second != NULL && third != NULL);
  check_pointer(stream_find(&table, 7 + STREAMS_BUCKETS), second);
  check_int(second->plugin, 2);
  stream_remove(&table, 7 + STREAMS_BUCKETS);
  check_pointer(stream_find(&table, 7 + STREAMS_BUCKETS), NULL);
  check_pointer(stream_find(&table, 7), first);
  check_pointer(stream_find(&table, 7 + 2 * STREAMS_BUCKETS), third);
  stream_remove(&table, 7 + STREAMS_BUCKETS);
  stream_remove(&table, 99);
  check_pointer(stream_add(&table, 8, 1), second); /* its place is free again */
}

static void a_number_that_is_in_use_is_refused(void) {
  memset(&table, 0, sizeof table);
  check(stream_add(&table, 7, 1) != NULL);
  check_pointer(stream_add(&table, 7, 1), NULL);
}

static void there_is_room_for_so_many_and_no_more(void) {
  memset(&table, 0, sizeof table);
  for (uint32_t id = 1; id <= STREAMS_MAX; id++) check(stream_add(&table, id * 37, 1) != NULL);
  check_pointer(stream_add(&table, 36, 1), NULL);
  check_pointer(stream_find(&table, 36), NULL);
  stream_remove(&table, 37);
  check(stream_add(&table, 36, 1) != NULL);
  for (uint32_t id = 2; id <= STREAMS_MAX; id++)
    check_int(stream_find(&table, id * 37)->id, id * 37);
}

static const test tests[] = {
    TEST(a_stream_is_found_until_it_is_removed),
    TEST(a_number_that_is_in_use_is_refused),
    TEST(there_is_room_for_so_many_and_no_more),
};

SUITE(streams);
