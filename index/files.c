/* Which vector index is on disk: what a run publishes with, and when it is made anew. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "index/writer.h"

enum {
    MAX_DEAD_PART = 5,       /* of the positions: more is made anew */
    MAX_GROWTH = 2,          /* times the rows that it was trained with */
    MAX_HNSW_ADDED = 10000,  /* while a publish waits: it takes a millisecond and more a row */
};

typedef struct task {
    db *d;
    const char *dir;
    rag_index_type type;
    store_state st;
    kept_row *rows;
    size_t n;
} task;

static rag_code begin(task *t, rag_err *err)
{
    rag_code code = state_read_latest(t->d, &t->st, err);
    return code == RAG_OK && t->st.latest ? kept_count(t->d, t->st.model_id, &t->n, err) : code;
}

static rag_code read_rows(task *t, rag_err *err)
{
    return kept_positions(t->d, t->st.model_id, &t->rows, &t->n, err);
}

static bool has_many_dead(size_t all, size_t live)
{
    return all - live > all / MAX_DEAD_PART;
}

/* What there should be; auto leaves IVF again only at half of what made it so. */
static vectors_type wanted_type(const task *t, const vectors_shape *now)
{
    bool is_ivf = now && now->type == VECTORS_IVF;
    vectors_type type = VECTORS_FLAT;
    switch (t->type) {
    case RAG_INDEX_AUTO: type = t->n > VECTORS_FLAT_ROWS / (is_ivf ? 2 : 1) ? VECTORS_IVF : VECTORS_FLAT; break;
    case RAG_INDEX_FLAT: break;
    case RAG_INDEX_HNSW: type = VECTORS_HNSW; break;
    case RAG_INDEX_IVF: type = VECTORS_IVF; break;
    }
    return t->n < VECTORS_MIN_TRAINED ? VECTORS_FLAT : type;
}

/* ---- publishing ---------------------------------------------------------------------------------- */

static vectors_type quick_type(const task *t)
{
    return t->type == RAG_INDEX_FLAT ? VECTORS_FLAT : vectors_untrained_type(t->n);
}

/* Trained ones stay in use until they are made anew, whatever is dead in them. */
static bool may_stay(const task *t, const vectors *v)
{
    vectors_type type = vectors_shape_of(v).type;
    if (type == VECTORS_HNSW || type == VECTORS_IVF)
        return true;
    return type == quick_type(t) && !has_many_dead(vectors_count(v), t->n);
}

/* The index of the generation before, with what came since. */
static rag_code extend(const task *t, vectors **out, rag_err *err)
{
    vectors_identity before = state_identity(&t->st);
    vectors_shape shape;
    size_t n;
    before.generation = vectors_newest(t->dir, t->st.latest);
    rag_code code = before.generation ? vectors_peek(&shape, &n, t->dir, &before, err) : RAG_NOT_FOUND;
    if (code != RAG_OK)
        return code;
    size_t most = shape.type == VECTORS_HNSW ? MAX_HNSW_ADDED : SIZE_MAX;
    code = vectors_extend(out, t->d, t->dir, &before, t->rows, t->n, most, err);
    if (code == RAG_OK && !may_stay(t, *out)) {
        vectors_release(*out);
        *out = NULL;
        code = RAG_NOT_FOUND;
    }
    return code;
}

static rag_code build(task *t, vectors **out, vectors_type type, const atomic_bool *stop, rag_err *err)
{
    kept_row *rows = t->rows;
    t->rows = NULL;
    return vectors_build(out, t->d, t->st.dim, type, rows, t->n, stop, err);
}

static rag_code save_quickly(task *t, rag_err *err)
{
    vectors *v = NULL;
    rag_code code = begin(t, err);
    if (code != RAG_OK || t->n == 0)
        return code;
    vectors_identity id = state_identity(&t->st);
    code = read_rows(t, err);
    if (code == RAG_OK)
        code = extend(t, &v, NULL) == RAG_OK ? RAG_OK : build(t, &v, quick_type(t), NULL, err);
    if (code == RAG_OK)
        code = vectors_save(v, t->dir, &id, err);
    vectors_release(v);
    return code;
}

rag_code files_save(db *d, const char *dir, rag_index_type type, rag_err *err)
{
    task t = { .d = d, .dir = dir, .type = type };
    rag_err why;
    rag_code code = save_quickly(&t, &why);
    free(t.rows);
    if (code == RAG_CORRUPT)
        return rag_fail(err, code, "%.240s: `ragd-ingest --full` makes it anew", why.message);
    if (code != RAG_OK)
        rag_log(RAG_WARN, "vectors of generation %lld are not saved: %s", (long long)t.st.latest, why.message);
    return RAG_OK;
}

/* ---- making anew ----------------------------------------------------------------------------------- */

static bool is_due(const task *t, vectors_type *wanted)
{
    vectors_identity id = state_identity(&t->st);
    vectors_shape now;
    size_t n;
    bool there = vectors_peek(&now, &n, t->dir, &id, NULL) == RAG_OK;
    *wanted = wanted_type(t, there ? &now : NULL);
    if (!there || now.type != *wanted || n < t->n)
        return true;
    bool has_grown = now.type != VECTORS_FLAT && n >= (size_t)now.trained * MAX_GROWTH;
    return has_grown || has_many_dead(n, t->n);
}

/* The swap comes first: a daemon that sees the count finds the new files. */
static rag_code replace(task *t, vectors_type type, const atomic_bool *stop, rag_err *err)
{
    vectors *v = NULL;
    vectors_identity id = state_identity(&t->st);
    rag_code code = read_rows(t, err);
    if (code == RAG_OK)
        code = build(t, &v, type, stop, err);
    crash_point("renew_built");
    if (code == RAG_OK)
        code = vectors_save(v, t->dir, &id, err);
    crash_point("renew_saved");
    if (code == RAG_OK)
        code = meta_set_number(t->d, "files", t->st.files + 1, err);
    vectors_release(v);
    return code;
}

rag_code files_renew(db *d, const char *dir, rag_index_type type, const atomic_bool *stop, bool *renewed, rag_err *err)
{
    task t = { .d = d, .dir = dir, .type = type };
    vectors_type wanted;
    *renewed = false;
    rag_code code = begin(&t, err);
    if (code == RAG_OK && t.n > 0 && is_due(&t, &wanted)) {
        code = replace(&t, wanted, stop, err);
        *renewed = code == RAG_OK;
    }
    free(t.rows);
    return code;
}

rag_code rag_writer_renew_vectors(rag_writer *w, const atomic_bool *stop, bool *renewed, rag_err *err)
{
    bool ignored;
    if (!renewed)
        renewed = &ignored;
    *renewed = false;
    if (w->is_dry)
        return RAG_OK;
    rag_code code = writer_commit(w, err);
    return code == RAG_OK ? files_renew(w->db, w->ix->dir, w->ix->type, stop, renewed, err) : code;
}
