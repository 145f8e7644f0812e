/* The requests under way: see streams.h. */
#include "mesh/streams.h"

/* Hosts count contexts upwards: neighbours are in different buckets. */
static uint32_t *bucket_of(stream_table *table, uint32_t id) {
  return &table->buckets[id % STREAMS_BUCKETS];
}

/* The link that names the stream; the empty one at its bucket's end if it is not there. */
static uint32_t *link_of(stream_table *table, uint32_t id) {
  uint32_t *link = bucket_of(table, id);
  while (*link != 0 && table->streams[*link - 1].id != id) link = &table->streams[*link - 1].next;
  return link;
}

stream *stream_find(stream_table *table, uint32_t id) {
  uint32_t number = *link_of(table, id);
  return number != 0 ? &table->streams[number - 1] : NULL;
}

/* The number of a stream that is not in use; 0 if all are. */
static uint32_t take_free(stream_table *table) {
  uint32_t number = table->free;
  if (number == 0) return table->used < STREAMS_MAX ? ++table->used : 0;
  table->free = table->streams[number - 1].next;
  return number;
}

stream *stream_add(stream_table *table, uint32_t id, uint32_t plugin) {
  uint32_t *link = link_of(table, id);
  uint32_t number = *link == 0 ? take_free(table) : 0;
  if (number == 0) return NULL;
  *link = number;
  stream *added = &table->streams[number - 1];
  *added = (stream){.id = id, .plugin = plugin, .state = STREAM_REQUEST};
  return added;
}

void stream_remove(stream_table *table, uint32_t id) {
  uint32_t *link = link_of(table, id);
  uint32_t number = *link;
  if (number == 0) return;
  *link = table->streams[number - 1].next;
  table->streams[number - 1].next = table->free;
  table->free = number;
}
