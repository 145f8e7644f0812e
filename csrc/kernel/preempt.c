#include "kernel/preempt.h"

#include <string.h>

#include "kernel/cancel.h"
#include "kernel/cpu_budget.h"
#include "kernel/interrupt.h"
#include "kernel/task.h"

/* Preemption is for the system's time, also under the virtual clock or a host's. */
static int64_t system_now(void) {
  static const task_clock monotonic = {.is_virtual = false};
  return clock_now_ns(&monotonic);
}

/* The number of the turn that runs, or ran last. */
static uint64_t turn_of(const runtime *rt) { return rt->probes.counts[PROBE_START]; }

static int64_t slice_of(const preemption *p) {
  return p->slice_ns != 0 ? p->slice_ns : PREEMPT_SLICE_NS;
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/*
** Returns the time to the next tick: a slice, or less if the deadline comes first. After the deadline
** it is short, because the tick at the deadline may have come when no task ran, before the next began.
*/
static int64_t delay_from(const preemption *p, int64_t now_ns) {
  int64_t left = p->deadline_ns - now_ns;
  return least(slice_of(p), left > 0 ? left : PREEMPT_LATE_NS);
}

/* --- ticks --- */

/* In the signal handler. */
static void tick(ticker *self, uintptr_t pc) {
  (void)pc;
  runtime *rt = container_of(self, runtime, preemption.ticker);
  preemption *p = &rt->preemption;
  if (p->asleep || !preempt_is_wanted(p)) {
    p->ticks = false;
    return;
  }
  int64_t now = p->deadline_ns == TIME_FOREVER ? 0 : system_now();
  uint64_t turn = turn_of(rt);
  bool is_wanted = p->slice_ns != 0 || p->meter != NULL;
  if (is_wanted && rt->current != NULL && (p->turn == turn || now >= p->deadline_ns)) {
    p->due = turn;
    interrupt_arm(rt);
  }
  p->turn = turn;
  ticker_set(self, delay_from(p, now));
}

void preempt_require(runtime *rt, lua_State *L, const char *what) {
  preemption *p = &rt->preemption;
  if (ticker_is_here(&p->ticker)) return;
  ticker_close(&p->ticker);
  p->ticks = false;
  p->ticker.tick = tick;
  int refusal = ticker_open(&p->ticker);
  if (refusal != 0) luaL_error(L, "%s: %s", what, ticker_why(refusal));
}

static void start(preemption *p) {
  int64_t now = p->deadline_ns == TIME_FOREVER ? 0 : system_now();
  p->turn = 0;
  p->ticks = true;
  ticker_set(&p->ticker, delay_from(p, now));
}

void preempt_start(runtime *rt, int64_t budget_ns) {
  preemption *p = &rt->preemption;
  if (budget_ns != TIME_FOREVER) p->deadline_ns = system_now() + budget_ns;
  start(p);
}

void preempt_stop(runtime *rt) {
  preemption *p = &rt->preemption;
  p->deadline_ns = TIME_FOREVER;
  if (!p->ticks) return;
  p->ticks = false;
  ticker_set(&p->ticker, 0);
}

void preempt_set_slice(runtime *rt, int64_t slice_ns) {
  preemption *p = &rt->preemption;
  p->slice_ns = slice_ns;
  p->due = 0;
  if (!preempt_is_wanted(p)) {
    p->ticks = false;
    ticker_close(&p->ticker);
  } else if (rt->driver != NULL) {
    start(p);
  }
}

void preempt_init(runtime *rt) { rt->preemption.deadline_ns = TIME_FOREVER; }

void preempt_close(runtime *rt) { ticker_close(&rt->preemption.ticker); }

/* --- cooperative files --- */

/* A source may be the whole text of a chunk, so it is compared where it is, and not made a string. */
struct cooperative_file {
  cooperative_file *next;
  size_t length;
  char source[];
};

/* Reads the source of the function at `level`. Returns false if that is none of Lua.   [-0, +0, -] */
static bool read_source(lua_State *L, int level, lua_Debug *ar) {
  if (!lua_getstack(L, level, ar)) return false;
  lua_getinfo(L, "S", ar);
  return *ar->what != 'C';
}

static bool is_cooperative(const preemption *p, const lua_Debug *ar) {
  const cooperative_file *f = p->cooperative;
  while (f != NULL && (f->length != ar->srclen || memcmp(f->source, ar->source, f->length) != 0)) {
    f = f->next;
  }
  return f != NULL;
}

bool preempt_spare(runtime *rt, lua_State *L, int level) {
  lua_Debug ar;
  preemption *p = &rt->preemption;
  if (!read_source(L, level, &ar)) return false;
  if (is_cooperative(p, &ar)) return true;
  cooperative_file *f = mem_new(&rt->memory, sizeof(cooperative_file) + ar.srclen);
  if (f == NULL) luaL_error(L, "not enough memory");
  f->next = p->cooperative;
  f->length = ar.srclen;
  memcpy(f->source, ar.source, ar.srclen);
  p->cooperative = f;
  return true;
}

/* Whether the code in which a hook runs on L is a cooperative file's.   [-0, +0, -] */
static bool is_spared(const runtime *rt, lua_State *L) {
  lua_Debug ar;
  return read_source(L, 0, &ar) && is_cooperative(&rt->preemption, &ar);
}

/* --- suspending --- */

/*
** No `continuation`: a coroutine that was suspended in a hook just goes on. No `gave_way`: the task
** computes, and does not poll.
*/
static const wait_type wait_preempted = {.name = "preempted"};

/* Ends the batch too, so that the loop looks at the clock, descriptors and signals. */
static void suspend(runtime *rt, lua_State *L, task *t) {
  rt->preemption.count++;
  rt->batch = 0;
  t->status = TASK_READY;
  t->wait = &wait_preempted;
  t->live.height = 0;
  task_enqueue(rt, t);
  lua_yield(L, 0);
}

void preempt_serve(runtime *rt, lua_State *L) {
  preemption *p = &rt->preemption;
  task *t = rt->current;
  if (t == NULL || rt->running->thread != L || p->due != turn_of(rt)) return;
  /* Handlers and observers run inside the task, but are not the task. */
  bool is_own = rt->hooks == 0 && t->coroutine.top->thread == L;
  if (is_own && p->meter != NULL && cpu_budget_is_overdrawn(rt, L)) {
    cancel_cut_short(rt, L, t);
    return;
  }
  if (p->slice_ns == 0 && p->meter == NULL) return;
  bool may_end = is_own && !is_spared(rt, L);
  if (may_end && cancel_raise_in_hook(rt, L, t)) return;
  if (may_end && p->slice_ns != 0 && lua_isyieldable(L)) {
    suspend(rt, L, t);
  } else if (p->slice_ns != 0) {
    interrupt_again(L, PREEMPT_RETRY);
  }
}
