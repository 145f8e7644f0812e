/*
** Which descriptors are ready: epoll on Linux, poll(2) elsewhere, or wherever CP_POLLER_POLL is
** defined. A waiter is a list link of the caller's, which stands in the queue of its descriptor until
** the descriptor is ready for something that it asks for; then it is taken out and `wake` is called.
**
** Readiness is a level: what is ready when the waiting begins counts. Hang-ups and errors make a
** descriptor ready for whatever is asked, since reading or writing would tell at once. Files that
** can't be polled, such as regular ones, are always ready.
**
** Descriptors belong to others, who close them without a word. Therefore each waiting registers anew:
** a number that has come to mean another file is noticed. Whoever waits while the number is closed is
** told when somebody waits for that number again or calls poller_lose, and under poll at once;
** otherwise never.
**
** A forked child takes an instance of its own when it first waits, with the waiters that it has
** inherited, and leaves its parent's alone.
*/
#ifndef CP_CORE_POLLER_H
#define CP_CORE_POLLER_H

#include <stdbool.h>

#include "core/base.h"
#include "core/list.h"

#pragma GCC visibility push(hidden)

/* A set of these: what a waiter asks for, what is ready. */
enum { POLLER_READ = 1, POLLER_WRITE = 2, POLLER_BOTH = 3 };

/*
** `ready` is the part of what the waiter asked for that is ready; 0: its descriptor was closed.
** The waiter is in no list. Must not call the poller.
*/
typedef void poller_wake(void *ud, list *waiter, unsigned ready);

struct poller_entry;

typedef struct poller {
  const allocator *memory;
  poller_wake *wake;
  void *ud;
  size_t waiting;               /* waiters in all queues */
  struct poller_entry *entries; /* by descriptor */
  int capacity;                 /* of `entries` */
  int watched;                  /* see poller_watch; -1: none */
  int epoll_fd;                 /* -1 until it is needed, and always under poll */
  int owner;                    /* the process that opened it */
  struct pollfd *polled;        /* poll: those with waiters, dense, from index 1; 0 is `watched` */
  int polled_count;
  int polled_capacity;
} poller;

/* Owns nothing yet. `memory` must outlive it. */
void poller_init(poller *p, const allocator *memory, poller_wake *wake, void *ud);

/* Frees everything. Waiters are then in no list. */
void poller_close(poller *p);

/*
** Opens what waiting needs. False, with errno set, when the system refuses. Harmless when open;
** poller_add and poller_watch do it themselves.
*/
bool poller_open(poller *p);

typedef enum poller_answer {
  POLLER_WAITING, /* the waiter stands in the descriptor's queue */
  POLLER_ALWAYS,  /* it is in no list: the descriptor is ready and will always be */
  POLLER_REFUSED  /* it is in no list: errno says why; ENOMEM: no memory */
} poller_answer;

/*
** Puts `waiter`, which is in no list, into the queue of `fd`.
**   asked  what for, not empty
** Calls `wake` for waiters of a former file of that number.
*/
poller_answer poller_add(poller *p, list *waiter, int fd, unsigned asked);

/* Takes out a waiter; harmless when it is in no list. The system is not told before it matters. */
void poller_remove(poller *p, list *waiter);

/* `fd` was closed: wakes who waits for it. Harmless when nobody does. */
void poller_lose(poller *p, int fd);

/* Wakes who waits for a descriptor that is closed, whichever it is: looks at all that are waited for. */
void poller_lose_closed(poller *p);

/*
** Waits until a waiter can be woken, the watched descriptor is readable, or `timeout_ns` has passed
** (0: does not wait, < 0: for ever), and wakes all waiters that match. A signal may end it early.
*/
void poller_wait(poller *p, int64_t timeout_ns);

/*
** A descriptor whose being readable ends each wait, and makes the poller's own readable too. False,
** with errno set: the system refuses. The descriptor must stay open as long as the poller.
*/
bool poller_watch(poller *p, int fd);

/* What of `asked` `fd` is ready for now. -1, with errno set: nobody can tell. */
int poller_check(int fd, unsigned asked);

/*
** The descriptor that is readable while poller_wait would return at once; -1 where there is none
** (poll), or before poller_open.
*/
static inline int poller_fd(const poller *p) { return p->epoll_fd; }

#pragma GCC visibility pop

#endif
