#include "loop/collector.h"

#include "core/clock.h"

/* The defaults. */
#define BUDGET_NS INT64_C(1000000)
#define LIMIT 3

/*
** The heap may always grow by so much, so that small ones are not collected all the time, and hold
** the garbage of a few batches.
*/
#define LEAST_ROOM (4 << 20)

/* If the heap falls or rises by less than this part of its room, that tells nothing. */
#define NOTABLE 32

/* The heap that one of our steps is expected to mark, until a cycle has shown it. */
#define STEP_BYTES 8192

/* The most steps of a pause under the virtual clock. */
#define VIRTUAL_STEPS 256

/*
** A cycle's steps are spread over a third of the room up to the limit; it begins at half of it at
** the latest.
*/
#define PACE 3

static const task_clock real_clock = {.is_virtual = false};

void collector_init(collector *c) {
  *c = (collector){.settings = {.budget_ns = BUDGET_NS, .limit = LIMIT}};
}

/* --- the heap and its limit --- */

static size_t heap_bytes(lua_State *L) {
  return (size_t)lua_gc(L, LUA_GCCOUNT) * 1024 + (size_t)lua_gc(L, LUA_GCCOUNTB);
}

/* Returns by how much the heap may grow after a cycle. */
static double room(const collector *c) {
  double bytes = (double)c->base_bytes * (c->settings.limit - 1);
  return bytes > LEAST_ROOM ? bytes : LEAST_ROOM;
}

/* Whether the collector obeys: scripts have not stopped it, and we are in no finalizer. */
static bool obeys(lua_State *L) { return lua_gc(L, LUA_GCISRUNNING) == 1; }

/* Puts Lua's own steps off until the heap has reached the limit.   [-0, +0, -] */
static void put_off(lua_State *L, const collector *c) {
  double left = ((double)c->base_bytes + room(c) - (double)c->seen_bytes) / 1024;
  compat_gc_put_off(L, left <= 0 ? 0 : left < INT32_MAX ? (int)left : INT32_MAX);
}

static void yield(collector *c, size_t heap) {
  c->phase = COLLECTOR_YIELDS;
  c->high_bytes = c->seen_bytes > heap ? c->seen_bytes : heap;
  c->low_bytes = heap;
}

/* Looks whether Lua's own cycle is over: the heap has fallen, and rises again.   [-0, +0, -] */
static void watch(lua_State *L, collector *c, size_t heap) {
  double notable = room(c) / NOTABLE;
  if (heap > c->high_bytes) {
    c->high_bytes = c->low_bytes = heap;
  } else if (heap < c->low_bytes) {
    c->low_bytes = heap;
  } else if ((double)(c->high_bytes - c->low_bytes) > notable &&
             (double)(heap - c->low_bytes) > notable) {
    c->phase = COLLECTOR_WAITS;
    c->base_bytes = c->low_bytes;
    put_off(L, c);
  }
}

/*
** Looks at the heap between two pauses. Returns by how much it is larger than the last cycle has
** left it.   [-0, +0, -]
*/
static double look(lua_State *L, collector *c) {
  size_t heap = heap_bytes(L);
  size_t seen = c->seen_bytes;
  if (c->phase == COLLECTOR_YIELDS) {
    watch(L, c, heap);
  } else if ((double)heap > (double)c->base_bytes + room(c) ||
             (double)heap + room(c) / NOTABLE < (double)seen) {
    yield(c, heap);
  } else if (heap > seen) {
    c->cycle_bytes += heap - seen;
    c->unpaid_bytes += heap - seen;
  }
  c->seen_bytes = heap;
  return (double)heap - (double)c->base_bytes;
}

/* --- the modes --- */

/* Generational mode, which scripts may also choose meanwhile, comes back when idle mode ends. */
static void go_incremental(lua_State *L, collector *c) {
  if (lua_gc(L, LUA_GCINC, 0, 0, 0) == LUA_GCGEN) c->was_generational = true;
}

static void begin_cycle(collector *c) {
  c->phase = COLLECTOR_CYCLE;
  c->cycle_steps = 0;
  c->cycle_bytes = 0;
  c->unpaid_bytes = 0;
  c->owed_steps = 0;
}

/*
** What was allocated during our cycle has not been looked at, and may be garbage already. If it
** counted, a program that allocates faster than we step would move its own limit.
*/
static void end_cycle(lua_State *L, collector *c) {
  size_t heap = heap_bytes(L);
  c->figures.cycles++;
  if (c->phase == COLLECTOR_CYCLE) {
    c->whole_steps = c->cycle_steps;
    size_t old = heap > c->cycle_bytes ? heap - c->cycle_bytes : 0;
    if (old > c->base_bytes) c->base_bytes = old;
  }
  if (c->phase == COLLECTOR_YIELDS || heap < c->base_bytes) c->base_bytes = heap;
  c->phase = COLLECTOR_WAITS;
  c->owed_steps = 0;
}

/* Begins with a cycle, because nothing is known of the heap yet.   [-0, +0, -] */
static void install(lua_State *L, collector *c) {
  c->installed = true;
  c->was_generational = false;
  begin_cycle(c);
  c->base_bytes = c->seen_bytes = heap_bytes(L);
  c->whole_steps = c->base_bytes / STEP_BYTES + 1;
  go_incremental(L, c);
  put_off(L, c);
}

/* Lua then begins with a cycle, too: in generational mode with a whole one, at once. */
void collector_leave(lua_State *L, collector *c) {
  if (!c->installed || lua_gc(L, LUA_GCISRUNNING) < 0) return;
  c->installed = false;
  if (c->was_generational) {
    lua_gc(L, LUA_GCGEN, 0, 0);
  } else if (obeys(L)) {
    compat_gc_put_off(L, 0);
  }
}

void collector_set(lua_State *L, collector *c, const collector_settings *settings) {
  if (settings->idle && !c->settings.idle) c->figures = (collector_figures){0};
  c->settings = *settings;
  if (!settings->idle) {
    collector_leave(L, c);
  } else if (c->installed && obeys(L)) {
    put_off(L, c);
  }
}

/* Brings Lua's collector into the mode. Returns whether the loop may step it.   [-0, +0, -] */
static bool prepare(lua_State *L, collector *c) {
  if (!c->settings.idle) {
    collector_leave(L, c); /* a finalizer has set the mode */
    return false;
  }
  if (!obeys(L)) return false;
  if (!c->installed) install(L, c);
  return true;
}

/* --- steps --- */

/*
** Makes at most so many steps, and no more when another one like the last would be too late or the
** cycle has ended. Returns their number. A step may call finalizers, which may call
** collector_set.   [-0, +0, -]
*/
static uint64_t make_steps(lua_State *L, collector *c, uint64_t most, int64_t ns) {
  int64_t start = clock_now_ns(&real_clock);
  int64_t now = start;
  int64_t last = 0;
  uint64_t steps = 0;
  int speed = compat_gc_set_speed(L, COMPAT_GC_FINEST);
  while (c->phase != COLLECTOR_WAITS && c->settings.idle && steps < most &&
         now - start + last <= ns) {
    int64_t before = now;
    steps++;
    c->cycle_steps++;
    if (compat_gc_step(L)) end_cycle(L, c);
    now = clock_now_ns(&real_clock);
    last = now - before;
  }
  compat_gc_set_speed(L, speed);
  collector_figures *figures = &c->figures;
  figures->steps += steps;
  figures->pauses++;
  figures->total_ns += now - start;
  if (now - start > ns) figures->overruns++;
  if (now - start > figures->longest_ns) figures->longest_ns = now - start;
  return steps;
}

/* One pause of at most so many steps. Returns whether it made any.   [-0, +0, -] */
static bool make_pause(lua_State *L, collector *c, uint64_t most, collector_time time) {
  int64_t ns = c->settings.budget_ns;
  if (time.is_virtual) {
    ns = TIME_FOREVER;
    if (most > VIRTUAL_STEPS) most = VIRTUAL_STEPS;
  } else if (time.ns < ns) {
    ns = time.ns;
  }
  if (ns <= 0) return false;
  go_incremental(L, c);
  uint64_t steps = make_steps(L, c, most, ns);
  c->owed_steps -= steps < c->owed_steps ? steps : c->owed_steps;
  c->seen_bytes = heap_bytes(L);
  if (obeys(L)) put_off(L, c);
  return true;
}

bool collector_pace(lua_State *L, collector *c, collector_time time) {
  if (!prepare(L, c)) return false;
  if (c->owed_steps == 0) {
    double grown = look(L, c);
    if (c->phase == COLLECTOR_WAITS && grown > room(c) / 2) begin_cycle(c);
    if (c->phase != COLLECTOR_CYCLE) return false;
    double steps = (double)c->unpaid_bytes * PACE * (double)c->whole_steps / room(c);
    if (steps < 1) return false;
    c->owed_steps = (uint64_t)steps;
    c->unpaid_bytes = 0;
  }
  make_pause(L, c, c->owed_steps, time);
  return c->owed_steps > 0 && c->phase == COLLECTOR_CYCLE;
}

bool collector_rest(lua_State *L, collector *c, collector_time time) {
  if (!prepare(L, c)) return false;
  double grown = look(L, c);
  if (c->phase == COLLECTOR_WAITS) {
    if (grown < room(c) / 4) return false;
    begin_cycle(c);
  }
  return make_pause(L, c, UINT64_MAX, time);
}

bool collector_spend(lua_State *L, int64_t ns) {
  if (lua_gc(L, LUA_GCCOUNT) < 0) return false; /* in a finalizer it does nothing */
  int64_t start = clock_now_ns(&real_clock);
  int64_t now = start;
  int64_t last = 0;
  bool ended = false;
  int speed = compat_gc_set_speed(L, COMPAT_GC_FINEST);
  while (!ended && now - start + last <= ns) {
    int64_t before = now;
    ended = compat_gc_step(L);
    now = clock_now_ns(&real_clock);
    last = now - before;
  }
  compat_gc_set_speed(L, speed);
  return ended;
}
