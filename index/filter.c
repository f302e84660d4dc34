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

/* Distinct for distinct filters: each name with its length in front. */
static char *key_of(const rag_filter *want)
{
    rag_buf key;
    rag_buf_init(&key, RAG_MAX_QUERY);
    rag_str collection = collection_of(want);
    rag_buf_putf(&key, "%zu:", collection.len);
    rag_buf_put(&key, collection);
    rag_buf_putc(&key, want->all_groups ? '*' : '=');
    for (size_t i = 0; !want->all_groups && i < want->n_groups; i++) {
        rag_buf_putf(&key, "%zu:", want->groups[i].len);
        rag_buf_put(&key, want->groups[i]);
    }
    if (key.overflow) {
        rag_buf_free(&key);
        return NULL;
    }
    return rag_buf_detach(&key);
}

void filter_free(filter *f)
{
    if (!f)
        return;
    free(f->key);
    free(f->bits);
    free(f);
}

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

static filter *make(const rag_snapshot *s, const rag_filter *want, uint32_t collection)
{
    filter *f = rag_calloc(1, sizeof *f);
    bool *admitted = rag_calloc(s->n_accesses, sizeof *admitted);
    bool all = is_all_collections(want->collection);
    double tokens = 0;
    f->bits = rag_calloc(bits_bytes(s->n), 1);
    for (size_t i = 0; i < s->n_accesses; i++)
        admitted[i] = filter_admits(want, rag_str_of(s->accesses[i]));
    for (size_t i = 0; i < s->n; i++) {
        const held_version *v = &s->versions[s->version_of[i]];
        if (!v->is_visible || !admitted[v->access] || (!all && v->collection != collection))
            continue;
        bit_set(f->bits, i);
        f->n_visible++;
        tokens += s->length[i];
    }
    f->mean_length = tokens > 0 ? tokens / (double)f->n_visible : 1;
    free(admitted);
    return f;
}

static const filter *find_cached(rag_snapshot *s, const char *key)
{
    for (size_t i = 0; i < s->n_filters; i++)
        if (strcmp(s->filters[i]->key, key) == 0)
            return s->filters[i];
    return NULL;
}

rag_code filter_get(rag_snapshot *s, const rag_filter *want, const filter **out, bool *cached, rag_err *err)
{
    uint32_t collection;
    rag_code code = find_collection(s, want, &collection, err);
    if (code != RAG_OK)
        return code;
    char *key = key_of(want);
    *cached = false;
    pthread_mutex_lock(&s->mu);
    *out = key ? find_cached(s, key) : NULL;
    pthread_mutex_unlock(&s->mu);
    if (*out) {
        *cached = true;
        free(key);
        return RAG_OK;
    }
    filter *f = make(s, want, collection);
    f->key = key;
    *out = f;
    pthread_mutex_lock(&s->mu);
    /* Two readers may have made the same one: both are right, and either may stay. */
    if (key && s->n_filters < MAX_CACHED_FILTERS) {
        s->filters[s->n_filters++] = f;
        *cached = true;
    }
    pthread_mutex_unlock(&s->mu);
    return RAG_OK;
}
