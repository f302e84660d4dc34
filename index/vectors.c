#include "index/vectors.h"

#include <omp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "index/faiss_c.h"
#include "index/vectors_impl.h"

enum { MAX_DIM = 16384 };

rag_code faiss_fail(rag_err *err, const char *doing)
{
    return rag_fail(err, RAG_IO, "cannot %s: FAISS: %s", doing, faiss_get_last_error());
}

rag_code vectors_wrap(vectors **out, FaissIndex *index, kept_row *positions, size_t n, rag_err *err)
{
    FaissIndexFlat *flat = index ? faiss_IndexFlat_cast(index) : NULL;
    size_t floats = 0;
    float *rows = NULL;
    if (index && !flat)
        return rag_fail(err, RAG_CORRUPT, "the vector index is not a flat one");
    if (flat)
        faiss_IndexFlat_xb(flat, &rows, &floats);
    vectors *v = rag_calloc(1, sizeof *v);
    atomic_init(&v->refs, 1);
    v->index = index;
    v->rows = rows;
    v->dim = index ? (size_t)faiss_Index_d(index) : 0;
    v->positions = positions;
    v->n = n;
    *out = v;
    return RAG_OK;
}

void vectors_retain(vectors *v)
{
    atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
}

void vectors_release(vectors *v)
{
    if (!v || atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) != 1)
        return;
    faiss_Index_free(v->index);
    free(v->positions);
    free(v);
}

size_t vectors_count(const vectors *v)
{
    return v->n;
}

size_t vectors_bytes(const vectors *v)
{
    return v->n * (v->dim * sizeof(float) + sizeof(kept_row));
}

const kept_row *vectors_positions(const vectors *v)
{
    return v->positions;
}

/* ---- from kb.db --------------------------------------------------------------------------- */

static rag_code check_embedding(sqlite3_stmt *st, int64_t id, int dim, rag_err *err)
{
    rag_str bytes = column_str(st, 0);
    if (bytes.len != (size_t)dim * sizeof(float))
        return rag_fail(err, RAG_CORRUPT, "embedding %lld has %zu bytes, not %zu", (long long)id, bytes.len,
                        (size_t)dim * sizeof(float));
    if (rag_xxh3(bytes, 0) != (uint64_t)sqlite3_column_int64(st, 1))
        return rag_fail(err, RAG_CORRUPT, "embedding %lld does not have its checksum", (long long)id);
    return RAG_OK;
}

static rag_code read_embedding(db *d, int64_t id, int dim, float *out, rag_err *err)
{
    sqlite3_stmt *st;
    bool row = false;
    rag_code code = db_query(d, &st, "SELECT vector, sum FROM embeddings WHERE id = ?", BIND(num(id)), err);
    if (code == RAG_OK)
        code = db_step(d, st, &row, err);
    if (code == RAG_OK && !row)
        code = rag_fail(err, RAG_CORRUPT, "embedding %lld is missing", (long long)id);
    if (code == RAG_OK)
        code = check_embedding(st, id, dim, err);
    if (code == RAG_OK)
        memcpy(out, column_str(st, 0).ptr, (size_t)dim * sizeof(float));
    db_done(st);
    return code;
}

static rag_code read_all(db *d, int dim, const kept_row *positions, size_t n, float *out, rag_err *err)
{
    rag_code code = RAG_OK;
    for (size_t i = 0; code == RAG_OK && i < n; i++)
        code = read_embedding(d, positions[i].embedding_id, dim, out + i * (size_t)dim, err);
    return code;
}

rag_code vectors_build(vectors **out, db *d, int dim, kept_row *positions, size_t n, rag_err *err)
{
    FaissIndex *index = NULL;
    float *rows = NULL;
    rag_code code = RAG_OK;
    *out = NULL;
    if (n > 0 && (dim <= 0 || dim > MAX_DIM))
        code = rag_fail(err, RAG_CORRUPT, "the embedder's dimension is %d", dim);
    if (code != RAG_OK || n == 0)
        goto out;
    rows = rag_alloc(n * (size_t)dim * sizeof(float));
    code = read_all(d, dim, positions, n, rows, err);
    if (code == RAG_OK && (faiss_IndexFlatIP_new_with(&index, dim) || faiss_Index_add(index, (idx_t)n, rows)))
        code = faiss_fail(err, "build the vector index");
out:
    free(rows);
    if (code == RAG_OK)
        code = vectors_wrap(out, index, positions, n, err);
    if (code != RAG_OK) {
        faiss_Index_free(index);
        free(positions);
    }
    return code;
}

/* ---- search ------------------------------------------------------------------------------- */

size_t vectors_find(const vectors *v, int64_t chunk_id, size_t hint)
{
    size_t low = hint, high = v->n;
    if (low >= high || v->positions[low].chunk_id > chunk_id)
        return SIZE_MAX;
    /* Ids ascend by one at least, so the position is no farther than the id. */
    uint64_t gap = (uint64_t)(chunk_id - v->positions[low].chunk_id);
    if (gap < high - low)
        high = low + gap + 1;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (v->positions[middle].chunk_id <= chunk_id)
            low = middle;
        else
            high = middle;
    }
    return v->positions[low].chunk_id == chunk_id ? low : SIZE_MAX;
}

float vectors_score(const vectors *v, const float *query, size_t at)
{
    const float *row = v->rows + at * v->dim;
    float sum = 0;
    for (size_t i = 0; i < v->dim; i++)
        sum += row[i] * query[i];
    return sum;
}

static int search_some(const vectors *v, const float *query, const uint8_t *bits, size_t k, int64_t *at, float *scores)
{
    FaissIDSelectorBitmap *selector = NULL;
    FaissSearchParameters *params = NULL;
    int rc = faiss_IDSelectorBitmap_new(&selector, (v->n + 7) / 8, bits);
    if (!rc)
        rc = faiss_SearchParameters_new(&params, (FaissIDSelector *)selector);
    if (!rc)
        rc = faiss_Index_search_with_params(v->index, 1, query, (idx_t)k, params, scores, at);
    faiss_SearchParameters_free(params);
    faiss_IDSelectorBitmap_free(selector);
    return rc;
}

rag_code vectors_search(const vectors *v, const float *query, const uint8_t *bits, size_t k, int64_t *positions,
                        float *scores, size_t *n, rag_err *err)
{
    *n = 0;
    if (v->n == 0 || k == 0)
        return RAG_OK;
    if (k > v->n)
        k = v->n;
    /* One query is one thread's work; more only wait for each other. */
    omp_set_num_threads(1);
    int rc = bits ? search_some(v, query, bits, k, positions, scores)
                  : faiss_Index_search(v->index, 1, query, (idx_t)k, scores, positions);
    if (rc)
        return faiss_fail(err, "search the vector index");
    while (*n < k && positions[*n] >= 0)
        ++*n;
    return RAG_OK;
}
