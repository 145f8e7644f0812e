/*
** What the filter knows of the requests under way, by the host's number of their context. Bounded:
** a request that finds no room is not followed, and passes as it is.
*/
#ifndef CP_MESH_STREAMS_H
#define CP_MESH_STREAMS_H

#include <stdbool.h>

#include "core/base.h"
#include "mesh/coropanic_mesh.h"

#pragma GCC visibility push(hidden)

enum {
  STREAMS_MAX = 2048, /* at the same time, of one worker */
  STREAMS_BUCKETS = 4096,
  STREAM_MAX_HOST = 128,
};

typedef enum stream_state {
  STREAM_REQUEST,   /* its response has not come */
  STREAM_BUFFERING, /* an error's body is waited for */
  STREAM_DROPPING,  /* the body was replaced: what still comes of it is thrown away */
  STREAM_DONE,      /* passes as it is */
} stream_state;

typedef struct stream {
  uint32_t id;
  uint32_t plugin; /* the number of the plugin's context */
  stream_state state;
  bool traced; /* whether `trace_id` and so on are known */
  uint8_t flags;
  uint8_t trace_id[16];
  uint64_t span_id;
  uint32_t status;
  uint32_t body_size; /* of what the host has buffered */
  uint32_t host_size;
  char host[STREAM_MAX_HOST];
  uint32_t next; /* in its bucket, or in the free list: an index + 1; 0: none */
} stream;

/* All zero is an empty table. */
typedef struct stream_table {
  uint32_t used; /* streams below were in use once */
  uint32_t free; /* the first that is free again */
  uint32_t buckets[STREAMS_BUCKETS];
  stream streams[STREAMS_MAX];
} stream_table;

/* Adds a request. NULL if there is no room, or the number is in use. */
stream *stream_add(stream_table *table, uint32_t id, uint32_t plugin);

/* NULL if it is not there. Valid until it is removed. */
stream *stream_find(stream_table *table, uint32_t id);

/* Does nothing if it is not there. */
void stream_remove(stream_table *table, uint32_t id);

#pragma GCC visibility pop

#endif
