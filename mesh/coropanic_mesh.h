/*
** The mesh's normaliser: turns the error responses of services in Go, Java and Kotlin, Python, Rust
** and Node.js into records of the contract coropanic/1 (docs/contract.md), and applies the rules of
** W3C Trace Context to a request's headers. docs/mesh.md is the manual.
**
** This header is for proxies that load libcoropanic_mesh.so, through an FFI or from C. The library
** allocates nothing, has no global state, and reads nothing but its arguments and the system's
** random numbers. One handle serves one request after the other: a worker has its own.
*/
#ifndef COROPANIC_MESH_H
#define COROPANIC_MESH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(default)

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of a body that are read; of a longer one the caller may give only these. */
#define CP_MESH_MAX_BODY 65536

/* A text: not terminated. `data` may be NULL if `size` is 0. The caller keeps it alive. */
typedef struct cp_mesh_text {
  const char *data;
  size_t size;
} cp_mesh_text;

typedef struct cp_mesh cp_mesh;

/* The bytes of memory that a handle takes: some 100 KB. */
size_t cp_mesh_size(void);

/*
** Makes a handle in the caller's memory: cp_mesh_size() bytes, aligned to 8. There is nothing to
** close. `config` is JSON, or empty for the defaults (docs/mesh.md). NULL if it is wrong: `error`
** then has a text that names the key, what was expected, and what was found; it has a terminator,
** and is cut to `error_size` bytes, which must not be 0.
*/
cp_mesh *cp_mesh_init(void *memory, const char *config, size_t config_size, char *error,
                      size_t error_size);

/* A request's trace, as it goes on to the service. */
typedef struct cp_mesh_trace {
  uint8_t trace_id[16];
  uint64_t span_id; /* of the caller; of the proxy itself where `restarted` */
  uint8_t flags;
  bool restarted;       /* there was no valid traceparent: the trace begins here */
  char traceparent[56]; /* the header to send, with a terminator */
  char tracestate[513]; /* the header to send, with a terminator; empty: send none */
} cp_mesh_trace;

/*
** Reads a request's trace headers by the rules of W3C Trace Context, level 2. Give each header's
** value as often as the request has it: two traceparents restart the trace. False if the system
** has no random numbers for a new trace; `trace` is then unspecified.
*/
bool cp_mesh_continue(cp_mesh *mesh, cp_mesh_trace *trace, const cp_mesh_text *traceparents,
                      size_t traceparent_count, const cp_mesh_text *tracestates,
                      size_t tracestate_count);

/* A service's answer. Texts that it does not have are empty. */
typedef struct cp_mesh_response {
  uint32_t status;      /* of HTTP */
  cp_mesh_text service; /* as `services` of the configuration names it: the request's host */
  cp_mesh_text content_type, content_encoding;
  cp_mesh_text grpc_status, grpc_message;
  cp_mesh_text body;          /* of a longer one the first CP_MESH_MAX_BODY bytes */
  bool body_cut;              /* the body is longer */
  uint64_t time_ns;           /* since 1970 */
  const cp_mesh_trace *trace; /* of the request; NULL: none */
} cp_mesh_response;

typedef struct cp_mesh_result {
  bool sets_headers;  /* send x-error-code and x-error-hash, with the two texts below */
  bool replaces_body; /* send `body` instead of the service's, as application/json if not empty */
  char error_code[129];
  char error_hash[17];
  cp_mesh_text body;   /* valid until the handle's next call */
  cp_mesh_text record; /* what to log: the record, also where the client does not get it */
} cp_mesh_result;

/*
** Whether such an answer is an error that cp_mesh_normalise is for, so that the caller buffers its
** body: the configuration has the status, or `grpc_status` is there and not 0.
*/
bool cp_mesh_wants(const cp_mesh *mesh, uint32_t status, cp_mesh_text grpc_status);

/* Makes the record of an error response, and says what becomes of the response. */
void cp_mesh_normalise(cp_mesh *mesh, const cp_mesh_response *response, cp_mesh_result *result);

#ifdef __cplusplus
}
#endif

#pragma GCC visibility pop

#endif
