/*
** A machine that seems to have been suspended: nobody can suspend it for a test.
*/
#ifndef SPEC_CORE_SUSPEND_H
#define SPEC_CORE_SUSPEND_H

#include "harness.h"

/* As if the machine had been suspended for so long just now: CLOCK_BOOTTIME shows it, for good. */
void suspend_machine(int64_t seconds);

#endif
