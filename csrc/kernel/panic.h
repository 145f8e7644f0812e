/*
** Raising and stopping panics: co.panic, co.recover and co.goexit, and the message handler that
** makes a record of any error that a frame will catch. The semantics are those of Go's
** runtime/panic.go.
*/
#ifndef CP_KERNEL_PANIC_H
#define CP_KERNEL_PANIC_H

#include "compat.h"
#include "kernel/record.h"
#include "kernel/runtime.h"

#pragma GCC visibility push(hidden)

/* Raises the value on top of the stack as a panic.   [-1, +0, e] */
int panic_raise(runtime *rt, lua_State *L);

/* The same with another kind: RECORD_DEADLOCK.   [-1, +0, e] */
int panic_raise_kind(runtime *rt, lua_State *L, record_kind kind);

/*
** Raises the record on top of the stack as an exit, which recover does not stop: the deferred calls
** of all frames from index `floor` on run. Floor 0 ends the task too.   [-1, +0, e]
*/
int panic_exit(runtime *rt, lua_State *L, uint32_t floor);

/* co.goexit: raises the exit that ends the task.   [-0, +0, e] */
int panic_goexit(runtime *rt, lua_State *L);

/*
** The message handler of every protected call of the runtime: replaces the raised value by its
** record while the stack still stands.   [-1, +1, -]
** It is a light C function, because every protected call pushes it. It finds its runtime only when
** it runs.
*/
int panic_handler(lua_State *L);

/*
** Call it after a protected call has failed: makes sure that the error value on top of the stack is
** a record. The handler may have made none (out of memory, an error in the handler); the stack is
** gone by then.   [-1, +1, -]
**   status  of the protected call
*/
void panic_settle(runtime *rt, lua_State *L, int status);

/*
** Whether the value at `index` is a record that this task raises for the first time. False for a
** record that was recovered, or that another task raised, and that is raised again.   [-0, +0, -]
*/
bool panic_is_in_flight(const runtime *rt, lua_State *L, int index);

/*
** co.recover: if a deferred function called it directly while a panic unwinds, stops the panic and
** pushes its value and its record. Otherwise pushes nil. Returns the number of values.
** [-0, +(1|2), -]
*/
int panic_recover(runtime *rt, lua_State *L);

#pragma GCC visibility pop

#endif
