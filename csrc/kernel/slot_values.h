/*
** The Lua values of the slots of threads (threads.h): each slot has its thread, and the live task
** that runs on it. They are user values of blocks, userdata without code that stand on the stack of a
** thread that never runs, as cells do. So both values of a slot lie side by side in memory, room for
** more is made without moving what is there, and the collector looks again only at blocks that have
** changed.
*/
#ifndef CP_KERNEL_SLOT_VALUES_H
#define CP_KERNEL_SLOT_VALUES_H

#include "compat.h"

#pragma GCC visibility push(hidden)

typedef enum slot_value { SLOT_THREAD, SLOT_TASK, SLOT_VALUES } slot_value;

enum { SLOT_BLOCK_BITS = 5, SLOTS_IN_BLOCK = 1 << SLOT_BLOCK_BITS };

typedef struct slot_values {
  lua_State *holder;
  uint32_t count; /* of the slots for which there is room, from 0 */
} slot_values;

/* Begins without room. Pushes the holder, which must live as long.   [-0, +1, m] */
void slot_values_init(slot_values *v, lua_State *L);

/* Makes room for the values of one slot, and of all before it.   [-0, +0, m] */
void slot_values_reserve(slot_values *v, lua_State *L, uint32_t slot);

/* Returns the block of a slot, an index on the holder's stack. */
static inline int slot_block(uint32_t slot) { return (int)(slot >> SLOT_BLOCK_BITS) + 1; }

/* Returns the number of a slot's user value in its block. */
static inline int slot_user_value(uint32_t slot, slot_value which) {
  return (int)((slot & (SLOTS_IN_BLOCK - 1)) * SLOT_VALUES + which) + 1;
}

/* Pushes a value of the slot, for which there is room, to the holder.   [-0, +0, -] */
static inline void slot_values_load(const slot_values *v, uint32_t slot, slot_value which) {
  lua_getiuservalue(v->holder, slot_block(slot), slot_user_value(slot, which));
}

/* Pops a value of the holder, and makes it that of the slot, for which there is room.   [-0, +0, -] */
static inline void slot_values_store(const slot_values *v, uint32_t slot, slot_value which) {
  lua_setiuservalue(v->holder, slot_block(slot), slot_user_value(slot, which));
}

/* Pushes a value of the slot to L.   [-0, +1, -] */
static inline void slot_values_push(const slot_values *v, lua_State *L, uint32_t slot,
                                    slot_value which) {
  slot_values_load(v, slot, which);
  lua_xmove(v->holder, L, 1);
}

/* Pops a value of L, and makes it that of the slot.   [-1, +0, -] */
static inline void slot_values_set(const slot_values *v, lua_State *L, uint32_t slot,
                                   slot_value which) {
  lua_xmove(L, v->holder, 1);
  slot_values_store(v, slot, which);
}

/* Makes a value of the slot nil.   [-0, +0, -] */
static inline void slot_values_clear(const slot_values *v, uint32_t slot, slot_value which) {
  lua_pushnil(v->holder);
  slot_values_store(v, slot, which);
}

#pragma GCC visibility pop

#endif
