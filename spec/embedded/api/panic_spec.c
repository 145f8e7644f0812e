/* Panics from C, handlers and records in C, deferred C functions, deferred calls without suspending. */
#include <string.h>

#include "api.h"

static int raise_top(lua_State *L) { return cp_panic(L); }

static int raise_code(lua_State *L) {
  lua_settop(L, 1);
  return cp_panic_code(L, "E42");
}

static void c_raises_panics(void) {
  lua_State *L = api_open();
  lua_register(L, "raise", raise_top);
  lua_register(L, "raise_code", raise_code);
  api_run(L, "ok, r = co.pcall(raise, 'from C')");
  api_check(L, "return not ok and r.kind == 'panic' and r.value == 'from C'");
  api_check(L, "return r.frames[1].what == 'C'"); /* the function that called cp_panic */
  api_run(L, "ok, r = co.pcall(raise_code, 'no such file')");
  api_check(
      L, "return r.error_code == 'E42' and r.message == 'E42: no such file' and r.kind == 'panic'");
  api_run(L,
          "recovered = co.call(function() co.defer(function() co.set_results(co.recover()) end)"
          "raise 'x' end)");
  api_check(L, "return recovered == 'x'");
  api_close(L);
}

/* --- the handler --- */

typedef struct seen {
  int calls;
  bool had_task;
  cp_record record;
  char message[64], kind[16], code[32], task_name[32], text[512];
} seen;

static void see(lua_State *L, int record, int task, void *data) {
  seen *s = data;
  size_t length;
  s->calls++;
  s->had_task = cp_is_task(L, task) != 0;
  s->record.size = sizeof(s->record);
  check_int(cp_get_record(L, record, &s->record), 1);
  snprintf(s->message, sizeof s->message, "%s", s->record.message);
  snprintf(s->kind, sizeof s->kind, "%s", s->record.kind);
  snprintf(s->code, sizeof s->code, "%s", s->record.code);
  snprintf(s->task_name, sizeof s->task_name, "%s", s->record.task_name);
  snprintf(s->text, sizeof s->text, "%s", cp_record_text(L, record, &length));
  check(length > 0);
  lua_pop(L, 1);
}

static void a_handler_in_c_reads_the_record(void) {
  lua_State *L = api_open();
  seen s = {.calls = 0};
  lua_register(L, "raise_code", raise_code);
  cp_on_panic(L, see, &s);
  api_run(
      L,
      "co.trace.continue({traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'},"
      "co.spawn_with, {name = 'worker'}, function() raise_code 'broken' end)");
  api_settle(L);
  api_run(L, "collectgarbage() collectgarbage()");
  api_settle(L);
  check_int(s.calls, 1);
  check(s.had_task);
  check_text(s.message, strlen(s.message), "E42: broken");
  check_int(s.record.message_length, 11);
  check_text(s.kind, strlen(s.kind), "panic");
  check_text(s.code, strlen(s.code), "E42");
  check_text(s.task_name, strlen(s.task_name), "worker");
  check(strstr(s.text, "broken") != NULL);
  check_int(s.record.trace_id[0], 0x4b);
  check_int(s.record.trace_id[15], 0x36);
  check(s.record.span_id[0] != 0 || s.record.span_id[7] != 0);
  check(s.record.sampled);
  check(!s.record.recovered);
  check(s.record.task_id > 0);
  check(s.record.time_ns > INT64_C(1600000000) * 1000000000);
  api_check(L, "return type(co.on_panic(nil)) == 'function'"); /* a script may take it away */
  cp_on_panic(L, NULL, NULL);
  api_check(L, "return co.on_panic(nil) == nil");
  api_close(L);
}

static void records_are_told_from_other_values(void) {
  lua_State *L = api_open();
  cp_record r = {.size = sizeof r, .task_id = 7};
  api_run(L, "_, r = co.pcall(error, {})");
  lua_pushinteger(L, 3);
  check_int(cp_get_record(L, 1, &r), 0);
  check_int(cp_get_record(L, 9, &r), 0);
  check_int(r.task_id, 7);
  size_t length = 5;
  check_pointer(cp_record_text(L, 1, &length), NULL);
  check_int(length, 0);
  check_int(lua_gettop(L), 1);
  lua_getglobal(L, "r");
  check_int(cp_get_record(L, 2, &r), 1);
  check_text(r.type, strlen(r.type), "table");
  check_text(r.task_name, strlen(r.task_name), "");
  check_int(r.task_id, 0);
  cp_record small = {.size = offsetof(cp_record, message), .message = "untouched"};
  check_int(cp_get_record(L, 2, &small), 1);
  check_text(small.kind, strlen(small.kind), "error");
  check_text(small.message, strlen(small.message), "untouched");
  small.size = 0;
  check_int(cp_get_record(L, 2, &small), 0);
  check(cp_record_text(L, 2, NULL) != NULL);
  check_int(lua_gettop(L), 3);
  api_close(L);
}

static void what_was_read_of_a_record_stays(void) {
  lua_State *L = api_open();
  api_run(L,
          "local long = string.rep('long', 20)"
          "co.run(co.spawn_with, {name = long}, function()"
          "  _, r = co.pcall(error, setmetatable({code = long}, {__name = long})) end)");
  lua_getglobal(L, "r");
  cp_record first = {.size = sizeof first};
  cp_record second = {.size = sizeof second};
  check_int(cp_get_record(L, -1, &first), 1);
  check_int(cp_get_record(L, -1, &second), 1);
  check_int(strlen(first.task_name), 80);
  check_pointer(second.task_name, first.task_name);
  check_int(strlen(first.type), 80);
  check_pointer(second.type, first.type);
  check_int(strlen(first.code), 80);
  check_pointer(second.code, first.code);
  check_pointer(second.message, first.message);
  api_close(L);
}

/* --- deferring --- */

static int counted;

static void count_up(void *by) { counted = counted * 10 + *(int *)by; }

static int note_sum(lua_State *L) {
  lua_pushinteger(L, lua_tointeger(L, 1) + lua_tointeger(L, 2));
  lua_setglobal(L, "sum");
  return 0;
}

static int defer_some(lua_State *L) {
  static int one = 1, two = 2;
  cp_defer_c(L, count_up, &one);
  cp_defer_c(L, count_up, &two);
  lua_pushcfunction(L, note_sum);
  lua_pushinteger(L, 30);
  lua_pushinteger(L, 12);
  cp_defer(L, 2);
  check_int(lua_gettop(L), 0);
  return 0;
}

static void c_functions_are_deferred(void) {
  lua_State *L = api_open();
  lua_register(L, "defer_some", defer_some);
  counted = 0;
  api_run(L, "co.call(function() defer_some() before = sum end)");
  api_check(L, "return before == nil and sum == 42");
  check_int(counted, 21); /* last in, first out */
  counted = 0;
  api_run(L, "co.on_panic(function() end) co.spawn(function() defer_some() error 'x' end)");
  api_settle(L);
  check_int(counted, 21);
  lua_pushcfunction(L, defer_some);
  api_raises(L, 0, "cp_defer outside any frame");
  api_close(L);
}

static int defer_number(lua_State *L) {
  lua_pushinteger(L, 1);
  cp_defer(L, 0);
  return 0;
}

static void what_can_not_be_called_is_not_deferred(void) {
  lua_State *L = api_open();
  lua_register(L, "f", defer_number);
  api_check(L,
            "local ok, e = pcall(co.call, f)"
            "return not ok and tostring(e):find 'cp_defer: function expected, got number'");
  api_close(L);
}

/* --- pending deferred calls --- */

static void push_task(lua_State *L) { lua_getglobal(L, "t"); }

static void pending_calls_run_without_suspending(void) {
  lua_State *L = api_open();
  api_run(
      L,
      "log = {} function say(x) log[#log + 1] = x end\n"
      "t = co.spawn(function() co.defer(say, 'outer')\n"
      "  co.defer(function() local ok, e = pcall(co.sleep, 1) say(ok) why = e end)\n"
      "  co.call(function() co.defer(say, 'inner')\n"
      "    local _ <close> = setmetatable({}, {__close = function() say 'closed' end})\n"
      "    co.coroutine.wrap(function() co.call(function() co.defer(say, 'deep') co.sleep(60) end)"
      "    end)() end) end)");
  api_settle(L);
  push_task(L);
  check_int(cp_status(L, 1), CP_WAITING);
  check_int(cp_run_pending_defers(L, 1), 3);
  check_int(cp_status(L, 1), CP_CANCELLED);
  check_int(cp_run_pending_defers(L, 1), -1);
  check_int(lua_gettop(L), 1);
  check(cp_timeout(L) < 0); /* its timer is stopped */
  api_check(L, "return table.concat({log[1], log[2], log[3]}, ' ') == 'deep closed inner'");
  api_check(L, "return log[4] == false and log[5] == 'outer' and #log == 5");
  api_check(L, "return tostring(why):find \"'sleep' can not suspend here\"");
  api_check(L, "return select('#', t:join()) == 2 and co.stats().live == 0");
  api_close(L);
}

static void panics_in_pending_calls_are_panics(void) {
  lua_State *L = api_open();
  seen s = {.calls = 0};
  cp_on_panic(L, see, &s);
  api_run(L,
          "t = co.spawn(function() co.defer(function() after = true end)\n"
          "  co.defer(error, 'in a deferred call', 0) co.sleep(60) end)");
  api_settle(L);
  push_task(L);
  check_int(cp_run_pending_defers(L, 1), 2);
  check_int(cp_status(L, 1), CP_PANICKED);
  lua_settop(L, 0);
  api_run(L, "t = nil collectgarbage() collectgarbage()");
  api_settle(L);
  check_int(s.calls, 1);
  check_text(s.message, strlen(s.message), "in a deferred call");
  api_check(L, "return after");
  api_close(L);
}

static void any_task_that_does_not_run_can_be_ended(void) {
  lua_State *L = api_open();
  api_run(L, "t = co.spawn(function() never = true end)"); /* not started */
  push_task(L);
  check_int(cp_run_pending_defers(L, 1), 0);
  check_int(cp_status(L, 1), CP_CANCELLED);
  api_run(L, "t = co.spawn(function() co.defer(function() ran = true end) co.yield() end)");
  cp_step(L, 0);
  push_task(L); /* ready */
  check_int(cp_run_pending_defers(L, 2), 1);
  api_run(L, /* cancelled, and not unwound yet */
          "t = co.spawn(function() co.defer(function() cleaned = true end) co.sleep(60) end)");
  api_settle(L);
  api_run(L, "t:cancel 'asked before'");
  push_task(L);
  check_int(cp_run_pending_defers(L, 3), 1);
  api_check(L, "local _, r = t:join() return r.reason == 'asked before' and cleaned and ran");
  api_run(
      L, /* in its deferred calls */
      "t = co.spawn(function() co.defer(function() last = true end) co.defer(co.sleep, 60) end)");
  api_settle(L);
  push_task(L);
  check_int(cp_run_pending_defers(L, 1), 1);
  api_check(L, "return last and not never");
  api_close(L);
}

static void scopes_are_closed_without_waiting(void) {
  lua_State *L = api_open();
  api_run(L,
          "t = co.spawn(function() co.defer(function() outer = true end) co.scope(function(s)\n"
          "  member = s:spawn(function() co.defer(function() inner = true end) co.sleep(60) end)\n"
          "  co.with_timeout(60, co.sleep, 60) end) end)");
  api_settle(L);
  push_task(L);
  check_int(cp_run_pending_defers(L, 1), 1);
  api_check(L, "return outer and t:status() == 'cancelled' and member:status() == 'ready'");
  api_settle(L);
  api_check(L, "return inner and member:status() == 'cancelled'");
  check(cp_timeout(L) < 0);
  api_close(L);
}

/* () → the answer for the task `t` */
static int run_pending(lua_State *L) {
  lua_settop(L, 0);
  push_task(L);
  lua_pushinteger(L, cp_run_pending_defers(L, 1));
  return 1;
}

static void a_running_loop_refuses(void) {
  lua_State *L = api_open();
  lua_register(L, "run_pending", run_pending);
  api_run(L, "t = co.spawn(co.sleep, 60)");
  api_settle(L);
  api_run(L, "co.spawn(function() answer = run_pending() end)");
  api_settle(L);
  api_check(L, "return answer == -1 and t:status() == 'waiting'");
  api_run(L,
          "co.on_spawn(function() answer2 = run_pending() end) co.spawn(print) co.on_spawn(nil)");
  api_check(L, "return answer2 == -1");
  lua_pushnil(L);
  check_int(cp_run_pending_defers(L, 1), -1);
  api_close(L);
}

static const test tests[] = {
    TEST(c_raises_panics),
    TEST(a_handler_in_c_reads_the_record),
    TEST(records_are_told_from_other_values),
    TEST(what_was_read_of_a_record_stays),
    TEST(c_functions_are_deferred),
    TEST(what_can_not_be_called_is_not_deferred),
    TEST(pending_calls_run_without_suspending),
    TEST(panics_in_pending_calls_are_panics),
    TEST(any_task_that_does_not_run_can_be_ended),
    TEST(scopes_are_closed_without_waiting),
    TEST(a_running_loop_refuses),
};

SUITE(panic);
