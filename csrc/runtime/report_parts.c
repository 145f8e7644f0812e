#include "runtime/report_parts.h"

#include <stdio.h>
#include <string.h>

#include "core/hex.h"
#include "runtime/task.h"

/* Places longer than this do not push the column of all others to the right. */
#define PLACE_COLUMN_MAX 40

/* Equal lines of a recursion that are shown before the others are counted. */
#define MAX_REPEATED 3

/* `file.lua:12`, or `[C]`. */
#define PLACE_SIZE (LUA_IDSIZE + TEXT_NUMBER_SIZE)

static const char spaces[] = "                                        ";
_Static_assert(sizeof(spaces) - 1 == PLACE_COLUMN_MAX, "one space for each column");

/* --- who --- */

/* `task 7 "price lookup"`; `name` is empty for an unnamed task. */
static void put_task(text_writer *w, uint64_t id, const char *name) {
  text_put(w, "task ");
  text_put_number(w, id);
  if (*name == '\0') return;
  text_put(w, " \"");
  text_put_name(w, name, strlen(name));
  text_put(w, "\"");
}

static const char *verb_of(const record *r) {
  switch (r->kind) {
    case RECORD_MEMORY: return " ran out of memory";
    case RECORD_DEADLOCK: return " is in a deadlock";
    case RECORD_GOEXIT: return " exited";
    case RECORD_CANCELLED:
      return r->cancel_source == CANCEL_SHUTDOWN ? " was cancelled by the run's end"
                                                 : " was cancelled";
    default: return " panicked";
  }
}

/* The ids are missing only where there was no memory to make them. */
static void put_trace(text_writer *w, const record *r) {
  static const uint8_t none[sizeof(r->trace_id)];
  if (memcmp(r->trace_id, none, sizeof(none)) == 0) return;
  char hex[2 * sizeof(r->trace_id) + 1] = {0};
  hex_encode(hex, r->trace_id, sizeof(r->trace_id));
  text_put(w, ", trace ");
  text_put(w, hex);
  hex_encode_u64(hex, r->span_id);
  hex[16] = '\0';
  text_put(w, ", span ");
  text_put(w, hex);
}

void report_write_head(lua_State *L, int index, text_writer *w) {
  const record *r = record_test(L, index);
  if (r->task_id == 0) {
    text_put(w, "main thread");
  } else {
    lua_getiuservalue(L, index, RECORD_UV_TASK);
    const task *t = task_test(L, -1);
    put_task(w, r->task_id, t == NULL ? "" : t->name);
    lua_pop(L, 1);
  }
  text_put(w, verb_of(r));
  put_trace(w, r);
  text_put(w, "\n");
}

/* --- where --- */

static void place_of(char place[PLACE_SIZE], const record_frame *f) {
  text_chunk_name(place, f->source);
  size_t length = strlen(place);
  if (f->line > 0) snprintf(place + length, PLACE_SIZE - length, ":%d", f->line);
}

/* Columns that a place takes: bytes that begin a character. */
static int width_of(const char *place) {
  int width = 0;
  for (; *place != '\0'; place++) {
    if (((unsigned char)*place & 0xc0) != 0x80) width++;
  }
  return width;
}

static int column_of(const record *r) {
  char place[PLACE_SIZE];
  int column = 0;
  for (int i = 0; i < r->frame_count; i++) {
    place_of(place, &r->frames[i]);
    int width = width_of(place);
    if (width > column && width <= PLACE_COLUMN_MAX) column = width;
  }
  return column;
}

static void put_function(text_writer *w, const record_frame *f) {
  text_put(w, " in ");
  if (f->name != NULL) {
    text_put_name(w, f->name, strlen(f->name));
  } else if (*f->what == 'm') {
    text_put(w, "main chunk");
  } else if (*f->what == 'C') {
    text_put(w, "?");
  } else {
    char chunk[LUA_IDSIZE];
    text_chunk_name(chunk, f->source);
    text_put(w, "function <");
    text_put_name(w, chunk, strlen(chunk));
    text_put(w, ":");
    text_put_number(w, (uint64_t)f->line_defined);
    text_put(w, ">");
  }
  text_put(w, "\n");
}

static void put_frame(text_writer *w, const record_frame *f, int column) {
  char place[PLACE_SIZE];
  place_of(place, f);
  text_put_name(w, place, strlen(place));
  int padding = column - width_of(place);
  if (padding > 0) text_put(w, spaces + (PLACE_COLUMN_MAX - padding));
  put_function(w, f);
}

static void put_omitted_count(text_writer *w, uint64_t count, const char *what) {
  text_put_number(w, count);
  text_put(w, " ");
  text_put(w, what);
  text_put(w, count == 1 ? " left out ...\n" : "s left out ...\n");
}

/* `... 12 frames left out ...` */
static void put_omitted(text_writer *w, uint64_t count, const char *what) {
  text_put(w, "... ");
  put_omitted_count(w, count, what);
}

/* `... at least 500000 frames left out ...`: of an overflowing stack only the inner end is known. */
static void put_omitted_at_least(text_writer *w, uint64_t count, const char *what) {
  text_put(w, "... at least ");
  put_omitted_count(w, count, what);
}

/* How many frames from `i` on, before `end`, would be the same line of the report. */
static int run_length(const record *r, int i, int end) {
  const record_frame *first = &r->frames[i];
  int length = 1;
  for (int j = i + 1; j < end; j++, length++) {
    const record_frame *f = &r->frames[j];
    bool same_name = f->name == first->name ||
                     (f->name != NULL && first->name != NULL && strcmp(f->name, first->name) == 0);
    if (f->source != first->source || f->line != first->line || !same_name) break;
    if (f->line_defined != first->line_defined) break;
  }
  return length;
}

/* The frames [from, to). Of a recursion only the first lines are shown, as in Python's tracebacks.
 */
static void put_frames(text_writer *w, const record *r, int from, int to, int column) {
  while (from < to) {
    int run = run_length(r, from, to);
    int shown = run > MAX_REPEATED + 1 ? MAX_REPEATED : run;
    for (int i = 0; i < shown; i++) put_frame(w, &r->frames[from + i], column);
    if (shown < run) {
      text_put(w, "... the same ");
      text_put_number(w, (uint64_t)(run - shown));
      text_put(w, " more times ...\n");
    }
    from += run;
  }
}

void report_write_frames(const record *r, text_writer *w) {
  int column = column_of(r);
  w->indent++;
  put_frames(w, r, 0, r->inner_count, column);
  if (record_is_deep(r)) {
    put_omitted_at_least(w, r->frames_omitted, "frame");
  } else if (r->frames_omitted > 0) {
    put_omitted(w, r->frames_omitted, "frame");
  }
  put_frames(w, r, r->inner_count, r->frame_count, column);
  w->indent--;
}

/* --- whence --- */

void report_write_ancestors(lua_State *L, int index, text_writer *w) {
  lua_getiuservalue(L, index, RECORD_UV_TASK);
  const task *t;
  for (int i = 0; (t = task_test(L, -1)) != NULL; i++) {
    if (i == RECORD_MAX_ANCESTORS) {
      if (t->generation > 0) put_omitted(w, t->generation, "ancestor");
      break;
    }
    text_put(w, "spawned at ");
    text_put_name(w, t->site->text, strlen(t->site->text));
    lua_getiuservalue(L, -1, TASK_UV_PARENT);
    lua_remove(L, -2);
    const task *parent = task_test(L, -1);
    text_put(w, " by ");
    if (parent != NULL) {
      put_task(w, parent->id, parent->name);
    } else if (t->generation == 0) {
      text_put(w, "main thread");
    } else {
      text_put(w, "a task long gone");
    }
    text_put(w, "\n");
    if (parent == NULL && t->generation > 1) {
      put_omitted(w, (uint64_t)t->generation - 1, "ancestor");
    }
  }
  lua_pop(L, 1);
}

/* --- who else --- */

/* Pushes a field of the table at `index`, without metamethods.   [-0, +1, m] */
static void push_field(lua_State *L, int index, const char *name) {
  lua_pushstring(L, name);
  lua_rawget(L, index);
}

static void put_string_at(lua_State *L, int index, text_writer *w) {
  size_t length = 1;
  const char *text = "?";
  if (lua_type(L, index) == LUA_TSTRING) text = lua_tolstring(L, index, &length);
  text_put_name(w, text, length);
}

/* Names of unnamed tasks are made of their ids. */
static bool is_made_name(const char *name, uint64_t id) {
  char made[TASK_NAME_SIZE];
  snprintf(made, sizeof(made), "task %llu", (unsigned long long)id);
  return strcmp(name, made) == 0;
}

/*
** Writes the line of the parked task that the table at `row` describes: reads all of it before the
** first word, so that a lack of memory can't leave half a line.   [-0, +0, m]
*/
static void put_parked(lua_State *L, int row, text_writer *w) {
  int top = lua_gettop(L);
  push_field(L, row, "id");
  push_field(L, row, "name");
  push_field(L, row, "waiting_on");
  push_field(L, row, "where");
  push_field(L, row, "spawned_at");
  uint64_t id = (uint64_t)lua_tointeger(L, top + 1);
  const char *name = lua_type(L, top + 2) == LUA_TSTRING ? lua_tostring(L, top + 2) : "";
  put_task(w, id, is_made_name(name, id) ? "" : name);
  text_put(w, " waiting on ");
  put_string_at(L, top + 3, w);
  text_put(w, " at ");
  put_string_at(L, top + 4, w);
  text_put(w, ", spawned at ");
  put_string_at(L, top + 5, w);
  text_put(w, "\n");
  lua_settop(L, top);
}

/* (array of parked tasks, writer); protected. */
static int write_parked(lua_State *L) {
  text_writer *w = lua_touserdata(L, 2);
  lua_Integer count = (lua_Integer)lua_rawlen(L, 1);
  for (lua_Integer i = 1; i <= count && i <= RECORD_MAX_PARKED; i++) {
    if (lua_rawgeti(L, 1, i) == LUA_TTABLE) put_parked(L, 3, w);
    lua_settop(L, 2);
  }
  push_field(L, 1, "omitted");
  lua_Integer omitted = lua_tointeger(L, -1);
  if (omitted > 0) put_omitted(w, (uint64_t)omitted, "task");
  return 0;
}

void report_write_parked(lua_State *L, int index, text_writer *w) {
  if (lua_getiuservalue(L, index, RECORD_UV_PARKED) != LUA_TTABLE) {
    lua_pop(L, 1);
    return;
  }
  lua_pushcfunction(L, write_parked);
  lua_insert(L, -2);
  lua_pushlightuserdata(L, w);
  text_put(w, "\n");
  int indent = w->indent;
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) {
    w->indent = indent;
    text_put(w, "... no memory to list the waiting tasks ...\n");
    lua_pop(L, 1);
  }
}
