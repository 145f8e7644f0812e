/*
** Spans give back their C memory, and that of their traces, while the universe goes on: however and in whatever order
** they end, and when they are dropped. After a round of each program, and a collection, as many bytes are in use as
** after the round before.
*/
#include <lauxlib.h>
#include <lualib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coropanic.h"

/* Spans of a round, of which a leak has at least 50 bytes, and what Lua's own memory may vary by. */
#define SPANS 1000
#define NOISE 4096

typedef struct program {
  const char *name;
  const char *code; /* makes a span or more */
} program;

static const program programs[] = {
    {"end in order", "co.trace.continue(h, co.trace.span, 's', co.trace.set_baggage, 'b', '1')"},
    {"are ended by a panic", "pcall(co.trace.continue, h, co.trace.span, 's', error, 'x')"},
    {"end with their tasks",
     "co.spawn(function() co.trace.event 'e' co.coroutine.wrap(co.trace.current)() end):join()"},
    {"end in another order",
     "local a = coroutine.wrap(function() co.trace.continue(h, coroutine.yield) end)\n"
     "local b = coroutine.wrap(function() co.trace.span('b', coroutine.yield) end)\n"
     "local c = coroutine.wrap(function() co.trace.continue(h, coroutine.yield) end)\n"
     "a() b() c() b() a() c()"},
    {"are dropped with their coroutines",
     "coroutine.wrap(function() co.trace.continue(h, co.trace.span, 's', coroutine.yield) end)()\n"
     "co.coroutine.wrap(function()\n"
     "  co.trace.continue(h, co.trace.span, 's', co.coroutine.yield) end)()"},
    {"end after their tasks, or are dropped then",
     "local thread = coroutine.create(function() co.trace.continue(h, coroutine.yield) end)\n"
     "co.spawn(coroutine.resume, thread):join()\n"
     "if i % 2 == 0 then coroutine.resume(thread) end"},
    {"are around coroutines that outlive them",
     "local resume\n"
     "co.trace.continue(h, co.trace.span, 's', function()\n"
     "  resume = co.coroutine.wrap(function() co.trace.span('t', co.coroutine.yield) end) end)\n"
     "resume() if i % 2 == 0 then resume() end"},
    {"have tables that hold their coroutines",
     "local stop = co.observe({ 'span_begin' }, function(_, span)\n"
     "  span.thread = coroutine.running() end)\n"
     "coroutine.wrap(function() co.trace.span('s', coroutine.yield) end)() stop()"},
};

static const char frame[] =
    "local h = { traceparent = '00-' .. ('a'):rep(32) .. '-' .. ('b'):rep(16) .. '-01',\n"
    "  baggage = 'a=' .. ('x'):rep(500) }\n"
    "co.trace.on_span(function() end)\n"
    "local function round() for i = 1, %d do %s\n"
    "  if i %% 100 == 0 then collectgarbage() end end end\n"
    "co.run(function()\n"
    "  for i = 1, 3 do co.spawn(round):join() collectgarbage() collectgarbage() measure(i) end\n"
    "end)\n";

static size_t in_use, measured[3];

static void *count(void *ud, void *pointer, size_t old_size, size_t new_size) {
  (void)ud;
  void *result = NULL;
  if (new_size == 0) {
    free(pointer);
  } else if ((result = realloc(pointer, new_size)) == NULL) {
    return NULL;
  }
  in_use += new_size - (pointer == NULL ? 0 : old_size);
  return result;
}

static int measure(lua_State *L) {
  measured[lua_tointeger(L, 1) - 1] = in_use;
  return 0;
}

/* Runs the program in a universe of its own. */
static bool gives_back(const program *p) {
  char code[2048];
  lua_State *L = lua_newstate(count, NULL);
  luaL_openlibs(L);
  luaL_requiref(L, "co", luaopen_coropanic_core, 1);
  lua_register(L, "measure", measure);
  snprintf(code, sizeof(code), frame, SPANS, p->code);
  bool holds = luaL_dostring(L, code) == LUA_OK;
  if (!holds) printf("spans: %s\n", lua_tostring(L, -1));
  if (holds && measured[2] > measured[1] + NOISE) {
    holds = false;
    printf("spans: those that %s keep %zu bytes\n", p->name, measured[2] - measured[1]);
  }
  lua_close(L);
  return holds;
}

int main(void) {
  int passed = 0, failed = 0;
  for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
    if (gives_back(&programs[i])) {
      passed++;
    } else {
      failed++;
    }
  }
  printf("spans: %d passed, %d failed\n", passed, failed);
  return failed > 0;
}
