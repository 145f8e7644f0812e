/*
** Random numbers: see random.h.
*/
#define _DEFAULT_SOURCE 1 /* MAP_ANONYMOUS, madvise, getrandom */

#include "core/random.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/random.h>
#endif

#include "core/clock.h"

/* SplitMix64 (Steele, Lea and Flood 2014): any seed, zero too, gives four well mixed words. */
static uint64_t splitmix_next(uint64_t *state) {
  uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
  z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
  return z ^ (z >> 31);
}

void rng_seed(rng *r, uint64_t seed) {
  for (int i = 0; i < 4; i++) r->state[i] = splitmix_next(&seed);
}

/* Returns the upper half of the 128-bit product; by halves, because ISO C has no 128-bit type. */
static uint64_t multiply_high(uint64_t a, uint64_t b) {
  uint64_t a_low = a & UINT32_MAX, a_high = a >> 32;
  uint64_t b_low = b & UINT32_MAX, b_high = b >> 32;
  uint64_t middle = a_high * b_low + (a_low * b_low >> 32);
  uint64_t other = a_low * b_high + (middle & UINT32_MAX);
  return a_high * b_high + (middle >> 32) + (other >> 32);
}

uint64_t rng_below(rng *r, uint64_t n) {
  cp_assert(n > 0);
  uint64_t x = rng_next(r);
  if (x * n < n) { /* only here can the draw be one of the 2^64 mod n that would bias the result */
    uint64_t surplus = (0 - n) % n;
    while (x * n < surplus) x = rng_next(r);
  }
  return multiply_high(x, n);
}

/*
** Has a page of its own, because MADV_WIPEONFORK works on pages. A state of zeroes means "not
** seeded". The kernel hands out the page so, and zeroes it again in a forked child.
*/
struct id_source {
  rng generator;
  /* the process that seeded it; 0 if the kernel wipes the page, so that no check is needed */
  pid_t owner;
  uint64_t mark; /* 0: none */
};

static size_t page_size(void) { return (size_t)sysconf(_SC_PAGESIZE); }

id_source *id_source_open(void) {
  int access = PROT_READ | PROT_WRITE;
  void *page = mmap(NULL, page_size(), access, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return page == MAP_FAILED ? NULL : page;
}

void id_source_close(id_source *source) {
  if (source != NULL) munmap(source, page_size());
}

/*
** Asks the kernel to zero the page in forked children. CP_NO_WIPEONFORK lets tests take the other
** way.
*/
static bool wipe_on_fork(id_source *source) {
#if defined(MADV_WIPEONFORK) && !defined(CP_NO_WIPEONFORK)
  return madvise(source, page_size(), MADV_WIPEONFORK) == 0;
#else
  (void)source;
  return false;
#endif
}

static bool fill_from_kernel(void *bytes, size_t size) {
#if defined(__linux__)
  ssize_t got;
  do got = getrandom(bytes, size, 0);
  while (got < 0 && errno == EINTR);
  return got == (ssize_t)size;
#else
  (void)bytes;
  (void)size;
  return false;
#endif
}

static bool fill_from_device(void *bytes, size_t size) {
  int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  ssize_t got;
  do got = read(fd, bytes, size);
  while (got < 0 && errno == EINTR);
  close(fd);
  return got == (ssize_t)size;
}

/*
** The last resort, in a jail without a source of randomness: seeds from values that differ between
** processes and runs.
*/
static void seed_from_circumstances(id_source *source) {
  task_clock monotonic = {.is_virtual = false};
  uint64_t mix = (uint64_t)clock_wall_ns();
  mix = splitmix_next(&mix) ^ (uint64_t)clock_now_ns(&monotonic);
  mix = splitmix_next(&mix) ^ (uint64_t)(uintptr_t)source;
  mix = splitmix_next(&mix) ^ (uint64_t)getpid();
  rng_seed(&source->generator, mix);
}

static bool is_seeded(const id_source *source) {
  const uint64_t *s = source->generator.state;
  return (s[0] | s[1] | s[2] | s[3]) != 0;
}

static void reseed(id_source *source) {
  int saved_errno = errno;
  rng *r = &source->generator;
  bool filled = fill_from_kernel(r, sizeof *r) || fill_from_device(r, sizeof *r);
  if (!filled || !is_seeded(source)) seed_from_circumstances(source);
  source->owner = wipe_on_fork(source) ? 0 : getpid();
  source->mark = 0;
  errno = saved_errno;
}

/*
** Whether the state is seeded for this process. False in a child that was forked after the seeding.
*/
static bool is_ours(const id_source *source) {
  return is_seeded(source) && (source->owner == 0 || source->owner == getpid());
}

uint64_t id_source_marked(const id_source *source) { return is_ours(source) ? source->mark : 0; }

uint64_t id_source_next(id_source *source) {
  if (!is_ours(source)) reseed(source);
  uint64_t id;
  do id = rng_next(&source->generator);
  while (id == 0);
  return id;
}

uint64_t id_source_mark(id_source *source) {
  if (id_source_marked(source) == 0) source->mark = id_source_next(source);
  return source->mark;
}
