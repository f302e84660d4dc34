/* ctl/json.h: cJSON with ragd's strictness, and look-ups that cope with what is absent. */
#ifndef RAG_CTL_JSON_H
#define RAG_CTL_JSON_H

#include <cjson/cJSON.h>

#include "base/err.h"
#include "base/str.h"

/* The whole of text as one JSON value in valid UTF-8, or NULL with RAG_INVALID in err.  Free with cJSON_Delete. */
cJSON *json_parse(rag_str text, rag_err *err);

/* Members of an object; what is absent, null or of another type is the fallback. */
const char *json_string(const cJSON *object, const char *key); /* "" */
double json_number(const cJSON *object, const char *key, double fallback);
int64_t json_int(const cJSON *object, const char *key, int64_t fallback);
bool json_bool(const cJSON *object, const char *key);

/* value on one line, without a line break behind; to be freed. */
char *json_line(const cJSON *value);

/* Appends text, which json_parse has accepted, without the white space between its parts.  (cJSON_Minify 1.7.15 takes
 * the quote behind an escaped backslash for an escaped quote, and then cuts inside of strings.) */
void json_compact(rag_buf *out, rag_str text);

/* A member of an object's text: `all` from the key's quote to the end of the value, `value` the value alone. */
typedef struct json_member {
    rag_span all, value;
} json_member;

/* The next member of the outermost object at or behind *pos (0 to begin with); false at the end.  text must be
 * an object that json_parse has accepted. */
bool json_member_next(rag_str text, size_t *pos, json_member *out);
/* Whether the member's key is written as "name". */
bool json_member_is(rag_str text, const json_member *m, const char *name);

#endif
