/* A snapshot's vectors, and its arrays in their order. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "index/store.h"

/* Where the index stands in for rows that are gone, from this part of it on the files are looked at for a fresh one. */
enum { MAX_DEAD_PART = 5 };

static bool is_same_store(const store_state *a, const store_state *b)
{
    return a->model_id == b->model_id && a->files == b->files && strcmp(a->epoch, b->epoch) == 0 &&
           strcmp(a->store_id, b->store_id) == 0;
}

static bool serves(const rag_snapshot *like, const rag_snapshot *s, const kept_row *rows, size_t n)
{
    if (!like || like->state.model_id != s->state.model_id || strcmp(like->state.epoch, s->state.epoch) != 0 ||
        strcmp(like->state.store_id, s->state.store_id) != 0)
        return false;
    return vectors_hold(like->vectors, rows, n);
}

static bool is_best(const rag_snapshot *like, const rag_snapshot *s, size_t n)
{
    size_t all = vectors_count(like->vectors);
    return is_same_store(&like->state, &s->state) && all - n <= all / MAX_DEAD_PART;
}

static void share(rag_snapshot *s, rag_snapshot *like)
{
    vectors_retain(like->vectors);
    s->vectors = like->vectors;
}

static rag_code load(rag_snapshot *s, const char *dir, const kept_row *rows, size_t n, rag_err *err)
{
    vectors_identity id = state_identity(&s->state);
    if (s->state.model_id != s->state.files_model_id)
        return rag_fail(err, RAG_NOT_FOUND, "it has an older model");
    return vectors_load(&s->vectors, dir, &id, rows, n, err);
}

/* Not trained: a daemon shall serve soon, and stay small. */
static rag_code build(rag_snapshot *s, db *d, const kept_row *rows, size_t n, rag_err *err)
{
    kept_row *copy = rag_alloc(n * sizeof *copy + 1);
    if (n > 0)
        memcpy(copy, rows, n * sizeof *copy);
    return vectors_build(&s->vectors, d, s->state.dim, vectors_untrained_type(n), copy, n, NULL, err);
}

/* The arrays were filled a row that kb.db keeps; dead positions belong to a version that nobody sees. */
static void align(rag_snapshot *s, const kept_row *rows, size_t n)
{
    size_t all = vectors_count(s->vectors), i = 0;
    const kept_row *positions = vectors_positions(s->vectors);
    s->n = all;
    if (all == n)
        return;
    uint32_t *version_of = rag_alloc(all * sizeof *version_of);
    float *length = rag_calloc(all, sizeof *length);
    for (size_t at = 0; at < all; at++) {
        bool is_live = i < n && rows[i].chunk_id == positions[at].chunk_id;
        version_of[at] = is_live ? s->version_of[i] : (uint32_t)s->n_versions;
        length[at] = is_live ? s->length[i] : 0;
        i += is_live;
    }
    s->versions = rag_realloc(s->versions, (s->n_versions + 1) * sizeof *s->versions);
    s->versions[s->n_versions] = (held_version){ .is_visible = false };
    free(s->version_of);
    free(s->length);
    s->version_of = version_of;
    s->length = length;
}

rag_code snapshot_take_vectors(rag_snapshot *s, db *d, const char *dir, rag_snapshot *like, const kept_row *rows, size_t n,
                               rag_err *err)
{
    rag_err why;
    rag_code code = RAG_OK;
    bool can_share = serves(like, s, rows, n);
    if (can_share && is_best(like, s, n)) {
        share(s, like);
    } else if ((code = load(s, dir, rows, n, &why)) != RAG_OK && can_share) {
        share(s, like);
        code = RAG_OK;
    } else if (code != RAG_OK) {
        if (n > 0)
            rag_log(code == RAG_CORRUPT ? RAG_WARN : RAG_INFO, "vectors of generation %lld are made again: %s",
                    (long long)s->state.generation, why.message);
        code = build(s, d, rows, n, err);
    }
    if (code == RAG_OK)
        align(s, rows, n);
    return code;
}
