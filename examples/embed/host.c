/*
** A host with a loop of its own, as a game has: each frame it gives the tasks of its script a
** millisecond, spends what is left on Lua's collector, and does its own work. Errors of scripts never
** end it. Build it with `make -C examples/embed`; see docs/embedding.md.
*/
#define _POSIX_C_SOURCE 200809L
#include <coropanic.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <time.h>

#define FRAME_BUDGET 0.001 /* seconds that tasks and the collector get of one frame */

static lua_Integer frames; /* that have been drawn */

/* () For scripts: the number of this frame. */
static int frame(lua_State *L) {
  lua_pushinteger(L, frames);
  return 1;
}

/* A panic that no task has joined: a game would show it over the picture, and go on. */
static void show_panic(lua_State *L, int record, int task, void *data) {
  cp_record r = {.size = sizeof r};
  int *panics = data;
  if (!cp_get_record(L, record, &r)) return;
  fprintf(stderr, "%s (%s) in task \"%s\"%s\n", r.message, r.code, r.task_name,
          cp_is_task(L, task) ? "" : ", which is gone");
  fprintf(stderr, "%s\n", cp_record_text(L, record, NULL));
  lua_pop(L, 1);
  ++*panics;
}

/* Sleeps until the next task is due; a real game would draw and wait for the display here. */
static void wait_seconds(double seconds) {
  struct timespec time = {.tv_sec = (time_t)seconds};
  time.tv_nsec = (long)((seconds - (double)time.tv_sec) * 1e9);
  nanosleep(&time, NULL);
}

/* Plays until no task is left. Returns a status, with the error on the stack. */
static int play(lua_State *L) {
  while (cp_live(L) > 0) {
    double end = cp_now(L) + FRAME_BUDGET;
    int status =
        cp_pstep(L, FRAME_BUDGET, NULL); /* once: a task that yields for ever is always ready */
    if (status != LUA_OK) return status;
    cp_collect(L, end - cp_now(L));
    frames++;
    double timeout = cp_timeout(L); /* 0: something is still ready */
    if (timeout < 0) break; /* only an event of the host could wake a task, and it has none */
    wait_seconds(timeout);
  }
  while (cp_shutdown(L, FRAME_BUDGET)) frames++;
  return LUA_OK;
}

/* Loads the script and spawns it as a task. */
static int start(lua_State *L, const char *path) {
  cp_spawn_options options = {.size = sizeof options, .name = "script"};
  int status = cp_open(L);
  if (status == LUA_OK) status = luaL_loadfile(L, path);
  if (status == LUA_OK) status = cp_pspawn(L, 0, &options);
  return status;
}

int main(int argc, char **argv) {
  int panics = 0;
  if (argc != 2) {
    fprintf(stderr, "usage: %s script.lua\n", argv[0]);
    return 2;
  }
  if (cp_version_num() < CP_VERSION_NUM) {
    fprintf(stderr, "needs coropanic %s, and this is %s\n", CP_VERSION, cp_version());
    return 1;
  }
  lua_State *L = luaL_newstate();
  if (L == NULL) return 1;
  luaL_openlibs(L);
  lua_register(L, "frame", frame);
  cp_on_panic(L, show_panic, &panics);
  int status = start(L, argv[1]);
  if (status == LUA_OK) status = play(L);
  if (status != LUA_OK) fprintf(stderr, "%s\n", lua_tostring(L, -1));
  cp_close(L);
  return status == LUA_OK ? 0 : 1;
}
