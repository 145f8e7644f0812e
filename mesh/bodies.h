/* Errors that come in a form of their own: coropanic/1, RFC 9457, gRPC. */
#ifndef CP_MESH_BODIES_H
#define CP_MESH_BODIES_H

#include "mesh/crash.h"
#include "mesh/record.h"

#pragma GCC visibility push(hidden)

/* What a proxy needs to know of a record that somebody else has made. */
typedef struct passed_record {
  char error_code[RECORD_MAX_CODE + 1];
  char stack_hash[18]; /* 16 digits: with room to see that there are no more */
  size_t length;       /* of the record with its new `hop` */
} passed_record;

/*
** Reads a body that is a record already, and writes it to `out` with its `hop` one larger, or 1.
** False if it is none, or does not fit.
*/
bool body_pass_on(passed_record *passed, slice body, char *out, size_t size);

/* Reads problem details. False if the body is no JSON object. */
bool body_problem(mesh_crash *crash, slice body, uint32_t status);

/* Reads gRPC's status. False if it is none, or 0. */
bool body_grpc(mesh_crash *crash, slice status, slice message);

#pragma GCC visibility pop

#endif
