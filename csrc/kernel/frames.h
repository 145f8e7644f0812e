/*
** A frame stack has the frames of one line of execution (a task, the main thread, or a coroutine)
** and the calls deferred in them. It is a state machine: it says which call has to run next, and
** makes no calls itself. unwind.c makes the calls.
**
** The deferred calls, the results of ending frames and the panics in flight are Lua values. They
** are in cells (cells.h): those of tasks and of the main thread in the runtime's, those of another
** coroutine in cells of its own, because they may refer to it and it may become garbage.
** - A deferred call is a chain of cells: function, arguments...
** - The outcome of a frame that runs its deferred calls is one too: record or nil, results... It has
**   no cells while it has neither.
** - The exit record is one cell.
** What runs or unwinds frames must not need memory. So a frame stack owns spare cells for its
** records. It gets FRAMES_SPARE at its beginning, and the first cell of each deferred call that is
** about to run: that call may end with a record, and be in flight together with those of the frames
** around it.
**
** A parked task that holds something costs what its frame stack costs, so this is small: it has room
** for the first frames and the first call, and stands in a slab (frames_pool.h).
*/
#ifndef CP_KERNEL_FRAMES_H
#define CP_KERNEL_FRAMES_H

#include <stdbool.h>

#include "compat.h"
#include "core/base.h"
#include "kernel/cells.h"

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
  cell values;    /* the function, then the arguments */
  uint32_t count; /* of the values; 0: the call was taken out of the middle, see frame.gone */
} deferred_call;

/* The type of a frame: a constant of the file that opens such frames. */
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

/* Two types that other files must recognise. unwind.c opens such frames. */
extern const frame_type frame_func;     /* one call of a co.func or of co.call */
extern const frame_type frame_deferred; /* a deferred call */

enum {
  FRAME_STATE_BITS = 2,
  FRAME_STATE_MASK = (1 << FRAME_STATE_BITS) - 1,
  FRAME_BASE_BITS = 29,
  FRAME_BASE_MASK = (1 << FRAME_BASE_BITS) - 1 /* so many frames fit into no memory */
};

typedef struct frame {
  const frame_type *type;
  uint32_t deferred; /* pending deferred calls, and those taken out of the middle */
  union {
    uint32_t gone; /* of these, the ones taken out of the middle; never the newest */
    cell object;   /* of a thin frame: its value */
  };
  cell outcome;                      /* once there is a record, or a result; else 0 */
  uint32_t state : FRAME_STATE_BITS; /* frame_state */
  bool exiting : 1;                  /* an exit unwinds the frame */
  /* index of the first frame of the unwind.c call that runs this one */
  uint32_t base : FRAME_BASE_BITS;
} frame;

/* A frame stack has room for so many of them in itself. */
enum { FIRST_FRAMES = 2, FIRST_CALLS = 1 };

enum {
  FRAMES_SPARE = 2,
  FRAMES_VALUES_BITS = 22,
  FRAMES_VALUES_MASK = (1 << FRAMES_VALUES_BITS) - 1
};

/* It stays in memory as long as a task or coroutine exists that may be parked in a frame. */
typedef struct frame_stack {
  cells *cells;
  union {
    struct frame_stack *next_free;        /* in its slab, while it is at rest */
    struct inner_cancel_scope *innermost; /* of a task: see task_innermost */
  };
  uint32_t depth; /* frames in use; the innermost is the last */
  uint32_t call_count;
  cell exit;                            /* the record of the exit under way; 0: none */
  cell spare;                           /* the first of the spare cells */
  uint32_t values : FRAMES_VALUES_BITS; /* of the pending calls */
  uint32_t frames_log : 5;              /* there is room for FIRST_FRAMES << frames_log frames */
  uint32_t calls_log : 5;
  uint16_t spares;
  /* how many frames have one; once it is UINT8_MAX it stays so until all are left */
  uint8_t outcomes;
  bool foreign : 1; /* of a coroutine that is no task's */
  /* foreign: its C function is about to return, and its to-be-closed slot has no work */
  bool leaving : 1;
  /* the thread is being reset: deferred calls in `<close>` variables wait for their frame */
  bool resetting : 1;
  uint8_t place : 5; /* in its slab */
  /* Read these two by frames_array and frames_calls. While the arrays are short they are in here. */
  union {
    frame *frames;
    frame first_frames[FIRST_FRAMES];
  };
  union {
    deferred_call *calls;
    deferred_call first_calls[FIRST_CALLS];
  };
} frame_stack;

/* Returns the frames, the innermost last. */
static inline frame *frames_array(const frame_stack *s) {
  return s->frames_log == 0 ? (frame *)s->first_frames : s->frames;
}

/* Returns the pending calls: those of outer frames first, the newest last. */
static inline deferred_call *frames_calls(const frame_stack *s) {
  return s->calls_log == 0 ? (deferred_call *)s->first_calls : s->calls;
}

/* The most values that the pending calls of a frame stack have. */
#define FRAMES_MAX_VALUES LUAI_MAXSTACK

/* Makes a frame stack, without spare cells. */
void frames_init(frame_stack *s, cells *c);

/* Fills its spare cells up to FRAMES_SPARE; as many cells must be free. */
void frames_take_spares(frame_stack *s);

/*
** Opens a frame; false if there is no memory. Once a call is deferred there is always room for one
** more frame than are open, so that running the call needs no memory.
*/
bool frames_reserve_frames(frame_stack *s, const allocator *memory, uint32_t wanted);

/* Returns how many frames there is room for. */
static inline uint32_t frames_room(const frame_stack *s) {
  return (uint32_t)FIRST_FRAMES << s->frames_log;
}

static inline bool frames_push_frame(frame_stack *s, const allocator *memory,
                                     const frame_type *type, uint32_t base) {
  if (s->depth == frames_room(s) && !frames_reserve_frames(s, memory, s->depth + 1)) return false;
  /* Code that goes on although an exit unwinds it is not shielded by opening another frame. */
  bool exiting = !type->shields && s->depth > 0 && frames_array(s)[s->depth - 1].exiting;
  frames_array(s)[s->depth++] = (frame){
      .type = type, .base = base & FRAME_BASE_MASK, .state = STATE_BODY, .exiting = exiting};
  return true;
}

/*
** Call it before a frame is opened in running code. A debug hook or finalizer may open it while the
** innermost frame is already unwinding, but no deferred call of that runs; then both need spare
** cells.   [-0, +0, m]
*/
static inline void frames_check_spares(frame_stack *s, lua_State *L) {
  if (s->spares >= FRAMES_SPARE) return;
  cells_reserve(s->cells, L, FRAMES_SPARE);
  frames_take_spares(s);
}

/* Closes the innermost frame, which has no deferred calls and no outcome any more. */
static inline void frames_pop_frame(frame_stack *s) { s->depth--; }

static inline frame *frames_top(const frame_stack *s) {
  cp_assert(s->depth > 0);
  return &frames_array(s)[s->depth - 1];
}

/*
** Returns the number of frames up to and including the innermost one that can have deferred calls;
** 0: there is none. co.defer in the running code adds to that frame.
*/
static inline uint32_t frames_deferring(const frame_stack *s) {
  uint32_t count = s->depth;
  while (count > 0 && frames_array(s)[count - 1].type->is_thin) count--;
  return count;
}

/* Whether a goexit or cancellation unwinds the innermost frame. */
static inline bool frames_is_exiting(const frame_stack *s) {
  return s->depth > 0 && frames_array(s)[s->depth - 1].exiting;
}

/*
** Moves the function and its arguments, the top `count` values of L, to the innermost frame that
** can have deferred calls, as a deferred call. Returns its serial, the number after `last_serial`,
** which it increments; 0 if there is no memory, or there are too many values, and then L is as it
** was.   [-count, +0, m]
*/
uint64_t frames_defer(frame_stack *s, const allocator *memory, lua_State *L, int count,
                      uint64_t *last_serial);

/*
** frames_set_object sets the value of the innermost frame, a thin one that was just opened, to the
** value at `index` of L; false: there is no memory. Call frames_reserve_object first.   [-0, +0, -]
*/
bool frames_set_object(frame_stack *s, lua_State *L, int index);

/* Makes room for that value.   [-0, +0, m] */
static inline void frames_reserve_object(frame_stack *s, lua_State *L) {
  cells_reserve(s->cells, L, 1);
}

/* Pushes the value of the innermost frame, a thin one that has a value.   [-0, +1, -] */
void frames_push_object(const frame_stack *s, lua_State *L);

/* Forgets that value.   [-0, +0, -] */
void frames_drop_object(frame_stack *s);

/* Frees the memory of a frame stack without frames, and its spare cells. */
void frames_free(frame_stack *s, const allocator *memory);

/* Makes the frame stack ready for another line of execution.   [-0, +0, -] */
void frames_clear(frame_stack *s, const allocator *memory);

/* Forgets the innermost frame, whose deferred calls will be forgotten by frames_clear. */
void frames_lose_frame(frame_stack *s);

/*
** Ends the innermost frame's body normally: moves the top `results` values of `from` to its results,
** and returns LUA_OK. Else leaves `from` as it was, returns the status of an error, and pushes that
** to L, the running thread, unless there was no memory.   [-results | -0, +(0|1), -]
*/
int frames_return(frame_stack *s, lua_State *L, lua_State *from, int results);

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
  return frames_top(s)->deferred == 0 ? 0 : (int)frames_calls(s)[s->call_count - 1].count;
}

/* Moves that call to L, which must have room. The frame's body must have ended.   [-0, +n, -] */
void frames_take_deferred(frame_stack *s, lua_State *L);

/* Forgets the innermost frame's newest deferred call.   [-0, +0, -] */
void frames_drop_deferred(frame_stack *s);

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

/* Returns how many results frame `index` has. */
int frames_count_results(const frame_stack *s, uint32_t index);

/* Pushes the results of frame `index`; L must have room for them.   [-0, +n, -] */
void frames_push_results(const frame_stack *s, lua_State *L, uint32_t index);

/* Makes the top `count` values of L the results of frame `index`.   [-count, +0, m] */
void frames_set_results(frame_stack *s, lua_State *L, uint32_t index, int count);

/* Whether an exit unwinds any frame. */
bool frames_has_exit(const frame_stack *s);

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
