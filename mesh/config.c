/* The configuration: see config.h. */
#include "mesh/config.h"

#include <string.h>

#include "mesh/json.h"

/* Enough of a wrong value to be recognised. */
enum { SHOWN_VALUE = 60, MAX_CONFIG_TEXT = 32 };

typedef struct reading {
  mesh_config *config;
  json_reader json;
  char *error;
  size_t error_size, error_length;
} reading;

static void say(reading *r, slice text) {
  size_t left = r->error_size - r->error_length;
  r->error_length += text_copy(r->error + r->error_length, left, text, false);
}

static void say_string(reading *r, const char *text) { say(r, text_of(text, strlen(text))); }

/* `configuration: "expose": expected "both" or "header", got "all"` */
static bool refuse(reading *r, slice key, const char *expected, slice found) {
  r->error_length = 0;
  say_string(r, "configuration: ");
  if (key.length > 0) {
    say_string(r, "\"");
    say(r, text_until(key, SHOWN_VALUE));
    say_string(r, "\": ");
  }
  say_string(r, "expected ");
  say_string(r, expected);
  say_string(r, ", got ");
  say(r, text_until(found, SHOWN_VALUE));
  if (found.length > SHOWN_VALUE) say_string(r, "...");
  if (found.length == 0) say_string(r, "nothing");
  return false;
}

/* Refuses the value that comes next. */
static bool refuse_value(reading *r, slice key, const char *expected) {
  slice found;
  json_reader json = r->json;
  bool is_json = json_skip(&json, &found);
  if (!is_json) return refuse(r, key, "JSON", text_strip(r->json.rest));
  return refuse(r, key, expected, found);
}

static bool refuse_json(reading *r) {
  return refuse(r, (slice){NULL, 0}, "a JSON object", r->json.rest);
}

static void set_statuses(mesh_config *config, uint32_t first, uint32_t last) {
  for (uint32_t status = first; status <= last; status++) {
    config->statuses[status / 8] = (uint8_t)(config->statuses[status / 8] | 1u << status % 8);
  }
}

bool config_has_status(const mesh_config *config, uint32_t status) {
  return status <= CONFIG_MAX_STATUS && (config->statuses[status / 8] >> status % 8 & 1) != 0;
}

/* Reads a short string that comes next. False, and nothing read, for any other value. */
static bool peek_string(reading *r, char *out, size_t size) {
  return json_peek(&r->json) == JSON_STRING && json_string(&r->json, out, size);
}

static bool read_service(reading *r, slice key) {
  static const char EXPECTED[] = "\"go\", \"jvm\", \"python\", \"rust\", \"node\" or \"any\"";
  char language[MAX_CONFIG_TEXT];
  json_reader before = r->json;
  mesh_config *config = r->config;
  bool is_string = peek_string(r, language, sizeof language);
  mesh_language found =
      is_string ? mesh_language_named(text_of(language, strlen(language))) : MESH_UNKNOWN;
  bool is_any = is_string && strcmp(language, "any") == 0;
  if (found == MESH_UNKNOWN && !is_any) {
    r->json = before;
    return refuse_value(r, key, EXPECTED);
  }
  slice name = {language, strlen(language)};
  if (config->service_count == CONFIG_MAX_SERVICES) {
    return refuse(r, key, "at most 64 services", name);
  }
  if (key.length == 0 || key.length > CONFIG_MAX_NAME || text_find(key, "\\") != TEXT_NONE) {
    return refuse(r, text_of("services", 8), "names of 1 to 128 characters without escapes", key);
  }
  config_service *service = &config->services[config->service_count++];
  text_copy(service->name, sizeof service->name, key, false);
  service->language = found;
  return true;
}

static bool read_services(reading *r, slice key) {
  bool first = true;
  slice name;
  if (json_peek(&r->json) != JSON_OBJECT) return refuse_value(r, key, "an object {name: language}");
  json_enter(&r->json, JSON_OBJECT);
  while (json_key(&r->json, &first, &name)) {
    if (!read_service(r, name)) return false;
  }
  return !r->json.failed || refuse_json(r);
}

static bool read_status(reading *r, slice key) {
  static const char EXPECTED[] = "statuses from 400 to 599, \"4xx\" or \"5xx\"";
  char text[MAX_CONFIG_TEXT] = "";
  uint32_t status = 0;
  json_reader before = r->json;
  if (json_peek(&r->json) == JSON_NUMBER && json_integer(&r->json, &status) && status >= 400 &&
      status <= CONFIG_MAX_STATUS) {
    set_statuses(r->config, status, status);
    return true;
  }
  r->json = before;
  peek_string(r, text, sizeof text);
  bool is_class = (text[0] == '4' || text[0] == '5') && strcmp(text + 1, "xx") == 0;
  if (!is_class) {
    r->json = before;
    return refuse_value(r, key, EXPECTED);
  }
  uint32_t start = (uint32_t)(text[0] - '0') * 100;
  set_statuses(r->config, start, start + 99);
  return true;
}

static bool read_statuses(reading *r, slice key) {
  bool first = true;
  if (json_peek(&r->json) != JSON_ARRAY) return refuse_value(r, key, "a list of statuses");
  json_enter(&r->json, JSON_ARRAY);
  memset(r->config->statuses, 0, sizeof r->config->statuses);
  while (json_item(&r->json, &first)) {
    if (!read_status(r, key)) return false;
  }
  return !r->json.failed || refuse_json(r);
}

static bool read_expose(reading *r, slice key) {
  char text[MAX_CONFIG_TEXT] = "";
  json_reader before = r->json;
  peek_string(r, text, sizeof text);
  if (strcmp(text, "contract") == 0) {
    r->config->expose = EXPOSE_CONTRACT;
  } else if (strcmp(text, "header") == 0) {
    r->config->expose = EXPOSE_HEADER;
  } else if (strcmp(text, "both") == 0) {
    r->config->expose = EXPOSE_BOTH;
  } else {
    r->json = before;
    return refuse_value(r, key, "\"contract\", \"header\" or \"both\"");
  }
  return true;
}

static bool read_body(reading *r, slice key) {
  char text[MAX_CONFIG_TEXT] = "";
  json_reader before = r->json;
  peek_string(r, text, sizeof text);
  if (strcmp(text, "replace") != 0 && strcmp(text, "keep") != 0) {
    r->json = before;
    return refuse_value(r, key, "\"replace\" or \"keep\"");
  }
  r->config->keep_body = text[0] == 'k';
  return true;
}

static bool read_member(reading *r, slice key) {
  static const struct {
    const char *name;
    bool (*read)(reading *r, slice key);
  } MEMBERS[] = {
      {"services", read_services},
      {"statuses", read_statuses},
      {"expose", read_expose},
      {"body", read_body},
  };
  for (size_t i = 0; i < sizeof MEMBERS / sizeof MEMBERS[0]; i++) {
    if (text_equals(key, MEMBERS[i].name)) return MEMBERS[i].read(r, key);
  }
  return refuse(r, (slice){NULL, 0}, "the keys \"services\", \"statuses\", \"expose\" and \"body\"",
                key);
}

static bool read_members(reading *r) {
  bool first = true;
  slice key;
  if (json_peek(&r->json) != JSON_OBJECT) return refuse_json(r);
  json_enter(&r->json, JSON_OBJECT);
  while (json_key(&r->json, &first, &key)) {
    if (!read_member(r, key)) return false;
  }
  return json_ended(&r->json) || refuse_json(r);
}

bool config_read(mesh_config *config, slice text, char *error, size_t error_size) {
  *config = (mesh_config){.service_count = 0};
  set_statuses(config, 500, CONFIG_MAX_STATUS);
  error[0] = '\0';
  reading r = {config, json_read(text), error, error_size, 0};
  if (text_strip(text).length == 0) return true;
  if (!read_members(&r)) return false;
  if (config->keep_body && config->expose == EXPOSE_CONTRACT) {
    return refuse(&r, text_of("body", 4), "\"replace\" where \"expose\" is \"contract\"",
                  text_of("\"keep\"", 6));
  }
  return true;
}

static const config_service *find_service(const mesh_config *config, slice name) {
  for (uint32_t i = 0; i < config->service_count; i++) {
    if (text_equals(name, config->services[i].name)) return &config->services[i];
  }
  return NULL;
}

mesh_language config_language(const mesh_config *config, slice host) {
  size_t colon = text_find_last(host, ':');
  slice bare = colon == TEXT_NONE ? host : text_until(host, colon);
  size_t dot = text_find(bare, ".");
  slice names[] = {host, bare, dot == TEXT_NONE ? bare : text_until(bare, dot), text_of("*", 1)};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    const config_service *service = find_service(config, names[i]);
    if (service != NULL) return service->language;
  }
  return MESH_UNKNOWN;
}
