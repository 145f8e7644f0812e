/*
** The game under SDL2: a window, a frame loop, and a script's task for each thing on the screen.
**
** Each frame gives the tasks FRAME_BUDGET seconds by cp_pstep, and the collector what they leave of
** it. Preemption ends a script's turn that lasts longer. README.md tells what to try.
*/
#define _POSIX_C_SOURCE 200809L
#include <SDL2/SDL.h>
#include <SDL2/SDL2_gfxPrimitives.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "coropanic.h"

#define FRAME_SECONDS (1.0 / 60)
#define FRAME_BUDGET 0.002 /* seconds of a frame that tasks and collector get */
#define SLICE 0.001        /* seconds after which a task that does not suspend is interrupted */
#define POLL_FRAMES 15     /* between two looks at the files of scripts */
#define END_STEPS 1000     /* at the end of the game */
#define MOST_FRAMES 100000 /* of which the times are kept */

typedef struct options {
  const char *folder;     /* with game.lua, and the scripts in scripts/ */
  const char *screenshot; /* file for the last frame, as BMP */
  int walkers, beacons, faulty, hogs;
  int frames; /* after which the game ends; 0: when its window is closed */
  int preempt;
} options;

typedef struct screen {
  SDL_Window *window;
  SDL_Renderer *renderer;
  int width, height;
} screen;

static double step_seconds[MOST_FRAMES]; /* CPU time of the step of each frame */

/* --- files and time ------------------------------------------------------------------------- */

static double cpu_seconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* (path) For game.poll: when the file was last changed; nil if there is none. */
static int modified(lua_State *L) {
  struct stat file;
  if (stat(luaL_checkstring(L, 1), &file) != 0) return 0;
  lua_pushnumber(L, (lua_Number)file.st_mtim.tv_sec + (lua_Number)file.st_mtim.tv_nsec / 1e9);
  return 1;
}

static int compare_seconds(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Prints how long the steps of all frames took. */
static void print_frame_times(int frames, size_t heap_bytes) {
  if (frames > MOST_FRAMES) frames = MOST_FRAMES;
  if (frames == 0) return;
  qsort(step_seconds, (size_t)frames, sizeof *step_seconds, compare_seconds);
  const double shares[] = {0.5, 0.9, 0.99, 1};
  const char *names[] = {"p50", "p90", "p99", "max"};
  printf("frames: %d", frames);
  for (int i = 0; i < 4; i++) {
    int at = (int)(shares[i] * (frames - 1) + 0.5);
    printf(", %s %.2f ms", names[i], step_seconds[at] * 1e3);
  }
  printf(", heap %.1f MB\n", (double)heap_bytes / 1e6);
}

/* --- drawing -------------------------------------------------------------------------------- */

/* Returns the number in the field of the entity on top of the stack.   [-0, +0, e] */
static lua_Number number_of(lua_State *L, const char *field) {
  lua_getfield(L, -1, field);
  lua_Number value = lua_tonumber(L, -1);
  lua_pop(L, 1);
  return value;
}

/* Draws the entity on top of the stack.   [-0, +0, e] */
static void draw_entity(lua_State *L, const screen *s) {
  float size = (float)number_of(L, "size");
  SDL_FRect place = {(float)number_of(L, "x") - size / 2, (float)number_of(L, "y") - size / 2, size,
                     size};
  Uint8 red = (Uint8)number_of(L, "red");
  Uint8 green = (Uint8)number_of(L, "green");
  Uint8 blue = (Uint8)number_of(L, "blue");
  lua_getfield(L, -1, "failed");
  if (lua_toboolean(L, -1)) red = 255, green = blue = 0;
  lua_pop(L, 1);
  SDL_SetRenderDrawColor(s->renderer, red, green, blue, 255);
  SDL_RenderFillRectF(s->renderer, &place);
}

/* Draws the latest message, a table {title, lines}, at the top of the screen.   [-1, +0, e] */
static void draw_message(lua_State *L, const screen *s) {
  lua_getfield(L, -1, "lines");
  int lines = (int)luaL_len(L, -1);
  boxRGBA(s->renderer, 8, 8, (Sint16)(s->width - 8), (Sint16)(32 + 12 * lines), 40, 0, 0, 220);
  lua_getfield(L, -2, "title");
  stringRGBA(s->renderer, 16, 14, lua_tostring(L, -1), 255, 120, 120, 255);
  lua_pop(L, 1);
  for (int i = 1; i <= lines; i++) {
    lua_geti(L, -1, i);
    stringRGBA(s->renderer, 16, (Sint16)(16 + 12 * i), lua_tostring(L, -1), 240, 240, 240, 255);
    lua_pop(L, 1);
  }
  lua_pop(L, 2);
}

/* (game, screen) Draws all entities and the latest message. */
static int draw(lua_State *L) {
  const screen *s = lua_touserdata(L, 2);
  SDL_SetRenderDrawColor(s->renderer, 16, 18, 28, 255);
  SDL_RenderClear(s->renderer);
  lua_getfield(L, 1, "entities");
  for (lua_Integer i = 1, n = luaL_len(L, -1); i <= n; i++) {
    lua_geti(L, -1, i);
    draw_entity(L, s);
    lua_pop(L, 1);
  }
  lua_getfield(L, 1, "messages");
  if (lua_geti(L, -1, luaL_len(L, -1)) == LUA_TTABLE) draw_message(L, s);
  return 0;
}

/* --- the loop ------------------------------------------------------------------------------- */

/* Prints the error on top of the stack, and pops it. */
static void complain(lua_State *L) {
  fprintf(stderr, "game: %s\n", luaL_tolstring(L, -1, NULL));
  lua_pop(L, 2);
}

/* (options, game) Calls game.start with what the command line asked for. */
static int start(lua_State *L) {
  const options *o = lua_touserdata(L, 1);
  lua_getfield(L, 2, "start");
  lua_newtable(L);
  lua_pushstring(L, o->folder);
  lua_setfield(L, -2, "folder");
  lua_newtable(L);
  const struct {
    const char *name;
    int count;
  } kinds[] = {
      {"walker", o->walkers}, {"beacon", o->beacons}, {"faulty", o->faulty}, {"hog", o->hogs}};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    lua_pushinteger(L, kinds[i].count);
    lua_setfield(L, -2, kinds[i].name);
  }
  lua_setfield(L, -2, "count");
  lua_pushnumber(L, FRAME_BUDGET);
  lua_setfield(L, -2, "budget");
  if (o->preempt) {
    lua_pushnumber(L, SLICE);
    lua_setfield(L, -2, "slice");
  }
  lua_call(L, 1, 0);
  return 0;
}

/* (game) Starts the scripts whose files have changed. */
static int poll(lua_State *L) {
  lua_getfield(L, 1, "poll");
  lua_pushcfunction(L, modified);
  lua_call(L, 1, 0);
  return 0;
}

/* Calls fn(game, screen), the module being at index 1.   [-0, +0, -] */
static void call(lua_State *L, lua_CFunction fn, screen *s) {
  lua_pushcfunction(L, fn);
  lua_pushvalue(L, 1);
  lua_pushlightuserdata(L, s);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) complain(L);
}

static bool asked_to_quit(void) {
  SDL_Event event;
  while (SDL_PollEvent(&event)) {
    if (event.type == SDL_QUIT) return true;
    if (event.type == SDL_KEYDOWN && event.key.keysym.sym == SDLK_ESCAPE) return true;
  }
  return false;
}

/* Plays until the window is closed, or so many frames. Returns the number of frames. */
static int play(lua_State *L, screen *s, int frames) {
  int frame = 0;
  while (!asked_to_quit() && (frames == 0 || frame < frames)) {
    Uint64 begin = SDL_GetTicks64();
    if (frame % POLL_FRAMES == 0) call(L, poll, s);
    double before = cpu_seconds();
    if (cp_pstep(L, FRAME_BUDGET, NULL) != LUA_OK) complain(L);
    if (frame < MOST_FRAMES) step_seconds[frame] = cpu_seconds() - before;
    call(L, draw, s);
    SDL_RenderPresent(s->renderer);
    Uint64 spent = SDL_GetTicks64() - begin;
    if (spent < FRAME_SECONDS * 1000) SDL_Delay((Uint32)(FRAME_SECONDS * 1000) - (Uint32)spent);
    frame++;
  }
  return frame;
}

/* Ends all tasks, so that their deferred calls run; but not for longer than END_STEPS. */
static int end(lua_State *L) {
  for (int i = 0; i < END_STEPS && cp_shutdown(L, FRAME_BUDGET); i++) SDL_Delay(1);
  return 0;
}

static bool save_screenshot(const screen *s, const char *file) {
  SDL_Surface *image =
      SDL_CreateRGBSurfaceWithFormat(0, s->width, s->height, 32, SDL_PIXELFORMAT_ARGB8888);
  bool saved = image != NULL &&
               SDL_RenderReadPixels(s->renderer, NULL, image->format->format, image->pixels,
                                    image->pitch) == 0 &&
               SDL_SaveBMP(image, file) == 0;
  SDL_FreeSurface(image);
  return saved;
}

/* --- the program ---------------------------------------------------------------------------- */

static void usage(void) {
  fputs(
      "usage: game [option=value ...]\n"
      "  folder=.        where game.lua and scripts/ are\n"
      "  walkers=200 beacons=5 faulty=3 hogs=0\n"
      "                  entities of each script\n"
      "  frames=0        after which the game ends; 0: when its window is closed\n"
      "  preempt=1       interrupt tasks that do not suspend\n"
      "  screenshot=FILE save the last frame, as BMP\n",
      stderr);
}

/* Reads `name=value` into the options. */
static bool read_option(options *o, const char *argument) {
  const struct {
    const char *name;
    int *number;
    const char **text;
  } known[] = {{"folder", NULL, &o->folder},   {"screenshot", NULL, &o->screenshot},
               {"walkers", &o->walkers, NULL}, {"beacons", &o->beacons, NULL},
               {"faulty", &o->faulty, NULL},   {"hogs", &o->hogs, NULL},
               {"frames", &o->frames, NULL},   {"preempt", &o->preempt, NULL}};
  const char *value = strchr(argument, '=');
  if (value++ == NULL) return false;
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    size_t length = strlen(known[i].name);
    if (length != (size_t)(value - 1 - argument) || strncmp(argument, known[i].name, length) != 0)
      continue;
    if (known[i].text != NULL) {
      *known[i].text = value;
      return true;
    }
    char *end;
    long number = strtol(value, &end, 10);
    if (*value == '\0' || *end != '\0' || number < 0 || number > 1000000) return false;
    *known[i].number = (int)number;
    return true;
  }
  return false;
}

/* (options) Loads game.lua, starts it, and returns its table. */
static int load(lua_State *L) {
  options *o = lua_touserdata(L, 1);
  luaL_openlibs(L);
  if (cp_open(L) != LUA_OK) return lua_error(L);
  if (luaL_loadfile(L, lua_pushfstring(L, "%s/game.lua", o->folder)) != LUA_OK) return lua_error(L);
  lua_call(L, 0, 1);
  lua_pushcfunction(L, start);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, -3);
  lua_call(L, 2, 0);
  return 1;
}

static bool open_screen(screen *s) {
  if (SDL_Init(SDL_INIT_VIDEO) == 0) {
    s->window = SDL_CreateWindow("coropanic", SDL_WINDOWPOS_CENTERED, SDL_WINDOWPOS_CENTERED,
                                 s->width, s->height, 0);
    if (s->window != NULL) s->renderer = SDL_CreateRenderer(s->window, -1, 0);
    if (s->renderer != NULL) return true;
  }
  fprintf(stderr, "game: %s\n", SDL_GetError());
  return false;
}

/* Runs the game in the state, with its window open. */
static bool run(lua_State *L, screen *s, options *o) {
  lua_pushcfunction(L, load);
  lua_pushlightuserdata(L, o);
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
    complain(L);
    return false;
  }
  int frames = play(L, s, o->frames);
  size_t heap = (size_t)lua_gc(L, LUA_GCCOUNT) * 1024;
  print_frame_times(frames, heap);
  call(L, end, s);
  return o->screenshot == NULL || save_screenshot(s, o->screenshot);
}

int main(int argc, char **argv) {
  options o = {.folder = ".", .walkers = 200, .beacons = 5, .faulty = 3, .preempt = 1};
  for (int i = 1; i < argc; i++) {
    if (!read_option(&o, argv[i])) {
      usage();
      return 2;
    }
  }
  setvbuf(stdout, NULL, _IOLBF, 0); /* what scripts print is seen at once, also through a pipe */
  screen s = {.width = 960, .height = 540};
  lua_State *L = luaL_newstate();
  if (L == NULL) return 1;
  bool ok = open_screen(&s) && run(L, &s, &o);
  lua_close(L);
  SDL_DestroyRenderer(s.renderer);
  SDL_DestroyWindow(s.window);
  SDL_Quit();
  return ok ? 0 : 1;
}
