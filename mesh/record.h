/* Writes a crash as a record of the contract coropanic/1: docs/contract.md, "Records of a proxy". */
#ifndef CP_MESH_RECORD_H
#define CP_MESH_RECORD_H

#include "core/traceparent.h"
#include "mesh/crash.h"
#include "mesh/json.h"

#pragma GCC visibility push(hidden)

/* Of an error's code: "mesh.", the language, ".", and the class. */
enum { RECORD_MAX_CODE = 128, RECORD_MAX_SERVICE = 128 };

/*
** No record is longer. Cleaned texts grow to at most twice their length: 64 frames take 330 bytes
** each, 16 errors 2 KB each.
*/
enum { RECORD_MAX_SIZE = 60000 };

/* What a record says besides the crash. */
typedef struct record_origin {
  slice service;
  uint32_t status;
  uint64_t seq;              /* of the root; the other errors have the next ones */
  uint64_t time_ns;          /* since 1970 */
  const traceparent *parent; /* NULL: no trace */
} record_origin;

/* Writes the error's code, with a terminator: `out` has RECORD_MAX_CODE + 1 bytes. */
void record_error_code(char *out, const mesh_crash *crash, const mesh_error *error);

/* Writes the record. Returns its length. `size` is at least RECORD_MAX_SIZE. */
size_t record_write(char *out, size_t size, const mesh_crash *crash, const record_origin *origin);

#pragma GCC visibility pop

#endif
