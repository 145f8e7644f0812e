/*
** What the objects of this folder have in common. Each is a userdata whose struct begins with an
** `object`. No other userdata begins with the address of one of our types: by that address a method
** knows its self, without looking for the name of a metatable. It also finds the runtime in the
** object, sooner than in its upvalue.
*/
#ifndef CP_SYNC_OBJECT_H
#define CP_SYNC_OBJECT_H

#include "compat.h"
#include "kernel/args.h"
#include "kernel/runtime.h"

#pragma GCC visibility push(hidden)

typedef struct sync_type {
  const char *name;      /* in messages: "mutex" */
  const char *metatable; /* "coropanic.mutex" */
  size_t size;           /* of the object's struct */
  int user_values;
} sync_type;

typedef struct sync_object {
  const sync_type *type;
  runtime *runtime;
  uint16_t made_at; /* number of the place (location.h); 0: it was not noted */
  uint16_t class;   /* SYNC_NAMED and the number of its name, or its class in the order (order.h) */
  uint32_t lock;    /* its number in the order; 0: none */
} sync_object;

/* A bit of sync_object.class: the object has a name. */
#define SYNC_NAMED 0x8000u

/*
** Pushes a new object of the type, with its metatable and so many user values, and all zero behind
** its head.   [-0, +1, m]
*/
void *sync_new_with(runtime *rt, lua_State *L, const sync_type *type, int user_values);

/* wait_type.made_at of the waits whose push_object is wait_push_self, and whose object is of this folder. */
uint16_t sync_made_at(lua_State *L, const struct task *t);

/* The same with the user values of the type.   [-0, +1, m] */
static inline void *sync_new(runtime *rt, lua_State *L, const sync_type *type) {
  return sync_new_with(rt, L, type, type->user_values);
}

/* Returns the object at `index`, or NULL if it is not of this type.   [-0, +0, -] */
static inline void *sync_test(lua_State *L, int index, const sync_type *type) {
  sync_object *o = lua_touserdata(L, index);
  if (o == NULL || lua_rawlen(L, index) < sizeof(sync_object))
    return NULL; /* 0: a light userdata */
  return o->type == type ? o : NULL;
}

/*
** Returns the object at index 1 to one of its methods. Raises if it is not of this type, or after
** the runtime's end.   [-0, +0, e]
*/
static inline void *sync_check_self(lua_State *L, const sync_type *type, const char *method) {
  sync_object *o = sync_test(L, 1, type);
  if (o == NULL || o->runtime->closed) {
    arg_refuse_self(L, type->metatable, method);
    compat_unreachable();
  }
  return o;
}

#pragma GCC visibility pop

#endif
