#include "kernel/frames.h"

#include <string.h>

/* A frame stack that will be reused keeps room for so many frames, or calls, at most. */
#define MOST_KEPT 1024

/* A frame may have so many gaps in its calls, however few these are. */
#define MOST_GAPS 4

/* --- memory --- */

void frames_init(frame_stack *s, cells *c) { *s = (frame_stack){.cells = c}; }

static uint32_t calls_room(const frame_stack *s) { return (uint32_t)FIRST_CALLS << s->calls_log; }

/*
** Resizes an array, which is in the frame stack itself until it is grown; NULL: there is no memory.
*/
static void *grow(const allocator *memory, void *array, bool is_grown, size_t size,
                  size_t new_size) {
  if (is_grown) return mem_resize(memory, array, size, new_size);
  void *grown = mem_new(memory, new_size);
  if (grown != NULL) memcpy(grown, array, size);
  return grown;
}

bool frames_reserve_frames(frame_stack *s, const allocator *memory, uint32_t wanted) {
  if (wanted <= frames_room(s)) return true;
  uint32_t log = s->frames_log;
  while ((uint32_t)FIRST_FRAMES << log < wanted) log++;
  frame *frames = grow(memory, frames_array(s), s->frames_log > 0, frames_room(s) * sizeof(frame),
                       ((size_t)FIRST_FRAMES << log) * sizeof(frame));
  if (frames == NULL) return false;
  s->frames = frames;
  s->frames_log = log & 31;
  return true;
}

static bool reserve_call(frame_stack *s, const allocator *memory) {
  uint32_t room = calls_room(s);
  if (s->call_count < room) return true;
  uint32_t log = s->calls_log == 0 ? 2 : s->calls_log + 1U;
  deferred_call *calls =
      grow(memory, frames_calls(s), s->calls_log > 0, room * sizeof(deferred_call),
           ((size_t)FIRST_CALLS << log) * sizeof(deferred_call));
  if (calls == NULL) return false;
  s->calls = calls;
  s->calls_log = log & 31;
  return true;
}

/* Frees what does not fit into the frame stack itself. */
static void free_arrays(frame_stack *s, const allocator *memory) {
  if (s->frames_log > 0) mem_free(memory, s->frames, frames_room(s) * sizeof(frame));
  if (s->calls_log > 0) mem_free(memory, s->calls, calls_room(s) * sizeof(deferred_call));
  s->frames_log = s->calls_log = 0;
}

/* --- cells --- */

static cell take_spare(frame_stack *s) {
  cell x = s->spare;
  cp_assert(x != 0);
  s->spare = cells_next(s->cells, x);
  cells_set_next(s->cells, x, 0);
  s->spares--;
  return x;
}

void frames_take_spares(frame_stack *s) {
  while (s->spares < FRAMES_SPARE) {
    s->spare = cells_take(s->cells, s->spare);
    s->spares++;
  }
}

/*
** Lets a cell go, and returns the next in its chain. It becomes a spare one, if each frame may still
** need one.   [-0, +0, -]
*/
static inline cell release(frame_stack *s, cell x) {
  cells *c = s->cells;
  cell_block *b = cells_block(c, x);
  uint32_t index = cell_index(x);
  cell next = b->next[index];
  cells_clear(c, x);
  if (s->spares < FRAMES_SPARE + s->depth && s->spares < UINT16_MAX) {
    b->next[index] = s->spare;
    s->spare = x;
    s->spares++;
  } else {
    cells_free_in(c, b, index);
  }
  return next;
}

static void release_chain(frame_stack *s, cell x) {
  while (x != 0) x = release(s, x);
}

/* Moves the top `count` values of L to new cells, which are reserved.   [-count, +0, -] */
static inline cell move_to_cells(frame_stack *s, lua_State *L, int count) {
  cell first = 0;
  for (int i = 0; i < count; i++) {
    first = cells_take(s->cells, first);
    cells_set(s->cells, L, first);
  }
  return first;
}

/* Moves the values of a chain to L.   [-0, +n, -] */
static void move_from_cells(frame_stack *s, lua_State *L, cell x) {
  while (x != 0) {
    cells_push(s->cells, L, x);
    x = release(s, x);
  }
}

void frames_lose_frame(frame_stack *s) {
  frame *f = frames_top(s);
  if (f->type->is_thin) frames_drop_object(s);
  frames_drop_outcome(s);
  frames_pop_frame(s);
}

void frames_clear(frame_stack *s, const allocator *memory) {
  while (s->depth > 0) frames_lose_frame(s);
  while (s->call_count > 0) release_chain(s, frames_calls(s)[--s->call_count].values);
  if (s->exit != 0) release(s, s->exit);
  while (s->spares > FRAMES_SPARE) cells_free(s->cells, take_spare(s));
  s->exit = 0;
  s->outcomes = 0;
  s->values = 0;
  s->innermost = NULL;
  s->leaving = s->resetting = false;
  if (frames_room(s) > MOST_KEPT || calls_room(s) > MOST_KEPT) free_arrays(s, memory);
}

void frames_free(frame_stack *s, const allocator *memory) {
  free_arrays(s, memory);
  while (s->spares > 0) cells_free(s->cells, take_spare(s));
}

/* --- values of thin frames --- */

bool frames_set_object(frame_stack *s, lua_State *L, int index) {
  if (s->cells->free_count == 0) return false;
  lua_pushvalue(L, index);
  frames_top(s)->object = move_to_cells(s, L, 1);
  return true;
}

void frames_push_object(const frame_stack *s, lua_State *L) {
  cells_push(s->cells, L, frames_top(s)->object);
}

void frames_drop_object(frame_stack *s) {
  frame *f = frames_top(s);
  release_chain(s, f->object);
  f->object = 0;
}

/* --- deferred calls --- */

/* Gives the frame an outcome. */
static void begin_outcome(frame_stack *s, frame *f, cell outcome) {
  f->outcome = outcome;
  if (s->outcomes < UINT8_MAX) s->outcomes++;
}

uint64_t frames_defer(frame_stack *s, const allocator *memory, lua_State *L, int count,
                      uint64_t *last_serial) {
  cp_assert(count >= 1);
  cells_reserve(s->cells, L, (uint32_t)count);
  if (s->values + (uint32_t)count > FRAMES_MAX_VALUES) return 0;
  if (s->depth == frames_room(s) && !frames_reserve_frames(s, memory, s->depth + 1)) return 0;
  if (s->call_count == calls_room(s) && !reserve_call(s, memory)) return 0;
  frame *f = frames_top(s);
  while (f->type->is_thin) f--; /* the frame of frames_deferring */
  cell values = move_to_cells(s, L, count);
  uint64_t serial = ++*last_serial;
  frames_calls(s)[s->call_count++] =
      (deferred_call){.serial = serial, .values = values, .count = (uint32_t)count};
  s->values = (s->values + (uint32_t)count) & FRAMES_VALUES_MASK;
  f->deferred++;
  return serial;
}

int frames_return(frame_stack *s, lua_State *L, lua_State *from, int results) {
  cp_assert(frames_top(s)->state == STATE_BODY);
  if (results > 0) {
    int status = cells_try_reserve(s->cells, L, (uint32_t)results + 1);
    if (status != LUA_OK) return status;
    cell values = move_to_cells(s, from, results);
    begin_outcome(s, frames_top(s), cells_take(s->cells, values));
  }
  frames_top(s)->state = STATE_RETURNING;
  return LUA_OK;
}

void frames_unwind(frame_stack *s, lua_State *L, frame_state state) {
  frame *f = frames_top(s);
  if (f->outcome == 0) begin_outcome(s, f, take_spare(s));
  cells_set(s->cells, L, f->outcome);
  f->state = state & FRAME_STATE_MASK;
}

void frames_recovered(frame_stack *s) {
  frame *f = frames_top(s);
  if (frames_is_exiting(s)) {
    cells_copy(s->cells, s->exit, f->outcome);
    f->state = STATE_EXITING;
  } else {
    cells_clear(s->cells, f->outcome);
    f->state = STATE_RETURNING;
  }
}

/* Forgets the innermost frame's newest calls if they were taken out. */
static void drop_gone(frame_stack *s) {
  frame *f = frames_top(s);
  while (f->gone > 0 && frames_calls(s)[s->call_count - 1].count == 0) {
    f->deferred--;
    f->gone--;
    s->call_count--;
  }
}

/* Takes the innermost frame's newest deferred call, and returns its values. */
static inline cell take_newest(frame_stack *s) {
  frame *f = frames_top(s);
  deferred_call c = frames_calls(s)[--s->call_count];
  f->deferred--;
  s->values = (s->values - c.count) & FRAMES_VALUES_MASK;
  if (f->gone > 0) drop_gone(s);
  return c.values;
}

void frames_take_deferred(frame_stack *s, lua_State *L) { move_from_cells(s, L, take_newest(s)); }

void frames_drop_deferred(frame_stack *s) { release_chain(s, take_newest(s)); }

/*
** Returns the index in `calls` of a pending call; call_count: it is not pending. Calls stand in the
** order of their serials, because calls are deferred only in the innermost frame.
*/
static uint32_t find_serial(const frame_stack *s, uint64_t serial) {
  uint32_t low = 0;
  uint32_t high = s->call_count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (frames_calls(s)[middle].serial < serial) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  bool found = low < s->call_count && frames_calls(s)[low].serial == serial &&
               frames_calls(s)[low].count > 0;
  return found ? low : s->call_count;
}

bool frames_is_pending(const frame_stack *s, uint64_t serial) {
  return find_serial(s, serial) < s->call_count;
}

/* Returns the index of the frame to which a pending call belongs. */
static uint32_t frame_of_call(const frame_stack *s, uint32_t call) {
  uint32_t first = s->call_count;
  uint32_t i = s->depth;
  do {
    first -= frames_array(s)[--i].deferred;
  } while (first > call);
  return i;
}

/* Takes entry `index`, a call of frame `owner`, out of `calls`. */
static void remove_entry(frame_stack *s, uint32_t index, frame *owner) {
  owner->deferred--;
  s->call_count--;
  memmove(&frames_calls(s)[index], &frames_calls(s)[index + 1],
          (s->call_count - index) * sizeof(deferred_call));
}

/* Takes the gaps that calls have left out of the calls of a frame, which are the last ones. */
static void close_gaps(frame_stack *s, frame *f) {
  uint32_t kept = s->call_count - f->deferred;
  for (uint32_t i = kept; i < s->call_count; i++) {
    if (frames_calls(s)[i].count > 0) frames_calls(s)[kept++] = frames_calls(s)[i];
  }
  f->deferred -= f->gone;
  f->gone = 0;
  s->call_count = kept;
}

/*
** Takes a pending call out of `calls`. One of the middle leaves a gap, so that those above it need
** not move. Without memory for the gap they do.
*/
static void take_out(frame_stack *s, const allocator *memory, uint32_t index) {
  uint32_t i = frame_of_call(s, index);
  frame *owner = &frames_array(s)[i];
  uint32_t end = s->call_count; /* of its calls */
  while (++i < s->depth) end -= frames_array(s)[i].deferred;
  if (index + 1 < end && reserve_call(s, memory)) {
    frames_calls(s)[index].count = 0;
    frames_calls(s)[index].values =
        0; /* they are no longer its own: frames_clear must not free them */
    owner->gone++;
    return;
  }
  remove_entry(s, index, owner);
  end--;
  while (owner->gone > 0 && frames_calls(s)[end - 1].count == 0) {
    remove_entry(s, --end, owner);
    owner->gone--;
  }
}

void frames_move_deferred(frame_stack *s, const allocator *memory, uint64_t serial) {
  uint32_t below = s->depth - 1;
  while (below > 0 && frames_array(s)[below - 1].type->is_thin) below--;
  cp_assert(below > 0); /* the call's frame stands below the one just opened */
  frame *last = &frames_array(s)[below - 1];
  if (last->gone > MOST_GAPS && last->gone > last->deferred / 2) close_gaps(s, last);
  uint32_t index = find_serial(s, serial);
  cp_assert(index < s->call_count);
  deferred_call c = frames_calls(s)[index];
  take_out(s, memory, index);
  frames_calls(s)[s->call_count++] = c;
  frames_top(s)->deferred++;
}

/* Returns the first of the cells with the frame's results; 0: it has none. */
static cell first_result(const frame_stack *s, const frame *f) {
  return f->outcome == 0 ? 0 : cells_next(s->cells, f->outcome);
}

int frames_count_results(const frame_stack *s, uint32_t index) {
  int results = 0;
  cell x = first_result(s, &frames_array(s)[index]);
  for (; x != 0; x = cells_next(s->cells, x)) results++;
  return results;
}

int frames_outcome_size(const frame_stack *s) {
  return frames_top(s)->state == STATE_RETURNING ? frames_count_results(s, s->depth - 1) : 1;
}

int frames_take_outcome(frame_stack *s, lua_State *L) {
  frame *f = frames_top(s);
  int size = frames_outcome_size(s);
  if (f->state == STATE_RETURNING) {
    if (f->outcome != 0) {
      move_from_cells(s, L, cells_next(s->cells, f->outcome));
      cells_set_next(s->cells, f->outcome, 0);
    }
  } else {
    cells_push(s->cells, L, f->outcome);
  }
  frames_drop_outcome(s);
  return size;
}

void frames_drop_outcome(frame_stack *s) {
  frame *f = frames_top(s);
  if (f->outcome == 0) return;
  release_chain(s, f->outcome);
  f->outcome = 0;
  if (s->outcomes < UINT8_MAX) s->outcomes--;
}

void frames_push_record(const frame_stack *s, lua_State *L, uint32_t index) {
  cell record = frames_array(s)[index].outcome;
  if (record == 0) {
    lua_pushnil(L);
  } else {
    cells_push(s->cells, L, record);
  }
}

/*
** Whether no frame has an outcome, and no exit is under way, so that nothing is unwinding. Most code
** runs like this, and then no loop over the frames is needed, which may be many.
*/
static bool is_calm(const frame_stack *s) { return s->outcomes == 0 && s->exit == 0; }

bool frames_holds_record(const frame_stack *s, lua_State *L, int index) {
  index = lua_absindex(L, index);
  bool held = false;
  for (uint32_t i = is_calm(s) ? s->depth : 0; i < s->depth && !held; i++) {
    if (frames_array(s)[i].state != STATE_PANICKING) continue;
    frames_push_record(s, L, i);
    held = lua_rawequal(L, -1, index);
    lua_pop(L, 1);
  }
  return held;
}

uint32_t frames_shield(const frame_stack *s) {
  if (is_calm(s)) return 0;
  for (uint32_t i = s->depth; i > 0; i--) {
    const frame *f = &frames_array(s)[i - 1];
    if (f->exiting || f->state == STATE_PANICKING) return i;
  }
  return 0;
}

bool frames_push_in_flight(const frame_stack *s, lua_State *L) {
  if (is_calm(s)) return false;
  for (uint32_t i = s->depth; i-- > 0;) {
    if (frames_array(s)[i].state == STATE_PANICKING) {
      frames_push_record(s, L, i);
      return true;
    }
  }
  return false;
}

void frames_push_results(const frame_stack *s, lua_State *L, uint32_t index) {
  cell x = first_result(s, &frames_array(s)[index]);
  for (; x != 0; x = cells_next(s->cells, x)) cells_push(s->cells, L, x);
}

void frames_set_results(frame_stack *s, lua_State *L, uint32_t index, int count) {
  cells_reserve(s->cells, L, (uint32_t)count + 1);
  frame *f = &frames_array(s)[index];
  if (f->outcome == 0) begin_outcome(s, f, cells_take(s->cells, 0));
  cell before = cells_next(s->cells, f->outcome);
  cells_set_next(s->cells, f->outcome, move_to_cells(s, L, count));
  release_chain(s, before);
}

bool frames_has_exit(const frame_stack *s) {
  if (s->exit == 0) return false;
  for (uint32_t i = 0; i < s->depth; i++) {
    if (frames_array(s)[i].exiting) return true;
  }
  return false;
}

/* Pops the exit record.   [-1, +0, -] */
static void set_exit(frame_stack *s, lua_State *L) {
  if (s->exit == 0) s->exit = take_spare(s);
  cells_set(s->cells, L, s->exit);
}

void frames_begin_exit(frame_stack *s, lua_State *L, uint32_t floor) {
  cp_assert(floor < s->depth);
  set_exit(s, L);
  uint32_t i = s->depth;
  do {
    frames_array(s)[--i].exiting = true;
  } while (i > floor && !frames_array(s)[i].type->stops);
}

void frames_exit(frame_stack *s, lua_State *L) {
  if (!frames_has_exit(s)) {
    lua_pushvalue(L, -1);
    frames_begin_exit(s, L, 0);
  }
  frames_unwind(s, L, STATE_EXITING);
}

void frames_push_exit(const frame_stack *s, lua_State *L) {
  if (s->exit == 0) {
    lua_pushnil(L);
  } else {
    cells_push(s->cells, L, s->exit);
  }
}

void frames_save_exit(const frame_stack *s, lua_State *L) {
  if (frames_has_exit(s)) {
    frames_push_exit(s, L);
  } else {
    lua_pushnil(L);
  }
}

void frames_restore_exit(frame_stack *s, lua_State *L) {
  if (!lua_isnil(L, -1)) {
    set_exit(s, L);
    return;
  }
  lua_pop(L, 1);
  if (s->exit == 0 || frames_has_exit(s)) return;
  release(s, s->exit);
  s->exit = 0;
}
