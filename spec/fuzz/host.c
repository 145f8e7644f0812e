/*
** The process in which random programs run, each in a Lua state of its own, under an allocator that counts:
** a program must not crash, must keep the promises that its prelude checks (spec/fuzz/prelude.lua), must come
** to an end, and must give back every byte when its state is closed.
**
**   fuzz_host MODE STATE FIRST LAST     programs of the seeds FIRST to LAST; STATE is a file that always names
**                                       the seed that runs, so that the driver knows it after a crash
**   fuzz_host MODE FILE                 the program in FILE
** MODE is "plain", or "limit": memory has a limit, and single allocations fail.
*/
#include <errno.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "coropanic.h"

#define SECONDS_A_PROGRAM \
  20 /* virtual clocks and fuel bound programs to milliseconds: longer is a hang */

typedef struct account {
  size_t bytes;       /* allocated now */
  size_t limit;       /* of `bytes`; 0: none */
  long until_failure; /* allocations that still succeed; < 0: no failure is planned */
  int failures;       /* allocations that fail then */
} account;

static void *allocate(void *ud, void *pointer, size_t old_size, size_t new_size) {
  account *a = ud;
  if (pointer == NULL) old_size = 0;
  if (new_size == 0) {
    free(pointer);
    a->bytes -= old_size;
    return NULL;
  }
  if (new_size > old_size) {
    if (a->until_failure == 0) {
      if (--a->failures == 0) a->until_failure = -1;
      return NULL;
    }
    if (a->until_failure > 0) a->until_failure--;
    if (a->limit > 0 && a->bytes + (new_size - old_size) > a->limit) return NULL;
  }
  void *result = realloc(pointer, new_size);
  if (result != NULL) a->bytes += new_size - old_size;
  return result;
}

/* fail_after(n, times): the n-th allocation from now on fails, and as many after it.   [-0, +0, v] */
static int fail_after(lua_State *L) {
  account *a = lua_touserdata(L, lua_upvalueindex(1));
  a->until_failure = (long)luaL_checkinteger(L, 1);
  a->failures = (int)luaL_checkinteger(L, 2);
  return 0;
}

/* limit(bytes): how much may be allocated beyond what is now; nil: any amount.   [-0, +0, v] */
static int limit(lua_State *L) {
  account *a = lua_touserdata(L, lua_upvalueindex(1));
  a->limit = lua_isnoneornil(L, 1) ? 0 : a->bytes + (size_t)luaL_checkinteger(L, 1);
  return 0;
}

/*
** Runs a program: protected(fn), as pcall. Afterwards memory is there again, and no hook of the program's is left
** to run in the code that checks it.   [-0, +2, -]
*/
static int protected(lua_State *L) {
  account *a = lua_touserdata(L, lua_upvalueindex(1));
  lua_settop(L, 1);
  bool ok = lua_pcall(L, 0, 0, 0) == LUA_OK;
  a->limit = 0;
  a->until_failure = -1;
  lua_sethook(L, NULL, 0, 0);
  lua_pushboolean(L, ok);
  if (ok) return 1;
  lua_insert(L, -2);
  return 2;
}

static void set_function(lua_State *L, account *a, const char *name, lua_CFunction fn) {
  lua_pushlightuserdata(L, a);
  lua_pushcclosure(L, fn, 1);
  lua_setfield(L, -2, name);
}

typedef struct job {
  account *account;
  const char *mode;
  const char *file; /* NULL: the program of `seed` */
  long seed;
} job;

/* Calls the prelude with what the program needs: run(mode, seed, file, memory).   [-1, +0, v] */
static int run(lua_State *L) {
  const job *j = lua_touserdata(L, 1);
  luaL_openlibs(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, luaopen_coropanic_core);
  lua_setfield(L, -2, "coropanic.core");
  lua_getglobal(L, "require");
  lua_pushliteral(L, "spec.fuzz.prelude");
  lua_call(L, 1, 1);
  lua_pushstring(L, j->mode);
  lua_pushinteger(L, j->seed);
  lua_pushstring(L, j->file);
  lua_newtable(L);
  set_function(L, j->account, "fail_after", fail_after);
  set_function(L, j->account, "limit", limit);
  set_function(L, j->account, "protected", protected);
  lua_call(L, 4, 0);
  return 0;
}

/* The message handler: a record's own text has its stack.   [-1, +1, m] */
static int with_traceback(lua_State *L) {
  const char *text = luaL_tolstring(L, 1, NULL);
  luaL_traceback(L, L, text, 1);
  return 1;
}

/* Whether the program of one seed, or file, kept every promise. */
static bool run_one(job *j) {
  account a = {.until_failure = -1};
  j->account = &a;
  alarm(SECONDS_A_PROGRAM);
  lua_State *L = lua_newstate(allocate, &a);
  if (L == NULL) return false;
  lua_pushcfunction(L, with_traceback);
  lua_pushcfunction(L, run);
  lua_pushlightuserdata(L, j);
  bool kept = lua_pcall(L, 1, 0, 1) == LUA_OK;
  a.limit = 0;
  a.until_failure = -1;
  if (!kept) fprintf(stderr, "fuzz: broken promise: %s\n", lua_tostring(L, -1));
  lua_close(L);
  alarm(0);
  if (a.bytes != 0) {
    fprintf(stderr, "fuzz: leak of %zu bytes\n", a.bytes);
    kept = false;
  }
  return kept;
}

int main(int argc, char **argv) {
  if (argc == 3) {
    job j = {NULL, argv[1], argv[2], 0};
    return run_one(&j) ? EXIT_SUCCESS : EXIT_FAILURE;
  }
  if (argc != 5) {
    fprintf(stderr, "usage: %s MODE STATE FIRST LAST, or %s MODE FILE\n", argv[0], argv[0]);
    return EXIT_FAILURE;
  }
  FILE *state = fopen(argv[2], "w");
  if (state == NULL) {
    fprintf(stderr, "fuzz: %s: %s\n", argv[2], strerror(errno));
    return EXIT_FAILURE;
  }
  long first = strtol(argv[3], NULL, 10), last = strtol(argv[4], NULL, 10);
  for (long seed = first; seed <= last; seed++) {
    rewind(state);
    fprintf(state, "%ld\n", seed);
    fflush(state);
    job j = {NULL, argv[1], NULL, seed};
    if (!run_one(&j)) return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}
