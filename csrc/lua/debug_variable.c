#include "lua/debug_variable.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/probe.h"
#include "sync/order.h"
#include "telemetry/gc_cycles.h"
#include "telemetry/schedtrace.h"
#include "telemetry/ticks.h"

/* So many bytes of unknown words are told. */
#define UNKNOWN_SIZE 200

#define MAX_MILLISECONDS 1000000000

/* --- gctrace --- */

typedef struct gctrace {
  gc_listener gc;
  probe_sink sink;
  uint64_t opened_ns;
  uint64_t cycle_ns; /* the end of the last cycle */
  uint64_t cycles;
  int peak_kb; /* the largest heap since then, seen where tasks suspend or end */
} gctrace;

static void note_heap(probe_sink *sink, runtime *rt, const probe_event *told) {
  gctrace *g = container_of(sink, gctrace, sink);
  (void)rt;
  int kb = lua_gc(told->L, LUA_GCCOUNT);
  if (kb > g->peak_kb) g->peak_kb = kb;
}

/* Adds a number of KiB as MiB with one decimal. */
static void write_mb(char text[24], int kb) {
  snprintf(text, 24, "%d.%d", kb / 1024, kb % 1024 * 10 / 1024);
}

/* A cycle has ended. */
static bool tell_cycle(gc_listener *listener, runtime *rt, lua_State *L) {
  gctrace *g = container_of(listener, gctrace, gc);
  (void)rt;
  uint64_t now_ns = ticks_monotonic_ns();
  int kb = lua_gc(L, LUA_GCCOUNT);
  char before[24];
  char after[24];
  write_mb(before, g->peak_kb > kb ? g->peak_kb : kb);
  write_mb(after, kb);
  uint64_t at_ms = (now_ns - g->opened_ns) / 1000000;
  fprintf(stderr, "gc %llu @%llu.%03llus: %s->%s MB, cycle %llu ms\n",
          (unsigned long long)++g->cycles, (unsigned long long)(at_ms / 1000),
          (unsigned long long)(at_ms % 1000), before, after,
          (unsigned long long)((now_ns - g->cycle_ns) / 1000000));
  g->cycle_ns = now_ns;
  g->peak_kb = kb;
  return true;
}

/* [-0, +0, m] */
static void begin_gctrace(lua_State *L, runtime *rt) {
  gctrace *g = mem_new(&rt->memory, sizeof(gctrace));
  if (g == NULL) luaL_error(L, "not enough memory");
  uint64_t now_ns = ticks_monotonic_ns();
  const uint32_t wants = PROBE_BIT(PROBE_STOP) | PROBE_BIT(PROBE_END);
  *g = (gctrace){.gc = {.hear = tell_cycle},
                 .sink = {.wants = wants, .write = note_heap},
                 .opened_ns = now_ns,
                 .cycle_ns = now_ns};
  gc_cycles_listen(L, rt, &g->gc);
  probe_add_sink(&rt->probes, &g->sink);
}

/* --- the variable --- */

typedef struct settings {
  long schedtrace_ms; /* 0: off */
  long gctrace;       /* 0: off */
  long order;         /* 0: off */
  size_t unknown_used;
  char unknown[UNKNOWN_SIZE + 1]; /* words that are not known, with commas between */
} settings;

/* Keeps the word to be told; what is no printable ASCII as '?'. */
static void add_unknown(settings *s, const char *word, size_t length) {
  if (s->unknown_used > 0 && s->unknown_used < UNKNOWN_SIZE) s->unknown[s->unknown_used++] = ',';
  for (size_t i = 0; i < length && s->unknown_used < UNKNOWN_SIZE; i++) {
    bool is_plain = word[i] >= ' ' && word[i] <= '~';
    s->unknown[s->unknown_used++] = is_plain ? word[i] : '?';
  }
  s->unknown[s->unknown_used] = '\0';
}

/* Reads "name=number" up to `max` into `value`. Returns false if the word is another one. */
static bool read_word(const char *word, size_t length, const char *name, long max, long *value) {
  size_t named = strlen(name);
  if (length < named + 2 || memcmp(word, name, named) != 0 || word[named] != '=') return false;
  long number = 0;
  for (size_t i = named + 1; i < length; i++) {
    if (word[i] < '0' || word[i] > '9') return false;
    long digit = word[i] - '0';
    if (digit > max || number > (max - digit) / 10) return false;
    number = number * 10 + digit;
  }
  *value = number;
  return true;
}

static void read_variable(const char *text, settings *s) {
  while (*text != '\0') {
    size_t length = strcspn(text, ",");
    if (length > 0 && !read_word(text, length, "schedtrace", MAX_MILLISECONDS, &s->schedtrace_ms) &&
        !read_word(text, length, "gctrace", 1, &s->gctrace) &&
        !read_word(text, length, "order", 1, &s->order)) {
      add_unknown(s, text, length);
    }
    text += length;
    if (*text == ',') text++;
  }
}

void debug_variable_apply(lua_State *L, runtime *rt) {
  const char *text = getenv("COROPANIC_DEBUG");
  if (text == NULL) return;
  settings s = {.schedtrace_ms = 0};
  read_variable(text, &s);
  if (s.unknown_used > 0) {
    fprintf(
        stderr,
        "coropanic: COROPANIC_DEBUG: schedtrace=milliseconds, gctrace=1 or order=1 expected, got "
        "%s\n",
        s.unknown);
  }
  if (s.order != 0) order_start(rt, L);
  if (s.gctrace != 0) begin_gctrace(L, rt);
  if (s.schedtrace_ms != 0 && !schedtrace_begin(rt, s.schedtrace_ms * 1000000LL)) {
    luaL_error(L, "not enough memory");
  }
}
