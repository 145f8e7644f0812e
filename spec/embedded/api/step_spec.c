/* Driving the loop: protected steps, deadlines, descriptors, shutting down, the collector, the end. */
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <string.h>

#include "api.h"

/* (): steps inside a task; raises as a host's mistake does */
static int step_here(lua_State *L) {
  cp_step(L, 0);
  return 0;
}

/* () → the status and the error of a protected step */
static int pstep_here(lua_State *L) {
  int more = 7;
  lua_pushinteger(L, cp_pstep(L, 0, &more));
  lua_insert(L, -2);
  check_int(more, 0);
  return 2;
}

static void a_protected_step_gives_a_status(void) {
  lua_State *L = api_open();
  int more = -1;
  api_run(L, "co.spawn(co.yield)");
  check_int(cp_pstep(L, 0, &more), LUA_OK);
  check_int(more, 1);
  check_int(cp_pstep(L, 0, &more), LUA_OK);
  check_int(more, 0);
  check_int(cp_pstep(L, 0, NULL), LUA_OK);
  check_int(lua_gettop(L), 0);
  lua_register(L, "pstep", pstep_here);
  lua_register(L, "step", step_here);
  api_run(L, "co.spawn(function() status, message = pstep() ok, raised = pcall(step) end)");
  api_settle(L);
  api_check(L, "return status == 2 and message:find 'co.step inside a task'");
  api_check(L, "return not ok and raised:find 'co.step inside a task'");
  check_int(cp_pstep(L, NAN, &more), LUA_OK);
  check_int(cp_pstep(L, -1, &more), LUA_OK);
  api_close(L);
}

static void a_step_ends_at_a_deadline(void) {
  lua_State *L = api_open();
  double begin = cp_now(L);
  api_run(
      L,
      "turns = 0 co.spawn(function() repeat turns = turns + 1 co.yield() until turns == 100 end)");
  check_int(cp_step_until(L, begin + 3600), 0); /* as many rounds as there is work for */
  api_check(L, "return turns == 100");
  api_run(L, "co.spawn(function() while true do turns = turns + 1 co.yield() end end)");
  check_int(cp_step_until(L, begin + 0.002), 1);
  check(cp_now(L) >= begin + 0.002);
  api_run(L, "turns = 0");
  check_int(cp_step_until(L, begin), 1); /* it is over: one round */
  api_check(L, "return turns == 1");
  api_close(L);
}

static void the_descriptor_tells_of_work(void) {
  lua_State *L = api_open();
  struct pollfd fd = {.fd = cp_pollfd(L), .events = POLLIN};
  check(fd.fd >= 0);
  check_int(poll(&fd, 1, 0), 0);
  api_run(L, "co.spawn(print)");
  check_int(poll(&fd, 1, 0), 1);
  api_close(L);
  L = luaL_newstate();
  errno = 0;
  check_int(cp_pollfd(L), -1);
  check_int(errno, EINVAL);
  lua_close(L);
}

static void a_shutdown_runs_deferred_calls(void) {
  lua_State *L = api_open();
  api_run(L,
          "cleaned = 0 for i = 1, 100 do co.spawn_with({service = i == 1, daemon = i == 2}, "
          "function()\n"
          "  co.defer(function() co.yield() cleaned = cleaned + 1 end) co.sleep(60) end) end");
  api_settle(L);
  int calls = 0;
  while (cp_shutdown(L, 0)) calls++;
  check(calls >= 1);
  check_int(cp_live(L), 0);
  check(cp_timeout(L) < 0);
  api_check(L, "return cleaned == 100");
  check_int(cp_shutdown(L, 0), 0);
  api_close(L);
}

static void a_shutdown_tells_of_panics(void) {
  lua_State *L = api_open();
  api_run(L,
          "told = {} co.on_panic(function(r) told[#told + 1] = r.message end)\n"
          "t = co.spawn(function() co.defer(error, 'at the end', 0) co.sleep(60) end)");
  api_settle(L);
  while (cp_shutdown(L, 0.01)) {
  }
  api_check(L, "return #told == 1 and told[1] == 'at the end'");
  api_close(L);
}

static int shut_down_here(lua_State *L) {
  cp_shutdown(L, 0);
  return 0;
}

static void a_task_can_not_shut_its_loop_down(void) {
  lua_State *L = api_open();
  lua_register(L, "shut_down", shut_down_here);
  api_run(L, "t = co.spawn(function() ok = pcall(shut_down) co.yield() went_on = true end)");
  api_settle(L);
  api_check(L, "return ok == false and went_on");
  api_close(L);
}

static void the_collector_is_stepped(void) {
  lua_State *L = api_open();
  lua_gc(L, LUA_GCSTOP);
  api_run(L,
          "collected = 0 for i = 1, 1000 do setmetatable({}, {__gc = function() collected = i "
          "end}) end");
  api_check(L, "return collected == 0");
  for (int i = 0; i < 1000 && !cp_collect(L, 0.001); i++) {
  }
  for (int i = 0; i < 1000 && !cp_collect(L, 0.001); i++) { /* one whole cycle */
  }
  api_check(L, "return collected > 0");
  check(!lua_gc(L, LUA_GCISRUNNING));
  check_int(cp_collect(L, -1), cp_collect(L, NAN));
  lua_gc(L, LUA_GCRESTART);
  api_close(L);
}

/* --- the end of the state --- */

static int close_here(lua_State *L) {
  lua_pushinteger(L, cp_close(L));
  return 1;
}

static void close_in_handler(lua_State *L, int record, int task, void *answer) {
  (void)record;
  (void)task;
  *(int *)answer = cp_close(L);
}

static void a_state_in_use_is_not_closed(void) {
  lua_State *L = api_open();
  int in_handler = -1;
  lua_register(L, "close", close_here);
  cp_on_panic(L, close_in_handler, &in_handler);
  api_run(L, "co.spawn(function() in_task = close() error 'x' end)");
  api_settle(L);
  api_run(L, "collectgarbage() collectgarbage()");
  api_settle(L);
  check_int(in_handler, 0);
  api_run(L, "co.on_exit(function() in_hook = close() end) co.spawn(function() end)");
  api_settle(L);
  api_check(L, "return in_task == 0 and in_hook == 0 and close() == 0");
  lua_pushcfunction(L, close_here); /* called by a host, but by way of Lua */
  lua_call(L, 0, 1);
  check_int(lua_tointeger(L, -1), 0);
  lua_State *thread = lua_newthread(L); /* resumed by a host, with nothing on the main thread */
  int results;
  lua_pushcfunction(thread, close_here);
  check_int(lua_resume(thread, NULL, 0, &results), LUA_OK);
  check_int(lua_tointeger(thread, -1), 0);
  api_run(
      L,
      "keep = setmetatable({}, {__gc = function() in_finalizer = close() end})"
      "local print = close last = setmetatable({}, {__gc = function() assert(print() == 0) end})");
  api_close(L); /* also while it is being closed already */
}

static void a_state_at_rest_is_closed(void) {
  lua_State *L = luaL_newstate();
  check_int(cp_open(L), LUA_OK);
  check_int(cp_close(L), 1);
  L = luaL_newstate(); /* without the module */
  check_int(cp_close(L), 1);
}

static const test tests[] = {
    TEST(a_protected_step_gives_a_status), TEST(a_step_ends_at_a_deadline),
    TEST(the_descriptor_tells_of_work),    TEST(a_shutdown_runs_deferred_calls),
    TEST(a_shutdown_tells_of_panics),      TEST(a_task_can_not_shut_its_loop_down),
    TEST(the_collector_is_stepped),        TEST(a_state_in_use_is_not_closed),
    TEST(a_state_at_rest_is_closed),
};

SUITE(step);
