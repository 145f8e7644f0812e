/*
** Who is told of a task's unrecovered panic. Its record stays with the task; what changes hands, once, is who answers
** for it:
**
**   nobody ──▶ a joiner: join or await has returned the record or raised it, or co.run does
**          ──▶ the heir: the scope that waits for the task
**          ──▶ the handler
**
** While it is nobody's it is held, since whoever spawned the task may be busy joining its siblings. It goes to the
** handler as soon as nobody can come for it any more: when the task's handle has been collected, when the run ends, and
** at the latest UNHANDLED_GRACE_NS after the end, so that a handle which somebody only stores never silences a panic.
*/
#ifndef CP_KERNEL_UNHANDLED_H
#define CP_KERNEL_UNHANDLED_H

#include "compat.h"
#include "kernel/task.h"

#pragma GCC visibility push(hidden)

/* By the loop's clock. While the spawner is parked in a join or await, a held panic waits on. */
#define UNHANDLED_GRACE_NS NS_PER_SECOND

typedef enum panic_owner {
  PANIC_NOBODYS,
  PANIC_JOINERS,
  PANIC_HEIRS,
  PANIC_HANDLERS,
} panic_owner;

/* Metatable of the guards.   [-0, +0, m] */
void unhandled_open(runtime *rt, lua_State *L);

/*
** The task at the absolute index has ended by a panic, whose record is on top of the stack and is its result already:
** gives it to whom it concerns, or holds it.   [-1, +0, -] A finalizer that runs meanwhile may come for it first.
**   heir    of the task; NULL: none
**   comers  tasks that were woken to come for the panic: it is held although they wait for it, because they may be
**           cancelled before they run
*/
void unhandled_pass_on(runtime *rt, lua_State *L, task *t, int index, panic_heir *heir,
                       uint32_t comers);

/*
** The ended task's panic is the owner's from now on: every change of hands is a call of this.   [-0, +0, -]
** False: the task has not panicked, or the panic was somebody's before.
*/
bool unhandled_give(runtime *rt, lua_State *L, task *t, panic_owner owner);

/* Gives what is overdue to the handler.   [-0, +0, -] */
void unhandled_expire(runtime *rt, lua_State *L, int64_t now_ns);

/* Gives everything to the handler: nobody will come any more.   [-0, +0, -] */
void unhandled_flush(runtime *rt, lua_State *L);

/*
** A task that joins or awaits the one at `index`, and was woken by its end, goes on: it comes for the panic, or it
** does not, because it is unwound. When nobody is left who may come, the panic is the heir's.   [-0, +0, -]
*/
void unhandled_arrived(runtime *rt, lua_State *L, int index, bool comes);

/* The heir is about to end, and those on the way to panics of its members are not waited for: it is given these.
**   [-0, +0, -] */
void unhandled_give_all(runtime *rt, lua_State *L, panic_heir *heir);

/* The heir is gone: nothing is held for it any more. */
void unhandled_forget(const runtime *rt, panic_heir *heir);

/* When the next one is overdue, or TIME_FOREVER. */
int64_t unhandled_next_deadline(const runtime *rt);

#pragma GCC visibility pop

#endif
