/* Waiting in C: parking on a token, wake-ups, time-outs, cancellation, tokens that are no good. */
#include "api.h"

static cp_token last_token;
static lua_State *waiting_thread;

/* The continuation: what was woken → "woken", the values; else "timed out". */
static int after_wait(lua_State *L, int status, lua_KContext height) {
  int values = lua_gettop(L) - (int)height;
  lua_pushstring(L, status == CP_TIMED_OUT ? "timed out" : "woken");
  lua_insert(L, (int)height + 1);
  return values + 1;
}

/* ([seconds], ...) Waits, with the arguments on its stack. */
static int wait(lua_State *L) {
  double seconds = luaL_optnumber(L, 1, -1);
  waiting_thread = L;
  last_token = cp_open_token(L);
  return cp_park(L, last_token, seconds, lua_gettop(L), after_wait);
}

/* () Wakes itself before it parks. */
static int wait_woken(lua_State *L) {
  lua_settop(L, 0);
  last_token = cp_open_token(L);
  lua_pushliteral(L, "early");
  lua_pushinteger(L, 2);
  check_int(cp_wake(L, last_token, 2), CP_WOKEN);
  lua_pushliteral(L, "second");
  check_int(cp_wake(L, last_token, 1), CP_LATE);
  check_int(lua_gettop(L), 0);
  return cp_park(L, last_token, -1, 0, after_wait);
}

/* () The same by a post. */
static int wait_posted(lua_State *L) {
  lua_settop(L, 0);
  last_token = cp_open_token(L);
  check_int(cp_wake_from_thread(last_token, 7), CP_WOKEN);
  check_int(cp_wake(L, last_token, 0), CP_LATE);
  return cp_park(L, last_token, -1, 0, after_wait);
}

static lua_State *open_waiting(void) {
  lua_State *L = api_open();
  lua_register(L, "wait", wait);
  lua_register(L, "wait_woken", wait_woken);
  lua_register(L, "wait_posted", wait_posted);
  api_run(L, "function record(f, ...) t = co.spawn(function(...) out = {f(...)} end, ...) end");
  return L;
}

/* Spawns a task that waits in the C function, and lets it park. */
static void park(lua_State *L, const char *program) {
  api_run(L, program);
  api_settle(L);
}

static void a_parked_task_is_woken_with_values(void) {
  lua_State *L = open_waiting();
  park(L, "record(wait, nil, 'kept')");
  check(cp_timeout(L) < 0); /* nothing but a wake-up can come */
  api_check(L, "return t:status() == 'waiting' and t.operation == 'park'");
  lua_pushliteral(L, "below");
  lua_pushliteral(L, "a");
  lua_pushnil(L);
  lua_pushinteger(L, 3);
  check_int(cp_wake(L, last_token, 3), CP_WOKEN);
  check_int(lua_gettop(L), 1);
  lua_pop(L, 1);
  check(cp_timeout(L) == 0);
  check_int(cp_wake(L, last_token, 0), CP_LATE);
  check_int(cp_wake_from_thread(last_token, 1), CP_LATE);
  api_settle(L);
  api_check(L, "return out[1] == 'woken' and out[2] == 'a' and out[3] == nil and out[4] == 3");
  check_int(cp_wake(L, last_token, 0), CP_LATE);
  api_close(L);
}

static void a_wake_up_may_come_by_the_thread_of_the_parked_task(void) {
  lua_State *L = open_waiting();
  park(L, "record(wait, nil, 'kept')");
  lua_pushliteral(waiting_thread, "a value");
  lua_pushinteger(waiting_thread, 5);
  check_int(cp_wake(waiting_thread, last_token, 2), CP_WOKEN);
  api_settle(L);
  api_check(L, "return #out == 3 and out[1] == 'woken' and out[2] == 'a value' and out[3] == 5");
  api_close(L);
}

static void many_values_travel(void) {
  lua_State *L = open_waiting();
  park(L, "record(wait)");
  luaL_checkstack(L, 5000, NULL);
  for (int i = 1; i <= 5000; i++) lua_pushinteger(L, i);
  check_int(cp_wake(L, last_token, 5000), CP_WOKEN);
  check_int(lua_gettop(L), 0);
  api_settle(L);
  api_check(L, "return #out == 5001 and out[5001] == 5000");
  api_close(L);
}

static void a_wake_up_may_come_before_the_task_parks(void) {
  lua_State *L = open_waiting();
  park(L, "record(wait_woken)");
  api_check(L, "return out[1] == 'woken' and out[2] == 'early' and out[3] == 2 and #out == 3");
  park(L, "record(wait_posted)");
  api_check(L, "return out[1] == 'woken' and out[2] == 7");
  api_close(L);
}

static void a_post_wakes_with_an_integer_or_a_pointer(void) {
  lua_State *L = open_waiting();
  park(L, "record(wait)");
  check_int(cp_wake_from_thread(last_token, LUA_MININTEGER), CP_WOKEN);
  check_int(cp_wake_from_thread(last_token, 1), CP_LATE);
  check_int(cp_wake(L, last_token, 0), CP_LATE);
  check(cp_timeout(L) == 0); /* the next step delivers it */
  api_settle(L);
  api_check(L, "return out[1] == 'woken' and out[2] == math.mininteger and #out == 2");
  park(L, "record(wait)");
  check_int(cp_wake_from_thread_p(last_token, &last_token), CP_WOKEN);
  api_settle(L);
  lua_getglobal(L, "out");
  lua_rawgeti(L, -1, 2);
  check_pointer(lua_touserdata(L, -1), &last_token);
  api_close(L);
}

static void a_wait_has_a_time_out(void) {
  lua_State *L = open_waiting();
  park(L, "record(wait, 0)");
  api_settle(L);
  api_check(L, "return out[1] == 'timed out' and #out == 1");
  check_int(cp_wake(L, last_token, 0), CP_LATE);
  park(L, "record(wait, 60)");
  check(cp_timeout(L) > 50);
  check_int(cp_wake(L, last_token, 0), CP_WOKEN);
  api_settle(L);
  api_check(L, "return out[1] == 'woken' and #out == 1");
  check(cp_timeout(L) < 0);
  api_run(L, "co.run_with({clock = 'virtual'}, function() v = {co.with_timeout(5, wait)} end)");
  api_check(L, "return v[1] == false and v[2].kind == 'timeout'");
  api_close(L);
}

/* If the time is up in the same round in which the post comes, the task gets the post. */
static void a_post_that_has_won_is_delivered_after_a_time_out(void) {
  lua_State *L = open_waiting();
  park(L, "record(wait, 1e-6)");
  check_int(cp_wake_from_thread(last_token, 5), CP_WOKEN);
  while (cp_live(L) > 0) cp_step(L, 0);
  api_check(L, "return out[1] == 'woken' and out[2] == 5");
  api_close(L);
}

static void a_wake_up_that_has_won_is_delivered_before_a_cancellation(void) {
  lua_State *L = open_waiting();
  park(L, "t = co.spawn(function() out = {wait()} reached = true co.yield() beyond = true end)");
  check_int(cp_wake_from_thread(last_token, 5), CP_WOKEN);
  api_run(L, "t:cancel()");
  api_settle(L);
  api_check(L, "return out[2] == 5 and reached and not beyond and t:status() == 'cancelled'");
  api_close(L);
}

/* () Posts 5 to the task that waits. */
static int post_five(lua_State *L) {
  (void)L;
  check_int(cp_wake_from_thread(last_token, 5), CP_WOKEN);
  return 0;
}

/* The task is woken by the cancellation in the round in which the post comes. */
static void a_post_that_has_won_is_awaited_by_a_cancelled_task(void) {
  lua_State *L = open_waiting();
  lua_register(L, "post_five", post_five);
  park(L, "t = co.spawn(function() out = {wait()} reached = true co.yield() beyond = true end)");
  api_run(L, "co.spawn(post_five) t:cancel()");
  api_settle(L);
  api_check(L, "return out[2] == 5 and reached and not beyond and t:status() == 'cancelled'");
  api_close(L);
}

/* (): sets `closed`. */
static int note_closed(lua_State *L) {
  lua_pushboolean(L, 1);
  lua_setglobal(L, "closed");
  return 0;
}

static int wait_closing(lua_State *L) {
  lua_settop(L, 1);
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, note_closed);
  lua_setfield(L, -2, "__close");
  lua_setmetatable(L, -2);
  lua_toclose(L, -1);
  return wait(L);
}

static void a_cancelled_wait_raises_and_closes(void) {
  lua_State *L = open_waiting();
  lua_register(L, "wait_closing", wait_closing);
  park(L, "record(wait_closing)");
  api_run(L, "out = nil t:cancel('why')");
  api_settle(L);
  api_check(L, "return t:status() == 'cancelled' and out == nil and closed");
  check_int(cp_wake(L, last_token, 0), CP_LATE);
  check_int(cp_wake_from_thread(last_token, 1), CP_LATE);
  api_close(L);
}

static void nobody_calls_a_parked_task_a_deadlock(void) {
  lua_State *L = open_waiting();
  api_run(L,
          "ok, r = pcall(co.run_with, {clock = 'virtual'}, function()\n"
          "  local t = co.spawn(function() out = {wait()} end)\n"
          "  co.spawn(function() co.sleep(3600) t:cancel() end)\n"
          "  return t:join() end)");
  api_check(L, "return ok and r == false");
  api_close(L);
}

/* () Gives up a token with a wake-up, on a stack that has no room left. */
static int give_up_on_a_full_stack(lua_State *L) {
  last_token = cp_open_token(L);
  lua_pushliteral(L, "lost");
  check_int(cp_wake(L, last_token, 1), CP_WOKEN);
  while (lua_gettop(L) < LUA_MINSTACK) lua_pushnil(L);
  check_int(cp_close_token(L, last_token), 1);
  check_int(lua_gettop(L), LUA_MINSTACK);
  return 0;
}

static void a_token_is_given_up_with_what_its_wake_up_has_brought(void) {
  lua_State *L = open_waiting();
  lua_register(L, "give_up", give_up_on_a_full_stack);
  park(L, "record(give_up)");
  check_int(cp_wake(L, last_token, 0), CP_LATE);
  park(L, "record(wait)");
  check_int(cp_wake(L, last_token, 0), CP_WOKEN);
  api_settle(L);
  api_check(L, "return #out == 1 and out[1] == 'woken'");
  api_close(L);
}

/* () Gets a token and gives it up. */
static int give_up(lua_State *L) {
  last_token = cp_open_token(L);
  check_int(cp_close_token(L, last_token), 1);
  check_int(cp_close_token(L, last_token), 0);
  check_int(cp_wake(L, last_token, 0), CP_LATE);
  return cp_park(L, last_token, -1, 0, after_wait);
}

static void a_token_that_was_given_up_is_late(void) {
  lua_State *L = open_waiting();
  lua_register(L, "give_up", give_up);
  park(L, "record(pcall, give_up)");
  api_check(L,
            "return out[1] == false and out[2]:find 'the token is none that the running task has'");
  park(L, "record(wait)");
  check_int(cp_close_token(L, last_token), 0); /* a task is parked on it */
  check_int(cp_wake(L, last_token, 0), CP_WOKEN);
  api_close(L);
}

static int park_on_the_last(lua_State *L) { return cp_park(L, last_token, -1, 0, after_wait); }

static void a_token_of_another_task_is_refused(void) {
  lua_State *L = open_waiting();
  lua_register(L, "steal", park_on_the_last);
  park(L, "record(wait)");
  park(L, "co.spawn(function() stolen = {pcall(steal)} end)");
  api_check(L, "return stolen[1] == false and stolen[2]:find 'the token is none'");
  lua_pushcfunction(L, park_on_the_last);
  api_raises(L, 0, "the token is none");
  api_close(L);
}

static void made_up_tokens_are_bad(void) {
  lua_State *L = open_waiting();
  park(L, "record(wait)");
  static const cp_token wrong[] = {0, 1, 1234567, UINT64_MAX, UINT64_C(1) << 63};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    note("token %zu", i);
    if (wrong[i] == last_token) continue;
    lua_pushinteger(L, 1);
    check(cp_wake(L, wrong[i], 1) != CP_WOKEN);
    check_int(lua_gettop(L), 0);
    check(cp_wake_from_thread(wrong[i], 1) != CP_WOKEN);
    check_int(cp_close_token(L, wrong[i]), 0);
  }
  check_int(cp_wake(L, last_token + 1, 0), CP_BAD_TOKEN);
  check_int(cp_wake_from_thread(last_token + 1, 0), CP_BAD_TOKEN);
  check_int(cp_wake(L, last_token, 0), CP_WOKEN);
  api_close(L);
}

static void a_token_outlives_its_state(void) {
  lua_State *L = open_waiting();
  park(L, "record(wait)");
  cp_token former = last_token;
  api_close(L);
  check_int(cp_wake_from_thread(former, 1), CP_LATE);
  lua_State *other = open_waiting();
  park(other, "record(wait)");
  check_int(cp_wake(other, former, 0), CP_LATE);
  check_int(cp_wake_from_thread(former, 1), CP_LATE);
  check_int(cp_wake(other, last_token, 0), CP_WOKEN);
  api_close(other);
}

static void a_token_of_another_state_is_bad(void) {
  lua_State *L = open_waiting();
  lua_State *other = open_waiting();
  park(L, "record(wait)");
  cp_token first = last_token;
  park(other, "record(wait)");
  check_int(cp_wake(other, first, 0), CP_BAD_TOKEN);
  check_int(cp_wake(L, last_token, 0), CP_BAD_TOKEN);
  check_int(cp_wake(L, first, 0), CP_WOKEN);
  check_int(cp_wake(other, last_token, 0), CP_WOKEN);
  api_close(L);
  api_close(other);
}

static void a_token_is_bad_in_a_state_without_the_module(void) {
  lua_State *L = open_waiting();
  lua_State *other = luaL_newstate();
  park(L, "record(wait)");
  lua_pushinteger(other, 1);
  check_int(cp_wake(other, last_token, 1), CP_BAD_TOKEN);
  check_int(lua_gettop(other), 0);
  check_int(cp_wake(L, last_token, 0), CP_WOKEN);
  check_int(cp_wake(other, last_token, 0), CP_LATE);
  api_close(L);
  lua_close(other);
}

static void a_wait_outside_a_task_is_an_error(void) {
  lua_State *L = open_waiting();
  lua_pushcfunction(L, wait);
  api_raises(L, 0, "cp_open_token");
  park(L, "record(pcall, table.sort, {1, 2, 3}, function() wait() end)");
  api_check(L, "return out[1] == false and out[2]:find 'sort'");
  api_close(L);
}

static void a_wait_works_in_a_coroutine_inside_a_task(void) {
  lua_State *L = open_waiting();
  park(L, "record(function() return co.coroutine.wrap(function() return wait() end)() end)");
  lua_pushinteger(L, 5);
  check_int(cp_wake(L, last_token, 1), CP_WOKEN);
  api_settle(L);
  api_check(L, "return out[1] == 'woken' and out[2] == 5");
  api_close(L);
}

static int wait_three_times(lua_State *L, int status, lua_KContext left) {
  (void)status;
  if (left == 0) return lua_gettop(L);
  last_token = cp_open_token(L);
  return cp_park(L, last_token, -1, left - 1, wait_three_times);
}

static int wait_often(lua_State *L) {
  lua_settop(L, 0);
  return wait_three_times(L, LUA_OK, 3);
}

static void a_continuation_may_park_again(void) {
  lua_State *L = open_waiting();
  lua_register(L, "wait_often", wait_often);
  park(L, "record(wait_often)");
  for (int i = 1; i <= 3; i++) {
    lua_pushinteger(L, i);
    check_int(cp_wake(L, last_token, 1), CP_WOKEN);
    api_settle(L);
  }
  api_check(L, "return #out == 3 and out[1] == 1 and out[3] == 3");
  api_close(L);
}

static void the_end_of_the_state_ends_all_waits(void) {
  lua_State *L = open_waiting();
  park(L, "for i = 1, 300 do co.spawn(wait) end");
  check_int(cp_wake_from_thread(last_token, 1), CP_WOKEN); /* and is not delivered */
  api_close(L);
}

static void a_closed_coroutine_takes_no_values(void) {
  lua_State *L = open_waiting();
  park(L,
       "co.on_panic(function() end) t = co.spawn(function() thread = coroutine.running() wait() "
       "end)");
  lua_getglobal(L, "thread");
  lua_resetthread(lua_tothread(L, -1)); /* against the rules */
  lua_pushinteger(L, 1);
  check_int(cp_wake(L, last_token, 1), CP_LATE);
  api_settle(L);
  api_check(L, "return t:status() == 'panicked'");
  api_close(L);
}

/* () → the answer of a wake-up with one value */
static int wake_last(lua_State *L) {
  lua_pushliteral(L, "of a finalizer");
  lua_pushinteger(L, cp_wake(L, last_token, 1));
  return 1;
}

static void a_finalizer_may_wake_also_at_the_end_of_the_state(void) {
  lua_State *L = open_waiting();
  lua_register(L, "wake", wake_last);
  park(L, "record(wait)");
  api_run(L,
          "setmetatable({}, {__gc = function() answer = wake() end}) collectgarbage()"
          "local wake = wake keep = setmetatable({}, {__gc = function() wake() end})");
  api_settle(L);
  api_check(L, "return answer == 1 and out[2] == 'of a finalizer'");
  park(L, "record(wait)");
  api_close(L);
}

/* () Wakes itself before it parks, with a finalizer about to do the same. */
static int wait_disputed(lua_State *L) {
  lua_settop(L, 0);
  last_token = cp_open_token(L);
  lua_getglobal(L, "make_garbage");
  lua_call(L, 0, 0);
  lua_pushliteral(L, "of the function");
  int answer = cp_wake(L, last_token, 1);
  check(answer == CP_WOKEN || answer == CP_LATE);
  lua_pushboolean(L, answer == CP_WOKEN);
  lua_setglobal(L, "function_has_won");
  return cp_park(L, last_token, -1, 0, after_wait);
}

static void of_two_wake_ups_the_first_gives_the_values(void) {
  lua_State *L = open_waiting();
  lua_register(L, "wake", wake_last);
  lua_register(L, "wait", wait_disputed);
  api_run(L,
          "collectgarbage('setpause', 0) collectgarbage('setstepmul', 1000)"
          "function make_garbage() setmetatable({}, {__gc = function() wake() end}) end");
  for (int i = 0; i < 500; i++) {
    park(L, "record(wait)");
    api_check(L,
              "return #out == 2 and out[2] == (function_has_won and 'of the function' or "
              "'of a finalizer')");
  }
  api_close(L);
}

static const test tests[] = {
    TEST(a_parked_task_is_woken_with_values),
    TEST(a_wake_up_may_come_by_the_thread_of_the_parked_task),
    TEST(many_values_travel),
    TEST(a_wake_up_may_come_before_the_task_parks),
    TEST(a_post_wakes_with_an_integer_or_a_pointer),
    TEST(a_wait_has_a_time_out),
    TEST(a_post_that_has_won_is_delivered_after_a_time_out),
    TEST(a_wake_up_that_has_won_is_delivered_before_a_cancellation),
    TEST(a_post_that_has_won_is_awaited_by_a_cancelled_task),
    TEST(a_cancelled_wait_raises_and_closes),
    TEST(nobody_calls_a_parked_task_a_deadlock),
    TEST(a_token_that_was_given_up_is_late),
    TEST(a_token_is_given_up_with_what_its_wake_up_has_brought),
    TEST(a_token_of_another_task_is_refused),
    TEST(made_up_tokens_are_bad),
    TEST(a_token_outlives_its_state),
    TEST(a_token_of_another_state_is_bad),
    TEST(a_token_is_bad_in_a_state_without_the_module),
    TEST(a_wait_outside_a_task_is_an_error),
    TEST(a_wait_works_in_a_coroutine_inside_a_task),
    TEST(a_continuation_may_park_again),
    TEST(the_end_of_the_state_ends_all_waits),
    TEST(a_closed_coroutine_takes_no_values),
    TEST(a_finalizer_may_wake_also_at_the_end_of_the_state),
    TEST(of_two_wake_ups_the_first_gives_the_values),
};

SUITE(wait);
