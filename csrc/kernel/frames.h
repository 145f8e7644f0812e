/*
** A frame stack is the frames of one line of execution (a task, the main thread, or somebody's
** coroutine) and the calls deferred in them: a state machine that says what has to run next and
** calls nothing itself. unwind.c makes the calls.
**
** The deferred calls, the results of frames that are ending and the panics in flight are Lua
** values. They stand on the stack of `values`, a thread that never runs, where the collector sees
** them and moving them costs a copy. From the bottom:
**
**   [exit record or nil] [table or nil] { deferred calls of frame 0 } [outcome of frame 0] { deferred of frame 1
**   } ...
**
** The table has the values of thin frames that have one, by depth.
** A deferred call is  function, arguments...  and an entry in `calls`, which says where these stand.
** A frame has an outcome only while it runs its deferred calls:  results..., record or nil.  The
** calls that have run stay below the outcome until the frame is left.
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
  uint32_t at; /* index in `values` of its function */
  uint32_t
      count; /* its function and arguments; 0: it was taken out of the middle, see frame.gone */
} deferred_call;

/*
** What a frame is for: a constant of the file that opens such frames. Those of functions, deferred calls, tasks and
** blocks are in unwind.h.
*/
typedef struct frame_type {
  bool shields; /* an exit that unwinds the frame around it does not unwind its body */
  bool stops;   /* an exit that begins in its body goes on no further */
  bool is_thin; /* it has no deferred calls: what its body defers belongs to the frame around it */
  bool
      has_object; /* its driver keeps a value for it at the bottom of its stack; of a thin one, the frame stack too */
  /*
  ** The frame is closed, and its outcome on top of L's stack: what its driver returns from its C function, or raises.
  ** NULL: that outcome.   [-?, +results, e]
  */
  int (*leave)(struct runtime *rt, lua_State *L, struct frame_stack *s, frame_state state);
  /*
  ** The activation of its driver is gone, and the frame, which is the innermost one, about to be closed. Returns when
  ** what it was for is over; may suspend, and then the continuation is called, with its context, to call this again.
  ** NULL: nothing has to be done.   [-?, +?, e] That of a thin frame finds its value by frames_push_object, leaves the
  ** stack as it is and neither suspends nor raises.
  */
  void (*lost)(struct runtime *rt, lua_State *L, struct frame_stack *s, lua_KContext context,
               lua_KFunction continuation);
} frame_type;

extern const frame_type frame_func;     /* one call of a co.func or of co.call */
extern const frame_type frame_deferred; /* a deferred call */

typedef struct frame {
  const frame_type *type;
  uint32_t deferred; /* pending deferred calls, and those that are gone */
  uint32_t gone;     /* of these, taken out of the middle; the newest never is */
  uint32_t bottom;   /* once there is an outcome: index in `values` of the first deferred call */
  uint32_t outcome;  /* index in `values` of the outcome's first value; 0 while in BODY */
  uint32_t results;  /* of the outcome's values, how many are results; the record is the next */
  uint32_t base;     /* index of the first frame of the driver that runs this one */
  uint8_t state;     /* frame_state */
  bool exiting;      /* an exit unwinds it */
} frame;

/*
** It is a userdata, so that what is parked in a frame finds it for as long as that exists; its user
** value is `values`. The frames and calls are the runtime's memory.
*/
typedef struct frame_stack {
  struct runtime *runtime;
  struct frame_stack *next_free; /* in the runtime's pool */
  lua_State *values;
  frame *frames;
  uint32_t depth; /* frames in use; the innermost is frames[depth - 1] */
  uint32_t capacity;
  deferred_call *calls; /* pending, those of outer frames first, the newest last */
  uint32_t call_count;
  uint32_t call_capacity;
  int anchor;     /* in the runtime's anchor table; of a foreign one: 0 */
  bool foreign;   /* of a coroutine that somebody else made */
  bool leaving;   /* foreign: the driver is about to leave, its to-be-closed slot has no work */
  bool resetting; /* the thread is being reset: `<close>`d deferred calls wait for their frame */
} frame_stack;

/*
** Opens a frame. False when there is no memory. One frame more than are open is always in reserve
** once a call is deferred, so that running it needs no memory.
*/
bool frames_reserve_frames(frame_stack *s, const allocator *memory, uint32_t wanted);

static inline bool frames_push_frame(frame_stack *s, const allocator *memory,
                                     const frame_type *type, uint32_t base) {
  if (s->depth == s->capacity && !frames_reserve_frames(s, memory, s->depth + 1)) return false;
  /* Code that goes on although it is being exited is not shielded by opening another frame. */
  bool exiting = !type->shields && s->depth > 0 && s->frames[s->depth - 1].exiting;
  s->frames[s->depth++] =
      (frame){.type = type, .base = base, .state = STATE_BODY, .exiting = exiting};
  return true;
}

/* Closes the innermost frame, which has neither deferred calls nor an outcome any more. */
static inline void frames_pop_frame(frame_stack *s) { s->depth--; }

static inline frame *frames_top(const frame_stack *s) {
  cp_assert(s->depth > 0);
  return &s->frames[s->depth - 1];
}

/*
** How many frames there are up to the innermost one that has deferred calls, and including it; 0: there is none. The
** frame is that of co.defer in the running code.
*/
static inline uint32_t frames_deferring(const frame_stack *s) {
  uint32_t count = s->depth;
  while (count > 0 && s->frames[count - 1].type->is_thin) count--;
  return count;
}

/* Whether code in the innermost frame is to be unwound by a goexit or cancellation. */
static inline bool frames_is_exiting(const frame_stack *s) {
  return s->depth > 0 && s->frames[s->depth - 1].exiting;
}

/*
** Moves the function and its arguments, the `count` values on top of L, to the innermost frame that has
** deferred calls, as one with this serial. False when there is no memory; L is then as it was.
**   [-count, +0, -]
*/
bool frames_defer(frame_stack *s, const allocator *memory, lua_State *L, int count,
                  uint64_t serial);

/*
** The value of the thin frame that is opened next, which is at `index` of L. The first call makes room for that.
** [-0, +0, m]
*/
void frames_make_objects(frame_stack *s, lua_State *L);
void frames_set_object(frame_stack *s, lua_State *L, int index);

/* Pushes the value of the innermost frame, which is a thin one that has a value.   [-0, +1, -] */
void frames_push_object(const frame_stack *s, lua_State *L);

/* Forgets it.   [-0, +0, -] */
void frames_drop_object(frame_stack *s);

/* Frees what the frame stack, which has no frames, owns. */
void frames_free(frame_stack *s, const allocator *memory);

/* Makes it ready for another line of execution.   [-0, +0, -] */
void frames_clear(frame_stack *s, const allocator *memory);

/*
** Ends the innermost frame's body normally: the top `results` values of L become its results.
** False when there is no room for them; L is then as it was.   [-results, +0, -]
*/
bool frames_return(frame_stack *s, lua_State *L, int results);

/*
** Ends the innermost frame's body with the record on top of L, or replaces what is in flight in it.
**   state  PANICKING or EXITING                                                     [-1, +0, -]
*/
void frames_unwind(frame_stack *s, lua_State *L, frame_state state);

/* The innermost frame's panic was recovered: it returns, or goes on exiting. */
void frames_recovered(frame_stack *s);

/*
** How many values the innermost frame's newest deferred call has; 0: there is none.   [-0, +0, -]
*/
static inline int frames_next_deferred(const frame_stack *s) {
  return frames_top(s)->deferred == 0 ? 0 : (int)s->calls[s->call_count - 1].count;
}

/* Takes that call to L, which has room.   [-0, +n, -] The frame's body has ended. */
void frames_take_deferred(frame_stack *s, lua_State *L);

/* Forgets the innermost frame's newest calls that are gone. */
void frames_drop_gone(frame_stack *s);

/* Forgets that call. */
static inline void frames_drop_deferred(frame_stack *s) {
  frame *f = frames_top(s);
  f->deferred--;
  s->call_count--;
  if (f->gone > 0) frames_drop_gone(s);
}

/* Whether the deferred call of this serial is pending, in whichever frame. */
bool frames_is_pending(const frame_stack *s, uint64_t serial);

/*
** Moves that call to the innermost frame, which has just been opened for it. Without memory it takes longer.
**   [-0, +0, -]
** Closing n handles of one frame, in whatever order, costs n times a constant.
*/
void frames_move_deferred(frame_stack *s, const allocator *memory, uint64_t serial);

/*
** Takes the innermost frame's outcome to L: its results (RETURNING) or the record (else). Returns
** the number of values.   [-0, +n, -] L must have room for frames_outcome_size values.
*/
int frames_outcome_size(const frame_stack *s);
int frames_take_outcome(frame_stack *s, lua_State *L);

/* Forgets the innermost frame's outcome. */
void frames_drop_outcome(frame_stack *s);

/* Pushes the record in flight of frame `index` to L, nil if none.   [-0, +1, -] */
void frames_push_record(const frame_stack *s, lua_State *L, uint32_t index);

/* Whether the record at `index` of L is the panic in flight of some frame.   [-0, +0, -] */
bool frames_holds_record(const frame_stack *s, lua_State *L, int index);

/* Pushes the newest panic in flight to L; false, and nothing pushed: none.   [-0, +(0|1), -] */
bool frames_push_in_flight(const frame_stack *s, lua_State *L);

/* Pushes the results of frame `index`; L has room for its `results`.   [-0, +n, -] */
void frames_push_results(const frame_stack *s, lua_State *L, uint32_t index);

/* Makes the top `count` values of L the results of frame `index`. False: no room.   [-count, +0, -]
 */
bool frames_set_results(frame_stack *s, lua_State *L, uint32_t index, int count);

/* Whether some frame is being exited. */
bool frames_has_exit(const frame_stack *s);

/*
** Starts exiting the open frames from index `floor` on, or from the innermost one that stops it, with the record on top
** of L.   [-1, +0, -] There is an open frame.
*/
void frames_begin_exit(frame_stack *s, lua_State *L, uint32_t floor);

/*
** The first frame that a new exit may begin with: what is unwinding already, by an exit or a panic,
** is not cut short, only what runs inside its deferred calls.
*/
uint32_t frames_shield(const frame_stack *s);

/*
** Ends the innermost frame's body with the exit record on top of L, which becomes the frame stack's own if
** no exit is under way.   [-1, +0, -]
*/
void frames_exit(frame_stack *s, lua_State *L);

/* The record on top of L is that of the exit under way.   [-1, +0, -] */
void frames_set_exit(frame_stack *s, lua_State *L);

/* Pushes the exit record.   [-0, +1, -] */
void frames_push_exit(const frame_stack *s, lua_State *L);

#pragma GCC visibility pop

#endif
