#include "core/baggage.h"

#include <stdio.h>
#include <string.h>

#include "harness.h"

typedef struct row {
  const char *before;
  const char *after;
} row;

static void check_cleaned(const char *text, size_t length, const char *expected) {
  char out[BAGGAGE_MAX_LENGTH];
  size_t written = baggage_clean(out, text, length);
  check_text(out, written, expected);
}

static void valid_members_are_kept_in_order(void) {
  static const row rows[] = {
      {"", ""},
      {" , \t,", ""},
      {"SomeKey=SomeValue", "SomeKey=SomeValue"},
      {"SomeKey=", "SomeKey="},
      {"SomeKey = SomeValue ; SomeProp", "SomeKey = SomeValue ; SomeProp"},
      {" a=1 ,\t b=2 ,c=3", "a=1,b=2,c=3"},
      {"a=1;p;q=5;r = x,b=2", "a=1;p;q=5;r = x,b=2"},
      {"a=1,a=2", "a=1,a=2"},
      {"a=b=c", "a=b=c"},
      {"userId=Am%C3%A9lie,serverNode=DF%2028,isProduction=false",
       "userId=Am%C3%A9lie,serverNode=DF%2028,isProduction=false"},
      {"!#$%&'*+-.^_`|~09azAZ=!#$%&'()*+-./:<=>?@[]^_`{|}~",
       "!#$%&'*+-.^_`|~09azAZ=!#$%&'()*+-./:<=>?@[]^_`{|}~"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    note("\"%s\"", rows[i].before);
    check_cleaned(rows[i].before, strlen(rows[i].before), rows[i].after);
  }
}

static void what_is_no_member_is_passed_over(void) {
  static const char *const invalid[] = {
      "novalue",       "=1",          "a b=1",  "a=b c",    "a=\"1\"",   "a=\\",
      "a@b=1",         "a(=1",        "a=1;",   "a=1;=2",   "a=1;p q",   "a=1;p=\"x\"",
      "a=caf\xc3\xa9", "k\xc3\xa9=1", "a=\x01", "a=1;p;;q", "[a]=1",     "a{}=1",
      "a,b",           ";p",          "a=\x7f", "a\x7f=1",  "a=1;p\x7f", "a=1;p=\x7f",
  };
  for (size_t i = 0; i < sizeof invalid / sizeof invalid[0]; i++) {
    char text[64];
    note("\"%s\"", invalid[i]);
    snprintf(text, sizeof text, "x=1,%s,y=2", invalid[i]);
    check_cleaned(text, strlen(text), "x=1,y=2");
  }
  check_cleaned("x=1,a=\0b,y=2", 12, "x=1,y=2");
}

static void members_have_parts(void) {
  static const char text[] = " name = value ; p = 1 ; q ";
  baggage_member m;
  size_t at = 0;
  check(baggage_next(text, strlen(text), &at, &m));
  check_text(m.whole.start, m.whole.length, "name = value ; p = 1 ; q");
  check_text(m.name.start, m.name.length, "name");
  check_text(m.value.start, m.value.length, "value");
  check_text(m.properties.start, m.properties.length, "p = 1 ; q");
  check(!baggage_next(text, strlen(text), &at, &m));
}

static void as_many_members_are_kept_as_there_may_be(void) {
  char text[BAGGAGE_MAX_LENGTH] = "";
  char out[BAGGAGE_MAX_LENGTH];
  size_t length = 0;
  size_t expected = 0;
  for (int i = 0; i < BAGGAGE_MAX_MEMBERS + 5; i++) {
    length += (size_t)snprintf(text + length, sizeof text - length, "%sk%d=v", i > 0 ? "," : "", i);
    if (i == BAGGAGE_MAX_MEMBERS - 1) expected = length;
  }
  check_int(baggage_clean(out, text, length), expected);
}

static void a_member_is_kept_whole_or_not_at_all(void) {
  static char text[3 * BAGGAGE_MAX_LENGTH];
  static char out[BAGGAGE_MAX_LENGTH];
  memset(text, 'v', sizeof text);
  memcpy(text, "a=", 2);
  check_int(baggage_clean(out, text, BAGGAGE_MAX_LENGTH), BAGGAGE_MAX_LENGTH);
  check_int(baggage_clean(out, text, BAGGAGE_MAX_LENGTH + 1), 0);
  memcpy(text + BAGGAGE_MAX_LENGTH - 3, ",b=1", 4); /* one byte too many for both */
  check_int(baggage_clean(out, text, BAGGAGE_MAX_LENGTH + 1), BAGGAGE_MAX_LENGTH - 3);
}

static void small_members_behind_one_that_does_not_fit_are_kept(void) {
  static char text[3 * BAGGAGE_MAX_LENGTH];
  static char out[BAGGAGE_MAX_LENGTH];
  memset(text, 'v', sizeof text);
  memcpy(text, "a=1,b=", 6);
  memcpy(text + 6 + BAGGAGE_MAX_LENGTH, ",c=3,d=4", 8);
  check_text(out, baggage_clean(out, text, 14 + BAGGAGE_MAX_LENGTH), "a=1,c=3,d=4");
}

static void values_are_decoded(void) {
  static const row rows[] = {
      {"", ""},
      {"plain", "plain"},
      {"Am%C3%A9lie", "Am\xc3\xa9lie"},
      {"Am%c3%a9lie", "Am\xc3\xa9lie"},
      {"DF%2028", "DF 28"},
      {"%09%20%22%2C%3B%5C%25", "\t \",;\\%"},
      {"%F0%9F%98%BC", "\xf0\x9f\x98\xbc"},
      {"a%", "a%"},
      {"a%4", "a%4"},
      {"a%zz", "a%zz"},
      {"%%41", "%A"},
      {"100%", "100%"},
      {"%C3", "\xef\xbf\xbd"},
      {"%C3%28", "\xef\xbf\xbd("},
      {"%C3x", "\xef\xbf\xbdx"},
      {"%ff%fe", "\xef\xbf\xbd\xef\xbf\xbd"},
      {"%E2%82", "\xef\xbf\xbd"}, /* cut short: one maximal subpart */
      {"%E2%82x%E2%82%AC", "\xef\xbf\xbdx\xe2\x82\xac"},
      {"%F0%9F%98", "\xef\xbf\xbd"},
      {"%F0%9F%98%F0%9F%98%BC", "\xef\xbf\xbd\xf0\x9f\x98\xbc"},
      {"%C0%80", "\xef\xbf\xbd\xef\xbf\xbd"},                               /* overlong */
      {"%E0%80%80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},                /* overlong */
      {"%E0%9F%BF", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},                /* overlong */
      {"%F0%80%80%80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* overlong */
      {"%ED%A0%80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},                /* a surrogate */
      {"%F4%90%80%80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* beyond U+10FFFF */
      {"%F5%80%80%80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* nothing begins so */
      {"%80%BF", "\xef\xbf\xbd\xef\xbf\xbd"},
      {"%E0%A0%80", "\xe0\xa0\x80"},
      {"%ED%9F%BF", "\xed\x9f\xbf"},
      {"%F4%8F%BF%BF", "\xf4\x8f\xbf\xbf"},
      {"%41%C0%AF%41%F4%80%80%41",
       "A\xef\xbf\xbd\xef\xbf\xbd"
       "A\xef\xbf\xbd"
       "A"}, /* Unicode, table 3-11 */
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    char out[128];
    note("\"%s\"", rows[i].before);
    slice value = {rows[i].before, strlen(rows[i].before)};
    size_t length = baggage_decode(out, value);
    check_text(out, length, rows[i].after);
  }
}

static void values_are_encoded_and_come_back(void) {
  static const row rows[] = {
      {"plain", "plain"},
      {"", ""},
      {"Am\xc3\xa9lie", "Am%C3%A9lie"},
      {"DF 28", "DF%2028"},
      {"a=b", "a=b"},
      {"100%", "100%25"},
      {"\t\",;\\", "%09%22%2C%3B%5C"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    char encoded[64];
    char decoded[192];
    note("\"%s\"", rows[i].before);
    size_t length = baggage_encode(encoded, rows[i].before, strlen(rows[i].before));
    check_text(encoded, length, rows[i].after);
    length = baggage_decode(decoded, (slice){encoded, length});
    check_text(decoded, length, rows[i].before);
  }
}

static void what_is_utf8_is_told(void) {
  static const char *const valid[] = {"", "plain", "Am\xc3\xa9lie", "\xf4\x8f\xbf\xbf"};
  static const char *const invalid[] = {"\xff",        "a\x80", "\xc3", "\xc3(", "\xc3\xa9\xe2\x82",
                                        "\xed\xa0\x80"};
  for (size_t i = 0; i < sizeof valid / sizeof valid[0]; i++) {
    check(baggage_is_utf8(valid[i], strlen(valid[i])));
  }
  for (size_t i = 0; i < sizeof invalid / sizeof invalid[0]; i++) {
    check(!baggage_is_utf8(invalid[i], strlen(invalid[i])));
  }
  check(baggage_is_utf8("a\0b", 3));
}

static void two_hex_digits_follow_what_encodes(void) {
  static const char *const valid[] = {"", "p", "p=1;q=%20%c3%A9"};
  static const char *const invalid[] = {"%", "p=%2", "p=%zz", "p=100%;q", "%%20"};
  for (size_t i = 0; i < sizeof valid / sizeof valid[0]; i++) {
    check(baggage_is_encoded(valid[i], strlen(valid[i])));
  }
  for (size_t i = 0; i < sizeof invalid / sizeof invalid[0]; i++) {
    check(!baggage_is_encoded(invalid[i], strlen(invalid[i])));
  }
}

static const test tests[] = {
    TEST(valid_members_are_kept_in_order),
    TEST(what_is_no_member_is_passed_over),
    TEST(members_have_parts),
    TEST(as_many_members_are_kept_as_there_may_be),
    TEST(a_member_is_kept_whole_or_not_at_all),
    TEST(small_members_behind_one_that_does_not_fit_are_kept),
    TEST(values_are_decoded),
    TEST(values_are_encoded_and_come_back),
    TEST(what_is_utf8_is_told),
    TEST(two_hex_digits_follow_what_encodes),
};

SUITE(baggage);
