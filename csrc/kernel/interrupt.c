#define _DEFAULT_SOURCE 1 /* on_exit */

#include "kernel/interrupt.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/stay_loaded.h"
#include "kernel/cancel.h"
#include "kernel/coroutine.h"
#include "kernel/preempt.h"
#include "kernel/task.h"

/* The error of lua.c's handler. */
#define CTRL_C "interrupted!"

/* --- our own --- */

/*
** The number of the user's hook under ours on this thread, from 1; 0: there is none. Our count is 1 and
** that number, so that the hook is called at one of the next instructions. The count is 0 if a tick came
** while lua_sethook was taking the hook off: then only the hook is there, and nothing calls it.
*/
static int covered(lua_State *L) {
  int number = lua_gethookcount(L) - 1;
  return 0 < number && number < INTERRUPT_HOOKS ? number : 0;
}

static lua_Hook covered_hook(const runtime *rt, int number) {
  return number == 0 ? NULL : rt->covered_hooks[number];
}

/* Takes our hook off the thread that has it. */
static void uncover(const runtime *rt, lua_State *L) {
  int number = covered(L);
  lua_sethook(L, covered_hook(rt, number), number == 0 ? 0 : lua_gethookmask(L) & ~LUA_MASKCOUNT,
              0);
}

/*
** The hook. Threads inherit the hook of the thread that makes them, and a coroutine may have gone on
** to wait before its hook was called. So it may be called anywhere, and what it calls has to see
** whether the code is the one to interrupt. It is called once, unless it is set again; besides, for
** each event of the user's hook that it covers.
*/
static void interrupted(lua_State *L, lua_Debug *ar) {
  runtime *rt = runtime_find(L);
  if (rt == NULL || rt->closed) {
    lua_sethook(L, NULL, 0, 0);
    return;
  }
  int number = covered(L);
  if (ar->event != LUA_HOOKCOUNT) {
    lua_Hook hook = covered_hook(rt, number);
    if (hook != NULL) hook(L, ar);
    return;
  }
  uncover(rt, L);
  for (interrupt_client *c = rt->interrupt_clients; c != NULL; c = c->next) c->serve(c, rt, L);
  if (number == 0) preempt_serve(rt, L);
}

void interrupt_add(runtime *rt, interrupt_client *client) {
  client->next = rt->interrupt_clients;
  rt->interrupt_clients = client;
}

void interrupt_remove(runtime *rt, interrupt_client *client) {
  interrupt_client **place = &rt->interrupt_clients;
  while (*place != client) place = &(*place)->next;
  *place = client->next;
}

/*
** Returns the number of the user's hook, which it notes at the first time; 0: there are too many. The
** same functions are met again and again, a debugger's or that of debug.sethook.
*/
static int number_of(runtime *rt, lua_Hook hook) {
  int number = 1;
  while (number < INTERRUPT_HOOKS && rt->covered_hooks[number] != NULL &&
         rt->covered_hooks[number] != hook) {
    number++;
  }
  if (number == INTERRUPT_HOOKS) return 0;
  rt->covered_hooks[number] = hook;
  return number;
}

/* An armed hook is set again, because the VM may have overwritten the count that it had. */
bool interrupt_arm_over(runtime *rt) {
  lua_State *thread = rt->running->thread;
  lua_Hook hook = lua_gethook(thread);
  int mask = lua_gethookmask(thread);
  if (hook == interrupted) {
    int number = covered(thread);
    lua_sethook(thread, interrupted, number == 0 ? LUA_MASKCOUNT : mask, number + 1);
    return true;
  }
  if (hook == NULL || mask == 0) {
    interrupt_again(thread, 1);
    return true;
  }
  int number = (mask & LUA_MASKCOUNT) != 0 ? 0 : number_of(rt, hook);
  if (number == 0) return false;
  lua_sethook(thread, interrupted, mask | LUA_MASKCOUNT, number + 1);
  return true;
}

void interrupt_arm(const runtime *rt) {
  lua_State *thread = rt->running->thread;
  lua_Hook hook = lua_gethook(thread);
  if (hook == NULL || (hook == interrupted && covered(thread) == 0)) interrupt_again(thread, 1);
}

void interrupt_again(lua_State *L, int instructions) {
  lua_sethook(L, interrupted, LUA_MASKCOUNT, instructions);
}

void interrupt_disarm(const runtime *rt, lua_State *L) {
  if (lua_gethook(L) == interrupted) uncover(rt, L);
}

/* --- handlers of others --- */

static int keep_code(lua_State *L, const void *code, size_t size, void *buffer) {
  (void)L;
  luaL_addlstring(buffer, code, size);
  return 0;
}

/*
** Without debug information, so that an error raised in it by a hook names no line of ours. The
** function is in another thread than the buffer, because lua_dump needs it on top of its stack.
*/
void interrupt_open(runtime *rt, lua_State *L) {
  luaL_Buffer code;
  size_t size;
  lua_State *other = lua_newthread(L);
  luaL_buffinit(L, &code);
  luaL_loadstring(other, "");
  lua_dump(other, keep_code, &code, 1);
  luaL_pushresult(&code);
  const char *bytes = lua_tolstring(L, -1, &size);
  if (luaL_loadbufferx(L, bytes, size, "=signal", "b") != LUA_OK) lua_error(L);
  runtime_set_value(rt, L, RUNTIME_UV_EMPTY);
  lua_pop(L, 2);
}

static watched_hook watch(lua_State *thread) {
  return (watched_hook){
      .thread = thread, .hook = lua_gethook(thread), .mask = lua_gethookmask(thread)};
}

void interrupt_begin(runtime *rt, lua_State *L) {
  rt->watched[0] = watch(L);
  rt->watched[1] = L == rt->main->thread ? (watched_hook){0} : watch(rt->main->thread);
  rt->interrupted = rt->ctrl_c = false;
}

/* A handler has raised the value on top of the stack.   [-1, +0, -] */
static void interrupt(runtime *rt, lua_State *L) {
  task *main = rt->main_task;
  if (!rt->interrupted) {
    rt->interrupted = true;
    rt->ctrl_c = lua_type(L, -1) == LUA_TSTRING && strcmp(lua_tostring(L, -1), CTRL_C) == 0;
    lua_pushvalue(L, -1);
    runtime_set_value(rt, L, RUNTIME_UV_INTERRUPT);
  }
  cancel_scope_cancel(rt, L, &main->entry, CANCEL_INTERRUPT);
}

void interrupt_serve(runtime *rt, lua_State *L) {
  for (int i = 0; i < 2; i++) {
    const watched_hook *w = &rt->watched[i];
    if (!interrupt_has_new_hook(w) || !lua_checkstack(w->thread, LUA_MINSTACK)) continue;
    runtime_push_value(rt, w->thread, RUNTIME_UV_EMPTY);
    rt->hooks++;
    int status = lua_pcall(w->thread, 0, 0, 0);
    rt->hooks--;
    if (status == LUA_OK) continue;
    if (w->thread != L) lua_xmove(w->thread, L, 1);
    interrupt(rt, L);
  }
}

bool interrupt_end(runtime *rt, lua_State *L) {
  rt->watched[0] = rt->watched[1] = (watched_hook){0};
  if (!rt->interrupted || rt->main_task->status != TASK_DONE) return false;
  runtime_push_value(rt, L, RUNTIME_UV_INTERRUPT);
  cancel_make_record(rt, L, L, 0, CANCEL_INTERRUPT);
  lua_remove(L, -2);
  return true;
}

/* --- the end of the process --- */

#if defined(__GLIBC__)

static void die_of_ctrl_c(int status, void *unused) {
  (void)unused;
  if (status != EXIT_FAILURE) return;
  fflush(NULL);
  raise(SIGINT);
}

/* The function as stay_loaded wants it. */
static void here(void) {}

/*
** lua.c has restored the default action of SIGINT. If a program handles SIGINT itself, it decides
** how the process ends. lua.c unloads the module when it closes the state, before it exits; the code
** must stay.
*/
void interrupt_close(const runtime *rt) {
  struct sigaction action;
  if (!rt->ctrl_c || sigaction(SIGINT, NULL, &action) != 0) return;
  if (action.sa_handler == SIG_DFL && stay_loaded(here)) on_exit(die_of_ctrl_c, NULL);
}

#else

void interrupt_close(const runtime *rt) { (void)rt; }

#endif
