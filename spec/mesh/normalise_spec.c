/* Responses in, records and decisions out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../core/harness.h"
#include "core/stack_hash.h"
#include "mesh/coropanic_mesh.h"

static const char GO[] =
    "panic: no order\n\ngoroutine 1 [running]:\nmain.main()\n\t/src/main.go:6 +0xf1\n";

/* What came of the last response; the record is cut. */
static cp_mesh_result result;
static char record[70000];

static cp_mesh_text text_of(const char *text) {
  return (cp_mesh_text){text, text == NULL ? 0 : strlen(text)};
}

/* Makes a handle for one response, whose body is copied to just its size. */
static void normalise(const char *config, cp_mesh_response response) {
  char error[256];
  cp_mesh *mesh = malloc(cp_mesh_size());
  char *body = malloc(response.body.size > 0 ? response.body.size : 1);
  if (response.body.size > 0) memcpy(body, response.body.data, response.body.size);
  response.body.data = body;
  bool made = cp_mesh_init(mesh, config, strlen(config), error, sizeof error) != NULL;
  if (made) cp_mesh_normalise(mesh, &response, &result);
  memcpy(record, result.record.data, result.record.size);
  record[result.record.size] = '\0';
  free(body);
  free(mesh);
  check(made);
}

static void normalise_text(const char *config, const char *body) {
  normalise(config,
            (cp_mesh_response){
                .status = 500, .service = text_of("orders"), .body = text_of(body), .time_ns = 7});
}

static void is_code(const char *code) {
  check_text(result.error_code, strlen(result.error_code), code);
}

static void a_crash_becomes_a_record(void) {
  cp_mesh_trace trace = {.trace_id = {0x0a, 0xf7}, .span_id = 0xb7, .flags = 1};
  normalise("{\"services\": {\"orders\": \"go\"}}",
            (cp_mesh_response){.status = 503,
                               .service = text_of("orders:80"),
                               .body = text_of(GO),
                               .time_ns = 1700000000123456789u,
                               .trace = &trace});
  static const char expected[] =
      "{\"contract\":\"coropanic/1\",\"kind\":\"error\",\"type\":\"panic\",\"message\":\"no "
      "order\","
      "\"error_code\":\"mesh.go.panic\",\"recovered\":false,\"seq\":1,\"time\":"
      "\"1700000000123456789\","
      "\"source\":\"mesh\",\"trace_flags\":\"01\",\"trace_id\":"
      "\"0af70000000000000000000000000000\","
      "\"span_id\":\"00000000000000b7\",\"hash_version\":1,\"stack_hash\":\"%s\",\"stack_hash_"
      "full\":\"%s\","
      "\"frames\":[{\"source\":\"main.go\",\"what\":\"foreign\",\"name\":\"main\",\"line\":6}],"
      "\"language\":\"go\",\"service\":\"orders:80\",\"http_status\":503}";
  char text[1024];
  snprintf(text, sizeof text, expected, result.error_hash, result.error_hash);
  check_text(record, strlen(record), text);
  is_code("mesh.go.panic");
  check(result.sets_headers && result.replaces_body);
  check(result.body.data == result.record.data && result.body.size == result.record.size);
}

/* The vector of docs/contract.md: the hash that the runtime makes of such frames. */
static void the_hash_is_the_runtimes(void) {
  normalise_text("", "panic: x\n\ngoroutine 1 [running]:\nmain.order()\n\t/src/Shop.Lua:6 +0xf1\n");
  check_text(result.error_hash, 16, "60fe2d18ca64fedb");
}

static void a_text_of_another_language_or_none_is_unknown(void) {
  static const char *const texts[] = {
      "Internal Server Error\n", "panic: no order", "<html>", "{}", "[1]", "\xff\xfe"};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    note("%s", texts[i]);
    normalise_text("", texts[i]);
    is_code("mesh.unknown");
    check_text(result.error_hash, 16, "cbf29ce484222325");
    check(strstr(record, "\"frames\"") == NULL && strstr(record, "\"language\"") == NULL);
  }
  normalise_text("{\"services\": {\"orders\": \"python\"}}", GO);
  is_code("mesh.unknown");
}

static void a_body_that_is_missing_or_packed_stays_and_headers_tell(void) {
  normalise_text("", "");
  is_code("mesh.unknown");
  check(result.sets_headers && !result.replaces_body);
  normalise("", (cp_mesh_response){
                    .status = 500, .content_encoding = text_of("gzip"), .body = text_of(GO)});
  is_code("mesh.unknown");
  check(!result.replaces_body);
  normalise("", (cp_mesh_response){
                    .status = 500, .content_encoding = text_of(" identity"), .body = text_of(GO)});
  is_code("mesh.go.panic");
}

static void the_configuration_says_what_the_client_gets(void) {
  normalise_text("{\"expose\": \"contract\"}", GO);
  check(!result.sets_headers && result.replaces_body && result.body.size > 0);
  normalise_text("{\"expose\": \"header\"}", GO);
  check(result.sets_headers && result.replaces_body && result.body.size == 0 &&
        result.record.size > 0);
  normalise_text("{\"body\": \"keep\"}", GO);
  check(result.sets_headers && !result.replaces_body && result.body.size == 0 &&
        result.record.size > 0);
}

static void records_are_passed_on_with_one_hop_more(void) {
  static const char hash[] = "\"stack_hash\":\"60fe2d18ca64fedb\"";
  char body[256], expected[256];
  snprintf(body, sizeof body, " {\"contract\":\"coropanic/1\", \"error_code\":\"E_ORDER\",%s}\n",
           hash);
  normalise_text("", body);
  is_code("E_ORDER");
  check_text(result.error_hash, 16, "60fe2d18ca64fedb");
  snprintf(expected, sizeof expected,
           " {\"hop\":1,\"contract\":\"coropanic/1\", \"error_code\":\"E_ORDER\",%s}\n", hash);
  check_text(record, strlen(record), expected);
  check(result.replaces_body && result.body.size == strlen(expected));
  snprintf(body, sizeof body, "{\"contract\":\"coropanic/1\",\"error_code\":\"E\",\"hop\": 9 ,%s}",
           hash);
  normalise_text("", body);
  snprintf(expected, sizeof expected,
           "{\"contract\":\"coropanic/1\",\"error_code\":\"E\",\"hop\": 10 ,%s}", hash);
  check_text(record, strlen(record), expected);
}

static void what_is_no_whole_record_is_unknown(void) {
  static const char *const texts[] = {
      "{\"contract\":\"coropanic/2\",\"error_code\":\"E\",\"stack_hash\":\"60fe2d18ca64fedb\"}",
      "{\"contract\":\"coropanic/1\",\"stack_hash\":\"60fe2d18ca64fedb\"}",
      "{\"contract\":\"coropanic/1\",\"error_code\":\"E\"}",
      "{\"contract\":\"coropanic/1\",\"error_code\":\"E\",\"stack_hash\":\"60fe2d18ca64fedb0\"}",
      "{\"contract\":\"coropanic/1\",\"error_code\":\"E\",\"stack_hash\":\"60FE2D18CA64FEDB\"}",
      "{\"contract\":\"coropanic/"
      "1\",\"error_code\":\"E\",\"stack_hash\":\"60fe2d18ca64fedb\",\"hop\":-1}",
      "{\"contract\":\"coropanic/1\",\"error_code\":\"E\",\"stack_hash\":\"60fe2d18ca64fedb\"",
  };
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    note("%s", texts[i]);
    normalise_text("", texts[i]);
    is_code("mesh.unknown");
  }
}

static void problem(const char *type, const char *body) {
  normalise(
      "", (cp_mesh_response){.status = 503, .content_type = text_of(type), .body = text_of(body)});
}

static void problem_details_are_read(void) {
  problem("application/problem+json",
          "{\"type\":\"https://example.com/probs/out-of-credit\",\"title\":\"No credit\","
          "\"detail\":\"Your balance is 30.\",\"status\":403,\"instance\":7}");
  is_code("mesh.problem.out_of_credit");
  check(strstr(record, "\"type\":\"https://example.com/probs/out-of-credit\"") != NULL);
  check(strstr(record, "\"message\":\"No credit: Your balance is 30.\"") != NULL);
  problem("Application/Problem+JSON; charset=utf-8", "{\"title\":1,\"detail\":\"late\"}");
  is_code("mesh.problem.503");
  check(strstr(record, "\"type\":\"about:blank\",\"message\":\"late\"") != NULL);
  problem("application/problem+json", "no json");
  is_code("mesh.unknown");
  problem("application/json", "{\"type\":\"https://example.com/x\"}");
  is_code("mesh.unknown");
}

static void grpc(const char *status, const char *message) {
  normalise("",
            (cp_mesh_response){
                .status = 200, .grpc_status = text_of(status), .grpc_message = text_of(message)});
}

static void the_status_of_grpc_is_read(void) {
  grpc("14", "no%20order%C3%A9%");
  is_code("mesh.grpc.UNAVAILABLE");
  check(strstr(record, "\"message\":\"no order\xc3\xa9%\"") != NULL);
  check(result.sets_headers && !result.replaces_body);
  grpc("99", "");
  is_code("mesh.grpc.UNKNOWN");
  grpc("0", "");
  is_code("mesh.unknown");
}

static void only_errors_are_wanted(void) {
  char error[256];
  cp_mesh *mesh = malloc(cp_mesh_size());
  bool made = cp_mesh_init(mesh, NULL, 0, error, sizeof error) != NULL;
  bool wanted = cp_mesh_wants(mesh, 500, text_of("")) && cp_mesh_wants(mesh, 200, text_of("2"));
  bool unwanted = cp_mesh_wants(mesh, 404, text_of("")) || cp_mesh_wants(mesh, 200, text_of("0")) ||
                  cp_mesh_wants(mesh, 200, text_of("x"));
  free(mesh);
  check(made && wanted && !unwanted);
}

/* The largest records: every bound is met, and every character is escaped. */
static void a_record_of_everything_fits(void) {
  char *body = malloc(200000), *at = body, name[200];
  memset(name, '"', sizeof name);
  at += sprintf(at, "Traceback (most recent call last):\n");
  for (int i = 0; i < 200; i++) {
    name[100] = '\0';
    at += sprintf(at, "  File \"%s%d\", line %d, in %s%d\n", "\\a\"", i, i + 1, name, i);
  }
  name[100] = '"';
  name[199] = '\0';
  sprintf(at, "E: %s%s%s%s\n", name, name, name, name);
  normalise_text("", body);
  is_code("mesh.python.E");
  check(strstr(record, "\"frames_omitted\":136") != NULL);
  check(record[strlen(record) - 1] == '}');
  free(body);
}

static void a_body_is_read_up_to_its_bound(void) {
  size_t size = CP_MESH_MAX_BODY + 1000;
  char *body = malloc(size);
  memset(body, ' ', size);
  memcpy(body + CP_MESH_MAX_BODY - 10, GO, sizeof GO - 1);
  normalise("", (cp_mesh_response){.status = 500, .body = {body, size}});
  free(body);
  is_code("mesh.unknown");
}

static void records_are_numbered(void) {
  char error[256];
  cp_mesh *mesh = malloc(cp_mesh_size());
  bool made = cp_mesh_init(mesh, NULL, 0, error, sizeof error) != NULL;
  cp_mesh_response response = {.status = 500, .body = text_of("x")};
  cp_mesh_normalise(mesh, &response, &result);
  cp_mesh_normalise(mesh, &response, &result);
  memcpy(record, result.record.data, result.record.size);
  record[result.record.size] = '\0';
  free(mesh);
  check(made && strstr(record, "\"seq\":2,") != NULL);
}

static const test tests[] = {
    TEST(a_crash_becomes_a_record),
    TEST(the_hash_is_the_runtimes),
    TEST(a_text_of_another_language_or_none_is_unknown),
    TEST(a_body_that_is_missing_or_packed_stays_and_headers_tell),
    TEST(the_configuration_says_what_the_client_gets),
    TEST(records_are_passed_on_with_one_hop_more),
    TEST(what_is_no_whole_record_is_unknown),
    TEST(problem_details_are_read),
    TEST(the_status_of_grpc_is_read),
    TEST(only_errors_are_wanted),
    TEST(a_record_of_everything_fits),
    TEST(a_body_is_read_up_to_its_bound),
    TEST(records_are_numbered),
};

SUITE(normalise);
