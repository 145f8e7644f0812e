/*
** The profile of the processor's time. A ticker (core/ticker.h) arms the hook of kernel/interrupt.h, and
** the hook takes the sample, at the next instruction of Lua. A C function that runs for long is one
** sample, at its end, with the ticks of all its time; nothing is lost if a coroutine goes to wait before
** its hook is called, because the next tick arms that of the one that runs then.
**
** Each tick weighs as much of the processor's time as the thread has used since the last one. The
** processor's clock ticks as coarsely as the system does (CONFIG_HZ). So for high rates the ticker counts
** real time and stands still while the loop sleeps. Then
** - a tick after which the thread has hardly run is passed over;
** - so is one that comes late, because the thread did not run when it was due: it would find the code
**   where the system interrupts threads, which is often at the same place;
** - the time between two ticks is random, so that they do not keep step with the code.
*/
#include <stdatomic.h>

#include "core/ticker.h"
#include "kernel/interrupt.h"
#include "kernel/probe.h"
#include "telemetry/profile_native.h"
#include "telemetry/profile_stack.h"

/* The highest rate for which the processor's clock is fine enough: that of the usual kernels. */
#define CPU_CLOCK_HZ_MAX 250

/*
** A tick of real time that comes so late is passed over; but where all are late (under valgrind), at most
** so many periods in a row.
*/
#define LATE_NS (NS_PER_SECOND / 10000)
#define LATE_PERIODS 8

/* Ticks that wait for their sample, or are counted together. */
typedef struct ticks {
  atomic_uint_fast64_t count;
  atomic_uint_fast64_t ns;
} ticks;

typedef struct cpu_profile {
  profile base;
  ticker ticker;
  interrupt_client client;
  probe_sink sleep; /* if the ticker counts real time */
  int64_t seen_ns;  /* the thread's time at the last tick */
  int64_t due_ns;   /* when the next tick should come, by the ticker's time */
  rng random;       /* if the ticker counts real time */
  ticks waiting;    /* for the sample */
  ticks loop;       /* in the loop, outside of all tasks */
  atomic_uint_fast64_t hidden;
  atomic_uintptr_t pc; /* of the last tick that waits */
  native_machinery machinery;
} cpu_profile;

static void add_ticks(ticks *t, int64_t ns) {
  atomic_fetch_add(&t->count, 1);
  atomic_fetch_add(&t->ns, (uint64_t)ns);
}

/* --- ticks --- */

static int64_t system_now(void) {
  static const task_clock monotonic = {.is_virtual = false};
  return clock_now_ns(&monotonic);
}

/*
** Sets the next tick. One by the processor's time aims at whole periods, so that the system's coarse
** ticks do not add up.
*/
static void set_next(cpu_profile *p, int64_t thread_ns) {
  int64_t period = p->base.period;
  if (p->ticker.counts_cpu) {
    p->due_ns += period;
    if (p->due_ns <= thread_ns) p->due_ns = thread_ns + period;
    ticker_set(&p->ticker, p->due_ns - thread_ns);
  } else {
    int64_t delay = period / 2 + (int64_t)rng_below(&p->random, (uint64_t)period) + 1;
    p->due_ns = system_now() + delay;
    ticker_set(&p->ticker, delay);
  }
}

/* Whether a tick of real time, since whose last one the thread has used so much, tells nothing. */
static bool is_void(const cpu_profile *p, int64_t spent_ns) {
  int64_t period = p->base.period;
  if (p->ticker.counts_cpu || spent_ns >= LATE_PERIODS * period) return false;
  return spent_ns < period / 4 || system_now() - p->due_ns > LATE_NS;
}

/* In the signal handler. */
static void tick(ticker *self, uintptr_t pc) {
  cpu_profile *p = container_of(self, cpu_profile, ticker);
  runtime *rt = p->base.rt;
  int64_t now = clock_thread_ns();
  int64_t spent = now - p->seen_ns;
  if (!is_void(p, spent)) {
    p->seen_ns = now;
    if (rt->current == NULL && rt->driver != NULL) {
      add_ticks(&p->loop, spent);
    } else if (interrupt_arm_over(rt)) {
      atomic_store(&p->pc, pc);
      add_ticks(&p->waiting, spent);
    } else {
      atomic_fetch_add(&p->hidden, 1);
    }
  }
  set_next(p, now);
}

/* The sink: the loop sleeps, or is awake again. */
static void hear_sleep(probe_sink *self, runtime *rt, const probe_event *event) {
  (void)rt;
  cpu_profile *p = container_of(self, cpu_profile, sleep);
  ticker_set(&p->ticker, 0);
  if (event->kind == PROBE_AWAKE) set_next(p, 0);
}

/* --- samples --- */

/* Adds a sample of the running code with the ticks that wait.   [-0, +0, -] */
static void take_sample(cpu_profile *p) {
  runtime *rt = p->base.rt;
  int64_t count = (int64_t)atomic_exchange(&p->waiting.count, 0);
  if (count == 0) return;
  int64_t ns = (int64_t)atomic_exchange(&p->waiting.ns, 0);
  profile_key k;
  profile_key_begin(&k);
  profile_add_native(&p->base.store, &k, &p->machinery, atomic_load(&p->pc));
  profile_add_stack(&p->base, &k, rt->running);
  profile_add_labels(&p->base, &k, rt->current, rt->running);
  profile_store_add(&p->base.store, &k, count, ns);
}

static void serve(interrupt_client *self, runtime *rt, lua_State *L) {
  if (rt->running->thread == L) take_sample(container_of(self, cpu_profile, client));
}

static void add_loop(cpu_profile *p) {
  int64_t count = (int64_t)atomic_exchange(&p->loop.count, 0);
  if (count == 0) return;
  int64_t ns = (int64_t)atomic_exchange(&p->loop.ns, 0);
  profile_key k;
  profile_key_begin(&k);
  profile_add_frame(&p->base.store, &k, "[C]", "event loop");
  profile_store_add(&p->base.store, &k, count, ns);
}

/* --- the kind --- */

static void begin(profile *base, lua_State *L) {
  cpu_profile *p = (cpu_profile *)base;
  base->period = NS_PER_SECOND / base->hz;
  p->ticker.tick = tick;
  p->ticker.counts_cpu = base->hz <= CPU_CLOCK_HZ_MAX;
  int refusal = ticker_open(&p->ticker);
  if (refusal != 0) luaL_error(L, "%s", ticker_why(refusal));
  p->machinery = native_find_machinery();
  p->client.serve = serve;
  interrupt_add(base->rt, &p->client);
  if (!p->ticker.counts_cpu) {
    rng_seed(&p->random, id_source_next(base->rt->ids));
    p->sleep =
        (probe_sink){.wants = PROBE_BIT(PROBE_SLEEP) | PROBE_BIT(PROBE_AWAKE), .write = hear_sleep};
    probe_add_sink(&base->rt->probes, &p->sleep);
  }
  p->seen_ns = clock_thread_ns();
  p->due_ns = p->seen_ns;
  set_next(p, p->seen_ns);
}

static void finish(profile *base, lua_State *L) {
  cpu_profile *p = (cpu_profile *)base;
  ticker_set(&p->ticker, 0);
  take_sample(p);
  interrupt_disarm(base->rt, L);
  add_loop(p);
  base->hidden = atomic_load(&p->hidden);
}

/* A signal that is still under way finds that the ticker is closed. */
static void end(profile *base) {
  cpu_profile *p = (cpu_profile *)base;
  ticker_close(&p->ticker);
  interrupt_remove(base->rt, &p->client);
  if (!p->ticker.counts_cpu) probe_remove_sink(&base->rt->probes, &p->sleep);
}

const profile_type profile_cpu = {
    .name = "cpu",
    .values = {{"samples", "count"}, {"cpu", "nanoseconds"}},
    .period = {"cpu", "nanoseconds"},
    .size = sizeof(cpu_profile),
    .has_rate = true,
    .begin = begin,
    .finish = finish,
    .end = end,
};
