#include "runtime/strand.h"

#include <string.h>

#define EXIT_INDEX 1 /* of the exit record in `values` */
#define FIRST_FRAMES 4

/* Slots of `values` kept free once a call is deferred: a record and a nil fit without memory. */
#define RESERVED_SLOTS 4

bool strand_reserve_frames(strand *s, const allocator *memory, uint32_t wanted) {
  if (wanted <= s->capacity) return true;
  uint32_t capacity = s->capacity == 0 ? FIRST_FRAMES : s->capacity * 2;
  if (capacity < wanted) capacity = wanted;
  frame *frames =
      mem_resize(memory, s->frames, s->capacity * sizeof(frame), capacity * sizeof(frame));
  if (frames == NULL) return false;
  s->frames = frames;
  s->capacity = capacity;
  return true;
}

bool strand_defer(strand *s, const allocator *memory, lua_State *L, int count, uint64_t serial) {
  cp_assert(count >= 1 && count <= DEFER_MAX_VALUES);
  if (!strand_reserve_frames(s, memory, s->depth + 1)) return false;
  if (!lua_checkstack(s->values, count + 1 + RESERVED_SLOTS)) return false;
  lua_xmove(L, s->values, count);
  lua_pushinteger(s->values, (lua_Integer)(serial << DEFER_COUNT_BITS | (uint64_t)count));
  strand_top(s)->deferred++;
  return true;
}

/* The tag at `index` of `values`, taken apart. */
static int tag_count(const strand *s, int index) {
  return (int)(lua_tointeger(s->values, index) & DEFER_MAX_VALUES);
}

static uint64_t tag_serial(const strand *s, int index) {
  return (uint64_t)lua_tointeger(s->values, index) >> DEFER_COUNT_BITS;
}

bool strand_return(strand *s, lua_State *L, int results) {
  frame *f = strand_top(s);
  cp_assert(f->state == STATE_BODY);
  if (!lua_checkstack(s->values, results + 1 + RESERVED_SLOTS)) return false;
  f->outcome = (uint32_t)lua_gettop(s->values) + 1;
  f->results = (uint32_t)results;
  lua_xmove(L, s->values, results);
  lua_pushnil(s->values);
  f->state = STATE_RETURNING;
  return true;
}

void strand_unwind(strand *s, lua_State *L, frame_state state) {
  frame *f = strand_top(s);
  if (f->outcome == 0) {
    f->outcome = (uint32_t)lua_gettop(s->values) + 1;
    f->results = 0;
    lua_xmove(L, s->values, 1);
  } else {
    lua_xmove(L, s->values, 1);
    lua_replace(s->values, (int)(f->outcome + f->results));
  }
  f->state = (uint8_t)state;
}

void strand_recovered(strand *s) {
  frame *f = strand_top(s);
  if (strand_is_exiting(s)) {
    lua_pushvalue(s->values, EXIT_INDEX);
    f->state = STATE_EXITING;
  } else {
    lua_pushnil(s->values);
    f->state = STATE_RETURNING;
  }
  lua_replace(s->values, (int)(f->outcome + f->results));
}

int strand_next_deferred(const strand *s) {
  const frame *f = strand_top(s);
  if (f->deferred == 0) return 0;
  return tag_count(s, f->outcome != 0 ? (int)f->outcome - 1 : -1);
}

void strand_take_deferred(strand *s, lua_State *L) {
  frame *f = strand_top(s);
  int count = strand_next_deferred(s);
  int start = (int)f->outcome - 1 - count;
  /* The outcome stands above the call: turn them round. */
  lua_rotate(s->values, start, (int)f->results + 1);
  lua_pop(s->values, 1);
  lua_xmove(s->values, L, count);
  f->outcome = (uint32_t)start;
  f->deferred--;
}

/* Where in `values` a deferred call stands, and whose it is. */
typedef struct place {
  int tag;        /* index of its tag; 0: not found */
  uint32_t frame; /* index of its frame */
} place;

static place find_serial(const strand *s, uint64_t serial) {
  int index = lua_gettop(s->values);
  for (uint32_t i = s->depth; i-- > 0;) {
    const frame *f = &s->frames[i];
    if (f->outcome != 0) index = (int)f->outcome - 1;
    for (uint32_t n = 0; n < f->deferred; n++) {
      if (tag_serial(s, index) == serial) return (place){.tag = index, .frame = i};
      index -= tag_count(s, index) + 1;
    }
  }
  return (place){0};
}

int strand_find_deferred(const strand *s, uint64_t serial) {
  place p = find_serial(s, serial);
  return p.tag == 0 ? 0 : tag_count(s, p.tag);
}

/* Outcomes that stand above a change of `values` move with it. */
static void shift_outcomes(strand *s, uint32_t from_frame, int by) {
  for (uint32_t i = from_frame; i < s->depth; i++) {
    if (s->frames[i].outcome != 0) s->frames[i].outcome += (uint32_t)by;
  }
}

void strand_take_found(strand *s, lua_State *L, uint64_t serial) {
  place p = find_serial(s, serial);
  cp_assert(p.tag != 0);
  int count = tag_count(s, p.tag);
  lua_rotate(s->values, p.tag - count, -(count + 1));
  lua_pop(s->values, 1);
  lua_xmove(s->values, L, count);
  s->frames[p.frame].deferred--;
  shift_outcomes(s, p.frame, -(count + 1));
}

int strand_outcome_size(const strand *s) {
  const frame *f = strand_top(s);
  return f->state == STATE_RETURNING ? (int)f->results : 1;
}

int strand_take_outcome(strand *s, lua_State *L) {
  frame *f = strand_top(s);
  int size = strand_outcome_size(s);
  if (f->state == STATE_RETURNING) lua_pop(s->values, 1);
  lua_xmove(s->values, L, size);
  strand_drop_outcome(s);
  return size;
}

void strand_drop_outcome(strand *s) {
  frame *f = strand_top(s);
  lua_settop(s->values, (int)f->outcome - 1);
  f->outcome = 0;
  f->results = 0;
}

void strand_push_record(const strand *s, lua_State *L, uint32_t index) {
  const frame *f = &s->frames[index];
  if (f->outcome == 0) {
    lua_pushnil(L);
    return;
  }
  lua_pushvalue(s->values, (int)(f->outcome + f->results));
  lua_xmove(s->values, L, 1);
}

bool strand_holds_record(const strand *s, lua_State *L, int index) {
  index = lua_absindex(L, index);
  bool held = false;
  for (uint32_t i = 0; i < s->depth && !held; i++) {
    if (s->frames[i].state != STATE_PANICKING) continue;
    strand_push_record(s, L, i);
    held = lua_rawequal(L, -1, index);
    lua_pop(L, 1);
  }
  return held;
}

uint32_t strand_shield(const strand *s) {
  for (uint32_t i = s->depth; i > s->exit_depth; i--) {
    if (s->frames[i - 1].state == STATE_PANICKING) return i;
  }
  return s->exit_depth;
}

bool strand_push_in_flight(const strand *s, lua_State *L) {
  for (uint32_t i = s->depth; i-- > 0;) {
    if (s->frames[i].state == STATE_PANICKING) {
      strand_push_record(s, L, i);
      return true;
    }
  }
  return false;
}

void strand_push_results(const strand *s, lua_State *L, uint32_t index) {
  const frame *f = &s->frames[index];
  for (uint32_t i = 0; i < f->results; i++) {
    lua_pushvalue(s->values, (int)(f->outcome + i));
    lua_xmove(s->values, L, 1);
  }
}

bool strand_set_results(strand *s, lua_State *L, uint32_t index, int count) {
  frame *f = &s->frames[index];
  if (!lua_checkstack(s->values, count + RESERVED_SLOTS)) return false;
  int first = (int)f->outcome;
  int old = (int)f->results;
  for (int i = 0; i < old; i++) lua_remove(s->values, first);
  lua_xmove(L, s->values, count);
  lua_rotate(s->values, first, count);
  f->results = (uint32_t)count;
  shift_outcomes(s, index + 1, count - old);
  return true;
}

void strand_begin_exit(strand *s, lua_State *L, uint32_t floor) {
  lua_xmove(L, s->values, 1);
  lua_replace(s->values, EXIT_INDEX);
  s->exit_floor = floor;
  s->exit_depth = s->depth;
}

void strand_exit(strand *s, lua_State *L) {
  if (s->exit_depth == 0) {
    lua_pushvalue(L, -1);
    strand_begin_exit(s, L, 0);
  }
  strand_unwind(s, L, STATE_EXITING);
}

void strand_push_exit(const strand *s, lua_State *L) {
  lua_pushvalue(s->values, EXIT_INDEX);
  lua_xmove(s->values, L, 1);
}
