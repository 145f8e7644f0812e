/*
** A server as C programs are: each request is a struct of the host's, and a task of a script that
** handles it. The trace of the request comes in and goes out in headers, the struct is the task's
** pointer, and whatever happens to the request, deferred calls run once.
*/
#include <coropanic.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>

typedef struct request {
  const char *path;
  const char *traceparent;
} request;

static int open_files;

/* The host's pointer is freed with the task. */
static void finish(void *data) { printf("finished %s\n", ((request *)data)->path); }

static void close_file(void *name) {
  open_files--;
  printf("closed %s\n", (const char *)name);
}

/* --- what scripts call --- */

/* Returns the request of the running task; NULL: none. */
static request *current_request(lua_State *L) {
  if (!cp_current(L)) return NULL;
  request *r = cp_data(L, -1);
  lua_pop(L, 1);
  return r;
}

static int path(lua_State *L) {
  const request *r = current_request(L);
  lua_pushstring(L, r == NULL ? NULL : r->path);
  return 1;
}

/* () Opens a file, which is closed at the end of the task. */
static int open_file(lua_State *L) {
  static char name[] = "the file";
  open_files++;
  cp_defer_c(L, close_file, name);
  lua_getglobal(L, "print"); /* a function with arguments, which runs before that */
  lua_pushliteral(L, "closing");
  cp_defer(L, 1);
  return 0;
}

/* (text) Fails in the way that programs can match: record.error_code is E_DENIED. */
static int deny(lua_State *L) {
  lua_settop(L, 1);
  return cp_panic_code(L, "E_DENIED");
}

static int fail(lua_State *L) {
  lua_settop(L, 1);
  return cp_panic(L);
}

/* Asks another service: prints the headers that it would send. */
static int call_backend(lua_State *L) {
  static cp_trace_headers headers;
  uint8_t trace_id[16], span_id[8];
  int sampled = cp_trace_ids(L, trace_id, span_id);
  cp_trace_inject(L, &headers);
  printf("%.35s..., trace begins with %02x, sampled %d\n", headers.traceparent, trace_id[0],
         sampled);
  return 0;
}

/* A job of the host's own in the trace of a message that it has got. */
static int handle_message(lua_State *L) {
  cp_trace_continue(L, "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-01", NULL, "k=v");
  lua_toclose(L, -1);
  return call_backend(L); /* the trace ends with this function */
}

/* (task) → the task's number */
static int number(lua_State *L) {
  cp_check_task(L, 1);
  lua_pushinteger(L, (lua_Integer)cp_id(L, 1));
  return 1;
}

static const luaL_Reg functions[] = {
    {"path", path},
    {"open_file", open_file},
    {"deny", deny},
    {"fail", fail},
    {"call_backend", call_backend},
    {"handle_message", handle_message},
    {"number", number},
    {NULL, NULL},
};

static const char handler[] =
    "local co = require 'coropanic'\n"
    "assert(host.number(co.current()) > 0)\n"
    "host.open_file()\n"
    "host.call_backend()\n"
    "if host.path() == '/denied' then host.deny 'not for you' end\n"
    "if host.path() == '/broken' then host.fail 'broken' end\n"
    "if host.path() == '/slow' then co.sleep(60) end\n"
    "host.handle_message()\n"
    "return 200\n";

/* --- the server --- */

/* Pushes the task of a request. */
static void accept_request(lua_State *L, request *r) {
  cp_spawn_options options = {.size = sizeof options};
  options.name = r->path;
  options.traceparent = r->traceparent;
  options.data = r;
  options.free = finish;
  if (luaL_loadstring(L, handler) != LUA_OK) lua_error(L);
  cp_spawn_with(L, 0, &options);
}

/* Prints how the task at `index` has ended. */
static void report(lua_State *L, int index) {
  int status = cp_status(L, index);
  int top = lua_gettop(L);
  cp_record r = {.size = sizeof r};
  if (cp_outcome(L, index) > 0 && cp_get_record(L, -1, &r)) {
    printf("status %d: %s, %s\n", status, r.code, r.message);
  } else {
    printf("status %d: %d\n", status, (int)lua_tointeger(L, -1));
  }
  lua_settop(L, top);
}

static int serve(lua_State *L) {
  static request requests[] = {
      {"/", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
      {"/denied", NULL},
      {"/broken", NULL},
      {"/slow", NULL},
      {"/slow", NULL},
  };
  static request other = {"/slow", NULL};
  luaL_newlib(L, functions);
  lua_setglobal(L, "host");
  cp_preempt(L, 0.010); /* a handler that loops for ever costs the others so much at a time */
  for (int i = 0; i < 5; i++) accept_request(L, &requests[i]);
  cp_setdata(L, 5, &other, finish);
  while (cp_step(L, 0.01)) {
  }
  lua_pushliteral(L, "the client is gone"); /* the fourth: its deferred calls may suspend */
  cp_cancel(L, 4);
  while (cp_step(L, 0.01)) {
  }
  /* The fifth: here the host has no time for a step. */
  printf("%d deferred calls ran\n", cp_run_pending_defers(L, 5));
  for (int i = 1; i <= 5; i++) report(L, i);
  printf("%d files are open\n", open_files);
  return 0;
}

int main(void) {
  lua_State *L = luaL_newstate();
  if (L == NULL || cp_open(L) != LUA_OK) return 1;
  luaL_openlibs(L);
  lua_pushcfunction(L, serve);
  int status = lua_pcall(L, 0, 0, 0);
  if (status != LUA_OK) fprintf(stderr, "%s\n", lua_tostring(L, -1));
  lua_close(L);
  return status;
}
