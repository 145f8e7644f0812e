/*
** A frame stack has the frames of one line of execution (a task, the main thread, or a coroutine)
** and the calls deferred in them. It is a state machine: it says which call has to run next, and
** makes no calls itself. unwind.c makes the calls.
**
** The deferred calls, the results of ending frames and the panics in flight are Lua values. They
** stand on the stack of `values`, a thread that never runs, where the collector sees them and
** moving them costs a copy. From the bottom:
**
**   [exit record or nil] [table or nil]
**   { deferred calls of frame 0 } [outcome of frame 0] { deferred calls of frame 1 } ...
**
** The table has the values of thin frames that have one, by depth. A deferred call is "function,
** arguments...", and an entry in `calls` tells where these stand. A frame has an outcome only while
** it runs its deferred calls: "results..., record or nil". The calls that have run stay below the
** outcome until the frame is left.
*/
#ifndef CP_KERNEL_FRAMES_H
#define CP_KERNEL_FRAMES_H

#include <stdbool.h>

#include "compat.h"
#include "core/base.h"

#pragma GCC visibility push(hidden)

struct runtime;
struct frame_stack;

/*
**            body ends              body raises             co.goexit, cancelled
**   BODY ───────────────▶ RETURNING        ▶ PANICKING               ▶ EXITING
**   RETURNING, EXITING ── a deferred call panics ──▶ PANICKING
**   PANICKING ── recovered ──▶ RETURNING, or EXITING when the frame stack is exiting
**   RETURNING, PANICKING ── a deferred call exits ──▶ EXITING
** A frame in any state but BODY is left when it has no deferred call any more.
*/
typedef enum frame_state {
  STATE_BODY,
  STATE_RETURNING,
  STATE_PANICKING,
  STATE_EXITING
} frame_state;

typedef struct deferred_call {
  uint64_t serial;
  uint32_t at; /* index in `values` of the function */
  /* the function and its arguments; 0: the call was taken out of the middle, see frame.gone */
  uint32_t count;
} deferred_call;

/*
** The type of a frame: a constant of the file that opens such frames. Those of functions, deferred
** calls are below, those of tasks and blocks in unwind.h.
*/
typedef struct frame_type {
  bool shields; /* an exit that unwinds the frame around it does not unwind its body */
  bool stops;   /* an exit that begins in its body goes on no further */
  /* it has no deferred calls: its body's deferred calls belong to the frame around it */
  bool is_thin;
  /* it has a value, at the bottom of its C function's stack; that of a thin one is here too */
  bool has_object;
  /*
  ** Called when the frame is closed and its outcome is on top of L's stack: returns the results of
  ** the frame's C function, or raises. NULL: returns or raises the outcome.   [-?, +results, e]
  */
  int (*leave)(struct runtime *rt, lua_State *L, struct frame_stack *s, frame_state state);
  /*
  ** Called when the activation of its C function is gone and the frame, the innermost one, is about
  ** to be closed. Returns when the frame's work is over. May park the task; then unwind_after_lost
  ** is the continuation, and calls this again. That of a thin frame finds its value by
  ** frames_push_object, leaves the stack as it is, and neither suspends nor raises. NULL: there is
  ** nothing to do.   [-?, +?, e]
  */
  void (*lost)(struct runtime *rt, lua_State *L, struct frame_stack *s);
} frame_type;

extern const frame_type frame_func;     /* one call of a co.func or of co.call */
extern const frame_type frame_deferred; /* a deferred call */

typedef struct frame {
  const frame_type *type;
  uint32_t deferred; /* pending deferred calls, and those taken out of the middle */
  uint32_t gone;     /* of these, the ones taken out of the middle; never the newest */
  uint32_t bottom;   /* once there is an outcome: index in `values` of the first deferred call */
  uint32_t outcome;  /* index in `values` of the outcome's first value; 0 while in BODY */
  uint32_t results;  /* how many of the outcome's values are results; the record is the next one */
  uint32_t base;     /* index of the first frame of the unwind.c call that runs this one */
  uint8_t state;     /* frame_state */
  bool exiting;      /* an exit unwinds the frame */
} frame;

/*
** It is a userdata, so that a task that is parked in a frame finds it as long as it exists. Its
** user value is `values`. The frames and calls are in the runtime's memory.
*/
typedef struct frame_stack {
  struct runtime *runtime;
  union {
    struct inner_cancel_scope *innermost; /* of a task: see task_innermost */
    struct frame_stack *next_free;        /* while it is in the runtime's pool */
  };
  lua_State *values;
  frame *frames;
  uint32_t depth; /* frames in use; the innermost is frames[depth - 1] */
  uint32_t capacity;
  deferred_call *calls; /* pending calls: those of outer frames first, the newest last */
  uint32_t call_count;
  uint32_t call_capacity;
  int anchor;   /* in the runtime's anchor table; of a foreign one: 0 */
  bool foreign; /* of a coroutine that is no task's */
  /* foreign: its C function is about to return, and its to-be-closed slot has no work */
  bool leaving;
  /* the thread is being reset: deferred calls in `<close>` variables wait for their frame */
  bool resetting;
} frame_stack;

/*
** Opens a frame; false if there is no memory. Once a call is deferred there is always room for one
** more frame than are open, so that running the call needs no memory.
*/
bool frames_reserve_frames(frame_stack *s, const allocator *memory, uint32_t wanted);

static inline bool frames_push_frame(frame_stack *s, const allocator *memory,
                                     const frame_type *type, uint32_t base) {
  if (s->depth == s->capacity && !frames_reserve_frames(s, memory, s->depth + 1)) return false;
  /* Code that goes on although an exit unwinds it is not shielded by opening another frame. */
  bool exiting = !type->shields && s->depth > 0 && s->frames[s->depth - 1].exiting;
  s->frames[s->depth++] =
      (frame){.type = type, .base = base, .state = STATE_BODY, .exiting = exiting};
  return true;
}

/* Closes the innermost frame, which has no deferred calls and no outcome any more. */
static inline void frames_pop_frame(frame_stack *s) { s->depth--; }

static inline frame *frames_top(const frame_stack *s) {
  cp_assert(s->depth > 0);
  return &s->frames[s->depth - 1];
}

/*
** Returns the number of frames up to and including the innermost one that can have deferred calls;
** 0: there is none. co.defer in the running code adds to that frame.
*/
static inline uint32_t frames_deferring(const frame_stack *s) {
  uint32_t count = s->depth;
  while (count > 0 && s->frames[count - 1].type->is_thin) count--;
  return count;
}

/* Whether a goexit or cancellation unwinds the innermost frame. */
static inline bool frames_is_exiting(const frame_stack *s) {
  return s->depth > 0 && s->frames[s->depth - 1].exiting;
}

/*
** Moves the function and its arguments, the top `count` values of L, to the innermost frame that
** can have deferred calls, as a deferred call with this serial. Returns false, and leaves L as it
** was, if there is no memory.   [-count, +0, -]
*/
bool frames_defer(frame_stack *s, const allocator *memory, lua_State *L, int count,
                  uint64_t serial);

/*
** frames_set_object sets the value of the thin frame that is opened next to the value at `index` of
** L. Call frames_make_objects first: it makes room.   [-0, +0, m]
*/
void frames_make_objects(frame_stack *s, lua_State *L);
void frames_set_object(frame_stack *s, lua_State *L, int index);

/* Pushes the value of the innermost frame, a thin one that has a value.   [-0, +1, -] */
void frames_push_object(const frame_stack *s, lua_State *L);

/* Forgets that value.   [-0, +0, -] */
void frames_drop_object(frame_stack *s);

/* Frees the memory of a frame stack without frames. */
void frames_free(frame_stack *s, const allocator *memory);

/* Makes the frame stack ready for another line of execution.   [-0, +0, -] */
void frames_clear(frame_stack *s, const allocator *memory);

/*
** Ends the innermost frame's body normally: moves the top `results` values of L to its results.
** Returns false, and leaves L as it was, if there is no room.   [-results, +0, -]
*/
bool frames_return(frame_stack *s, lua_State *L, int results);

/*
** Ends the innermost frame's body with the record on top of L, or replaces the panic or exit in
** flight in it.   [-1, +0, -]
**   state  PANICKING or EXITING
*/
void frames_unwind(frame_stack *s, lua_State *L, frame_state state);

/* Call it when the innermost frame's panic was recovered: the frame returns, or goes on exiting. */
void frames_recovered(frame_stack *s);

/*
** Returns the number of values of the innermost frame's newest deferred call; 0: there is none.
** [-0, +0, -]
*/
static inline int frames_next_deferred(const frame_stack *s) {
  return frames_top(s)->deferred == 0 ? 0 : (int)s->calls[s->call_count - 1].count;
}

/* Moves that call to L, which must have room. The frame's body must have ended.   [-0, +n, -] */
void frames_take_deferred(frame_stack *s, lua_State *L);

/* Forgets the innermost frame's newest calls if they were taken out. */
void frames_drop_gone(frame_stack *s);

/* Forgets the innermost frame's newest deferred call. */
static inline void frames_drop_deferred(frame_stack *s) {
  frame *f = frames_top(s);
  f->deferred--;
  s->call_count--;
  if (f->gone > 0) frames_drop_gone(s);
}

/* Whether the deferred call of this serial is pending in any frame. */
bool frames_is_pending(const frame_stack *s, uint64_t serial);

/*
** Moves that call to the innermost frame, which was just opened for it. Without memory it takes
** longer. Closing n handles of one frame, in any order, takes n times a constant.   [-0, +0, -]
*/
void frames_move_deferred(frame_stack *s, const allocator *memory, uint64_t serial);

/*
** Moves the innermost frame's outcome to L: its results (RETURNING) or the record (else). Returns
** the number of values. L must have room for frames_outcome_size values.   [-0, +n, -]
*/
int frames_outcome_size(const frame_stack *s);
int frames_take_outcome(frame_stack *s, lua_State *L);

/* Forgets the innermost frame's outcome. */
void frames_drop_outcome(frame_stack *s);

/* Pushes the record in flight of frame `index` to L; nil if there is none.   [-0, +1, -] */
void frames_push_record(const frame_stack *s, lua_State *L, uint32_t index);

/* Whether the record at `index` of L is the panic in flight of any frame.   [-0, +0, -] */
bool frames_holds_record(const frame_stack *s, lua_State *L, int index);

/*
** Pushes the newest panic in flight to L. Returns false, and pushes nothing, if there is none.
** [-0, +(0|1), -]
*/
bool frames_push_in_flight(const frame_stack *s, lua_State *L);

/* Pushes the results of frame `index`; L must have room for `results` values.   [-0, +n, -] */
void frames_push_results(const frame_stack *s, lua_State *L, uint32_t index);

/*
** Makes the top `count` values of L the results of frame `index`; false if there is no room.
** [-count, +0, -]
*/
bool frames_set_results(frame_stack *s, lua_State *L, uint32_t index, int count);

/*
** Starts an exit, with the record on top of L: it unwinds the open frames from index `floor` on, or
** from the innermost one that stops exits. There must be an open frame.   [-1, +0, -]
*/
void frames_begin_exit(frame_stack *s, lua_State *L, uint32_t floor);

/*
** Returns the index of the outermost frame that a new exit may unwind. Frames that are already
** unwinding finish first; only the deferred calls that they run can be exited.
*/
uint32_t frames_shield(const frame_stack *s);

/*
** Ends the innermost frame's body with the exit record on top of L. If no exit is under way, it
** becomes the frame stack's.   [-1, +0, -]
*/
void frames_exit(frame_stack *s, lua_State *L);

/*
** Pushes the record of the exit under way to L, nil if there is none. Call it before code in which
** another exit may begin and end.   [-0, +1, -]
*/
void frames_save_exit(const frame_stack *s, lua_State *L);

/*
** Pops that record after such code: the exit goes on with it. An exit that the code has begun, and
** that goes on, keeps its own.   [-1, +0, -]
*/
void frames_restore_exit(frame_stack *s, lua_State *L);

/* Pushes the exit record.   [-0, +1, -] */
void frames_push_exit(const frame_stack *s, lua_State *L);

#pragma GCC visibility pop

#endif
