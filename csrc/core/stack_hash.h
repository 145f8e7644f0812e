/*
** A stack's hash: the same for the same code path on any machine. It is FNV-1a, 64 bit, over the
** frames from the innermost to the outermost, each as
**   <module> ":" <identity> "\n"
** where <module> is the base name of the source file in lower case (ASCII), "[c]" for C functions,
** or "[string]" for code from a string. A run of frames that are equal in both (direct recursion)
** counts once. Directories and line numbers are not in it. The version says what a function's
** <identity> is:
**   1  the name under which it was called, or "?"
**   2  "main" for the main function of a file; the function's fingerprint (runtime/fingerprint.h);
**      if it has none, as C functions, the name under which it was called, or "?"
*/
#ifndef CP_CORE_STACK_HASH_H
#define CP_CORE_STACK_HASH_H

#include <stdbool.h>

#include "core/base.h"

#pragma GCC visibility push(hidden)

/* The version of the hashes that records have. */
#define STACK_HASH_VERSION 2

typedef struct stack_hash {
  uint64_t value;
  uint64_t last_frame; /* hash of the frame before, to fold direct recursion */
  bool any;
} stack_hash;

void stack_hash_init(stack_hash *hash);

/*
** Adds the next frame outwards. `source` is a Lua chunk name ("@path", "=literal", or program
** text), "=[C]" for a C function; `identity` may be NULL.
*/
void stack_hash_add(stack_hash *hash, const char *source, const char *identity);

/*
** Returns a function's identity in a hash of that version; NULL if it has none.
**   what         "Lua", "main" or "C"
**   name         under which it was called, or NULL
**   fingerprint  16 hex digits, or NULL
*/
const char *stack_hash_identity(int version, const char *what, const char *name,
                                const char *fingerprint);

#pragma GCC visibility pop

#endif
