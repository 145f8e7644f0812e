#include "report/report_parts.h"

#include <string.h>

#include "core/hex.h"
#include "kernel/task.h"

/* Longer places do not push the column of all others to the right. */
#define PLACE_COLUMN_MAX 40

/* The most equal lines of a recursion that are shown; the others are counted. */
#define MAX_REPEATED 3

/* `file.lua:12`, or `[C]`. */
#define PLACE_SIZE (LUA_IDSIZE + TEXT_NUMBER_SIZE)

static const char spaces[] = "                                        ";
_Static_assert(sizeof(spaces) - 1 == PLACE_COLUMN_MAX, "one space for each column");

/* --- the task --- */

void report_put_task(text_writer *w, uint64_t id, const char *name) {
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
    case RECORD_LEAKED: return " has leaked";
    case RECORD_WARNING: return " was warned";
    case RECORD_GOEXIT: return " exited";
    case RECORD_TIMEOUT: return r->exits ? " ran out of time" : " panicked";
    case RECORD_CANCELLED:
      if (!r->exits) return " panicked";
      if (r->cancel_source == CANCEL_INTERRUPT) return " was interrupted";
      if (r->cancel_source == CANCEL_CPU_BUDGET) return " used up its CPU budget";
      return r->cancel_source == CANCEL_SHUTDOWN ? " was cancelled by the run's end"
                                                 : " was cancelled";
    default: return " panicked";
  }
}

/* The ids are missing only if there was no memory to make them. */
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
    report_put_task(w, r->task_id, t == NULL ? "" : task_given_name(t));
    lua_pop(L, 1);
  }
  text_put(w, verb_of(r));
  if (r->forced) {
    text_put(w, ", and was unwound by force: it had swallowed that ");
    text_put_number(w, CANCEL_MAX_RAISES);
    text_put(w, " times");
  }
  put_trace(w, r);
  text_put(w, "\n");
}

/* --- the stack --- */

/* The frames of one record, which are written one after the other. */
typedef struct stack_text {
  lua_State *L;
  int index; /* of the record */
  const record *r;
  text_writer *w;
  int column; /* where the functions begin */
} stack_text;

static void describe(const stack_text *s, const record_frame *f, lua_Debug *ar) {
  record_describe(s->L, s->index, f, ar);
}

static void place_of(char place[PLACE_SIZE], const char *source, int line) {
  text_chunk_name(place, source);
  if (line <= 0) return;
  char buffer[TEXT_NUMBER_SIZE];
  const char *digits = text_digits(buffer, (uint64_t)line);
  char *end = place + strlen(place);
  *end++ = ':';
  memcpy(end, digits, strlen(digits) + 1);
}

/* Counts the columns of a place, one for each byte that begins a character. */
static int width_of(const char *place) {
  int width = 0;
  for (; *place != '\0'; place++) {
    if (((unsigned char)*place & 0xc0) != 0x80) width++;
  }
  return width;
}

static int column_of(const stack_text *s) {
  char place[PLACE_SIZE];
  int column = 0;
  for (int i = 0; i < s->r->frame_count; i++) {
    lua_Debug ar;
    describe(s, &s->r->frames[i], &ar);
    place_of(place, ar.source, s->r->frames[i].line);
    int width = width_of(place);
    if (width > column && width <= PLACE_COLUMN_MAX) column = width;
  }
  return column;
}

static void put_function(text_writer *w, const char *name, const lua_Debug *ar) {
  text_put(w, " in ");
  if (name != NULL) {
    text_put_name(w, name, strlen(name));
  } else if (*ar->what == 'm') {
    text_put(w, "main chunk");
  } else if (*ar->what == 'C') {
    text_put(w, "?");
  } else {
    char chunk[LUA_IDSIZE];
    text_chunk_name(chunk, ar->source);
    text_put(w, "function <");
    text_put_name(w, chunk, strlen(chunk));
    text_put(w, ":");
    text_put_number(w, (uint64_t)ar->linedefined);
    text_put(w, ">");
  }
  text_put(w, "\n");
}

static void put_frame(const stack_text *s, const record_frame *f) {
  char place[PLACE_SIZE];
  lua_Debug ar;
  describe(s, f, &ar);
  place_of(place, ar.source, f->line);
  text_put_name(s->w, place, strlen(place));
  int padding = s->column - width_of(place);
  if (padding > 0) text_put(s->w, spaces + (PLACE_COLUMN_MAX - padding));
  put_function(s->w, f->name, &ar);
}

static void put_omitted_count(text_writer *w, uint64_t count, const char *what) {
  text_put_number(w, count);
  text_put(w, " ");
  text_put(w, what);
  text_put(w, count == 1 ? " left out ...\n" : "s left out ...\n");
}

void report_put_omitted(text_writer *w, uint64_t count, const char *what) {
  text_put(w, "... ");
  put_omitted_count(w, count, what);
}

/*
** Writes `... at least 500000 frames left out ...`: of an overflowing stack only the inner end is
** known.
*/
static void put_omitted_at_least(text_writer *w, uint64_t count, const char *what) {
  text_put(w, "... at least ");
  put_omitted_count(w, count, what);
}

/* Whether two frames are the same line of the report. */
static bool is_same(const stack_text *s, const record_frame *a, const record_frame *b) {
  if (a->line != b->line) return false;
  bool same_name =
      a->name == b->name || (a->name != NULL && b->name != NULL && strcmp(a->name, b->name) == 0);
  if (!same_name) return false;
  lua_Debug of_a, of_b;
  describe(s, a, &of_a);
  describe(s, b, &of_b);
  return of_a.source == of_b.source && of_a.linedefined == of_b.linedefined;
}

/* Returns how many frames from `i` on, before `end`, are the same line of the report. */
static int run_length(const stack_text *s, int i, int end) {
  const record_frame *frames = s->r->frames;
  int next = i + 1;
  while (next < end && is_same(s, &frames[i], &frames[next])) next++;
  return next - i;
}

/*
** Writes the frames [from, to). Of a recursion only the first lines are shown, as in Python's
** tracebacks.
*/
static void put_frames(const stack_text *s, int from, int to) {
  while (from < to) {
    int run = run_length(s, from, to);
    int shown = run > MAX_REPEATED + 1 ? MAX_REPEATED : run;
    for (int i = 0; i < shown; i++) put_frame(s, &s->r->frames[from + i]);
    if (shown < run) {
      text_put(s->w, "... the same ");
      text_put_number(s->w, (uint64_t)(run - shown));
      text_put(s->w, " more times ...\n");
    }
    from += run;
  }
}

void report_write_frames(lua_State *L, int index, text_writer *w) {
  const record *r = record_test(L, index);
  stack_text s = {.L = L, .index = index, .r = r, .w = w};
  s.column = column_of(&s);
  w->indent++;
  put_frames(&s, 0, r->inner_count);
  if (record_is_deep(r)) {
    put_omitted_at_least(w, r->frames_omitted, "frame");
  } else if (r->frames_omitted > 0) {
    report_put_omitted(w, r->frames_omitted, "frame");
  }
  put_frames(&s, r->inner_count, r->frame_count);
  w->indent--;
}

/* --- the spawners --- */

void report_write_ancestors(lua_State *L, int index, text_writer *w) {
  lua_getiuservalue(L, index, RECORD_UV_TASK);
  const task *t;
  for (int i = 0; (t = task_test(L, -1)) != NULL; i++) {
    if (i == RECORD_MAX_ANCESTORS) {
      if (t->generation > 0) report_put_omitted(w, t->generation, "ancestor");
      break;
    }
    text_put(w, "spawned at ");
    const char *place = task_spawned_at(runtime_find(L), t);
    text_put_name(w, place, strlen(place));
    lua_getiuservalue(L, -1, TASK_UV_PARENT);
    lua_remove(L, -2);
    const task *parent = task_test(L, -1);
    text_put(w, " by ");
    if (parent != NULL) {
      report_put_task(w, parent->id, task_given_name(parent));
    } else if (t->generation == 0) {
      text_put(w, "main thread");
    } else {
      text_put(w, "a task long gone");
    }
    text_put(w, "\n");
    if (parent == NULL && t->generation > 1) {
      report_put_omitted(w, (uint64_t)t->generation - 1, "ancestor");
    }
  }
  lua_pop(L, 1);
}
