/*
** The C API for hosts (coropanic.h): what its files share. Each file checks what the host gives,
** calls the rooms below, and answers.
*/
#ifndef CP_HOST_HOST_H
#define CP_HOST_HOST_H

#include "compat.h"
#include "core/list.h"
#include "kernel/runtime.h"
#include "kernel/task.h"

#pragma GCC visibility push(hidden)

struct host_backend;

/* What hosts have added to a runtime. It is made when it is first needed. */
typedef struct host {
  runtime_part
      data_part; /* frees `data` with the universe; its `close` is NULL until there are any */
  struct host_backend *backend; /* backend.c; NULL: none was ever installed */
  list data;                    /* of all live tasks (data.c) */
} host;

/* Returns the universe's runtime; NULL: there is none, or the universe is being closed. */
runtime *host_find(lua_State *L);

/* Returns the universe's runtime; opens the module if no code has done so.   [-0, +0, e] */
runtime *host_open(lua_State *L);

/* Returns the runtime's host; NULL: there is no memory. */
host *host_of(runtime *rt);

/* Returns the task at `index`; NULL: another value is there, or the universe is being closed. */
task *host_task(lua_State *L, int index);

#pragma GCC visibility pop

#endif
