#include "mesh/config.h"

#include <string.h>

#include "../core/harness.h"

static mesh_config config;

static bool read(const char *text, char *error) {
  return config_read(&config, text_of(text, strlen(text)), error, 256);
}

static mesh_language language(const char *host) {
  return config_language(&config, text_of(host, strlen(host)));
}

static void defaults_are_all_statuses_from_500_and_any_language(void) {
  static const char *const texts[] = {"", " \n", "{}"};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    char error[256];
    check(read(texts[i], error));
    check_text(error, strlen(error), "");
    check(!config_has_status(&config, 200) && !config_has_status(&config, 499));
    check(config_has_status(&config, 500) && config_has_status(&config, 599));
    check(!config_has_status(&config, 600) && !config_has_status(&config, 4000000000u));
    check_int(config.expose, EXPOSE_BOTH);
    check(!config.keep_body);
    check_int(language("orders"), MESH_UNKNOWN);
  }
}

static void a_service_is_found_by_its_host(void) {
  char error[256];
  check(
      read("{\"services\": {\"orders\": \"go\", \"users.shop:81\": \"jvm\", \"users.shop\": "
           "\"python\", \"*\": \"node\", "
           "\"files\": \"any\"}}",
           error));
  check_int(language("orders"), MESH_GO);
  check_int(language("orders:8080"), MESH_GO);
  check_int(language("orders.shop.svc.cluster.local:8080"), MESH_GO);
  check_int(language("users.shop:81"), MESH_JVM);
  check_int(language("users.shop:82"), MESH_PYTHON);
  check_int(language("users"), MESH_NODE);
  check_int(language(""), MESH_NODE);
  check_int(language("files"), MESH_UNKNOWN);
}

static void statuses_are_numbers_or_classes(void) {
  char error[256];
  check(read("{\"statuses\": [\"4xx\", 503], \"expose\": \"header\", \"body\": \"keep\"}", error));
  check(config_has_status(&config, 400) && config_has_status(&config, 499) &&
        config_has_status(&config, 503));
  check(!config_has_status(&config, 500) && !config_has_status(&config, 504));
  check_int(config.expose, EXPOSE_HEADER);
  check(config.keep_body);
}

typedef struct wrong_case {
  const char *text, *error;
} wrong_case;

static void a_wrong_one_is_refused_with_the_key_and_what_was_expected(void) {
  static const wrong_case cases[] = {
      {"[]", "configuration: expected a JSON object, got []"},
      {"{\"expose\": \"both\"", "configuration: expected a JSON object, got nothing"},
      {"{\"exposed\": 1}",
       "configuration: expected the keys \"services\", \"statuses\", \"expose\" and \"body\", got "
       "exposed"},
      {"{\"expose\": \"all\"}",
       "configuration: \"expose\": expected \"contract\", \"header\" or \"both\", got \"all\""},
      {"{\"expose\": 7}",
       "configuration: \"expose\": expected \"contract\", \"header\" or \"both\", got 7"},
      {"{\"expose\": }", "configuration: \"expose\": expected JSON, got }"},
      {"{\"body\": null}", "configuration: \"body\": expected \"replace\" or \"keep\", got null"},
      {"{\"body\": \"keep\", \"expose\": \"contract\"}",
       "configuration: \"body\": expected \"replace\" where \"expose\" is \"contract\", got "
       "\"keep\""},
      {"{\"statuses\": 500}", "configuration: \"statuses\": expected a list of statuses, got 500"},
      {"{\"statuses\": [399]}",
       "configuration: \"statuses\": expected statuses from 400 to 599, \"4xx\" or \"5xx\", got "
       "399"},
      {"{\"statuses\": [\"3xx\"]}",
       "configuration: \"statuses\": expected statuses from 400 to 599, \"4xx\" or \"5xx\", got "
       "\"3xx\""},
      {"{\"statuses\": [500.5]}",
       "configuration: \"statuses\": expected statuses from 400 to 599, \"4xx\" or \"5xx\", got "
       "500.5"},
      {"{\"services\": [\"go\"]}",
       "configuration: \"services\": expected an object {name: language}, got [\"go\"]"},
      {"{\"services\": {\"orders\": \"golang\"}}",
       "configuration: \"orders\": expected \"go\", \"jvm\", \"python\", \"rust\", \"node\" or "
       "\"any\", got \"golang\""},
      {"{\"services\": {\"\": \"go\"}}",
       "configuration: \"services\": expected names of 1 to 128 characters without escapes, got "
       "nothing"},
      {"{} {}", "configuration: expected a JSON object, got {}"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char error[256];
    note("%s", cases[i].text);
    check(!read(cases[i].text, error));
    check_text(error, strlen(error), cases[i].error);
  }
}

static void a_refusal_fits_into_any_buffer(void) {
  for (size_t size = 1; size < 100; size++) {
    char error[100];
    memset(error, 'x', sizeof error);
    check(!config_read(&config, text_of("{\"expose\": \"all\"}", 17), error, size));
    check_int(strlen(error) < size, 1);
  }
}

static void services_are_bounded(void) {
  char text[4096] = "{\"services\": {", error[256];
  for (int i = 0; i < CONFIG_MAX_SERVICES + 1; i++) {
    char name[] = ",\"s00\":\"go\"";
    name[3] = (char)('0' + i / 10);
    name[4] = (char)('0' + i % 10);
    strcat(text, i == 0 ? name + 1 : name);
  }
  strcat(text, "}}");
  check(!read(text, error));
  check_text(error, strlen(error), "configuration: \"s64\": expected at most 64 services, got go");
}

static const test tests[] = {
    TEST(defaults_are_all_statuses_from_500_and_any_language),
    TEST(a_service_is_found_by_its_host),
    TEST(statuses_are_numbers_or_classes),
    TEST(a_wrong_one_is_refused_with_the_key_and_what_was_expected),
    TEST(a_refusal_fits_into_any_buffer),
    TEST(services_are_bounded),
};

SUITE(config);
