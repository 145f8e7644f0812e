/*
** The descriptor that wakes a polling host: see wakeup.h.
*/
#define _GNU_SOURCE 1 /* ppoll, clock_nanosleep */

#include "core/wakeup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"

/* CP_NO_EVENTFD lets tests on Linux take the other systems' way. */
#if defined(__linux__) && !defined(CP_NO_EVENTFD)
#define HAVE_EVENTFD 1
#include <sys/eventfd.h>
#else
#define HAVE_EVENTFD 0
#endif

#define NS_PER_MILLISECOND INT64_C(1000000)

void wakeup_init(wakeup *w) { *w = (wakeup){.read_fd = -1, .write_fd = -1}; }

#if HAVE_EVENTFD

static bool open_ends(wakeup *w) {
  w->read_fd = w->write_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  return w->read_fd >= 0;
}

#else

static bool set_flags(int fd) {
  return fcntl(fd, F_SETFL, O_NONBLOCK) == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

static bool open_ends(wakeup *w) {
  int ends[2];
  if (pipe(ends) != 0) return false;
  w->read_fd = ends[0];
  w->write_fd = ends[1];
  if (set_flags(w->read_fd) && set_flags(w->write_fd)) return true;
  int saved_errno = errno;
  wakeup_close(w);
  errno = saved_errno;
  return false;
}

#endif

bool wakeup_open(wakeup *w) {
  if (w->read_fd >= 0) return true;
  w->process = getpid();
  return open_ends(w);
}

bool wakeup_is_own(const wakeup *w) { return w->read_fd < 0 || w->process == getpid(); }

/* Moves an open descriptor to the number of an old one, which it has already if that was closed. */
static void move(int fd, int number) {
  if (fd == number) return;
  dup2(fd, number);
  fcntl(number, F_SETFD, FD_CLOEXEC);
  close(fd);
}

/* A signal may have gone to the former descriptor. */
bool wakeup_renew(wakeup *w) {
  wakeup fresh;
  wakeup_init(&fresh);
  if (!wakeup_open(&fresh)) return false;
  if (fresh.write_fd != fresh.read_fd) move(fresh.write_fd, w->write_fd);
  move(fresh.read_fd, w->read_fd);
  w->process = fresh.process;
  wakeup_signal(w);
  return true;
}

void wakeup_close(wakeup *w) {
  if (w->read_fd >= 0) close(w->read_fd);
  if (w->write_fd >= 0 && w->write_fd != w->read_fd) close(w->write_fd);
  wakeup_init(w);
}

/*
** EAGAIN is success, because a full pipe is readable. errno is kept, because a signal handler may
** call this.
*/
void wakeup_signal(const wakeup *w) {
  if (w->write_fd < 0) return;
  int saved_errno = errno;
  uint64_t one = 1; /* an eventfd takes exactly 8 bytes; a pipe takes any number */
  ssize_t written;
  do written = write(w->write_fd, &one, sizeof one);
  while (written < 0 && errno == EINTR);
  errno = saved_errno;
}

/* A short read has emptied the pipe. An eventfd gives 8 bytes, whatever its count. */
void wakeup_drain(const wakeup *w) {
  if (w->read_fd < 0) return;
  int saved_errno = errno;
  char bytes[512];
  ssize_t got;
  do got = read(w->read_fd, bytes, sizeof bytes);
  while (got == (ssize_t)sizeof bytes || (got < 0 && errno == EINTR));
  errno = saved_errno;
}

static struct timespec to_timespec(int64_t ns) {
  struct timespec time;
  time.tv_sec = (time_t)(ns / NS_PER_SECOND);
  time.tv_nsec = (long)(ns % NS_PER_SECOND);
  return time;
}

static void wait_for_nothing(int64_t timeout_ns) {
  if (timeout_ns < 0) {
    pause();
  } else {
    struct timespec time = to_timespec(timeout_ns);
    nanosleep(&time, NULL);
  }
}

#if HAVE_EVENTFD

static int poll_ns(struct pollfd *fd, int64_t timeout_ns) {
  struct timespec timeout = to_timespec(timeout_ns);
  return ppoll(fd, 1, timeout_ns < 0 ? NULL : &timeout, NULL);
}

#else

/* In milliseconds, rounded up, so that the last one is not spent spinning. */
static int poll_ns(struct pollfd *fd, int64_t timeout_ns) {
  int64_t ms = timeout_ns / NS_PER_MILLISECOND + (timeout_ns % NS_PER_MILLISECOND != 0);
  if (timeout_ns < 0) ms = -1;
  return poll(fd, 1, ms < INT_MAX ? (int)ms : INT_MAX);
}

#endif

void wakeup_wait(const wakeup *w, int64_t timeout_ns) {
  struct pollfd fd = {.fd = w->read_fd, .events = POLLIN};
  if (w->read_fd < 0) {
    wait_for_nothing(timeout_ns);
    return;
  }
  /* Other code has closed the number: poll would return at once for ever, so sleep instead. */
  if (poll_ns(&fd, timeout_ns) > 0 && (fd.revents & POLLNVAL) != 0) wait_for_nothing(timeout_ns);
}
