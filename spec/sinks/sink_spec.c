/*
** Sinks of the stream of events (csrc/kernel/probe.h) hear each event of the kinds that they want, once; which of
** them observers do not hear; and when the slice began, if they ask for that.
*/
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <string.h>

#include "coropanic.h"
#include "kernel/probe.h"
#include "kernel/runtime.h"

typedef struct log_sink {
  probe_sink sink;
  char text[512];
  int64_t first_ns, last_ns;
} log_sink;

static const char *const names[] = {
#define NAME(kind, name) [PROBE_##kind] = name,
    PROBE_KINDS(NAME)
#undef NAME
};

static void write_log(probe_sink *sink, runtime *rt, const probe_event *event) {
  (void)rt;
  log_sink *log = (log_sink *)sink;
  size_t length = strlen(log->text);
  snprintf(log->text + length, sizeof(log->text) - length, "%s%s ", event->muted ? "muted " : "",
           names[event->kind]);
  if (length == 0) log->first_ns = event->slice_ns;
  log->last_ns = event->slice_ns;
}

static int passed, failed;

static void check(bool holds, const char *name, const char *text) {
  if (holds) {
    passed++;
  } else {
    failed++;
    printf("sinks: %s: heard \"%s\"\n", name, text);
  }
}

static void run(lua_State *L, const char *program) {
  if (luaL_dostring(L, program) == LUA_OK) return;
  failed++;
  printf("sinks: %s\n", lua_tostring(L, -1));
  lua_pop(L, 1);
}

static lua_State *open_state(log_sink *log, uint32_t wants, bool timed) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  luaL_requiref(L, "co", luaopen_coropanic_core, 1);
  lua_pop(L, 1);
  *log = (log_sink){.sink = {.wants = wants, .timed = timed, .write = write_log}};
  probe_add_sink(&runtime_find(L)->probes, &log->sink);
  return L;
}

static void hears_what_it_wants(void) {
  log_sink log;
  lua_State *L = open_state(
      &log, PROBE_BIT(PROBE_SPAWN) | PROBE_BIT(PROBE_STOP) | PROBE_BIT(PROBE_END), false);
  run(L, "co.run(co.yield)");
  check(strcmp(log.text, "spawn stop end ") == 0, "a sink hears the kinds that it wants", log.text);
  check(log.last_ns == 0, "nobody reads the clock for a sink that does not ask for it", log.text);
  probe_remove_sink(&runtime_find(L)->probes, &log.sink);
  run(L, "co.run(co.yield)");
  check(strcmp(log.text, "spawn stop end ") == 0, "a sink that was removed hears nothing",
        log.text);
  lua_close(L);
}

static void hears_observers(void) {
  log_sink log;
  lua_State *L = open_state(&log, PROBE_BIT(PROBE_SPAWN) | PROBE_BIT(PROBE_END), false);
  run(L, "co.on_spawn(function() co.spawn(print) end) co.run(function() end)");
  check(strcmp(log.text, "spawn muted spawn end muted end ") == 0,
        "what an observer does is marked as muted", log.text);
  lua_close(L);
}

static void knows_the_slice(void) {
  log_sink log;
  lua_State *L = open_state(&log, PROBE_BIT(PROBE_STOP) | PROBE_BIT(PROBE_END), true);
  run(L, "co.run_with({ clock = 'virtual' }, co.sleep, 5)");
  check(strcmp(log.text, "stop end ") == 0, "a timed sink hears the kinds that it wants", log.text);
  check(log.last_ns - log.first_ns == 5 * NS_PER_SECOND,
        "an event has the time at which its slice began", log.text);
  lua_close(L);
}

int main(void) {
  hears_what_it_wants();
  hears_observers();
  knows_the_slice();
  printf("sinks: %d passed, %d failed\n", passed, failed);
  return failed > 0;
}
