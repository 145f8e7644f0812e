/*
** A host with a loop of its own, as a game has: each frame it gives the tasks of its script one step
** of a millisecond, then does its own work. Build it against libcoropanic.a; see docs/embedding.md.
*/
#define _POSIX_C_SOURCE 200809L
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <time.h>

#include "coropanic.h"

#define FRAME_BUDGET 0.001 /* seconds that tasks get of one frame */

static lua_Integer frames; /* that have been drawn */

/* () For scripts: the number of this frame. */
static int frame(lua_State *L) {
  lua_pushinteger(L, frames);
  return 1;
}

/* Sleeps until the next task is due; a real game would draw and wait for the display here. */
static void wait_seconds(double seconds) {
  struct timespec time = {.tv_sec = (time_t)seconds};
  time.tv_nsec = (long)((seconds - (double)time.tv_sec) * 1e9);
  nanosleep(&time, NULL);
}

/* (path) Runs the script, which spawns tasks, and then steps until nothing is left to do. */
static int play(lua_State *L) {
  luaL_requiref(L, "coropanic", luaopen_coropanic_core, 0);
  if (luaL_loadfile(L, lua_tostring(L, 1)) != LUA_OK) return lua_error(L);
  cp_spawn(L, 0);
  for (;;) {
    cp_step(L, FRAME_BUDGET); /* once: a task that yields for ever keeps something ready for ever */
    frames++;
    double timeout = cp_timeout(L); /* 0: something is still ready */
    if (timeout < 0) return 0;
    wait_seconds(timeout);
  }
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: %s script.lua\n", argv[0]);
    return 2;
  }
  lua_State *L = luaL_newstate();
  if (L == NULL) return 1;
  luaL_openlibs(L);
  lua_register(L, "frame", frame);
  lua_pushcfunction(L, play);
  lua_pushstring(L, argv[1]);
  int status = lua_pcall(L, 1, 0, 0);
  if (status != LUA_OK) {
    fprintf(stderr, "%s\n", luaL_tolstring(L, -1, NULL));
    lua_pop(L, 1);
  }
  lua_close(L);
  return status == LUA_OK ? 0 : 1;
}
