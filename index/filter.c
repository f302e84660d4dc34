#include <stdlib.h>
#include <string.h>

#include "index/snapshot.h"

static bool is_all_collections(rag_str name)
{
    return rag_str_eq(name, RAG_STR("*"));
}

static rag_str collection_of(const rag_filter *want)
{
    return want->collection.len ? want->collection : RAG_STR("default");
}

static bool is_asked_for(const rag_filter *want, rag_str group)
{
    for (size_t i = 0; i < want->n_groups; i++)
        if (rag_str_eq(want->groups[i], group))
            return true;
    return false;
}

bool filter_admits(const rag_filter *want, rag_str access)
{
    if (want->all_groups || access.len == 0)
        return true;
    for (size_t at = 0; at <= access.len;) {
        size_t comma = rag_str_find(access, RAG_STR(","), at);
        size_t end = comma == SIZE_MAX ? access.len : comma;
        if (is_asked_for(want, rag_str_sub(access, at, end)))
            return true;
        at = end + 1;
    }
    return false;
}

bool filter_admits_document(const rag_filter *want, rag_lang lang, int64_t mtime_ns)
{
    if (want->langs && ((unsigned)lang >= 8 * sizeof want->langs || !(want->langs >> lang & 1)))
        return false;
    return (!want->modified_from_ns || mtime_ns >= want->modified_from_ns) &&
           (!want->modified_before_ns || mtime_ns < want->modified_before_ns);
}

/* ---- keys ------------------------------------------------------------------------------------ */

static void put_name(rag_buf *key, rag_str name)
{
    rag_buf_putf(key, "%zu:", name.len);
    rag_buf_put(key, name);
}

/* Distinct for distinct filters: each name with its length in front. */
static char *key_of(const rag_filter *want)
{
    rag_buf key;
    rag_buf_init(&key, RAG_MAX_QUERY);
    put_name(&key, collection_of(want));
    put_name(&key, want->path_prefix);
    rag_buf_putf(&key, "%x,%lld,%lld%c", want->langs, (long long)want->modified_from_ns,
                 (long long)want->modified_before_ns, want->all_groups ? '*' : '=');
    for (size_t i = 0; !want->all_groups && i < want->n_groups; i++)
        put_name(&key, want->groups[i]);
    if (key.overflow) {
        rag_buf_free(&key);
        return NULL;
    }
    return rag_buf_detach(&key);
}

/* ---- a bitmap -------------------------------------------------------------------------------- */

static rag_code find_collection(const rag_snapshot *s, const rag_filter *want, uint32_t *out, rag_err *err)
{
    rag_str name = collection_of(want);
    *out = UINT32_MAX;
    for (size_t i = 0; i < s->n_collections; i++)
        if (rag_str_eq(rag_str_of(s->collections[i].name), name)) {
            *out = (uint32_t)i;
            return RAG_OK;
        }
    if (is_all_collections(name) || rag_str_eq(name, RAG_STR("default")))
        return RAG_OK;
    return rag_fail(err, RAG_NOT_FOUND, "no collection '%.*s'", RAG_STR_ARG(name));
}

/* 0: path begins with prefix; else the order of the two. */
static int compare_prefix(const char *path, rag_str prefix)
{
    size_t n = strnlen(path, prefix.len);
    int order = n ? memcmp(path, prefix.ptr, n) : 0;
    return order ? order : n < prefix.len ? -1 : 0;
}

/* The first version, in order of paths, that is not before the prefix, or that is behind all with it. */
static size_t find_prefix(const rag_snapshot *s, rag_str prefix, bool behind)
{
    size_t low = 0, high = s->n_versions;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_prefix(s->paths + s->versions[middle].path, prefix);
        if (order < 0 || (behind && order == 0))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* One byte a version: whether it is let through.  The one of the dead positions is not. */
static uint8_t *choose_versions(const rag_snapshot *s, const rag_filter *want, uint32_t collection)
{
    uint8_t *chosen = rag_calloc(s->n_versions + 1, sizeof *chosen);
    bool *admitted = rag_calloc(s->n_accesses, sizeof *admitted);
    bool all = is_all_collections(want->collection);
    size_t end = find_prefix(s, want->path_prefix, true);
    for (size_t i = 0; i < s->n_accesses; i++)
        admitted[i] = filter_admits(want, rag_str_of(s->accesses[i]));
    for (size_t i = find_prefix(s, want->path_prefix, false); i < end; i++) {
        const held_version *v = &s->versions[i];
        chosen[i] = v->is_visible && admitted[v->access] && (all || v->collection == collection) &&
                    filter_admits_document(want, (rag_lang)v->lang, v->mtime_ns);
    }
    free(admitted);
    return chosen;
}

static filter *make(const rag_snapshot *s, const rag_filter *want, uint32_t collection)
{
    filter *f = rag_calloc(1, sizeof *f);
    uint8_t *chosen = choose_versions(s, want, collection);
    double tokens = 0;
    f->refs = 1;
    f->bits = rag_calloc(bits_bytes(s->n), 1);
    for (size_t i = 0; i < s->n; i++) {
        if (!chosen[s->version_of[i]])
            continue;
        bit_set(f->bits, i);
        f->n_visible++;
        tokens += s->length[i];
    }
    f->mean_length = tokens > 0 ? tokens / (double)f->n_visible : 1;
    free(chosen);
    return f;
}

static void destroy(filter *f)
{
    free(f->key);
    free(f->bits);
    free(f);
}

/* ---- the latest used ones, under the snapshot's lock --------------------------------------------- */

static void put_in_front(rag_snapshot *s, filter *f, size_t place)
{
    memmove(&s->filters[1], &s->filters[0], place * sizeof *s->filters);
    s->filters[0] = f;
}

static filter *take_cached(rag_snapshot *s, const char *key)
{
    for (size_t i = 0; i < s->n_filters; i++)
        if (strcmp(s->filters[i]->key, key) == 0) {
            filter *f = s->filters[i];
            put_in_front(s, f, i);
            f->refs++;
            return f;
        }
    return NULL;
}

/* Returns what had to go for it, if nobody uses that any more. */
static filter *cache(rag_snapshot *s, filter *f)
{
    filter *last = NULL;
    if (s->n_filters == MAX_CACHED_FILTERS)
        last = s->filters[--s->n_filters];
    put_in_front(s, f, s->n_filters++);
    f->refs++;
    return last && --last->refs == 0 ? last : NULL;
}

static filter *find(rag_snapshot *s, const char *key)
{
    pthread_mutex_lock(&s->mu);
    filter *f = key ? take_cached(s, key) : NULL;
    pthread_mutex_unlock(&s->mu);
    return f;
}

/* Gives what is to be used in f's place when another reader has made the same meanwhile. */
static filter *share(rag_snapshot *s, filter *f)
{
    pthread_mutex_lock(&s->mu);
    filter *same = take_cached(s, f->key), *gone = same ? f : cache(s, f);
    pthread_mutex_unlock(&s->mu);
    if (gone)
        destroy(gone);
    return same ? same : f;
}

rag_code filter_get(rag_snapshot *s, const rag_filter *want, const filter **out, rag_err *err)
{
    uint32_t collection;
    *out = NULL;
    rag_code code = find_collection(s, want, &collection, err);
    if (code != RAG_OK)
        return code;
    char *key = key_of(want);
    filter *f = find(s, key);
    if (f) {
        free(key);
    } else {
        f = make(s, want, collection);
        f->key = key;
        if (key)
            f = share(s, f);
    }
    *out = f;
    return RAG_OK;
}

void filter_release(rag_snapshot *s, const filter *f)
{
    filter *mine = (filter *)f;
    if (!mine)
        return;
    pthread_mutex_lock(&s->mu);
    bool is_last = --mine->refs == 0;
    pthread_mutex_unlock(&s->mu);
    if (is_last)
        destroy(mine);
}

void filter_forget_all(rag_snapshot *s)
{
    for (size_t i = 0; i < s->n_filters; i++)
        destroy(s->filters[i]);
    s->n_filters = 0;
}
