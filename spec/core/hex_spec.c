#include "core/hex.h"

#include <string.h>

#include "harness.h"

static void bytes_become_two_lower_case_digits_each(void) {
  const uint8_t bytes[] = {0x00, 0x0f, 0xf0, 0xab, 0xff};
  char digits[10];
  hex_encode(digits, bytes, sizeof bytes);
  check_text(digits, sizeof digits, "000ff0abff");
}

static void no_terminator_is_written(void) {
  char digits[17 + 1];
  memset(digits, 'x', sizeof digits);
  hex_encode(digits, (const uint8_t[]){0x12}, 1);
  check_text(digits, 3, "12x");
  hex_encode_u64(digits, 1);
  check_text(digits, 17, "0000000000000001x");
}

static void a_number_is_written_most_significant_digit_first(void) {
  char digits[16];
  hex_encode_u64(digits, UINT64_C(0x0123456789abcdef));
  check_text(digits, sizeof digits, "0123456789abcdef");
  hex_encode_u64(digits, UINT64_MAX);
  check_text(digits, sizeof digits, "ffffffffffffffff");
  hex_encode_u64(digits, 0);
  check_text(digits, sizeof digits, "0000000000000000");
}

static void every_byte_comes_back_from_its_digits(void) {
  for (int i = 0; i < 256; i++) {
    note("byte %d", i);
    uint8_t byte = (uint8_t)i, back = (uint8_t)~i;
    char digits[2];
    hex_encode(digits, &byte, 1);
    check(hex_decode(&back, digits, 1));
    check_int(back, i);
  }
}

static void only_lower_case_digits_are_read(void) {
  for (int c = 0; c < 256; c++) {
    note("character %d", c);
    bool is_digit = c != 0 && strchr("0123456789abcdef", c) != NULL;
    uint8_t byte;
    check_int(hex_decode(&byte, (const char[]){(char)c, '0'}, 1), is_digit);
    check_int(hex_decode(&byte, (const char[]){'0', (char)c}, 1), is_digit);
  }
}

static void a_bad_digit_anywhere_makes_all_of_it_bad(void) {
  uint8_t bytes[4];
  check(hex_decode(bytes, "00112233", 4));
  for (size_t i = 0; i < 8; i++) {
    note("position %zu", i);
    char digits[] = "00112233";
    digits[i] = 'A';
    check(!hex_decode(bytes, digits, 4));
  }
}

static void nothing_decodes_to_nothing(void) {
  uint8_t byte = 7;
  check(hex_decode(&byte, "", 0));
  check_int(byte, 7);
}

static const test tests[] = {
    TEST(bytes_become_two_lower_case_digits_each),
    TEST(no_terminator_is_written),
    TEST(a_number_is_written_most_significant_digit_first),
    TEST(every_byte_comes_back_from_its_digits),
    TEST(only_lower_case_digits_are_read),
    TEST(a_bad_digit_anywhere_makes_all_of_it_bad),
    TEST(nothing_decodes_to_nothing),
};

SUITE(hex);
