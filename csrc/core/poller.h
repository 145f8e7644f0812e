/*
** Waits until descriptors are ready: with epoll on Linux, with poll(2) elsewhere, or wherever
** CP_POLLER_POLL is defined. A waiter is a list link of the caller's. It stands in the queue of its
** descriptor until the descriptor is ready for something that the waiter asked for. Then the poller
** takes it out and calls `wake`.
**
** Readiness is a present state: a descriptor that is ready when the waiting begins counts. Hang-ups
** and errors make a descriptor ready for everything, since reading or writing would report them at
** once. Files that can't be polled, such as regular ones, are always ready.
**
** The poller does not own the descriptors, and their owners close them without telling it.
** Therefore it registers a descriptor anew for each waiting, and so notices if the number belongs
** to another file by then. If a number is closed while a waiter waits for it, poll wakes the waiter
** at once. Under epoll it is woken when another waiter is added for that number, or by poller_lose;
** otherwise never.
**
** A forked child opens an instance of its own when it first waits, with the waiters that it has
** inherited. It leaves its parent's instance alone.
*/
#ifndef CP_CORE_POLLER_H
#define CP_CORE_POLLER_H

#include <stdbool.h>

#include "core/base.h"
#include "core/list.h"

#pragma GCC visibility push(hidden)

/* A set of directions: those that a waiter asks for, or those that are ready. */
enum { POLLER_READ = 1, POLLER_WRITE = 2, POLLER_BOTH = 3 };

/*
** Called for a waiter that is woken; the waiter is in no list by then. Must not call the poller.
**   ready  the ready directions among those asked for; 0: the descriptor was closed
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
** Opens the descriptor that waiting needs. False, with errno set, if the system refuses. Harmless
** if it is open; poller_add and poller_watch call it themselves.
*/
bool poller_open(poller *p);

typedef enum poller_answer {
  POLLER_WAITING, /* the waiter stands in the descriptor's queue */
  POLLER_ALWAYS,  /* it is in no list: the descriptor is ready and will always be */
  POLLER_REFUSED  /* it is in no list: errno says why; ENOMEM: no memory */
} poller_answer;

/*
** Puts `waiter`, which is in no list, into the queue of `fd`.
**   asked  the directions to wait for, not empty
** If the number belonged to another file before, calls `wake` for the waiters of that file.
*/
poller_answer poller_add(poller *p, list *waiter, int fd, unsigned asked);

/* Takes out a waiter; harmless if it is in no list. Tells the system only when it matters. */
void poller_remove(poller *p, list *waiter);

/* Call it when `fd` was closed: wakes its waiters. Harmless if it has none. */
void poller_lose(poller *p, int fd);

/*
** Wakes the waiters of all descriptors that are closed. Looks at every descriptor that has waiters.
*/
void poller_lose_closed(poller *p);

/*
** Waits until a waiter can be woken, the watched descriptor is readable, or `timeout_ns` has passed
** (0: does not wait, < 0: for ever). Wakes all waiters whose directions are ready. A signal may end
** the wait early.
*/
void poller_wait(poller *p, int64_t timeout_ns);

/*
** Watches one more descriptor: when it is readable, it ends each wait, and the poller's own
** descriptor is readable too. It must stay open as long as the poller. False, with errno set, if
** the system refuses.
*/
bool poller_watch(poller *p, int fd);

/* Ends that. Call it before the watched number gets another file. */
void poller_unwatch(poller *p);

/*
** Returns the directions of `asked` for which `fd` is ready now; -1, with errno set, if the system
** can not tell.
*/
int poller_check(int fd, unsigned asked);

/*
** Returns the descriptor that is readable while poller_wait would return at once; -1 where there is
** none (poll), or before poller_open.
*/
static inline int poller_fd(const poller *p) { return p->epoll_fd; }

#pragma GCC visibility pop

#endif
