/* Spawning with options; tasks from the stack and back; their ends. */
#include <string.h>

#include "api.h"

/* Pushes what the expression gives. */
static void push(lua_State *L, const char *expression) {
  lua_pushfstring(L, "return %s", expression);
  check_int(luaL_loadstring(L, lua_tostring(L, -1)), LUA_OK);
  lua_remove(L, -2);
  check_int(lua_pcall(L, 0, 1, 0), LUA_OK);
}

static void the_header_and_the_library_are_of_one_version(void) {
  check_text(cp_version(), strlen(cp_version()), CP_VERSION);
  check_int(cp_version_num(), CP_VERSION_NUM);
  int major, minor, patch;
  check_int(sscanf(CP_VERSION, "%d.%d.%d", &major, &minor, &patch), 3);
  check_int(CP_VERSION_NUM, major * 10000 + minor * 100 + patch);
}

static void scripts_require_what_cp_open_has_opened(void) {
  lua_State *L = api_open();
  api_check(L, "return require 'coropanic' == require 'coropanic.core'");
  check_int(cp_open(L), LUA_OK);
  api_check(L, "return require 'coropanic' == co");
  check_int(lua_gettop(L), 0);
  api_close(L);
}

static void a_spawn_without_options_is_a_spawn(void) {
  lua_State *L = api_open();
  push(L, "function(...) return ... end");
  lua_pushinteger(L, 1);
  lua_pushinteger(L, 2);
  cp_spawn_with(L, 2, NULL);
  check_int(lua_gettop(L), 1);
  check_int(cp_status(L, 1), CP_READY);
  check_int(cp_outcome(L, 1), -1);
  check_int(cp_live(L), 1);
  api_settle(L);
  check_int(cp_status(L, 1), CP_DONE);
  check_int(cp_live(L), 0);
  check_int(cp_outcome(L, 1), 2);
  check_int(lua_tointeger(L, 2), 1);
  check_int(lua_tointeger(L, 3), 2);
  api_close(L);
}

static void the_options_are_those_of_spawn_with(void) {
  lua_State *L = api_open();
  api_run(
      L, "context = co.context.with_value(co.context.background(), 'k', 'v') attributes = {a = 1}");
  push(L, "context");
  push(L, "attributes");
  push(L,
       "function() seen = {co.ctx():value 'k', co.current().name, co.current().daemon, "
       "co.current().attributes} end");
  cp_spawn_options o = {.size = sizeof o, .name = "worker", .daemon = 1};
  o.context = -3; /* as seen from the call: below the function */
  o.attributes = 2;
  check_int(cp_pspawn(L, 0, &o), LUA_OK);
  check_int(lua_gettop(L), 3);
  check(cp_is_task(L, -1));
  api_settle(L);
  api_check(L,
            "return seen[1] == 'v' and seen[2] == 'worker' and seen[3] and seen[4] == attributes");
  api_close(L);
}

static void arguments_may_be_options_too(void) {
  lua_State *L = api_open();
  push(L,
       "function(t, c)"
       "  same = co.current().attributes.x == t.x and co.ctx():value 'k' == c:value 'k' end");
  push(L, "{x = 3}");
  push(L, "co.context.with_value(co.context.background(), 'k', 'v')");
  cp_spawn_options o = {.size = sizeof o, .attributes = 2, .context = 3};
  check_int(cp_pspawn(L, 2, &o), LUA_OK);
  check_int(lua_gettop(L), 1);
  api_settle(L);
  api_check(L, "return same");
  api_close(L);
}

static void a_task_goes_on_with_the_trace_of_a_request(void) {
  lua_State *L = api_open();
  cp_spawn_options o = {
      .size = sizeof o,
      .traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
      .tracestate = "a=1",
  };
  push(L, "function() now = co.trace.current() end");
  cp_spawn_with(L, 0, &o);
  api_settle(L);
  api_check(L,
            "return now.trace_id == '4bf92f3577b34da6a3ce929d0e0e4736' and now.state == 'a=1' and "
            "now.parent_span_id == '00f067aa0ba902b7' and now.sampled");
  o.traceparent = "nonsense";
  push(L, "function() other = co.trace.current() end");
  cp_spawn_with(L, 0, &o);
  api_settle(L);
  api_check(L, "return other.trace_id ~= now.trace_id and not other.state");
  o = (cp_spawn_options){.size = sizeof o, .detached_trace = 1};
  push(L, "function() detached = co.trace.current() end");
  cp_spawn_with(L, 0, &o);
  api_settle(L);
  api_check(L, "return #detached.trace_id == 32 and not detached.parent_span_id");
  api_close(L);
}

static void bad_options_are_errors(void) {
  lua_State *L = api_open();
  cp_spawn_options o = {.size = 3};
  push(L, "print");
  check_int(cp_pspawn(L, 0, &o), LUA_ERRRUN);
  check(strstr(lua_tostring(L, -1), "options.size is 3") != NULL);
  lua_settop(L, 0);
  struct {
    cp_spawn_options known;
    int unknown;
  } later = {.known = {.size = sizeof later}};
  push(L, "print");
  check_int(cp_pspawn(L, 0, &later.known), LUA_OK);
  later.unknown = 1;
  push(L, "print");
  check_int(cp_pspawn(L, 0, &later.known), LUA_ERRRUN);
  check(strstr(lua_tostring(L, -1), "does not know all of the options") != NULL);
  lua_settop(L, 0);
  lua_pushinteger(L, 1);
  push(L, "print");
  o = (cp_spawn_options){.size = sizeof o, .context = 1};
  check_int(cp_pspawn(L, 0, &o), LUA_ERRRUN);
  check(strstr(lua_tostring(L, -1), "options.context: context expected, got number") != NULL);
  lua_pop(L, 1);
  push(L, "print");
  o = (cp_spawn_options){.size = sizeof o, .attributes = 1};
  check_int(cp_pspawn(L, 0, &o), LUA_ERRRUN);
  check(strstr(lua_tostring(L, -1), "options.attributes: table expected, got number") != NULL);
  lua_pop(L, 1);
  lua_pushnil(L);
  check_int(cp_pspawn(L, 0, NULL), LUA_ERRRUN);
  check(strstr(lua_tostring(L, -1), "cp_pspawn: function expected, got nil") != NULL);
  check_int(lua_gettop(L), 2);
  api_close(L);
}

/* --- the host's pointer --- */

static int freed;

static void count_free(void *data) { freed += *(int *)data; }

static void the_data_is_freed_at_the_end_of_the_task(void) {
  lua_State *L = api_open();
  int one = 1;
  freed = 0;
  cp_spawn_options o = {.size = sizeof o, .data = &one, .free = count_free};
  push(L, "co.yield");
  cp_spawn_with(L, 0, &o);
  check_pointer(cp_data(L, 1), &one);
  cp_step(L, 0);
  check_int(freed, 0);
  check_pointer(cp_data(L, 1), &one);
  api_settle(L);
  check_int(freed, 1);
  check_pointer(cp_data(L, 1), NULL);
  check_int(cp_setdata(L, 1, &one, count_free), 0);
  api_close(L);
  check_int(freed, 1);
}

static void other_data_takes_its_place(void) {
  lua_State *L = api_open();
  int one = 1, ten = 10, hundred = 100;
  freed = 0;
  push(L, "function() co.await(function() end) end");
  cp_spawn(L, 0);
  check_pointer(cp_data(L, 1), NULL);
  check_int(cp_setdata(L, 1, &one, count_free), 1);
  check_int(cp_setdata(L, 1, &ten, count_free), 1);
  check_int(freed, 1);
  check_int(cp_setdata(L, 1, &hundred, NULL), 1);
  check_int(freed, 11);
  check_int(cp_setdata(L, 1, &ten, count_free), 1);
  check_pointer(cp_data(L, 1), &ten);
  api_settle(L);
  check_int(freed, 11);
  api_close(L); /* the task is waiting: the end of the state frees its data */
  check_int(freed, 21);
}

static void the_data_of_a_task_that_can_not_be_made_is_the_callers(void) {
  lua_State *L = api_open();
  int one = 1;
  freed = 0;
  cp_spawn_options o = {.size = sizeof o, .data = &one, .free = count_free, .context = 1};
  lua_pushinteger(L, 0);
  push(L, "print");
  check_int(cp_pspawn(L, 0, &o), LUA_ERRRUN);
  lua_pushnil(L);
  o.context = 0;
  check_int(cp_pspawn(L, 0, &o), LUA_ERRRUN);
  api_close(L);
  check_int(freed, 0);
}

/* --- ends --- */

static void a_task_is_cancelled_with_a_reason(void) {
  lua_State *L = api_open();
  push(L, "function() co.defer(function() cleaned = true end) co.sleep(60) end");
  cp_spawn(L, 0);
  cp_step(L, 0);
  check_int(cp_status(L, -1), CP_WAITING);
  lua_pushliteral(L, "enough");
  check_int(cp_cancel(L, -2), 1);
  check_int(lua_gettop(L), 1);
  api_settle(L);
  check_int(cp_status(L, 1), CP_CANCELLED);
  check_int(cp_outcome(L, 1), 1);
  lua_setglobal(L, "record");
  lua_pushnil(L);
  check_int(cp_cancel(L, 1), 0);
  check_int(lua_gettop(L), 1);
  api_check(L, "return cleaned and record.kind == 'cancelled' and record.reason == 'enough'");
  api_close(L);
}

static void a_panic_that_was_taken_is_not_reported(void) {
  lua_State *L = api_open();
  api_run(L, "reports = 0 co.on_panic(function() reports = reports + 1 end)");
  push(L, "function() error('taken', 0) end");
  cp_spawn(L, 0);
  push(L, "function() error('left', 0) end");
  cp_spawn(L, 0);
  api_settle(L);
  check_int(cp_status(L, 1), CP_PANICKED);
  check_int(cp_outcome(L, 1), 1);
  lua_setglobal(L, "record");
  lua_settop(L, 0);
  api_check(L, "return record.message == 'taken'");
  api_run(L, "record = nil collectgarbage() collectgarbage()"); /* it refers to its task */
  api_settle(L);
  api_check(L, "return reports == 1");
  api_close(L);
}

/* () → whether cp_current is co.current, or none runs */
static int current_is_the_same(lua_State *L) {
  int runs = cp_current(L);
  lua_getglobal(L, "co");
  lua_getfield(L, -1, "current");
  lua_call(L, 0, 1);
  lua_pushboolean(L, runs ? lua_rawequal(L, 1, -1) : lua_isnil(L, -1));
  return 1;
}

static void the_running_task_is_pushed(void) {
  lua_State *L = api_open();
  lua_register(L, "same", current_is_the_same);
  api_check(L, "return same()");
  api_run(L, "co.run(function() inside = same() end)");
  api_check(L, "return inside");
  api_close(L);
}

static int check_first(lua_State *L) {
  cp_check_task(L, 1);
  return 0;
}

static void other_values_are_no_tasks(void) {
  lua_State *L = api_open();
  push(L, "io.stdout");
  check_int(cp_is_task(L, 1), 0);
  check_int(cp_is_task(L, 99), 0);
  check_int(cp_status(L, 1), -1);
  check_int(cp_id(L, 1), 0);
  check_int(cp_outcome(L, 1), -1);
  check_pointer(cp_data(L, 1), NULL);
  check_int(cp_setdata(L, 1, L, NULL), 0);
  lua_pushnil(L);
  check_int(cp_cancel(L, 1), 0);
  check_int(lua_gettop(L), 1);
  lua_pushcfunction(L, check_first);
  lua_insert(L, 1);
  api_raises(L, 1, "(task expected, got FILE*)");
  push(L, "co.spawn(print)");
  check(cp_id(L, 1) > 0);
  lua_pushcfunction(L, check_first);
  lua_insert(L, 1);
  check_int(lua_pcall(L, 1, 0, 0), LUA_OK);
  api_close(L);
}

static void a_state_without_the_module_has_no_tasks(void) {
  lua_State *L = luaL_newstate();
  lua_pushnil(L);
  check_int(cp_is_task(L, 1), 0);
  check_int(cp_current(L), 0);
  check_int(cp_live(L), 0);
  check(cp_timeout(L) < 0);
  check_int(cp_wake(L, 12345, 1), CP_BAD_TOKEN);
  check_int(lua_gettop(L), 0);
  check_int(cp_close_token(L, 12345), 0);
  lua_close(L);
}

static const test tests[] = {
    TEST(the_header_and_the_library_are_of_one_version),
    TEST(scripts_require_what_cp_open_has_opened),
    TEST(a_spawn_without_options_is_a_spawn),
    TEST(the_options_are_those_of_spawn_with),
    TEST(arguments_may_be_options_too),
    TEST(a_task_goes_on_with_the_trace_of_a_request),
    TEST(bad_options_are_errors),
    TEST(the_data_is_freed_at_the_end_of_the_task),
    TEST(other_data_takes_its_place),
    TEST(the_data_of_a_task_that_can_not_be_made_is_the_callers),
    TEST(a_task_is_cancelled_with_a_reason),
    TEST(a_panic_that_was_taken_is_not_reported),
    TEST(the_running_task_is_pushed),
    TEST(other_values_are_no_tasks),
    TEST(a_state_without_the_module_has_no_tasks),
};

SUITE(task);
