/* Waiting in C: tokens, parking and waking. */
#include "coropanic.h"
#include "host/host.h"
#include "loop/outside.h"

_Static_assert(CP_TIMED_OUT == OUTSIDE_TIMED_OUT, "hosts see the loop's number");
_Static_assert(sizeof(lua_Integer) <= sizeof(int64_t), "mail has room for an integer");

cp_token cp_open_token(lua_State *L) { return outside_open(host_open(L), L, "cp_open_token"); }

int cp_close_token(lua_State *L, cp_token token) {
  runtime *rt = host_find(L);
  return rt != NULL && outside_close(rt, L, token);
}

int cp_park(lua_State *L, cp_token token, double seconds, lua_KContext ctx, lua_KFunction k) {
  runtime *rt = host_open(L);
  if (seconds != seconds) return luaL_error(L, "cp_park: seconds expected, got nan");
  return outside_park(rt, L, token, runtime_deadline(rt, seconds), ctx, k);
}

/* Wakes nobody: the state has no runtime, or is being closed. */
static outside_answer refuse(lua_State *L, mail_answer looked, int values) {
  lua_pop(L, values);
  return looked == MAIL_LATE || runtime_find(L) != NULL ? OUTSIDE_LATE : OUTSIDE_UNKNOWN;
}

/* Answers by the table of mailboxes first, which alone may be asked in another thread. */
int cp_wake(lua_State *L, cp_token token, int values) {
  mail_answer looked = mailbox_look(token);
  if (looked == MAIL_FOREIGN) return CP_WRONG_THREAD;
  runtime *rt = host_find(L);
  switch (rt == NULL ? refuse(L, looked, values) : outside_wake(rt, L, token, values)) {
    case OUTSIDE_TAKEN: return CP_WOKEN;
    case OUTSIDE_LATE: return CP_LATE;
    case OUTSIDE_UNKNOWN: return CP_BAD_TOKEN;
    default: return CP_NO_MEMORY;
  }
}

static int post(cp_token token, mail given) {
  switch (mailbox_post(token, given)) {
    case MAIL_TAKEN: return CP_WOKEN;
    case MAIL_LATE: return CP_LATE;
    default: return CP_BAD_TOKEN;
  }
}

int cp_wake_from_thread(cp_token token, lua_Integer value) {
  return post(token, (mail){.integer = value});
}

int cp_wake_from_thread_p(cp_token token, void *pointer) {
  return post(token, (mail){.pointer = pointer, .is_pointer = true});
}
