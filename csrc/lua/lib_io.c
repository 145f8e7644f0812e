/* co.wait_fd */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "kernel/args.h"
#include "loop/io.h"
#include "lua/lib.h"

/*
** Whether the value at 1 may have methods: it is a table, or a userdata that can be indexed.
** [-0, +0, m]
*/
static bool is_object(lua_State *L) {
  if (lua_type(L, 1) != LUA_TUSERDATA) return lua_istable(L, 1);
  if (luaL_getmetafield(L, 1, "__index") == LUA_TNIL) return false;
  lua_pop(L, 1);
  return true;
}

/*
** Calls a method of the object at 1 and pushes its result. Returns false, and pushes nothing, if
** there is no such method.   [-0, +(0|1), e]
*/
static bool call_method(lua_State *L, const char *name) {
  if (!is_object(L)) return false;
  if (lua_getfield(L, 1, name) == LUA_TNIL) {
    lua_pop(L, 1);
    return false;
  }
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  return true;
}

/*
** Returns the descriptor of the first argument, a number or an object; -1 if the number can be no
** descriptor.   [-0, +0, e]
*/
static int check_descriptor(lua_State *L) {
  if (lua_type(L, 1) == LUA_TNUMBER) {
    lua_pushvalue(L, 1);
  } else if (!call_method(L, "getfd") && !call_method(L, "pollfd") && !call_method(L, "fileno")) {
    arg_type_error(L, 1, "wait_fd", "descriptor or object with getfd, pollfd or fileno");
  }
  int is_integer;
  lua_Integer fd = lua_tointegerx(L, -1, &is_integer);
  if (!is_integer || lua_type(L, -1) != LUA_TNUMBER)
    arg_error(L, 1, "wait_fd", "a descriptor is an integer");
  lua_pop(L, 1);
  return fd < 0 || fd > INT_MAX ? -1 : (int)fd;
}

static const char *const modes[] = {
    [POLLER_READ] = "r",
    [POLLER_WRITE] = "w",
    [POLLER_BOTH] = "rw",
};

static unsigned check_mode(lua_State *L) {
  const char *mode = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  unsigned asked = POLLER_READ;
  while (asked <= POLLER_BOTH && strcmp(mode, modes[asked]) != 0) asked++;
  if (asked > POLLER_BOTH) arg_error(L, 2, "wait_fd", "\"r\", \"w\" or \"rw\" expected");
  return asked;
}

/* Pushes the name of the ready directions; nil for none. */
static int push_ready(lua_State *L, int ready) {
  if (ready == 0) {
    lua_pushnil(L);
  } else {
    lua_pushstring(L, modes[ready]);
  }
  return 1;
}

static int after_wait(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  const task *t = task_check_wake(runtime_of(L), L);
  if (t->wake == WAKE_TIMEOUT) return push_ready(L, 0);
  if (t->wake == WAKE_CLOSED) {
    lua_pushnil(L);
    lua_pushliteral(L, "closed");
    return 2;
  }
  return push_ready(L, (int)t->waiter.fired);
}

static const wait_type wait_fd = {IO_WAIT, .continuation = after_wait};

/*
** Pushes the directions that are ready now, or nil; does not wait. Other code may have closed the
** descriptor; then the tasks that wait for it are woken, before this function raises.   [-0, +1, e]
*/
static int look(lua_State *L, int fd, unsigned asked) {
  runtime *rt = runtime_of(L);
  int ready = poller_check(fd, asked);
  int refusal = errno;
  if (ready < 0 && refusal == EBADF) poller_lose(&loop_of(rt)->poller, fd);
  task_raise_pending(rt, L);
  return ready < 0 ? io_refuse(L, fd, refusal) : push_ready(L, ready);
}

static int run_wait_fd(lua_State *L) {
  runtime *rt = runtime_of(L);
  int fd = check_descriptor(L);
  unsigned asked = check_mode(L);
  double seconds = arg_check_timeout(L, 3, 3, "wait_fd");
  lua_settop(L, 2);
  lua_pushinteger(L, fd);
  /* A closed object does not say which descriptor it had. */
  if (fd < 0) poller_lose_closed(&loop_of(rt)->poller);
  if (seconds == 0 || rt->current == NULL) {
    int results = look(L, fd, asked);
    if (seconds == 0 || !lua_isnil(L, -1)) return results;
  }
  task_check_suspend(rt, L, "wait_fd");
  return io_park(rt, L, fd, asked, runtime_deadline(rt, seconds), &wait_fd);
}

void lib_io_open(lua_State *L, runtime *rt) {
  static const luaL_Reg functions[] = {{"wait_fd", run_wait_fd}, {NULL, NULL}};
  lib_register(L, rt, functions);
}
