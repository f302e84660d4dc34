/* daemon/json.h: strict JSON in, valid JSON out.
 *
 * In: RFC 8259 to the letter, and stricter where interface.md says so.  cJSON 1.7.15 takes bad
 * numbers, raw control characters, invalid UTF-8 and trailing bytes, ends a string at \u0000 and
 * cuts numbers at 63 characters; so the text is checked whole first, and cJSON then only builds the tree.
 *
 * Out: a writer over a bounded buffer.  Strings become valid UTF-8 (U+FFFD for bad bytes) without raw
 * line breaks, so that a value is one line and one SSE frame.
 *
 * Threads: pure. */
#ifndef RAG_DAEMON_JSON_H
#define RAG_DAEMON_JSON_H

#include <cjson/cJSON.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum {
    JSON_MAX_DEPTH = 32,
    JSON_MAX_VALUES = 20000, /* in one text: bounds the tree's memory */
    JSON_MAX_KEYS = 256,     /* in one object */
};

/* *out is to be freed with cJSON_Delete.  On RAG_INVALID *code is a stable name: "invalid_json",
 * "invalid_utf8", "null_character", "lone_surrogate", "number_out_of_range", "too_deep", "too_many_values",
 * "duplicate_key". */
rag_code json_parse(rag_str text, cJSON **out, const char **code, rag_err *err);

typedef struct json_writer {
    rag_buf *out;
    bool is_first; /* no comma before the next value */
} json_writer;

/* `key` is NULL inside an array and at the top. */
void json_begin(json_writer *w, rag_buf *out);
void json_open(json_writer *w, const char *key, char bracket); /* '{' or '[' */
void json_close(json_writer *w, char bracket);                 /* '}' or ']' */
void json_str(json_writer *w, const char *key, rag_str value);
void json_cstr(json_writer *w, const char *key, const char *value); /* NULL writes null */
void json_int(json_writer *w, const char *key, int64_t value);
/* At most `decimals` digits behind the point, without trailing zeros; not finite writes 0. */
void json_num(json_writer *w, const char *key, double value, int decimals);
void json_bool(json_writer *w, const char *key, bool value);
void json_null(json_writer *w, const char *key);
/* A value that is JSON already. */
void json_raw(json_writer *w, const char *key, rag_str json);

#endif
