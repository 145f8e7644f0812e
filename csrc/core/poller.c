/*
** Readiness of descriptors: see poller.h. epoll and poll share the queues; each has its own `arm`
** and `collect`.
*/
#define _GNU_SOURCE 1 /* ppoll, dup3 */

#include "core/poller.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#if defined(__linux__) && !defined(CP_POLLER_POLL)
#define HAVE_EPOLL 1
#include <sys/epoll.h>
#else
#define HAVE_EPOLL 0
#endif

#define NS_PER_MILLISECOND INT64_C(1000000)

/* The waiters of one descriptor, and its registration in the system. */
typedef struct poller_entry {
  list waiters[POLLER_BOTH]; /* by the directions that they ask for, less 1 */
#if HAVE_EPOLL
  uint32_t serial; /* of the latest registration; a report of a former file has another one */
  bool known;      /* epoll has, or had, a registration */
#else
  int index; /* in `polled`; 0: not in it */
#endif
} poller_entry;

void poller_init(poller *p, const allocator *memory, poller_wake *wake, void *ud) {
  *p = (poller){.memory = memory, .wake = wake, .ud = ud, .watched = -1, .epoll_fd = -1};
}

/* --- queues --- */

/*
** Makes room for `fd`. The heads of the queues move, so the elements are linked to the new heads.
*/
static bool reserve_entry(poller *p, int fd) {
  if (fd < p->capacity) return true;
  int capacity = p->capacity == 0 ? 16 : p->capacity;
  while (capacity <= fd) capacity = capacity <= INT_MAX / 2 ? capacity * 2 : INT_MAX;
  poller_entry *entries = mem_new(p->memory, (size_t)capacity * sizeof(poller_entry));
  if (entries == NULL) return false;
  for (int i = 0; i < capacity; i++) {
    entries[i] = i < p->capacity ? p->entries[i] : (poller_entry){0};
    for (int kind = 0; kind < POLLER_BOTH; kind++) {
      list_init(&entries[i].waiters[kind]);
      if (i < p->capacity) list_append_all(&entries[i].waiters[kind], &p->entries[i].waiters[kind]);
    }
  }
  mem_free(p->memory, p->entries, (size_t)p->capacity * sizeof(poller_entry));
  p->entries = entries;
  p->capacity = capacity;
  return true;
}

/* Returns the directions that any waiter of the descriptor asks for. */
static unsigned interest_of(const poller_entry *entry) {
  unsigned interest = 0;
  for (unsigned asked = 1; asked <= POLLER_BOTH; asked++) {
    if (!list_empty(&entry->waiters[asked - 1])) interest |= asked;
  }
  return interest;
}

void poller_remove(poller *p, list *waiter) {
  if (list_empty(waiter)) return;
  list_remove(waiter);
  p->waiting--;
}

/*
** Wakes the waiters that ask for a direction in `ready`. Each is taken out before it is woken. None
** can be added meanwhile, because `wake` must not call the poller.
*/
static void wake_matching(poller *p, poller_entry *entry, unsigned ready) {
  for (unsigned asked = 1; asked <= POLLER_BOTH; asked++) {
    if ((asked & ready) == 0) continue;
    list *waiter;
    while ((waiter = list_take_first(&entry->waiters[asked - 1])) != NULL) {
      p->waiting--;
      p->wake(p->ud, waiter, asked & ready);
    }
  }
}

/* Wakes all waiters, because their file is no longer open under this number. */
static void wake_lost(poller *p, poller_entry *entry) {
  for (int kind = 0; kind < POLLER_BOTH; kind++) {
    list *waiter;
    while ((waiter = list_take_first(&entry->waiters[kind])) != NULL) {
      p->waiting--;
      p->wake(p->ud, waiter, 0);
    }
  }
}

/* --- poll(2) --- */

static short to_poll(unsigned asked) {
  return (short)(((asked & POLLER_READ) != 0 ? POLLIN : 0) |
                 ((asked & POLLER_WRITE) != 0 ? POLLOUT : 0));
}

static unsigned from_poll(int events) {
  if ((events & (POLLERR | POLLHUP)) != 0) return POLLER_BOTH;
  return ((events & POLLIN) != 0 ? POLLER_READ : 0U) |
         ((events & POLLOUT) != 0 ? POLLER_WRITE : 0U);
}

int poller_check(int fd, unsigned asked) {
  struct pollfd polled = {.fd = fd, .events = to_poll(asked)};
  int count;
  do count = poll(&polled, 1, 0);
  while (count < 0 && errno == EINTR);
  if (count < 0) return -1;
  if (fd < 0 || (polled.revents & POLLNVAL) != 0) {
    errno = EBADF;
    return -1;
  }
  return (int)(from_poll(polled.revents) & asked);
}

#if HAVE_EPOLL

/* --- epoll --- */

/* The most reports taken at once. */
#define MAX_REPORTS 128

/* The watched descriptor, instead of serial and number. */
#define WATCHED UINT64_MAX

static uint32_t to_epoll(unsigned asked) {
  return ((asked & POLLER_READ) != 0 ? EPOLLIN : 0U) |
         ((asked & POLLER_WRITE) != 0 ? EPOLLOUT : 0U);
}

static unsigned from_epoll(uint32_t events) {
  if ((events & (EPOLLERR | EPOLLHUP)) != 0) return POLLER_BOTH;
  return ((events & EPOLLIN) != 0 ? POLLER_READ : 0U) |
         ((events & EPOLLOUT) != 0 ? POLLER_WRITE : 0U);
}

/*
** Registers the directions that the descriptor's waiters and a new one ask for, for one report.
** After the report epoll is silent about the descriptor until it is armed again, so that directions
** without waiters cost at most one report. Returns 0, or the system's errno. Sets `lost` if the
** former registration was gone with its file.
*/
static int arm(poller *p, int fd, poller_entry *entry, unsigned asked, bool *lost) {
  struct epoll_event event = {.events = to_epoll(asked) | EPOLLONESHOT};
  event.data.u64 = (uint64_t)++entry->serial << 32 | (uint32_t)fd;
  if (entry->known && epoll_ctl(p->epoll_fd, EPOLL_CTL_MOD, fd, &event) == 0) return 0;
  *lost = entry->known;
  entry->known = epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ||
                 (errno == EEXIST && epoll_ctl(p->epoll_fd, EPOLL_CTL_MOD, fd, &event) == 0);
  return entry->known ? 0 : errno;
}

/* Registers the watched descriptor, by level. */
static bool register_watched(const poller *p) {
  struct epoll_event event = {.events = EPOLLIN, .data = {.u64 = WATCHED}};
  return p->watched < 0 || epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, p->watched, &event) == 0;
}

/*
** Registers all descriptors in a new instance. If one can't be registered, its waiters learn that
** the file is lost.
*/
static void register_all(poller *p) {
  register_watched(p);
  for (int fd = 0; fd < p->capacity; fd++) {
    poller_entry *entry = &p->entries[fd];
    entry->known = false;
    unsigned interest = interest_of(entry);
    bool lost;
    if (interest != 0 && arm(p, fd, entry, interest, &lost) != 0) wake_lost(p, entry);
  }
}

/*
** Opens a new instance in place of the old one. It gets the old one's number if `number` is not -1.
*/
static bool replace_instance(poller *p, int number) {
  p->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (p->epoll_fd < 0) return false;
  if (number >= 0 && number != p->epoll_fd && dup3(p->epoll_fd, number, O_CLOEXEC) == number) {
    close(p->epoll_fd);
    p->epoll_fd = number;
  }
  p->owner = getpid();
  register_all(p);
  return true;
}

/* In a forked child the inherited number is the child's own, but the instance is its parent's. */
bool poller_open(poller *p) {
  int number = p->epoll_fd;
  if (number >= 0 && p->owner == getpid()) return true;
  if (number >= 0) close(number);
  return replace_instance(p, number);
}

/* A report with an old serial is about a former file, and not for the waiters of today. */
static void report(poller *p, const struct epoll_event *event) {
  uint64_t which = event->data.u64;
  if (which == WATCHED) return;
  int fd = (int)(uint32_t)which;
  poller_entry *entry = &p->entries[fd];
  if (entry->serial != which >> 32) return;
  wake_matching(p, entry, from_epoll(event->events));
  unsigned interest = interest_of(entry);
  bool lost;
  if (interest != 0 && arm(p, fd, entry, interest, &lost) != 0) wake_lost(p, entry);
}

/*
** epoll_wait counts milliseconds, which is too coarse for timers; so ppoll waits for the instance.
*/
static void wait_for_report(const poller *p, int64_t timeout_ns) {
  struct pollfd instance = {.fd = p->epoll_fd, .events = POLLIN};
  struct timespec timeout;
  timeout.tv_sec = (time_t)(timeout_ns / NS_PER_SECOND);
  timeout.tv_nsec = (long)(timeout_ns % NS_PER_SECOND);
  ppoll(&instance, 1, &timeout, NULL);
}

/*
** If other code has closed the instance's number, or reused it for another file, waiting would
** return at once for ever. Then a new instance is opened, under a number of its own.
*/
static void collect(poller *p, int64_t timeout_ns) {
  struct epoll_event events[MAX_REPORTS];
  if (timeout_ns > 0) wait_for_report(p, timeout_ns);
  int count = epoll_wait(p->epoll_fd, events, MAX_REPORTS, timeout_ns < 0 ? -1 : 0);
  for (int i = 0; i < count; i++) report(p, &events[i]);
  if (count >= 0 || errno == EINTR) return;
  replace_instance(p, -1);
}

/*
** Unregisters the descriptors without waiters. One may be the epoll instance of another loop, which
** could not poll our instance while we have it, since the two would be a cycle.
*/
static void forget_idle(poller *p) {
  for (int fd = 0; fd < p->capacity; fd++) {
    poller_entry *entry = &p->entries[fd];
    if (!entry->known || interest_of(entry) != 0) continue;
    epoll_ctl(p->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    entry->known = false;
  }
}

bool poller_watch(poller *p, int fd) {
  if (!poller_open(p)) return false;
  forget_idle(p);
  if (p->watched == fd) return true;
  p->watched = fd;
  if (register_watched(p)) return true;
  p->watched = -1;
  return false;
}

/* An inherited instance is left alone: it is the parent's. */
void poller_unwatch(poller *p) {
  bool is_registered = p->watched >= 0 && p->epoll_fd >= 0 && p->owner == getpid();
  if (is_registered) epoll_ctl(p->epoll_fd, EPOLL_CTL_DEL, p->watched, NULL);
  p->watched = -1;
}

static void close_instance(poller *p) {
  if (p->epoll_fd >= 0) close(p->epoll_fd);
}

#else

/* --- the array for poll --- */

bool poller_open(poller *p) {
  if (p->polled_capacity > 0) return true;
  enum { INITIAL = 16 };
  p->polled = mem_new(p->memory, INITIAL * sizeof(struct pollfd));
  if (p->polled == NULL) {
    errno = ENOMEM;
    return false;
  }
  p->polled_capacity = INITIAL;
  p->polled_count = 1;
  p->polled[0] = (struct pollfd){.fd = p->watched, .events = POLLIN};
  return true;
}

static bool reserve_polled(poller *p) {
  if (p->polled_count < p->polled_capacity) return true;
  size_t old_size = (size_t)p->polled_capacity * sizeof(struct pollfd);
  struct pollfd *polled = mem_resize(p->memory, p->polled, old_size, old_size * 2);
  if (polled == NULL) return false;
  p->polled = polled;
  p->polled_capacity *= 2;
  return true;
}

static int arm(poller *p, int fd, poller_entry *entry, unsigned asked, bool *lost) {
  *lost = true;
  if (poller_check(fd, asked) < 0) return errno;
  *lost = false;
  if (entry->index == 0) {
    if (!reserve_polled(p)) return ENOMEM;
    entry->index = p->polled_count++;
  }
  p->polled[entry->index] = (struct pollfd){.fd = fd, .events = to_poll(asked)};
  return 0;
}

/* Takes a descriptor without waiters out of `polled`; the last one moves to its place. */
static void disarm(poller *p, poller_entry *entry) {
  if (entry->index == 0) return;
  struct pollfd last = p->polled[--p->polled_count];
  p->entries[last.fd].index = entry->index;
  p->polled[entry->index] = last;
  entry->index = 0;
}

/* In milliseconds, rounded up, so that the last one is not spent spinning. */
static int milliseconds(int64_t timeout_ns) {
  if (timeout_ns < 0) return -1;
  int64_t ms = timeout_ns / NS_PER_MILLISECOND + (timeout_ns % NS_PER_MILLISECOND != 0);
  return ms < INT_MAX ? (int)ms : INT_MAX;
}

/*
** Goes from the last to the first, because disarming moves the last one, which has been looked at.
*/
static void collect(poller *p, int64_t timeout_ns) {
  int count = poll(p->polled, (nfds_t)p->polled_count, milliseconds(timeout_ns));
  if (count <= 0) return;
  for (int i = p->polled_count - 1; i >= 1; i--) {
    struct pollfd *polled = &p->polled[i];
    poller_entry *entry = &p->entries[polled->fd];
    if ((polled->revents & POLLNVAL) != 0) {
      wake_lost(p, entry);
    } else if (polled->revents != 0) {
      wake_matching(p, entry, from_poll(polled->revents));
    }
    unsigned interest = interest_of(entry);
    polled->events = to_poll(interest);
    if (interest == 0) disarm(p, entry);
  }
}

bool poller_watch(poller *p, int fd) {
  if (!poller_open(p)) return false;
  p->watched = p->polled[0].fd = fd;
  return true;
}

void poller_unwatch(poller *p) {
  p->watched = -1;
  if (p->polled_capacity > 0) p->polled[0].fd = -1;
}

static void close_instance(poller *p) {
  mem_free(p->memory, p->polled, (size_t)p->polled_capacity * sizeof(struct pollfd));
}

#endif

/* --- waiting --- */

poller_answer poller_add(poller *p, list *waiter, int fd, unsigned asked) {
  cp_assert(asked >= 1 && asked <= POLLER_BOTH);
  if (fd < 0) {
    errno = EBADF;
    return POLLER_REFUSED;
  }
  if (!poller_open(p)) return POLLER_REFUSED;
  /* A number that is no descriptor may be huge: check before making room for it. */
  if (fd >= p->capacity && poller_check(fd, asked) < 0) return POLLER_REFUSED;
  if (!reserve_entry(p, fd)) {
    errno = ENOMEM;
    return POLLER_REFUSED;
  }
  poller_entry *entry = &p->entries[fd];
  bool lost = false;
  int refusal = arm(p, fd, entry, interest_of(entry) | asked, &lost);
  if (lost) wake_lost(p, entry);
  if (refusal == EPERM) return POLLER_ALWAYS;
  if (refusal != 0) {
    errno = refusal;
    return POLLER_REFUSED;
  }
  list_append(&entry->waiters[asked - 1], waiter);
  p->waiting++;
  return POLLER_WAITING;
}

void poller_lose(poller *p, int fd) {
  if (fd >= 0 && fd < p->capacity) wake_lost(p, &p->entries[fd]);
}

void poller_lose_closed(poller *p) {
  for (int fd = 0; fd < p->capacity; fd++) {
    unsigned interest = interest_of(&p->entries[fd]);
    if (interest != 0 && poller_check(fd, interest) < 0 && errno == EBADF) poller_lose(p, fd);
  }
}

void poller_wait(poller *p, int64_t timeout_ns) {
  if (poller_open(p)) collect(p, timeout_ns);
}

void poller_close(poller *p) {
  close_instance(p);
  for (int fd = 0; fd < p->capacity; fd++) {
    for (int kind = 0; kind < POLLER_BOTH; kind++) {
      while (list_take_first(&p->entries[fd].waiters[kind]) != NULL) continue;
    }
  }
  mem_free(p->memory, p->entries, (size_t)p->capacity * sizeof(poller_entry));
  poller_init(p, p->memory, p->wake, p->ud);
}
