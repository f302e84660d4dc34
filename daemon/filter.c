/* daemon/filter.c: which documents a search may look at, as the request says. */
#include <string.h>

#include "base/file.h"
#include "daemon/reply.h"
#include "daemon/search.h"

enum { MAX_NAME = 128, MAX_PREFIX = 4096, MAX_GROUPS = 64, MAX_LANGUAGES = 8 };

static bool read_collection(const fields *f, rag_arena *arena, rag_str *out)
{
    rag_str name = RAG_STR("default");
    if (!fields_str(f, "collection", MAX_NAME, "collection_too_long", &name))
        return false;
    bool is_plain = name.len > 0 && !rag_str_eq(name, RAG_STR("*"));
    for (size_t i = 0; i < name.len; i++)
        is_plain = is_plain && (unsigned char)name.ptr[i] >= ' ' && name.ptr[i] != 0x7F;
    if (!is_plain)
        return problem_set(f->bad, 400, "invalid_value", "collection", "'collection' is not a name");
    *out = rag_arena_str(arena, name);
    return true;
}

static bool add_language(const fields *f, rag_str name, unsigned *langs)
{
    static const rag_lang known[] = { RAG_LANG_EN, RAG_LANG_ZH };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (rag_str_eq(name, rag_str_of(rag_lang_name(known[i])))) {
            *langs |= 1u << known[i];
            return true;
        }
    return problem_set(f->bad, 400, "unsupported_value", "filter.language", "'filter.language' must be of en, zh");
}

static bool read_languages(const fields *f, rag_arena *arena, unsigned *langs)
{
    const rag_str *names;
    size_t n = 0;
    if (!fields_strs(f, "language", true, MAX_LANGUAGES, MAX_NAME, arena, &names, &n))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!add_language(f, names[i], langs))
            return false;
    return true;
}

static bool read_prefix(const fields *f, rag_arena *arena, rag_str *out)
{
    rag_str prefix = { 0 };
    if (!fields_str(f, "path_prefix", MAX_PREFIX, "path_prefix_too_long", &prefix))
        return false;
    if (fields_has(f, "path_prefix") && prefix.len == 0)
        return problem_set(f->bad, 400, "invalid_value", "filter.path_prefix", "'filter.path_prefix' is empty");
    *out = rag_arena_str(arena, prefix);
    return true;
}

static bool read_time(const fields *f, const char *key, const char *param, int64_t *out)
{
    rag_str text = { 0 };
    if (!fields_str(f, key, MAX_NAME, "time_too_long", &text))
        return false;
    if (fields_has(f, key) && !rag_time_parse(text, out))
        return problem_set(f->bad, 400, "invalid_value", param,
                           "'%s' is not a time in UTC like 2026-11-24T08:00:00Z, of the years 1678 to 2261", param);
    return true;
}

static bool read_times(const fields *f, rag_filter *out)
{
    if (!read_time(f, "modified_after", "filter.modified_after", &out->modified_from_ns) ||
        !read_time(f, "modified_before", "filter.modified_before", &out->modified_before_ns))
        return false;
    if (fields_has(f, "modified_before") && out->modified_before_ns == 0)
        out->modified_before_ns = -1; /* 0 stands for no bound */
    return true;
}

/* Groups narrow what this caller may see, and never widen it: whoever may see open documents only has no group. */
static bool read_groups(const job *j, const fields *f, rag_filter *out)
{
    const rag_str *groups = NULL;
    size_t n = 0;
    if (!fields_strs(f, "groups", false, MAX_GROUPS, MAX_NAME, j->arena, &groups, &n))
        return false;
    out->all_groups = j->may_see_all && n == 0;
    if (j->may_see_all && n > 0) {
        out->groups = groups;
        out->n_groups = n;
    }
    return true;
}

bool search_read_filter(job *j, const fields *f, rag_filter *out)
{
    static const char *const keys[] = { "language", "path_prefix", "modified_after", "modified_before", "groups", NULL };
    fields inner;
    *out = (rag_filter){ .all_groups = j->may_see_all };
    if (!read_collection(f, j->arena, &out->collection))
        return false;
    if (!fields_has(f, "filter"))
        return true;
    return fields_open(&inner, cJSON_GetObjectItemCaseSensitive(f->object, "filter"), "filter.", keys, f->bad) &&
           read_languages(&inner, j->arena, &out->langs) && read_prefix(&inner, j->arena, &out->path_prefix) &&
           read_times(&inner, out) && read_groups(j, &inner, out);
}

/* ---- back ------------------------------------------------------------------------- */

static void render_time(json_writer *w, const char *key, int64_t ns)
{
    char time[32];
    rag_time_format(ns, time);
    if (ns != 0)
        json_cstr(w, key, time);
}

void render_filter(json_writer *w, const rag_filter *f)
{
    json_open(w, "filter", '{');
    json_str(w, "collection", f->collection);
    if (f->langs) {
        json_open(w, "language", '[');
        for (unsigned lang = 0; f->langs >> lang; lang++)
            if (f->langs >> lang & 1)
                json_cstr(w, NULL, rag_lang_name((rag_lang)lang));
        json_close(w, ']');
    }
    if (f->path_prefix.len > 0)
        json_str(w, "path_prefix", f->path_prefix);
    render_time(w, "modified_after", f->modified_from_ns);
    render_time(w, "modified_before", f->modified_before_ns);
    if (!f->all_groups) {
        json_open(w, "groups", '[');
        for (size_t i = 0; i < f->n_groups; i++)
            json_str(w, NULL, f->groups[i]);
        json_close(w, ']');
    }
    json_close(w, '}');
}
