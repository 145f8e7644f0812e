/*
** W3C Baggage: reads and writes the header and its members. Allocates no memory. Source:
** https://www.w3.org/TR/baggage/ section 3 (format, limits).
*/
#ifndef CP_CORE_BAGGAGE_H
#define CP_CORE_BAGGAGE_H

#include <stdbool.h>

#include "core/base.h"
#include "core/slice.h"

#pragma GCC visibility push(hidden)

/* Our limits. Section 3.3 requires at least 64 members and 8192 bytes. */
#define BAGGAGE_MAX_MEMBERS 180
#define BAGGAGE_MAX_LENGTH 8192

typedef struct baggage_member {
  slice whole; /* without the blanks around it */
  slice name;
  slice value;      /* percent-encoded */
  slice properties; /* what follows the first ";", without blanks around it; length 0: none */
} baggage_member;

/*
** Reads the next valid member of a header's text, from `*at` on, and moves `*at` behind it. Passes
** over parts that are not members by the grammar. False if there is no more.
*/
bool baggage_next(const char *text, size_t length, size_t *at, baggage_member *m);

/*
** Copies the valid members of a header's text to `out`, of BAGGAGE_MAX_LENGTH bytes, in order and
** separated by "," alone. Copies as many as fit, and never a part of one. Returns the length.
*/
size_t baggage_clean(char *out, const char *text, size_t length);

/*
** Decodes a value to `out`, which has room for three bytes for each of the value's. Encoded octets
** that are not UTF-8 become U+FFFD (section 3.3.1.4), one for each maximal subpart, as the Unicode
** Standard says (3.9). A "%" without two hex digits after it stays as it is. Returns the length.
*/
size_t baggage_decode(char *out, slice value);

/*
** Encodes a value to `out`, which has room for three bytes for each of the value's. Returns the
** length.
*/
size_t baggage_encode(char *out, const char *value, size_t length);

/* Returns whether the text may be the name of a member: a token of RFC 9110. */
bool baggage_is_name(const char *name, size_t length);

/*
** Returns whether the text may be the properties of a member: ";"-separated, each a token, or one
** with "=" and a value.
*/
bool baggage_are_properties(const char *text, size_t length);

/* Returns whether two hex digits follow each "%". */
bool baggage_is_encoded(const char *text, size_t length);

/* Returns whether the text is UTF-8. Values must be, before they are encoded. */
bool baggage_is_utf8(const char *text, size_t length);

#pragma GCC visibility pop

#endif
