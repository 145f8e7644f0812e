#include "kernel/deadlock.h"

#include "kernel/wait.h"

/*
** Longer cycles, and cycles behind more members of scopes, are not found here but as the deadlock
** of the whole run.
*/
#define MAX_CYCLE 100
#define MAX_STEPS 10000

typedef struct search {
  const task *self;
  /* from `self` on: each task waits for the next one, and the last for `self` */
  const task *path[MAX_CYCLE];
  int length;
  int steps;
} search;

static bool reaches(search *s, const task *t);

/* Whether any task that can end such a wait for `target` waits for `self`. */
static bool target_reaches(search *s, const wait_type *wait, const void *target) {
  if (wait->next_blocker == NULL) return false;
  const task *t = NULL;
  while ((t = wait->next_blocker(target, t)) != NULL) {
    if (reaches(s, t)) return true;
  }
  return false;
}

/*
** Whether a deadline ends the wait: that of any cancel scope around it, the task's entry included.
*/
static bool has_time_out(const task *t) {
  const inner_cancel_scope *c = task_innermost(t);
  while (c != NULL && !c->base.has_deadline) c = c->outer;
  return c != NULL || t->entry.has_deadline;
}

bool deadlock_waits_for_ever(const task *t) {
  return t->status == TASK_WAITING && t->live.timer.number == TIMER_IDLE && !has_time_out(t);
}

/* Whether `t` is the task that the search began with, or waits for it for ever. */
static bool reaches(search *s, const task *t) {
  if (t == s->self) return true;
  if (!deadlock_waits_for_ever(t) || s->length == MAX_CYCLE || s->steps++ == MAX_STEPS)
    return false;
  s->path[s->length++] = t;
  if (target_reaches(s, t->wait, t->waits_on)) return true;
  s->length--;
  return false;
}

/* Adds "task 2 "a" waits for task 3 "b", ..." to the buffer.   [-?, +?, m] */
static void add_cycle(luaL_Buffer *b, const search *s) {
  char buffer[TASK_NAME_SIZE];
  for (int i = 0; i <= s->length; i++) {
    const task *t = s->path[i < s->length ? i : 0];
    const char *before = i == 0 ? "" : i == 1 ? " waits for " : ", which waits for ";
    lua_pushfstring(b->L, "%stask %I \"%s\"", before, (LUAI_UACINT)t->id, task_name(t, buffer));
    luaL_addvalue(b);
  }
}

/* Pushes the record of the cycle.   [-0, +1, m] */
static void push_record(runtime *rt, lua_State *L, const search *s) {
  lua_createtable(L, s->length, 0);
  for (int i = 0; i < s->length; i++) {
    wait_push_task(L, s->path[i]);
    lua_rawseti(L, -2, i + 1);
  }
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  luaL_addstring(&b, "deadlock: ");
  add_cycle(&b, s);
  luaL_pushresult(&b);
  record_wrap_safe(rt, L, L, 1, RECORD_DEADLOCK);
  lua_insert(L, -2);
  record_set_detail(L, -2, DETAIL_CYCLE);
}

bool deadlock_find(runtime *rt, lua_State *L, const wait_type *wait, void *target) {
  task *t = rt->current;
  search s; /* its path is large, and set as far as it is used */
  s.self = s.path[0] = t;
  s.length = 1;
  s.steps = 0;
  if (has_time_out(t) || !target_reaches(&s, wait, target)) return false;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  t->wait = wait;
  t->waits_on = target;
  push_record(rt, L, &s);
  t->waits_on = NULL;
  return true;
}

void deadlock_check(runtime *rt, lua_State *L, const wait_type *wait, void *target) {
  if (deadlock_find(rt, L, wait, target)) lua_error(L);
}
