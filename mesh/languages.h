/*
** The parsers: a text to a crash, one for each language. Each is bounded by the text's length, and
** allocates nothing. False: the text is not what a program of this language prints when it
** crashes; the crash is then unspecified.
*/
#ifndef CP_MESH_LANGUAGES_H
#define CP_MESH_LANGUAGES_H

#include "mesh/crash.h"

#pragma GCC visibility push(hidden)

/*
** Go: a panic or fatal error with its goroutines' stacks, debug.Stack(), or what net/http logs. The
** first goroutine is the one that has crashed.
*/
bool go_parse(mesh_crash *crash, slice text);

/* Java, Kotlin, Scala, ...: a stack trace of a Throwable, with "Caused by" and "Suppressed". */
bool jvm_parse(mesh_crash *crash, slice text);

/* Python: a traceback, with chained exceptions and exception groups. */
bool python_parse(mesh_crash *crash, slice text);

/* Rust: a panic, with or without a backtrace. */
bool rust_parse(mesh_crash *crash, slice text);

/* Node.js: error.stack, or what an uncaught error prints, with [cause] and [errors]. */
bool node_parse(mesh_crash *crash, slice text);

/* Tries the language, or all of them if it is MESH_UNKNOWN. */
bool mesh_parse(mesh_crash *crash, mesh_language language, slice text);

#pragma GCC visibility pop

#endif
