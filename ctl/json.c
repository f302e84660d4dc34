#include "ctl/json.h"

#include <string.h>

#include "base/utf8.h"

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static size_t skip_space(rag_str text, size_t at)
{
    while (at < text.len && is_space(text.ptr[at]))
        at++;
    return at;
}

/* cJSON takes control characters for white space, and lets them stand in strings. */
static bool find_control(rag_str text, size_t *at)
{
    for (*at = 0; *at < text.len; ++*at)
        if ((unsigned char)text.ptr[*at] < ' ' && !is_space(text.ptr[*at]))
            return true;
    return false;
}

cJSON *json_parse(rag_str text, rag_err *err)
{
    size_t bad = 0;
    if (!rag_utf8_valid(text, &bad)) {
        rag_fail(err, RAG_INVALID, "byte %zu is not valid UTF-8", bad);
        return NULL;
    }
    if (find_control(text, &bad)) {
        rag_fail(err, RAG_INVALID, "byte %zu is a control character", bad);
        return NULL;
    }
    if (rag_str_starts(text, RAG_STR("\xef\xbb\xbf"))) {
        rag_fail(err, RAG_INVALID, "not a JSON value: it begins with a byte order mark");
        return NULL;
    }
    const char *end = text.ptr;
    cJSON *value = text.len ? cJSON_ParseWithLengthOpts(text.ptr, text.len, &end, false) : NULL;
    size_t at = text.len ? (size_t)(end - text.ptr) : 0;
    if (value && skip_space(text, at) == text.len)
        return value;
    cJSON_Delete(value);
    rag_fail(err, RAG_INVALID, "not a JSON value: unexpected %s at byte %zu", at < text.len ? "character" : "end", at);
    return NULL;
}

const char *json_string(const cJSON *object, const char *key)
{
    const char *s = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
    return s ? s : "";
}

double json_number(const cJSON *object, const char *key, double fallback)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(item) ? item->valuedouble : fallback;
}

int64_t json_int(const cJSON *object, const char *key, int64_t fallback)
{
    double number = json_number(object, key, (double)fallback);
    return number > -9e15 && number < 9e15 ? (int64_t)number : fallback;
}

bool json_bool(const cJSON *object, const char *key)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, key));
}

char *json_line(const cJSON *value)
{
    char *text = cJSON_PrintUnformatted(value);
    return text ? text : rag_strdup("null");
}

static size_t skip_string(rag_str text, size_t at)
{
    for (at++; at < text.len && text.ptr[at] != '"'; at++)
        if (text.ptr[at] == '\\')
            at++;
    return at < text.len ? at + 1 : text.len;
}

void json_compact(rag_buf *out, rag_str text)
{
    for (size_t at = 0; at < text.len;) {
        size_t start = at = skip_space(text, at);
        while (at < text.len && !is_space(text.ptr[at]))
            at = text.ptr[at] == '"' ? skip_string(text, at) : at + 1;
        rag_buf_put(out, rag_str_sub(text, start, at));
    }
}

/* Behind the value that begins at `at`. */
static size_t skip_value(rag_str text, size_t at)
{
    size_t depth = 0;
    while (at < text.len) {
        char c = text.ptr[at];
        if (c == '"') {
            at = skip_string(text, at);
            continue;
        }
        if (depth == 0 && (c == ',' || c == '}'))
            break;
        depth += c == '{' || c == '[';
        depth -= c == '}' || c == ']';
        at++;
    }
    return at;
}

bool json_member_next(rag_str text, size_t *pos, json_member *out)
{
    size_t at = skip_space(text, *pos);
    if (at < text.len && (text.ptr[at] == '{' || text.ptr[at] == ','))
        at = skip_space(text, at + 1);
    if (at >= text.len || text.ptr[at] != '"')
        return false;
    out->all.start = at;
    at = skip_space(text, skip_string(text, at)) + 1; /* behind the colon */
    out->value.start = skip_space(text, at);
    *pos = skip_value(text, out->value.start);
    out->value.end = *pos;
    while (out->value.end > out->value.start && is_space(text.ptr[out->value.end - 1]))
        out->value.end--;
    out->all.end = out->value.end;
    return true;
}

bool json_member_is(rag_str text, const json_member *m, const char *name)
{
    size_t len = strlen(name);
    rag_str key = rag_str_sub(text, m->all.start + 1, m->all.start + 1 + len + 1);
    return key.len == len + 1 && !memcmp(key.ptr, name, len) && key.ptr[len] == '"';
}
