/*
** A stack's hash: the same for the same code path on any machine. Version 1:
** FNV-1a, 64 bit (Fowler, Noll, Vo), over the frames from the innermost to the outermost, each as
**   <module> ":" <function> "\n"
** where <module> is the base name of the source file in lower case (ASCII), "[c]" for C functions,
** or "[string]" for code from a string, and <function> is the name under which the frame was
** called, or "?". A run of frames that are equal in both (direct recursion) counts once. No
** directories, no line numbers.
*/
#ifndef CP_CORE_STACK_HASH_H
#define CP_CORE_STACK_HASH_H

#include <stdbool.h>

#include "core/base.h"

#pragma GCC visibility push(hidden)

#define STACK_HASH_VERSION 1

typedef struct stack_hash {
  uint64_t value;
  uint64_t last_frame; /* hash of the frame before, to fold direct recursion */
  bool any;
} stack_hash;

void stack_hash_init(stack_hash *hash);

/*
** Adds the next frame outwards. `source` is a Lua chunk name ("@path", "=literal", or program
** text), "=[C]" for a C function; `name` may be NULL.
*/
void stack_hash_add(stack_hash *hash, const char *source, const char *name);

#pragma GCC visibility pop

#endif
