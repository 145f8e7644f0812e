/*
** The profile of allocations. While it runs, an allocator of ours stands in front of the state's own. It
** counts bytes; when so many have been allocated, it arms the hook of kernel/interrupt.h, which takes the
** sample at the next instruction of Lua.
**
** The distance between two samples is random, with a mean of PROFILE_ALLOC_BYTES, so that each byte is
** as likely to be sampled. An allocation of n bytes is met with a probability of 1 - e^(-n/mean), and
** stands for as many as one divided by that. (Go scales its heap profiles so.)
*/
#include "kernel/interrupt.h"
#include "telemetry/profile_stack.h"

struct alloc_profile;

/*
** The allocator. Others may have put theirs over it, which can not be taken away. Then it stays for
** ever, passes everything on, and is used again by the next profile. So it is memory of the allocator
** below, and not of the runtime.
*/
typedef struct alloc_tap {
  lua_Alloc below;
  void *below_ud;
  struct alloc_profile *profile; /* NULL: none runs */
  int64_t left;                  /* bytes until the next sample */
} alloc_tap;

typedef struct alloc_profile {
  profile base;
  alloc_tap *tap;
  interrupt_client client;
  rng random;
  double objects, bytes; /* of the samples that wait for the hook */
} alloc_profile;

/* --- the allocator --- */

/*
** Returns a random distance to the next sample, exponentially distributed: by von Neumann's way, which
** only compares, because the module does without the library of mathematics.
*/
static int64_t next_distance(rng *random) {
  int64_t whole = 0;
  for (;;) {
    uint64_t first = rng_next(random);
    uint64_t last = first;
    uint64_t next = rng_next(random);
    bool is_odd = true;
    while (next < last) {
      last = next;
      next = rng_next(random);
      is_odd = !is_odd;
    }
    if (is_odd) return whole + (int64_t)(first / (UINT64_MAX / PROFILE_ALLOC_BYTES)) + 1;
    whole += PROFILE_ALLOC_BYTES;
  }
}

/* Returns 1 - e^-x for x > 0: a series for a small part of x, which is then doubled. */
static double chance_within(double x) {
  int doublings = 0;
  if (x > 64) return 1;
  while (x > 1.0 / 1024) {
    x /= 2;
    doublings++;
  }
  double less = -x * (1 - x / 2 * (1 - x / 3)); /* e^-x - 1 */
  while (doublings-- > 0) less *= 2 + less;
  return -less;
}

/* An allocation of so many bytes is sampled. */
static void sample(alloc_profile *p, size_t size) {
  double weight = 1 / chance_within((double)size / (double)PROFILE_ALLOC_BYTES);
  p->objects += weight;
  p->bytes += weight * (double)size;
  p->tap->left = next_distance(&p->random);
  interrupt_arm_over(p->base.rt);
}

/* A block that grows counts as an allocation of what it grows by. */
static void *allocate(void *ud, void *pointer, size_t old_size, size_t new_size) {
  alloc_tap *tap = ud;
  size_t before = pointer == NULL ? 0 : old_size; /* of a new block it is the type */
  void *block = tap->below(tap->below_ud, pointer, old_size, new_size);
  if (new_size > before && block != NULL && tap->profile != NULL) {
    tap->profile->base.rt->allocated += new_size - before;
    tap->left -= (int64_t)(new_size - before);
    if (tap->left < 0) sample(tap->profile, new_size - before);
  }
  return block;
}

static alloc_tap *make_tap(lua_State *L) {
  void *ud;
  lua_Alloc below = lua_getallocf(L, &ud);
  alloc_tap *tap = below(ud, NULL, 0, sizeof(alloc_tap));
  if (tap == NULL) {
    luaL_error(L, "not enough memory");
    compat_unreachable();
  }
  *tap = (alloc_tap){.below = below, .below_ud = ud};
  return tap;
}

/* Takes the allocator away, and frees it, if it is on top.   [-0, +0, -] */
static void remove_tap(profiler *all, lua_State *L, alloc_tap *tap) {
  void *ud;
  tap->profile = NULL;
  all->tap = NULL;
  if (lua_getallocf(L, &ud) == allocate && ud == tap) {
    lua_setallocf(L, tap->below, tap->below_ud);
    tap->below(tap->below_ud, tap, sizeof(alloc_tap), 0);
  } else {
    all->tap = tap;
  }
}

/* --- samples --- */

/* Adds a sample of the running code.   [-0, +0, -] */
static void take_sample(alloc_profile *p) {
  runtime *rt = p->base.rt;
  if (p->objects == 0) return;
  int64_t objects = (int64_t)(p->objects + 0.5);
  int64_t bytes = (int64_t)(p->bytes + 0.5);
  p->objects = p->bytes = 0;
  profile_key k;
  profile_key_begin(&k);
  profile_add_stack(&p->base, &k, rt->running);
  profile_add_labels(&p->base, &k, rt->current, rt->running);
  profile_store_add(&p->base.store, &k, objects, bytes);
}

static void serve(interrupt_client *self, runtime *rt, lua_State *L) {
  if (rt->running->thread == L) take_sample(container_of(self, alloc_profile, client));
}

/* --- the kind --- */

static void begin(profile *base, lua_State *L) {
  alloc_profile *p = (alloc_profile *)base;
  runtime *rt = base->rt;
  base->period = PROFILE_ALLOC_BYTES;
  p->tap = rt->profiler->tap;
  bool is_new = p->tap == NULL;
  if (is_new) p->tap = make_tap(L);
  p->client.serve = serve;
  interrupt_add(rt, &p->client);
  rng_seed(&p->random, id_source_next(rt->ids));
  p->tap->left = next_distance(&p->random);
  p->tap->profile = p;
  rt->profiler->tap = p->tap;
  if (is_new) lua_setallocf(L, allocate, p->tap);
}

static void finish(profile *base, lua_State *L) {
  alloc_profile *p = (alloc_profile *)base;
  p->tap->profile = NULL;
  take_sample(p);
  interrupt_disarm(base->rt, L);
}

/* lua_setallocf sets a field, and calls nothing. */
static void end(profile *base) {
  alloc_profile *p = (alloc_profile *)base;
  interrupt_remove(base->rt, &p->client);
  remove_tap(base->rt->profiler, base->rt->main->thread, p->tap);
}

const profile_type profile_alloc = {
    .name = "alloc",
    .values = {{"alloc_objects", "count"}, {"alloc_space", "bytes"}},
    .period = {"space", "bytes"},
    .size = sizeof(alloc_profile),
    .begin = begin,
    .finish = finish,
    .end = end,
};
