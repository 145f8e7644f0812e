/* Keeps the module's code in memory when the interpreter unloads the module. */
#ifndef CP_CORE_STAY_LOADED_H
#define CP_CORE_STAY_LOADED_H

#include <stdbool.h>

#pragma GCC visibility push(hidden)

/*
** The shared object of the function `code` stays loaded until the process ends. Returns false if that
** can not be had, or if the code is in no shared object that could be unloaded.
*/
bool stay_loaded(void (*code)(void));

#pragma GCC visibility pop

#endif
