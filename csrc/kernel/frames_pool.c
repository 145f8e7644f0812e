#include "kernel/frames_pool.h"

#include "kernel/runtime.h"

#define SLAB_SIZE 32

/* A slab goes when none of its frame stacks is in use, and so many of others are at rest. */
#define MOST_AT_REST 1024

typedef struct slab {
  list link;         /* in the pool's with_room, if a frame stack is at rest */
  int anchor;        /* in the runtime's anchor table */
  uint32_t used;     /* frame stacks in use */
  frame_stack *free; /* those at rest, by next_free */
  frame_stack stacks[SLAB_SIZE];
} slab;

void frames_pool_init(frames_pool *pool) {
  list_init(&pool->with_room);
  pool->free_count = 0;
}

static void add_slab(runtime *rt, lua_State *L) {
  slab *b = lua_newuserdatauv(L, sizeof(slab), 0);
  b->used = 0;
  b->free = NULL;
  for (int i = SLAB_SIZE - 1; i >= 0; i--) {
    frame_stack *s = &b->stacks[i];
    frames_init(s, &rt->cells);
    s->place = (unsigned)i & (SLAB_SIZE - 1U);
    s->next_free = b->free;
    b->free = s;
  }
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->anchors_ref);
  lua_insert(L, -2);
  b->anchor = luaL_ref(L, -2);
  lua_pop(L, 1);
  list_init(&b->link);
  list_append(&rt->frames.with_room, &b->link);
  rt->frames.free_count += SLAB_SIZE;
}

frame_stack *frames_pool_take(runtime *rt, lua_State *L) {
  frames_pool *pool = &rt->frames;
  /* A finalizer that runs meanwhile may take what is there. */
  while (list_empty(&pool->with_room) || rt->cells.free_count < FRAMES_SPARE) {
    if (list_empty(&pool->with_room)) add_slab(rt, L);
    cells_reserve(&rt->cells, L, FRAMES_SPARE);
  }
  slab *b = container_of(pool->with_room.next, slab, link);
  frame_stack *s = b->free;
  b->free = s->next_free;
  s->innermost = NULL;
  if (b->free == NULL) list_remove(&b->link);
  b->used++;
  pool->free_count--;
  frames_take_spares(s);
  return s;
}

/* Frees a slab of which no frame stack is in use.   [-0, +0, -] */
static void drop_slab(runtime *rt, lua_State *L, slab *b) {
  list_remove(&b->link);
  rt->frames.free_count -= SLAB_SIZE;
  for (int i = 0; i < SLAB_SIZE; i++) frames_free(&b->stacks[i], &rt->memory);
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->anchors_ref);
  luaL_unref(L, -1, b->anchor);
  lua_pop(L, 1);
}

void frames_pool_give(runtime *rt, lua_State *L, frame_stack *s) {
  slab *b = container_of(s - s->place, slab, stacks);
  frames_clear(s, &rt->memory);
  if (b->free == NULL) list_prepend(&rt->frames.with_room, &b->link);
  s->next_free = b->free;
  b->free = s;
  rt->frames.free_count++;
  if (--b->used == 0 && rt->frames.free_count >= MOST_AT_REST + SLAB_SIZE) drop_slab(rt, L, b);
}
