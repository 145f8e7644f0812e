/*
** The configuration, in JSON:
**
**   {"services": {"orders": "go", "*": "jvm"}, "statuses": ["5xx", 422],
**    "expose": "both", "body": "replace"}
**
** Each key may be missing. docs/mesh.md says what they mean.
*/
#ifndef CP_MESH_CONFIG_H
#define CP_MESH_CONFIG_H

#include "mesh/crash.h"

#pragma GCC visibility push(hidden)

enum {
  CONFIG_MAX_SERVICES = 64,
  CONFIG_MAX_NAME = 128, /* bytes of a service's name */
  CONFIG_MIN_STATUS = 100,
  CONFIG_MAX_STATUS = 599,
};

typedef enum config_expose { EXPOSE_BOTH, EXPOSE_CONTRACT, EXPOSE_HEADER } config_expose;

typedef struct config_service {
  char name[CONFIG_MAX_NAME + 1];
  mesh_language language; /* MESH_UNKNOWN: any */
} config_service;

typedef struct mesh_config {
  config_service services[CONFIG_MAX_SERVICES];
  uint32_t service_count;
  uint8_t statuses[(CONFIG_MAX_STATUS + 8) / 8]; /* a bit each */
  config_expose expose;
  bool keep_body;
} mesh_config;

/*
** Reads a configuration; an empty text gives the defaults. False if it is wrong: `error` then says
** which key, what was expected, and what was found.
*/
bool config_read(mesh_config *config, slice text, char *error, size_t error_size);

bool config_has_status(const mesh_config *config, uint32_t status);

/*
** The language of a host's service: by its whole name, without its port, by its first label, then
** by "*". MESH_UNKNOWN, which means any, if none of these is there.
*/
mesh_language config_language(const mesh_config *config, slice host);

#pragma GCC visibility pop

#endif
