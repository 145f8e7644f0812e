#define _POSIX_C_SOURCE 200809L /* isatty, write, poll */

#include "report/report.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel/runtime.h"
#include "kernel/value_text.h"
#include "report/report_parts.h"

/* The most nested causes that a report tells. */
#define MAX_CAUSES 8

/* The stack slots of one report: the chain, the record, and the slots of the parts. */
#define REPORT_SLOTS (RECORD_MAX_CHAIN + 1 + REPORT_PART_SLOTS)

/* --- the chain --- */

/* The printed links of a chain, oldest first, on the Lua stack. */
typedef struct chain {
  int first; /* stack index of the oldest */
  int count;
  uint32_t omitted; /* older ones that were not kept */
} chain;

/*
** Pushes the record at `index` and the records that it replaced, oldest first.   [-0, +count, -]
** Goexit and cancellation are no panics: like Go, the chain skips them, unless the newest record is
** one.
*/
static chain push_chain(lua_State *L, int index) {
  chain c = {.first = lua_gettop(L) + 1};
  uint32_t links = 0;
  lua_pushvalue(L, index);
  const record *r;
  while (links <= RECORD_MAX_CHAIN && (r = record_test(L, -1)) != NULL) {
    links++;
    lua_getiuservalue(L, -1, RECORD_UV_LINK);
    if (r->exits && links > 1) {
      lua_remove(L, -2);
    } else {
      lua_pushvalue(L, -2);
      lua_insert(L, c.first);
      lua_remove(L, -2);
      c.count++;
    }
  }
  lua_pop(L, 1);
  r = record_test(L, index);
  c.omitted = r->chain_length >= links ? r->chain_length - links + 1 : 0;
  return c;
}

/* Whether link `i` was recovered and the same value was raised again. Go prints the two as one. */
static bool is_repanicked(lua_State *L, const chain *c, int i) {
  if (i < 0 || i + 1 >= c->count || !record_test(L, c->first + i)->recovered) return false;
  lua_getiuservalue(L, c->first + i, RECORD_UV_VALUE);
  lua_getiuservalue(L, c->first + i + 1, RECORD_UV_VALUE);
  bool same = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return same;
}

static void put_found(text_writer *w, const value_text *found) {
  w->indent++;
  text_put_escaped(w, found->text, found->length);
  w->indent--;
  if (found->left_out == 0) return;
  text_put(w, "... (");
  text_put_number(w, found->left_out);
  text_put(w, " bytes left out)");
}

static const char *prefix_of(const record *r, const value_text *found) {
  if (found->failed || r->kind == RECORD_DEADLOCK) return "fatal error: ";
  if (r->kind == RECORD_GOEXIT) return "goexit: ";
  if (r->kind == RECORD_CANCELLED && r->exits) return "cancelled: ";
  if (r->kind == RECORD_TIMEOUT && r->exits) return "timeout: ";
  if (r->kind == RECORD_LEAKED) return "leaked: ";
  if (r->kind == RECORD_WARNING) return "warning: ";
  return "panic: ";
}

/* Writes link `i` as Go's printpanics does, without the newline.   [-0, +0, -] */
static void write_link(lua_State *L, const chain *c, int i, text_writer *w) {
  value_text found;
  const record *r = record_test(L, c->first + i);
  value_text_find_message(L, c->first + i, &found);
  if (found.text == record_kind_name(r)) {
    text_put(w, found.text); /* an exit without a reason */
  } else {
    text_put(w, prefix_of(r, &found));
    put_found(w, &found);
  }
  if (is_repanicked(L, c, i)) {
    text_put(w, " [recovered, repanicked]");
  } else if (r->recovered) {
    text_put(w, " [recovered]");
  }
  lua_pop(L, 1);
}

/* Writes the chain of the record at `index`. L must have REPORT_SLOTS free slots.   [-0, +0, -] */
static void write_chain(lua_State *L, int index, text_writer *w) {
  chain c = push_chain(L, index);
  int indent = w->indent;
  if (c.omitted > 0) {
    text_put(w, "... ");
    text_put_number(w, c.omitted);
    text_put(w, " older panics left out ...\n");
    w->indent = indent + 1;
  }
  for (int i = 0; i < c.count; i++) {
    if (is_repanicked(L, &c, i - 1)) continue;
    text_put_colour(w, TEXT_BOLD_RED);
    write_link(L, &c, i, w);
    text_put_colour(w, TEXT_PLAIN);
    text_put(w, "\n");
    w->indent = indent + 1;
  }
  w->indent = indent;
  lua_settop(L, c.first - 1);
}

/* --- the whole --- */

static void write_record(lua_State *L, int index, text_writer *w, int depth);

static void write_cause(lua_State *L, int index, text_writer *w, int depth) {
  lua_getiuservalue(L, index, RECORD_UV_CAUSE);
  if (record_test(L, -1) != NULL) {
    text_put(w, "caused by:\n");
    w->indent++;
    if (depth == MAX_CAUSES) {
      text_put(w, "... causes left out ...\n");
    } else {
      write_record(L, lua_gettop(L), w, depth + 1);
    }
    w->indent--;
  }
  lua_pop(L, 1);
}

/* Writes the later panics of a scope, each with its task.   [-0, +0, -] */
static void write_suppressed(lua_State *L, int index, text_writer *w) {
  record_push_detail(L, index, DETAIL_SUPPRESSED);
  lua_Integer count = lua_istable(L, -1) ? (lua_Integer)lua_rawlen(L, -1) : 0;
  if (count > 0) text_put(w, "suppressed:\n");
  w->indent++;
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, -1, i);
    write_chain(L, lua_gettop(L), w);
    report_write_head(L, lua_gettop(L), w);
    lua_pop(L, 1);
  }
  w->indent--;
  lua_pop(L, 1);
}

static void put_no_room(text_writer *w) {
  text_put(w, "fatal error: a panic, and no memory to describe it\n");
}

static void write_record(lua_State *L, int index, text_writer *w, int depth) {
  if (!lua_checkstack(L, REPORT_SLOTS)) {
    put_no_room(w);
    return;
  }
  write_chain(L, index, w);
  text_put(w, "\n");
  report_write_head(L, index, w);
  text_put_colour(w, TEXT_DIM);
  report_write_frames(L, index, w);
  report_write_ancestors(L, index, w);
  text_put_colour(w, TEXT_PLAIN);
  report_write_waiting(L, index, w);
  report_write_events(L, index, w);
  write_suppressed(L, index, w);
  write_cause(L, index, w, depth);
}

/* Writes a value that is no record: its text is all there is.   [-0, +0, -] */
static void write_value(lua_State *L, int index, text_writer *w) {
  value_text found;
  value_text_find(L, index, &found);
  text_put(w, found.failed ? "fatal error: " VALUE_TEXT_FAILED : "panic: ");
  put_found(w, &found);
  text_put(w, "\n");
  lua_pop(L, 1);
}

void report_write(lua_State *L, int index, const text_sink *sink) {
  text_writer w = {.sink = sink};
  if (!lua_checkstack(L, REPORT_SLOTS)) {
    put_no_room(&w);
    return;
  }
  index = lua_absindex(L, index);
  if (record_test(L, index) != NULL) {
    write_record(L, index, &w, 0);
  } else {
    write_value(L, index, &w);
  }
}

/* --- as a string --- */

typedef struct growing_text {
  allocator memory;
  char *text;
  size_t length;
  size_t capacity;
  bool no_memory;
} growing_text;

#define FIRST_CAPACITY 1024

static void grow_write(void *ud, const char *text, size_t length) {
  growing_text *g = ud;
  if (g->no_memory) return;
  if (length > g->capacity - g->length) {
    size_t capacity = g->capacity == 0 ? FIRST_CAPACITY : g->capacity;
    while (capacity - g->length < length) capacity *= 2;
    char *grown = mem_resize(&g->memory, g->text, g->capacity, capacity);
    g->no_memory = grown == NULL;
    if (grown == NULL) return;
    g->text = grown;
    g->capacity = capacity;
  }
  memcpy(g->text + g->length, text, length);
  g->length += length;
}

/* (growing_text) → string; called protected. */
static int push_grown(lua_State *L) {
  const growing_text *g = lua_touserdata(L, 1);
  if (g->no_memory) return luaL_error(L, "not enough memory");
  size_t length = g->length;
  while (length > 0 && g->text[length - 1] == '\n') length--;
  lua_pushlstring(L, g->text, length);
  return 1;
}

void report_push(lua_State *L, int index) {
  /* not lua_getallocf's: a finalizer may end a profile, which takes that allocator away */
  growing_text g = {.memory = record_test(L, index)->runtime->memory};
  text_sink sink = {.write = grow_write, .ud = &g};
  luaL_checkstack(L, 2, NULL);
  report_write(L, index, &sink);
  lua_pushcfunction(L, push_grown);
  lua_pushlightuserdata(L, &g);
  int status = lua_pcall(L, 1, 1, 0);
  mem_free(&g.memory, g.text, g.capacity);
  if (status != LUA_OK) lua_error(L);
}

/* --- on stderr --- */

/* How long to wait for a descriptor that would block, before the rest is dropped. */
#define STDERR_PATIENCE_MS 1000

typedef struct descriptor_text {
  int fd;
  size_t length;
  char buffer[8192];
} descriptor_text;

static void write_all(int fd, const char *text, size_t length) {
  while (length > 0) {
    ssize_t written = write(fd, text, length);
    if (written >= 0) {
      text += written;
      length -= (size_t)written;
      continue;
    }
    struct pollfd writable = {.fd = fd, .events = POLLOUT};
    bool full = errno == EAGAIN || errno == EWOULDBLOCK;
    if (errno != EINTR && !(full && poll(&writable, 1, STDERR_PATIENCE_MS) > 0)) return;
  }
}

static void flush_descriptor(descriptor_text *d) {
  write_all(d->fd, d->buffer, d->length);
  d->length = 0;
}

static void descriptor_write(void *ud, const char *text, size_t length) {
  descriptor_text *d = ud;
  while (length > 0) {
    size_t room = sizeof(d->buffer) - d->length;
    size_t part = length < room ? length : room;
    memcpy(d->buffer + d->length, text, part);
    d->length += part;
    text += part;
    length -= part;
    if (d->length == sizeof(d->buffer)) flush_descriptor(d);
  }
}

/* https://no-color.org: a NO_COLOR that is set and not empty turns colour off. */
static bool wants_colour(int fd) {
  const char *no_color = getenv("NO_COLOR");
  const char *terminal = getenv("TERM");
  if (no_color != NULL && *no_color != '\0') return false;
  if (terminal == NULL || strcmp(terminal, "dumb") == 0) return false;
  return isatty(fd) == 1;
}

void report_to_stderr(lua_State *L, int index) {
  int saved_errno = errno;
  descriptor_text d;
  d.fd = STDERR_FILENO;
  d.length = 0;
  text_sink sink = {.write = descriptor_write, .ud = &d, .colour = wants_colour(d.fd)};
  report_write(L, index, &sink);
  flush_descriptor(&d);
  errno = saved_errno;
}
