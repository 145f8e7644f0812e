#include "core/stack_hash.h"

#include <string.h>

#include "harness.h"

/* FNV-1a written down once more, over the text that the header promises. */
static uint64_t fnv1a(const char *text) {
  uint64_t hash = UINT64_C(0xcbf29ce484222325);
  for (; *text != '\0'; text++) {
    hash ^= (uint8_t)*text;
    hash *= UINT64_C(0x100000001b3);
  }
  return hash;
}

static uint64_t hash_of_frame(const char *source, const char *name) {
  stack_hash hash;
  stack_hash_init(&hash);
  stack_hash_add(&hash, source, name);
  return hash.value;
}

static void the_reference_agrees_with_the_published_vectors(void) {
  check_hex(fnv1a(""), UINT64_C(0xcbf29ce484222325));
  check_hex(fnv1a("a"), UINT64_C(0xaf63dc4c8601ec8c));
  check_hex(fnv1a("foobar"), UINT64_C(0x85944171f73967e8));
}

static void no_frames_give_the_offset_basis(void) {
  stack_hash hash;
  stack_hash_init(&hash);
  check_hex(hash.value, fnv1a(""));
}

typedef struct frame {
  const char *source;
  const char *name;
  const char *text; /* what is hashed */
} frame;

static void a_frame_is_its_module_and_function(void) {
  static const frame frames[] = {
      {"@shop.lua", "order", "shop.lua:order\n"},
      {"@/srv/app/lib/shop.lua", "order", "shop.lua:order\n"},
      {"@C:\\app\\Shop.LUA", "order", "shop.lua:order\n"},
      {"@./a/b\\c/shop.lua", "order", "shop.lua:order\n"},
      {"@shop.lua", "Order", "shop.lua:Order\n"},
      {"@shop.lua", NULL, "shop.lua:?\n"},
      {"@shop.lua", "", "shop.lua:\n"},
      {"@dir/", "f", ":f\n"},
      {"=[C]", "pcall", "[c]:pcall\n"},
      {"=[C]", NULL, "[c]:?\n"},
      {"=stdin", "f", "stdin:f\n"},
      {"return 1", "f", "[string]:f\n"},
      {"-- @shop.lua", "f", "[string]:f\n"},
      {"", "f", "[string]:f\n"},
      {"@\xc3\x84.lua", "f", "\xc3\x84.lua:f\n"},
  };
  for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
    note("%s", frames[i].source);
    check_hex(hash_of_frame(frames[i].source, frames[i].name), fnv1a(frames[i].text));
  }
}

static void frames_are_hashed_from_the_innermost_outwards(void) {
  stack_hash hash;
  stack_hash_init(&hash);
  stack_hash_add(&hash, "@db.lua", "query");
  stack_hash_add(&hash, "@shop.lua", "order");
  stack_hash_add(&hash, "=[C]", "pcall");
  check_hex(hash.value, fnv1a("db.lua:query\nshop.lua:order\n[c]:pcall\n"));
}

static void direct_recursion_counts_once(void) {
  stack_hash hash;
  stack_hash_init(&hash);
  for (int depth = 0; depth < 100; depth++) stack_hash_add(&hash, "@tree.lua", "walk");
  stack_hash_add(&hash, "@main.lua", "run");
  check_hex(hash.value, fnv1a("tree.lua:walk\nmain.lua:run\n"));
}

static void recursion_is_recognised_by_what_is_hashed(void) {
  stack_hash hash;
  stack_hash_init(&hash);
  stack_hash_add(&hash, "@a/tree.lua", "walk");
  stack_hash_add(&hash, "@b/Tree.lua", "walk");
  stack_hash_add(&hash, "@b/tree.lua", "visit");
  check_hex(hash.value, fnv1a("tree.lua:walk\ntree.lua:visit\n"));
}

static void indirect_recursion_is_kept(void) {
  stack_hash hash;
  stack_hash_init(&hash);
  stack_hash_add(&hash, "@x.lua", "even");
  stack_hash_add(&hash, "@x.lua", "odd");
  stack_hash_add(&hash, "@x.lua", "even");
  check_hex(hash.value, fnv1a("x.lua:even\nx.lua:odd\nx.lua:even\n"));
}

/* Hashes are stored and compared between machines and releases: a change needs a new version. */
static void version_1_stays_what_it_is(void) {
  stack_hash hash;
  stack_hash_init(&hash);
  stack_hash_add(&hash, "@/srv/db.lua", "query");
  stack_hash_add(&hash, "=[C]", NULL);
  check_hex(hash.value, UINT64_C(0x53a373a4c340711d));
}

static void check_identity(const char *identity, const char *expected) {
  if (expected == NULL) {
    check_pointer(identity, NULL);
  } else {
    check_text(identity, strlen(identity), expected);
  }
}

static void a_version_says_what_a_function_is_called(void) {
  static const char print[] = "0123456789abcdef";
  check_int(STACK_HASH_VERSION, 2);
  check_identity(stack_hash_identity(1, "Lua", "order", print), "order");
  check_identity(stack_hash_identity(1, "main", NULL, NULL), NULL);
  check_identity(stack_hash_identity(1, "C", "pcall", NULL), "pcall");
  check_identity(stack_hash_identity(2, "Lua", "order", print), print);
  check_identity(stack_hash_identity(2, "Lua", NULL, print), print);
  check_identity(stack_hash_identity(2, "Lua", "order", NULL), "order");
  check_identity(stack_hash_identity(2, "Lua", NULL, NULL), NULL);
  check_identity(stack_hash_identity(2, "main", "order", print), "main");
  check_identity(stack_hash_identity(2, "C", "pcall", NULL), "pcall");
  check_identity(stack_hash_identity(2, "C", NULL, NULL), NULL);
}

static const test tests[] = {
    TEST(the_reference_agrees_with_the_published_vectors),
    TEST(no_frames_give_the_offset_basis),
    TEST(a_frame_is_its_module_and_function),
    TEST(frames_are_hashed_from_the_innermost_outwards),
    TEST(direct_recursion_counts_once),
    TEST(recursion_is_recognised_by_what_is_hashed),
    TEST(indirect_recursion_is_kept),
    TEST(version_1_stays_what_it_is),
    TEST(a_version_says_what_a_function_is_called),
};

SUITE(stack_hash);
