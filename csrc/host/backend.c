/* A host's timers and poller in the place of our loop's (kernel/backend.h). */
#include <errno.h>

#include "core/poller.h"
#include "coropanic.h"
#include "host/host.h"
#include "loop/loop.h"
#include "loop/scheduler.h"

_Static_assert(CP_READABLE == (int)POLLER_READ && CP_WRITABLE == (int)POLLER_WRITE,
               "hosts see the poller's numbers");

/* --- numbers for what the host waits for --- */

/*
** The host knows a timer, or a task that waits for a descriptor, by a number: the entry, and how
** often it was used, so that a report that comes too late finds nothing.
*/
typedef struct pending_entry {
  void *target;        /* the timer or task; NULL: free */
  void *object;        /* the host's */
  uint32_t generation; /* from 1 */
  uint32_t next;       /* free: the next free one, by index + 1 */
} pending_entry;

typedef struct pending_table {
  pending_entry *entries;
  uint32_t capacity, used;
  uint32_t free; /* by index + 1; 0: none */
} pending_table;

typedef struct host_backend {
  cp_backend given;
  void *ud;
  pending_table timers, waits;
} host_backend;

enum { PENDING_FIRST = 16 };

/* Makes sure that there is a free entry. */
static bool reserve(runtime *rt, pending_table *p) {
  if (p->free != 0) return true;
  uint32_t capacity = p->capacity == 0 ? PENDING_FIRST : 2 * p->capacity;
  if (capacity >= TIMER_IDLE) return false;
  pending_entry *entries = mem_resize(&rt->memory, p->entries, p->capacity * sizeof(pending_entry),
                                      capacity * sizeof(pending_entry));
  if (entries == NULL) return false;
  for (uint32_t i = capacity; i > p->capacity; i--) {
    entries[i - 1] = (pending_entry){.next = p->free};
    p->free = i;
  }
  p->entries = entries;
  p->capacity = capacity;
  return true;
}

/* Takes the reserved entry. Returns its index. */
static uint32_t take(pending_table *p, void *target) {
  uint32_t index = p->free - 1;
  pending_entry *e = &p->entries[index];
  p->free = e->next;
  e->target = target;
  e->object = NULL;
  e->generation++;
  p->used++;
  return index;
}

static uint64_t number_of(const pending_table *p, uint32_t index) {
  return (uint64_t)p->entries[index].generation << 32 | (index + 1);
}

/* Frees the entry. Returns the host's object. */
static void *release(pending_table *p, uint32_t index) {
  pending_entry *e = &p->entries[index];
  e->target = NULL;
  e->next = p->free;
  p->free = index + 1;
  p->used--;
  return e->object;
}

/* Returns what the number names, and its entry; NULL: nothing any more. */
static void *find(const pending_table *p, uint64_t number, uint32_t *index) {
  *index = (uint32_t)number - 1;
  if (*index >= p->capacity || p->entries[*index].generation != number >> 32) return NULL;
  return p->entries[*index].target;
}

/* --- the six functions --- */

static host_backend *backend_of(const runtime *rt) { return rt->host->backend; }

static int64_t now(const runtime *rt) {
  const host_backend *b = backend_of(rt);
  return b->given.now(b->ud);
}

static bool timer_set(runtime *rt, timer *t, int64_t deadline_ns) {
  host_backend *b = backend_of(rt);
  if (!reserve(rt, &b->timers)) return false;
  uint32_t index = take(&b->timers, t);
  void *object = NULL;
  if (b->given.timer_set(b->ud, number_of(&b->timers, index), deadline_ns, &object) != 0) {
    release(&b->timers, index);
    return false;
  }
  b->timers.entries[index].object = object;
  t->number = index & TIMER_IDLE;
  return true;
}

static void timer_stop(runtime *rt, timer *t) {
  host_backend *b = backend_of(rt);
  void *object = release(&b->timers, t->number);
  t->number = TIMER_IDLE;
  b->given.timer_stop(b->ud, object);
}

/* The entry's index + 1 stands in the task's `fired`, which has no other use while it waits. */
static fd_answer fd_wait(runtime *rt, task *t, int fd, unsigned asked) {
  host_backend *b = backend_of(rt);
  if (!reserve(rt, &b->waits)) {
    errno = ENOMEM;
    return FD_REFUSED;
  }
  uint32_t index = take(&b->waits, t);
  void *object = NULL;
  int answer = b->given.fd_wait(b->ud, number_of(&b->waits, index), fd, (int)asked, &object);
  if (answer != 0) {
    release(&b->waits, index);
    if (answer == CP_FD_ALWAYS) return FD_ALWAYS;
    errno = answer > 0 ? answer : EINVAL;
    return FD_REFUSED;
  }
  b->waits.entries[index].object = object;
  t->waiter.fired = index + 1;
  return FD_WAITING;
}

static void fd_stop(runtime *rt, task *t) {
  host_backend *b = backend_of(rt);
  uint32_t index = t->waiter.fired - 1;
  if (index >= b->waits.capacity || b->waits.entries[index].target != t) return;
  b->given.fd_stop(b->ud, release(&b->waits, index));
}

static void notify(runtime *rt) {
  const host_backend *b = backend_of(rt);
  b->given.notify(b->ud);
}

static const loop_backend hosts_backend = {
    .now = now,
    .timer_set = timer_set,
    .timer_stop = timer_stop,
    .fd_wait = fd_wait,
    .fd_stop = fd_stop,
    .notify = notify,
};

/* --- installing --- */

/* Raises unless the struct is whole.   [-0, +0, e] */
static void check_given(lua_State *L, const cp_backend *given) {
  const char *missing = NULL;
  if (given->size < sizeof(cp_backend)) {
    luaL_error(L, "cp_set_backend: size is %d: set it to sizeof(cp_backend)", (int)given->size);
  }
  if (given->size > sizeof(cp_backend)) {
    luaL_error(L, "cp_set_backend: coropanic " CP_VERSION " does not know all of the functions");
  }
  if (given->now == NULL) missing = "now";
  if (given->timer_set == NULL) missing = "timer_set";
  if (given->timer_stop == NULL) missing = "timer_stop";
  if (given->fd_wait == NULL) missing = "fd_wait";
  if (given->fd_stop == NULL) missing = "fd_stop";
  if (given->notify == NULL) missing = "notify";
  if (missing != NULL) luaL_error(L, "cp_set_backend: the function '%s' is missing", missing);
}

/* Whether anything waits for the present back end. */
static bool is_in_use(const runtime *rt) {
  const event_loop *loop = loop_of(rt);
  if (loop_is_own(rt)) return loop->timers.count > 0 || loop->poller.waiting > 0;
  return rt->host->backend->timers.used > 0 || rt->host->backend->waits.used > 0;
}

void cp_set_backend(lua_State *L, const cp_backend *given, void *ud) {
  runtime *rt = host_open(L);
  if (given != NULL) check_given(L, given);
  if (!scheduler_is_idle(rt) || rt->live_count > 0 || is_in_use(rt)) {
    luaL_error(L, "cp_set_backend: install it before there are tasks or contexts with a deadline");
  }
  if (given == NULL) {
    loop_use_own(rt);
    return;
  }
  host *h = host_of(rt);
  if (h != NULL && h->backend == NULL) {
    h->backend = mem_new(&rt->memory, sizeof(host_backend));
    if (h->backend != NULL) *h->backend = (host_backend){.ud = NULL};
  }
  if (h == NULL || h->backend == NULL) luaL_error(L, "not enough memory");
  h->backend->given = *given;
  h->backend->ud = ud;
  rt->backend = &hosts_backend;
}

/* --- reports --- */

int cp_timer_fired(lua_State *L, cp_timer number) {
  runtime *rt = host_find(L);
  if (rt == NULL || loop_is_own(rt)) return 0;
  uint32_t index;
  timer *t = find(&backend_of(rt)->timers, number, &index);
  if (t == NULL) return 0;
  release(&backend_of(rt)->timers, index);
  t->number = TIMER_IDLE;
  loop_timer_fired(rt, L, t);
  return 1;
}

int cp_fd_ready(lua_State *L, cp_fd_wait number, int events) {
  runtime *rt = host_find(L);
  if (rt == NULL || loop_is_own(rt)) return 0;
  uint32_t index;
  task *t = find(&backend_of(rt)->waits, number, &index);
  if (t == NULL) return 0;
  release(&backend_of(rt)->waits, index);
  loop_fd_ready(rt, t, (unsigned)events & POLLER_BOTH);
  return 1;
}
