/*
** Panics that nobody has claimed yet. A task that panics while somebody waits for it is theirs to
** handle. Else its panic is held, since whoever spawned it may be busy joining its siblings, and
** goes to the handler as soon as nobody can come for it any more: when its handle has been
** collected, when the run ends, and at the latest UNHANDLED_GRACE_NS after the end, so that a
** handle which somebody only stores never silences a panic. It is handed out once.
*/
#ifndef CP_KERNEL_UNHANDLED_H
#define CP_KERNEL_UNHANDLED_H

#include "compat.h"
#include "kernel/task.h"

#pragma GCC visibility push(hidden)

/* By the loop's clock. While the spawner is parked in a join or await, a held panic waits on. */
#define UNHANDLED_GRACE_NS NS_PER_SECOND

/* Metatable of the guards.   [-0, +0, m] */
void unhandled_open(runtime *rt, lua_State *L);

/*
** Takes charge of the panic of the ended task at `index`, whose record is on top of the stack and is
** the task's result already.   [-1, +0, -] A finalizer that runs meanwhile may come for it first.
**   heir  that is given it if nobody comes for it, or NULL
*/
void unhandled_hold(runtime *rt, lua_State *L, task *t, int index, panic_heir *heir);

/* Somebody was given the task's record: it is not to be reported any more.   [-0, +0, -] */
void unhandled_claim(runtime *rt, lua_State *L, task *t);

/* Gives what is overdue to the handler.   [-0, +0, -] */
void unhandled_expire(runtime *rt, lua_State *L, int64_t now_ns);

/* Gives everything to the handler: nobody will come any more.   [-0, +0, -] */
void unhandled_flush(runtime *rt, lua_State *L);

/*
** A task that joins or awaits the one at `index`, and was woken by its end, goes on: it comes for the panic, or it
** does not, because it is unwound. When nobody is left who may come, the panic is the heir's.   [-0, +0, -]
*/
void unhandled_arrived(runtime *rt, lua_State *L, int index, bool comes);

/*
** Whether tasks that were woken to come for a panic that is held for the heir have not run yet. When the last of
** them has, the heir is told, as of the end of a member.   [-0, +0, -]
*/
bool unhandled_is_awaited(const runtime *rt, lua_State *L, const panic_heir *heir);

/* The heir is about to end: what is held for it is its own.   [-0, +0, -] */
void unhandled_give_all(runtime *rt, lua_State *L, panic_heir *heir);

/* The heir is gone: nothing is held for it any more. */
void unhandled_forget(const panic_heir *heir);

/* When the next one is overdue, or TIME_FOREVER. */
int64_t unhandled_next_deadline(const runtime *rt);

#pragma GCC visibility pop

#endif
