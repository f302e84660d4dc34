/* daemon/json.c: the check of a JSON text, then cJSON. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "daemon/json.h"

enum { CJSON_MAX_NUMBER = 60 };

typedef struct scan {
    char *text; /* our copy: long numbers are shortened in it */
    size_t len, at;
    int depth;
    size_t values;
    const char *code;
    rag_err *err;
} scan;

static bool value(scan *s);

static bool fail(scan *s, const char *code, const char *what)
{
    s->code = code;
    rag_fail(s->err, RAG_INVALID, "%s at byte %zu", what, s->at);
    return false;
}

static char peek(const scan *s)
{
    return s->at < s->len ? s->text[s->at] : '\0';
}

static void skip_space(scan *s)
{
    while (s->at < s->len && strchr(" \t\r\n", s->text[s->at]) && s->text[s->at])
        s->at++;
}

static bool take(scan *s, char c)
{
    if (s->at >= s->len || s->text[s->at] != c)
        return false;
    s->at++;
    return true;
}

static bool literal(scan *s, const char *word)
{
    size_t n = strlen(word);
    if (s->len - s->at < n || memcmp(s->text + s->at, word, n) != 0)
        return fail(s, "invalid_json", "not a JSON value");
    s->at += n;
    return true;
}

static bool digits(scan *s)
{
    size_t start = s->at;
    while (isdigit((unsigned char)peek(s)))
        s->at++;
    return s->at > start;
}

static bool number_grammar(scan *s)
{
    take(s, '-');
    if (!take(s, '0') && !digits(s))
        return false;
    if (take(s, '.') && !digits(s))
        return false;
    if (take(s, 'e') || take(s, 'E')) {
        if (!take(s, '+'))
            take(s, '-');
        return digits(s);
    }
    return true;
}

/* Puts an equal, short number over a long one, padded with spaces. */
static void shorten(char *at, size_t len, double number)
{
    char text[CJSON_MAX_NUMBER];
    int n = snprintf(text, sizeof text, "%.17g", number);
    memset(at, ' ', len);
    memcpy(at, text, (size_t)n);
}

static bool number(scan *s)
{
    size_t start = s->at;
    if (!number_grammar(s))
        return fail(s, "invalid_json", "not a JSON number");
    char saved = s->text[s->at]; /* the copy ends with a NUL */
    s->text[s->at] = '\0';
    double parsed = strtod(s->text + start, NULL);
    s->text[s->at] = saved;
    if (!isfinite(parsed))
        return fail(s, "number_out_of_range", "number out of range");
    if (s->at - start > CJSON_MAX_NUMBER)
        shorten(s->text + start, s->at - start, parsed);
    return true;
}

static bool hex4(scan *s, unsigned *out)
{
    *out = 0;
    for (int i = 0; i < 4; i++, s->at++) {
        char c = peek(s);
        if (!isxdigit((unsigned char)c))
            return fail(s, "invalid_json", "bad \\u escape");
        *out = *out * 16 + (unsigned)(isdigit((unsigned char)c) ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return true;
}

static bool is_high(unsigned u)
{
    return u >= 0xD800 && u < 0xDC00;
}

static bool is_low(unsigned u)
{
    return u >= 0xDC00 && u < 0xE000;
}

static bool unicode_escape(scan *s)
{
    unsigned u, low;
    if (!hex4(s, &u))
        return false;
    if (u == 0)
        return fail(s, "null_character", "\\u0000 in a string");
    if (is_low(u))
        return fail(s, "lone_surrogate", "lone surrogate in a string");
    if (!is_high(u))
        return true;
    if (!take(s, '\\') || !take(s, 'u'))
        return fail(s, "lone_surrogate", "lone surrogate in a string");
    if (!hex4(s, &low))
        return false;
    return is_low(low) || fail(s, "lone_surrogate", "lone surrogate in a string");
}

static bool escape(scan *s)
{
    char c = peek(s);
    if (c == '\0' || !strchr("\"\\/bfnrtu", c))
        return fail(s, "invalid_json", "bad escape in a string");
    s->at++;
    return c != 'u' || unicode_escape(s);
}

static bool string(scan *s)
{
    if (!take(s, '"'))
        return fail(s, "invalid_json", "expected a string");
    while (s->at < s->len && s->text[s->at] != '"') {
        if ((unsigned char)s->text[s->at] < 0x20)
            return fail(s, "invalid_json", "control character in a string");
        if (s->text[s->at++] == '\\' && !escape(s))
            return false;
    }
    return take(s, '"') || fail(s, "invalid_json", "string without an end");
}

static bool member(scan *s)
{
    skip_space(s);
    if (!string(s))
        return false;
    skip_space(s);
    if (!take(s, ':'))
        return fail(s, "invalid_json", "expected ':'");
    return value(s);
}

/* Members or elements between brackets; s stands behind the opening one. */
static bool list(scan *s, char end, bool (*item)(scan *s))
{
    if (++s->depth > JSON_MAX_DEPTH)
        return fail(s, "too_deep", "nested too deeply");
    skip_space(s);
    if (!take(s, end)) {
        do {
            if (!item(s))
                return false;
        } while (take(s, ','));
        if (!take(s, end))
            return fail(s, "invalid_json", "expected ',' or an end");
    }
    s->depth--;
    return true;
}

static bool bare_value(scan *s)
{
    switch (peek(s)) {
    case '{': s->at++; return list(s, '}', member);
    case '[': s->at++; return list(s, ']', value);
    case '"': return string(s);
    case 't': return literal(s, "true");
    case 'f': return literal(s, "false");
    case 'n': return literal(s, "null");
    default: return number(s);
    }
}

/* A value with the white space around it. */
static bool value(scan *s)
{
    if (++s->values > JSON_MAX_VALUES)
        return fail(s, "too_many_values", "too many values");
    skip_space(s);
    if (!bare_value(s))
        return false;
    skip_space(s);
    return true;
}

static bool check(scan *s)
{
    if (!rag_utf8_valid((rag_str){ s->text, s->len }, &s->at))
        return fail(s, "invalid_utf8", "invalid UTF-8");
    s->at = 0;
    if (!value(s))
        return false;
    return s->at == s->len || fail(s, "invalid_json", "bytes after the JSON value");
}

static bool object_is_plain(const cJSON *object, scan *s)
{
    size_t n = 0;
    for (const cJSON *a = object->child; a; a = a->next) {
        if (++n > JSON_MAX_KEYS)
            return fail(s, "too_many_values", "too many keys in an object");
        for (const cJSON *b = object->child; b != a; b = b->next)
            if (strcmp(a->string, b->string) == 0) {
                s->code = "duplicate_key";
                rag_fail(s->err, RAG_INVALID, "the key '%.64s' stands twice in an object", a->string);
                return false;
            }
    }
    return true;
}

static bool keys_are_unique(const cJSON *node, scan *s)
{
    if (cJSON_IsObject(node) && !object_is_plain(node, s))
        return false;
    for (const cJSON *child = node->child; child; child = child->next)
        if (!keys_are_unique(child, s))
            return false;
    return true;
}

static bool build(scan *s, cJSON **out)
{
    const char *end = NULL;
    *out = cJSON_ParseWithLengthOpts(s->text, s->len, &end, false);
    if (!*out || !end)
        return fail(s, "invalid_json", "not JSON");
    return keys_are_unique(*out, s);
}

rag_code json_parse(rag_str text, cJSON **out, const char **code, rag_err *err)
{
    scan s = { .text = rag_strndup(text), .len = text.len, .err = err };
    *out = NULL;
    *code = NULL;
    bool is_good = check(&s) && build(&s, out);
    free(s.text);
    if (is_good)
        return RAG_OK;
    cJSON_Delete(*out);
    *out = NULL;
    *code = s.code;
    return RAG_INVALID;
}
