/*
** Cells keep Lua values for C code, where the collector sees them. A cell is a user value of a
** block, a userdata without code, and blocks stand on the stack of a thread that never runs. So a
** cell costs 20 bytes, is found by its number alone, and is set and freed without memory.
**
** Cells make chains: each has the number of the next.
*/
#ifndef CP_KERNEL_CELLS_H
#define CP_KERNEL_CELLS_H

#include "compat.h"
#include "core/base.h"
#include "core/list.h"

#pragma GCC visibility push(hidden)

struct runtime;

/* The position of its block, then CELL_BITS for its index there; 0: none. */
typedef uint32_t cell;

enum { CELL_BITS = 7, CELL_BLOCK = 1 << CELL_BITS, FIRST_CELL_BLOCK = 8 };

typedef struct cell_block {
  list link;         /* in cells.with_room, if it has a free cell */
  uint32_t position; /* index on the holder's stack */
  uint16_t size;
  uint16_t used;
  uint32_t free;   /* index of the first free cell + 1; 0: none */
  uint32_t next[]; /* of a cell in use: the next in its chain; of a free one: as `free` */
} cell_block;

typedef struct cells {
  struct runtime *runtime; /* that they belong to */
  lua_State *holder;
  cell_block *last; /* the one that was used last, so that it is found at once */
  list with_room;
  uint32_t free_count; /* free cells */
  uint32_t next_size;  /* of the next block */
  uint32_t vacant;     /* positions of blocks that were dropped ... */
  uint32_t lowest;     /* ... none of which is below this one */
} cells;

/* Makes cells, with no blocks yet. Pushes the holder, which must live as long.   [-0, +1, m] */
void cells_init(cells *c, struct runtime *rt, lua_State *L);

/* Makes one more block.   [-0, +0, m] */
void cells_add_block(cells *c, lua_State *L);

/* Makes sure that so many cells are free. If none have to be made, calls nothing of scripts.
** [-0, +0, m] */
static inline void cells_reserve(cells *c, lua_State *L, uint32_t wanted) {
  while (c->free_count < wanted) cells_add_block(c, L);
}

/*
** The same, protected. Returns LUA_OK, or the status of the error, which may also be that of a
** debug hook, and pushes that unless there was no memory.   [-0, +(0|1), -]
*/
int cells_try_reserve(cells *c, lua_State *L, uint32_t wanted);

/* Called when a block has no cell in use any more and there are many free ones. */
void cells_drop_block(cells *c, cell_block *b);

static inline cell_block *cells_block(cells *c, cell x) {
  uint32_t position = x >> CELL_BITS;
  if (c->last->position != position) {
    c->last = (cell_block *)lua_touserdata(c->holder, (int)position);
  }
  return c->last;
}

static inline uint32_t cell_index(cell x) { return x & (CELL_BLOCK - 1); }

static inline cell cells_next(cells *c, cell x) { return cells_block(c, x)->next[cell_index(x)]; }

static inline void cells_set_next(cells *c, cell x, cell next) {
  cells_block(c, x)->next[cell_index(x)] = next;
}

/* Pops a value of the holder into the cell.   [-0, +0, -] */
static inline void cells_store(const cells *c, cell x) {
  lua_setiuservalue(c->holder, (int)(x >> CELL_BITS), (int)cell_index(x) + 1);
}

/* Pushes the cell's value to the holder.   [-0, +0, -] */
static inline void cells_load(const cells *c, cell x) {
  lua_getiuservalue(c->holder, (int)(x >> CELL_BITS), (int)cell_index(x) + 1);
}

/* Pops a value of L into the cell.   [-1, +0, -] */
static inline void cells_set(const cells *c, lua_State *L, cell x) {
  lua_xmove(L, c->holder, 1);
  cells_store(c, x);
}

/* Pushes the cell's value to L.   [-0, +1, -] */
static inline void cells_push(const cells *c, lua_State *L, cell x) {
  cells_load(c, x);
  lua_xmove(c->holder, L, 1);
}

/* Makes the cell's value nil.   [-0, +0, -] */
static inline void cells_clear(const cells *c, cell x) {
  lua_pushnil(c->holder);
  cells_store(c, x);
}

/* Copies the value of one cell to another.   [-0, +0, -] */
static inline void cells_copy(const cells *c, cell from, cell to) {
  cells_load(c, from);
  cells_store(c, to);
}

/* Takes a free cell, which must have been reserved, and puts it before `next`. Its value is nil. */
static inline cell cells_take(cells *c, cell next) {
  cp_assert(c->free_count > 0);
  cell_block *b = container_of(c->with_room.next, cell_block, link);
  uint32_t index = b->free - 1;
  b->free = b->next[index];
  b->next[index] = next;
  b->used++;
  c->free_count--;
  if (b->free == 0) list_remove(&b->link);
  return b->position << CELL_BITS | index;
}

/* Frees a cell of the block, whose value is nil. */
static inline void cells_free_in(cells *c, cell_block *b, uint32_t index) {
  if (b->free == 0) list_prepend(&c->with_room, &b->link);
  b->next[index] = b->free;
  b->free = index + 1;
  c->free_count++;
  if (--b->used == 0 && c->free_count > 3 * CELL_BLOCK) cells_drop_block(c, b);
}

static inline void cells_free(cells *c, cell x) {
  cells_free_in(c, cells_block(c, x), cell_index(x));
}

#pragma GCC visibility pop

#endif
