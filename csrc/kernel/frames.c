#include "kernel/frames.h"

#include <string.h>

/* Indices in `values`: of the exit record, and of the table of objects. */
enum { EXIT_INDEX = 1, OBJECTS_INDEX, BOTTOM_SIZE = OBJECTS_INDEX };

#define FIRST_FRAMES 4
#define FIRST_CALLS 4

/* A frame stack that will be reused keeps room for so many frames, or calls, at most. */
#define MOST_KEPT 1024

/*
** Slots of `values` kept free once a call is deferred, so that a record, a nil and a copy fit
** without memory.
*/
#define RESERVED_SLOTS 4

const frame_type frame_func = {0};
const frame_type frame_deferred = {.shields = true};

bool frames_reserve_frames(frame_stack *s, const allocator *memory, uint32_t wanted) {
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

static bool reserve_call(frame_stack *s, const allocator *memory) {
  if (s->call_count < s->call_capacity) return true;
  uint32_t capacity = s->call_capacity == 0 ? FIRST_CALLS : s->call_capacity * 2;
  deferred_call *calls = mem_resize(memory, s->calls, s->call_capacity * sizeof(deferred_call),
                                    capacity * sizeof(deferred_call));
  if (calls == NULL) return false;
  s->calls = calls;
  s->call_capacity = capacity;
  return true;
}

void frames_free(frame_stack *s, const allocator *memory) {
  mem_free(memory, s->frames, s->capacity * sizeof(frame));
  mem_free(memory, s->calls, s->call_capacity * sizeof(deferred_call));
  s->frames = NULL;
  s->calls = NULL;
  s->capacity = s->call_capacity = 0;
}

void frames_clear(frame_stack *s, const allocator *memory) {
  lua_settop(s->values, 0);
  lua_settop(s->values, BOTTOM_SIZE);
  s->depth = s->call_count = 0;
  s->leaving = s->resetting = false;
  if (s->capacity > MOST_KEPT || s->call_capacity > MOST_KEPT) frames_free(s, memory);
}

/* --- values of thin frames --- */

/* Pushes the table of objects, or nil.   [-0, +1, -] */
static void push_objects(const frame_stack *s, lua_State *L) {
  lua_pushvalue(s->values, OBJECTS_INDEX);
  lua_xmove(s->values, L, 1);
}

void frames_make_objects(frame_stack *s, lua_State *L) {
  if (!lua_isnil(s->values, OBJECTS_INDEX)) return;
  lua_newtable(L);
  /* A finalizer may have made one meanwhile, whose frames are all closed again. */
  lua_xmove(L, s->values, 1);
  lua_replace(s->values, OBJECTS_INDEX);
}

void frames_set_object(frame_stack *s, lua_State *L, int index) {
  push_objects(s, L);
  lua_pushvalue(L, index);
  lua_rawseti(L, -2, (lua_Integer)s->depth + 1);
  lua_pop(L, 1);
}

void frames_push_object(const frame_stack *s, lua_State *L) {
  push_objects(s, L);
  lua_rawgeti(L, -1, (lua_Integer)s->depth);
  lua_replace(L, -2);
}

void frames_drop_object(frame_stack *s) {
  lua_pushnil(s->values);
  lua_rawseti(s->values, OBJECTS_INDEX, (lua_Integer)s->depth);
}

/* --- deferred calls --- */

/* A frame's calls always stand below its outcome. */
bool frames_defer(frame_stack *s, const allocator *memory, lua_State *L, int count,
                  uint64_t serial) {
  cp_assert(count >= 1);
  if (!frames_reserve_frames(s, memory, s->depth + 1) || !reserve_call(s, memory)) return false;
  if (!lua_checkstack(s->values, count + RESERVED_SLOTS)) return false;
  frame *f = frames_top(s);
  while (f->type->is_thin) f--; /* the frame of frames_deferring */
  uint32_t at = (uint32_t)lua_gettop(s->values) + 1;
  lua_xmove(L, s->values, count);
  if (f->outcome != 0) { /* deferred by a hook or finalizer while the frame unwinds */
    at = f->outcome;
    f->outcome += (uint32_t)count;
    lua_rotate(s->values, (int)at, count);
  }
  s->calls[s->call_count++] = (deferred_call){.serial = serial, .at = at, .count = (uint32_t)count};
  f->deferred++;
  return true;
}

/* Call it before pushing the innermost frame's outcome, with so many results. */
static void begin_outcome(frame_stack *s, uint32_t results) {
  frame *f = frames_top(s);
  f->outcome = (uint32_t)lua_gettop(s->values) + 1;
  f->results = results;
  f->bottom = f->deferred == 0 ? f->outcome : s->calls[s->call_count - f->deferred].at;
}

bool frames_return(frame_stack *s, lua_State *L, int results) {
  frame *f = frames_top(s);
  cp_assert(f->state == STATE_BODY);
  if (!lua_checkstack(s->values, results + 1 + RESERVED_SLOTS)) return false;
  begin_outcome(s, (uint32_t)results);
  lua_xmove(L, s->values, results);
  lua_pushnil(s->values);
  f->state = STATE_RETURNING;
  return true;
}

void frames_unwind(frame_stack *s, lua_State *L, frame_state state) {
  frame *f = frames_top(s);
  if (f->outcome == 0) {
    begin_outcome(s, 0);
    lua_xmove(L, s->values, 1);
  } else {
    lua_xmove(L, s->values, 1);
    lua_replace(s->values, (int)(f->outcome + f->results));
  }
  f->state = (uint8_t)state;
}

void frames_recovered(frame_stack *s) {
  frame *f = frames_top(s);
  if (frames_is_exiting(s)) {
    lua_pushvalue(s->values, EXIT_INDEX);
    f->state = STATE_EXITING;
  } else {
    lua_pushnil(s->values);
    f->state = STATE_RETURNING;
  }
  lua_replace(s->values, (int)(f->outcome + f->results));
}

void frames_take_deferred(frame_stack *s, lua_State *L) {
  const deferred_call *c = &s->calls[s->call_count - 1];
  for (uint32_t i = 0; i < c->count; i++) {
    lua_pushvalue(s->values, (int)(c->at + i));
    lua_xmove(s->values, L, 1);
  }
  frames_drop_deferred(s);
}

/*
** Returns the index in `calls` of a pending call; call_count: it is not pending. Calls stand in the
** order of their serials, because calls are deferred only in the innermost frame.
*/
static uint32_t find_serial(const frame_stack *s, uint64_t serial) {
  uint32_t low = 0;
  uint32_t high = s->call_count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (s->calls[middle].serial < serial) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  bool found = low < s->call_count && s->calls[low].serial == serial && s->calls[low].count > 0;
  return found ? low : s->call_count;
}

bool frames_is_pending(const frame_stack *s, uint64_t serial) {
  return find_serial(s, serial) < s->call_count;
}

void frames_drop_gone(frame_stack *s) {
  frame *f = frames_top(s);
  while (f->deferred > 0 && s->calls[s->call_count - 1].count == 0) {
    f->deferred--;
    f->gone--;
    s->call_count--;
  }
}

/* Returns the index of the frame to which a pending call belongs. */
static uint32_t frame_of_call(const frame_stack *s, uint32_t call) {
  uint32_t first = s->call_count;
  uint32_t i = s->depth;
  do {
    first -= s->frames[--i].deferred;
  } while (first > call);
  return i;
}

/* Moves the outcomes that stand above a change of `values`. */
static void shift_outcomes(frame_stack *s, uint32_t from_frame, int by) {
  for (uint32_t i = from_frame; i < s->depth; i++) {
    if (s->frames[i].outcome != 0) s->frames[i].outcome += (uint32_t)by;
  }
}

/* Moves the calls likewise, and the places where the deferred calls of ending frames begin. */
static void shift_calls(frame_stack *s, uint32_t from_call, uint32_t from_frame, int by) {
  for (uint32_t i = from_call; i < s->call_count; i++) s->calls[i].at += (uint32_t)by;
  for (uint32_t i = from_frame; i < s->depth; i++) s->frames[i].bottom += (uint32_t)by;
}

/*
** Closes the gaps that calls have left in the frame. Above the frame `values` must be empty.
** [-0, +0, -]
*/
static void close_gaps(frame_stack *s, frame *f) {
  uint32_t kept = s->call_count - f->deferred;
  uint32_t to = s->calls[kept].at;
  for (uint32_t i = kept; i < s->call_count; i++) {
    deferred_call c = s->calls[i];
    if (c.count == 0) continue;
    for (uint32_t k = 0; k < c.count; k++) lua_copy(s->values, (int)(c.at + k), (int)(to + k));
    s->calls[kept++] = (deferred_call){.serial = c.serial, .at = to, .count = c.count};
    to += c.count;
  }
  lua_settop(s->values, (int)to - 1);
  f->deferred -= f->gone;
  f->gone = 0;
  s->call_count = kept;
}

/*
** Moves call `index`, of that frame, to the end of `values`, and leaves a gap. Returns false, and
** changes nothing, if there is no memory.   [-0, +0, -]
*/
static bool move_leaving_gap(frame_stack *s, const allocator *memory, frame *owner,
                             uint32_t index) {
  deferred_call c = s->calls[index];
  if (!reserve_call(s, memory)) return false;
  if (!lua_checkstack(s->values, (int)c.count + RESERVED_SLOTS)) return false;
  uint32_t at = (uint32_t)lua_gettop(s->values) + 1;
  for (uint32_t k = 0; k < c.count; k++) {
    lua_pushvalue(s->values, (int)(c.at + k));
    lua_pushnil(s->values);
    lua_replace(s->values, (int)(c.at + k));
  }
  s->calls[index].count = 0;
  owner->gone++;
  s->calls[s->call_count++] = (deferred_call){.serial = c.serial, .at = at, .count = c.count};
  return true;
}

/*
** The same for the frame's newest call. It leaves no gap: it takes the place of the gaps just below
** it.   [-0, +0, -]
*/
static void move_newest(frame_stack *s, frame *owner) {
  deferred_call c = s->calls[--s->call_count];
  owner->deferred--;
  uint32_t to = c.at;
  while (owner->deferred > 0 && s->calls[s->call_count - 1].count == 0) {
    to = s->calls[--s->call_count].at;
    owner->deferred--;
    owner->gone--;
  }
  for (uint32_t k = 0; k < c.count; k++) lua_copy(s->values, (int)(c.at + k), (int)(to + k));
  lua_settop(s->values, (int)(to + c.count) - 1);
  c.at = to;
  s->calls[s->call_count++] = c;
}

/* Takes entry `index`, a call of frame `owner`, out of `calls`. */
static void remove_entry(frame_stack *s, uint32_t index, uint32_t owner) {
  s->frames[owner].deferred--;
  s->call_count--;
  memmove(&s->calls[index], &s->calls[index + 1], (s->call_count - index) * sizeof(deferred_call));
}

/* The same for a call of any frame: everything above it moves down.   [-0, +0, -] */
static void move_closing_gap(frame_stack *s, uint32_t index) {
  deferred_call c = s->calls[index];
  uint32_t owner = frame_of_call(s, index);
  int count = (int)c.count;
  lua_rotate(s->values, (int)c.at, -count);
  remove_entry(s, index, owner);
  shift_calls(s, index, owner + 1, -count);
  shift_outcomes(s, owner, -count);
  /*
  ** If it was its frame's newest call, another one is the newest now, and may have been taken out.
  */
  uint32_t end = s->call_count;
  for (uint32_t i = s->depth - 1; i > owner; i--) end -= s->frames[i].deferred;
  while (s->frames[owner].deferred > 0 && s->calls[end - 1].count == 0) {
    remove_entry(s, --end, owner);
    s->frames[owner].gone--;
  }
  c.at = (uint32_t)(lua_gettop(s->values) - count) + 1;
  s->calls[s->call_count++] = c;
}

void frames_move_deferred(frame_stack *s, const allocator *memory, uint64_t serial) {
  uint32_t below = s->depth - 1;
  while (below > 0 && s->frames[below - 1].type->is_thin) below--;
  cp_assert(below > 0 && s->frames != NULL); /* the call's frame stands below the one just opened */
  frame *owner = &s->frames[below - 1];
  bool is_open = owner->state == STATE_BODY;
  if (is_open && owner->gone > FIRST_CALLS && owner->gone > owner->deferred / 2)
    close_gaps(s, owner);
  uint32_t index = find_serial(s, serial);
  cp_assert(index < s->call_count);
  bool is_owners = is_open && index >= s->call_count - owner->deferred;
  if (is_owners && index == s->call_count - 1) {
    move_newest(s, owner);
  } else if (!is_owners || !move_leaving_gap(s, memory, owner, index)) {
    move_closing_gap(s, index);
  }
  frames_top(s)->deferred++;
}

int frames_outcome_size(const frame_stack *s) {
  const frame *f = frames_top(s);
  return f->state == STATE_RETURNING ? (int)f->results : 1;
}

int frames_take_outcome(frame_stack *s, lua_State *L) {
  frame *f = frames_top(s);
  int size = frames_outcome_size(s);
  if (f->state == STATE_RETURNING) lua_pop(s->values, 1);
  lua_xmove(s->values, L, size);
  frames_drop_outcome(s);
  return size;
}

void frames_drop_outcome(frame_stack *s) {
  frame *f = frames_top(s);
  lua_settop(s->values, (int)f->bottom - 1);
  f->outcome = 0;
  f->results = 0;
}

void frames_push_record(const frame_stack *s, lua_State *L, uint32_t index) {
  const frame *f = &s->frames[index];
  if (f->outcome == 0) {
    lua_pushnil(L);
    return;
  }
  lua_pushvalue(s->values, (int)(f->outcome + f->results));
  lua_xmove(s->values, L, 1);
}

bool frames_holds_record(const frame_stack *s, lua_State *L, int index) {
  index = lua_absindex(L, index);
  bool held = false;
  for (uint32_t i = 0; i < s->depth && !held; i++) {
    if (s->frames[i].state != STATE_PANICKING) continue;
    frames_push_record(s, L, i);
    held = lua_rawequal(L, -1, index);
    lua_pop(L, 1);
  }
  return held;
}

uint32_t frames_shield(const frame_stack *s) {
  for (uint32_t i = s->depth; i > 0; i--) {
    const frame *f = &s->frames[i - 1];
    if (f->exiting || f->state == STATE_PANICKING) return i;
  }
  return 0;
}

bool frames_push_in_flight(const frame_stack *s, lua_State *L) {
  for (uint32_t i = s->depth; i-- > 0;) {
    if (s->frames[i].state == STATE_PANICKING) {
      frames_push_record(s, L, i);
      return true;
    }
  }
  return false;
}

void frames_push_results(const frame_stack *s, lua_State *L, uint32_t index) {
  const frame *f = &s->frames[index];
  for (uint32_t i = 0; i < f->results; i++) {
    lua_pushvalue(s->values, (int)(f->outcome + i));
    lua_xmove(s->values, L, 1);
  }
}

/* Returns how many calls are pending in the frames above `index`. */
static uint32_t deferred_above(const frame_stack *s, uint32_t index) {
  uint32_t count = 0;
  for (uint32_t i = index + 1; i < s->depth; i++) count += s->frames[i].deferred;
  return count;
}

bool frames_set_results(frame_stack *s, lua_State *L, uint32_t index, int count) {
  frame *f = &s->frames[index];
  if (!lua_checkstack(s->values, count + RESERVED_SLOTS)) return false;
  int first = (int)f->outcome;
  int old = (int)f->results;
  for (int i = 0; i < old; i++) lua_remove(s->values, first);
  lua_xmove(L, s->values, count);
  lua_rotate(s->values, first, count);
  f->results = (uint32_t)count;
  /* In a debug hook, the deferred call's own frame may have its outcome already. */
  shift_outcomes(s, index + 1, count - old);
  shift_calls(s, s->call_count - deferred_above(s, index), index + 1, count - old);
  return true;
}

/* Whether an exit unwinds any frame. */
static bool has_exit(const frame_stack *s) {
  for (uint32_t i = 0; i < s->depth; i++) {
    if (s->frames[i].exiting) return true;
  }
  return false;
}

void frames_begin_exit(frame_stack *s, lua_State *L, uint32_t floor) {
  cp_assert(floor < s->depth);
  lua_xmove(L, s->values, 1);
  lua_replace(s->values, EXIT_INDEX);
  uint32_t i = s->depth;
  do {
    s->frames[--i].exiting = true;
  } while (i > floor && !s->frames[i].type->stops);
}

void frames_exit(frame_stack *s, lua_State *L) {
  if (!has_exit(s)) {
    lua_pushvalue(L, -1);
    frames_begin_exit(s, L, 0);
  }
  frames_unwind(s, L, STATE_EXITING);
}

void frames_push_exit(const frame_stack *s, lua_State *L) {
  lua_pushvalue(s->values, EXIT_INDEX);
  lua_xmove(s->values, L, 1);
}

void frames_save_exit(const frame_stack *s, lua_State *L) {
  if (has_exit(s)) {
    frames_push_exit(s, L);
  } else {
    lua_pushnil(L);
  }
}

void frames_restore_exit(frame_stack *s, lua_State *L) {
  if (lua_isnil(L, -1) && has_exit(s)) {
    lua_pop(L, 1);
    return;
  }
  lua_xmove(L, s->values, 1);
  lua_replace(s->values, EXIT_INDEX);
}
