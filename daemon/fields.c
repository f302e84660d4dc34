/* daemon/fields.c */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "daemon/fields.h"

static void copy_cut(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text);
    out[rag_utf8_whole(rag_str_of(out))] = '\0';
}

bool problem_set(problem *p, int status, const char *code, const char *param, const char *format, ...)
{
    char message[sizeof p->message];
    va_list args;
    if (p->status)
        return false;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    p->status = status;
    p->code = code;
    copy_cut(p->param, sizeof p->param, param ? param : "");
    copy_cut(p->message, sizeof p->message, message);
    return false;
}

static const cJSON *find(const fields *f, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(f->object, key);
}

static bool refuse(const fields *f, const char *key, const char *code, const char *what)
{
    char param[96];
    snprintf(param, sizeof param, "%s%s", f->prefix, key);
    return problem_set(f->bad, 400, code, param, "'%s' %s", param, what);
}

static bool is_listed(const char *key, const char *const *keys)
{
    for (; *keys; keys++)
        if (strcmp(key, *keys) == 0)
            return true;
    return false;
}

bool fields_open(fields *f, const cJSON *json, const char *prefix, const char *const *keys, problem *bad)
{
    *f = (fields){ .object = json, .prefix = prefix, .bad = bad };
    if (!cJSON_IsObject(json)) {
        char param[96];
        size_t n = *prefix ? strlen(prefix) - 1 : 0; /* without the dot */
        snprintf(param, sizeof param, "%.*s", (int)n, prefix);
        return problem_set(bad, 400, "invalid_type", param, "expected a JSON object");
    }
    for (const cJSON *item = json->child; item; item = item->next)
        if (!is_listed(item->string, keys))
            return refuse(f, item->string, "unknown_key", "is not a known key");
    return true;
}

bool fields_has(const fields *f, const char *key)
{
    return find(f, key) != NULL;
}

bool fields_require(const fields *f, const char *key)
{
    return fields_has(f, key) || refuse(f, key, "missing_field", "is required");
}

bool fields_str(const fields *f, const char *key, size_t max_bytes, const char *too_long_code, rag_str *out)
{
    const cJSON *item = find(f, key);
    if (!item)
        return true;
    if (!cJSON_IsString(item))
        return refuse(f, key, "invalid_type", "must be a string");
    rag_str s = rag_str_of(item->valuestring);
    if (s.len > max_bytes) {
        char param[96];
        snprintf(param, sizeof param, "%s%s", f->prefix, key);
        return problem_set(f->bad, 413, too_long_code, param, "'%s' is longer than %zu bytes", param, max_bytes);
    }
    *out = s;
    return true;
}

static bool take_str(const fields *f, const char *key, const cJSON *item, size_t max_bytes, rag_arena *arena, rag_str *out)
{
    char what[64];
    if (!cJSON_IsString(item))
        return refuse(f, key, "invalid_type", "must hold strings");
    rag_str s = rag_str_of(item->valuestring);
    snprintf(what, sizeof what, "must hold strings of 1 to %zu bytes", max_bytes);
    if (s.len == 0 || s.len > max_bytes)
        return refuse(f, key, "invalid_value", what);
    *out = rag_arena_str(arena, s);
    return true;
}

bool fields_strs(const fields *f, const char *key, bool or_one, size_t max_items, size_t max_bytes, rag_arena *arena,
                 const rag_str **out, size_t *n)
{
    char what[64];
    const cJSON *item = find(f, key);
    if (!item)
        return true;
    bool is_one = or_one && cJSON_IsString(item);
    if (!is_one && !cJSON_IsArray(item))
        return refuse(f, key, "invalid_type", or_one ? "must be a string or a list of strings" : "must be a list of strings");
    size_t count = is_one ? 1 : (size_t)cJSON_GetArraySize(item);
    snprintf(what, sizeof what, "must hold 1 to %zu strings", max_items);
    if (count == 0 || count > max_items)
        return refuse(f, key, "invalid_value", what);
    rag_str *list = rag_arena_array(arena, count, sizeof *list);
    const cJSON *one = is_one ? item : item->child;
    for (size_t i = 0; i < count; i++, one = one->next)
        if (!take_str(f, key, one, max_bytes, arena, &list[i]))
            return false;
    *out = list;
    *n = count;
    return true;
}

bool fields_num(const fields *f, const char *key, double min, double max, double *out)
{
    char what[96];
    const cJSON *item = find(f, key);
    if (!item)
        return true;
    if (!cJSON_IsNumber(item))
        return refuse(f, key, "invalid_type", "must be a number");
    if (item->valuedouble < min || item->valuedouble > max) {
        snprintf(what, sizeof what, "must lie between %.10g and %.10g", min, max);
        return refuse(f, key, "out_of_range", what);
    }
    *out = item->valuedouble;
    return true;
}

bool fields_int(const fields *f, const char *key, int64_t min, int64_t max, int64_t *out)
{
    double number = (double)*out;
    const cJSON *item = find(f, key);
    if (!item)
        return true;
    if (cJSON_IsNumber(item) && item->valuedouble != floor(item->valuedouble))
        return refuse(f, key, "invalid_type", "must be a whole number");
    if (!fields_num(f, key, (double)min, (double)max, &number))
        return false;
    *out = (int64_t)number;
    return true;
}

bool fields_bool(const fields *f, const char *key, bool *out)
{
    const cJSON *item = find(f, key);
    if (!item)
        return true;
    if (!cJSON_IsBool(item))
        return refuse(f, key, "invalid_type", "must be true or false");
    *out = cJSON_IsTrue(item);
    return true;
}

static void join(char *out, size_t size, const char *const *names)
{
    size_t n = 0;
    out[0] = '\0';
    for (; *names && n < size; names++)
        n += (size_t)snprintf(out + n, size - n, "%s%s", n > 0 ? ", " : "", *names);
}

bool fields_choice(const fields *f, const char *key, const char *const *names, int *out)
{
    char known[128], what[160];
    const cJSON *item = find(f, key);
    if (!item)
        return true;
    if (!cJSON_IsString(item))
        return refuse(f, key, "invalid_type", "must be a string");
    for (int i = 0; names[i]; i++)
        if (strcmp(names[i], item->valuestring) == 0) {
            *out = i;
            return true;
        }
    join(known, sizeof known, names);
    snprintf(what, sizeof what, "must be one of %s", known);
    return refuse(f, key, "unsupported_value", what);
}
