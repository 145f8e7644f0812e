/* The trace in C: from a request's headers, as bytes, and into the headers of the next request. */
#include <string.h>

#include "api.h"

#define PARENT "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

static cp_trace_headers headers;

/* (traceparent, tracestate, baggage, f) → f's result, called in that trace */
static int in_trace(lua_State *L) {
  cp_trace_continue(L, lua_tostring(L, 1), lua_tostring(L, 2), lua_tostring(L, 3));
  lua_toclose(L, -1);
  lua_pushvalue(L, 4);
  lua_call(L, 0, 1);
  return 1;
}

/* () → the ids as the C API gives them are those of co.trace.current */
static int same_ids(lua_State *L) {
  uint8_t trace_id[16], span_id[8];
  char hex[33];
  int sampled = cp_trace_ids(L, trace_id, span_id);
  check_int(cp_trace_ids(L, NULL, NULL), sampled);
  for (int i = 0; i < 16; i++) snprintf(hex + 2 * i, 3, "%02x", trace_id[i]);
  lua_settop(L, 0);
  lua_pushstring(L, hex);
  for (int i = 0; i < 8; i++) snprintf(hex + 2 * i, 3, "%02x", span_id[i]);
  lua_pushstring(L, hex);
  lua_pushboolean(L, sampled);
  luaL_loadstring(
      L,
      "local trace, span, sampled = ... local now = co.trace.current()"
      "return now.trace_id == trace and now.span_id == span and now.sampled == sampled");
  lua_insert(L, 1);
  lua_call(L, 3, 1);
  return 1;
}

static int inject(lua_State *L) {
  cp_trace_inject(L, &headers);
  return 0;
}

static lua_State *open_traced(void) {
  lua_State *L = api_open();
  lua_register(L, "in_trace", in_trace);
  lua_register(L, "same_ids", same_ids);
  lua_register(L, "inject", inject);
  return L;
}

static void a_request_is_continued(void) {
  lua_State *L = open_traced();
  api_check(
      L, "return in_trace('" PARENT
         "', 'a=1,b=2', 'k=v', function()\n"
         "  local now = co.trace.current()\n"
         "  return now.trace_id == '4bf92f3577b34da6a3ce929d0e0e4736' and now.state == 'a=1,b=2'\n"
         "    and now.parent_span_id == '00f067aa0ba902b7' and co.trace.baggage().k == 'v' end)");
  api_check(L, "return co.trace.current().trace_id ~= '4bf92f3577b34da6a3ce929d0e0e4736'");
  api_check(L, "return not pcall(in_trace, '" PARENT "', nil, nil, error)");
  api_check(L, "return co.trace.current().trace_id ~= '4bf92f3577b34da6a3ce929d0e0e4736'");
  api_close(L);
}

static void headers_that_are_not_valid_begin_a_trace(void) {
  lua_State *L = open_traced();
  api_check(
      L,
      "return in_trace(nil, nil, nil, function() return #co.trace.current().trace_id == 32 and "
      "same_ids() end)");
  api_check(L,
            "local outside = co.trace.current().trace_id "
            "return in_trace('nonsense', 'a=1', '%%%', function() local now = co.trace.current()"
            "return now.trace_id ~= outside and now.state == nil end)");
  api_close(L);
}

static void ids_are_bytes(void) {
  lua_State *L = open_traced();
  api_check(L, "return same_ids()");
  api_check(L, "return co.run(function() return same_ids() end)");
  api_check(L, "return in_trace('" PARENT "', nil, nil, same_ids)");
  api_close(L);
}

static void the_next_request_goes_on(void) {
  lua_State *L = open_traced();
  api_run(L,
          "in_trace('" PARENT "', 'a=1', 'k=v', function() inject() now = co.trace.inject {} end)");
  lua_pushstring(L, headers.traceparent);
  lua_setglobal(L, "parent");
  api_check(L, "return parent == now.traceparent and #parent == 55");
  check_text(headers.tracestate, strlen(headers.tracestate), "a=1");
  check_text(headers.baggage, strlen(headers.baggage), "k=v");
  api_run(L, "inject()");
  check_text(headers.tracestate, strlen(headers.tracestate), "");
  check_text(headers.baggage, strlen(headers.baggage), "");
  api_run(L, "co.trace.use 'hlc' inject()");
  check(strncmp(headers.tracestate, "coropanic=hlc:", 14) == 0);
  lua_pushstring(L, headers.tracestate);
  lua_setglobal(L, "clock");
  api_check(L, "return in_trace('" PARENT
               "', 'coropanic=hlc:ffffffffffffffff', nil, function() return true "
               "end)");
  api_close(L);
}

static const test tests[] = {
    TEST(a_request_is_continued),
    TEST(headers_that_are_not_valid_begin_a_trace),
    TEST(ids_are_bytes),
    TEST(the_next_request_goes_on),
};

SUITE(trace);
