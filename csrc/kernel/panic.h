/*
** Raising and stopping: what co.panic, co.recover and co.goexit do, and what happens at the point
** of any error that a frame will catch. The semantics are those of Go's runtime/panic.go.
*/
#ifndef CP_KERNEL_PANIC_H
#define CP_KERNEL_PANIC_H

#include "compat.h"
#include "kernel/record.h"
#include "kernel/runtime.h"

#pragma GCC visibility push(hidden)

/*
** Raises the value on top of the stack as a panic.   [-1, +0, e]
*/
int panic_raise(runtime *rt, lua_State *L);

/* The same as a panic of another kind: RECORD_DEADLOCK.   [-1, +0, e] */
int panic_raise_kind(runtime *rt, lua_State *L, record_kind kind);

/*
** Raises the record on top of the stack as an unwinding that recover does not stop: runs the
** deferred calls of every frame from index `floor` on; 0: and ends the task.   [-1, +0, e]
*/
int panic_exit(runtime *rt, lua_State *L, uint32_t floor);

/* co.goexit.   [-0, +0, e] */
int panic_goexit(runtime *rt, lua_State *L);

/*
** The message handler of every protected call that the runtime makes: makes the raised value a
** record while the stack still stands.   [-1, +1, -] A light C function, since it is pushed for
** every protected call; it finds its runtime when it is needed.
*/
int panic_handler(lua_State *L);

/*
** Makes sure that the error value on top of the stack is the record of this panic, after the stack
** is gone (out of memory, error in the handler).   [-1, +1, -]
*/
void panic_settle(runtime *rt, lua_State *L, int status);

/*
** Whether the value at `index` is a record that is being raised here for the first time, and not
** one that was recovered, or given to somebody, and is raised again.
*/
bool panic_is_in_flight(const runtime *rt, lua_State *L, int index);

/*
** co.recover: pushes the panic's value and its record and stops it, when called directly by a
** deferred function while a panic unwinds; else pushes nil. Returns the count.   [-0, +(1|2), -]
*/
int panic_recover(runtime *rt, lua_State *L);

#pragma GCC visibility pop

#endif
