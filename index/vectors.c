#include "index/vectors.h"

#include <stdlib.h>
#include <string.h>

#include "index/vectors_impl.h"

/* Up to so many visible positions, or this part of all, each is looked at: it takes about 4 ms. */
enum { FEW_ROWS = 20000, FEW_PART = 50, FEW_PART_HNSW = 10 };
enum { HNSW_LINK_BYTES = 2 * 32 * 4 + 16 };

rag_code faiss_fail(rag_err *err, const char *doing)
{
    return rag_fail(err, RAG_IO, "cannot %s: FAISS: %s", doing, faiss_get_last_error());
}

const char *vectors_type_name(vectors_type type)
{
    static const char *const names[] = { "Flat", "SQ8", "HNSW", "IVF" };
    return names[type];
}

vectors_type vectors_untrained_type(size_t n)
{
    return n <= VECTORS_FLAT_ROWS ? VECTORS_FLAT : VECTORS_SQ8;
}

/* ---- wrap ------------------------------------------------------------------------------------ */

static const float *floats_of(FaissIndex *flat)
{
    float *rows;
    size_t floats;
    faiss_IndexFlat_xb(faiss_IndexFlat_cast(flat), &rows, &floats);
    return rows;
}

static size_t place_codes(vectors *v, const vectors_list *list)
{
    size_t placed = 0;
    for (size_t i = 0; i < list->n; i++) {
        idx_t at = list->ids[i];
        if (at < 0 || (size_t)at >= v->n || v->code_of[at])
            break;
        v->code_of[at] = list->codes + i * v->dim;
        placed++;
    }
    return placed;
}

static rag_code find_lists(vectors *v, rag_err *err)
{
    const FaissIndexIVF *ivf = faiss_IndexIVF_cast(v->index);
    size_t placed = 0;
    FaissIndex *centroids = faiss_IndexIVF_quantizer(ivf);
    if (faiss_IndexIVF_nlist(ivf) != v->shape.lists || (size_t)faiss_Index_ntotal(centroids) != v->shape.lists ||
        fx_Index_kind(centroids) != FX_FLAT || (size_t)faiss_Index_d(centroids) != v->dim)
        return rag_fail(err, RAG_CORRUPT, "the vector index does not have %u lists", v->shape.lists);
    v->centroids = floats_of(centroids);
    v->lists = rag_calloc(v->shape.lists, sizeof *v->lists);
    v->code_of = rag_calloc(v->n, sizeof *v->code_of);
    for (size_t l = 0; l < v->shape.lists; l++) {
        v->lists[l] = (vectors_list){ fx_IndexIVF_list_ids(v->index, l), fx_IndexIVF_list_codes(v->index, l),
                                      faiss_IndexIVF_get_list_size(ivf, l) };
        placed += place_codes(v, &v->lists[l]);
    }
    return placed == v->n ? RAG_OK : rag_fail(err, RAG_CORRUPT, "the lists do not hold each of %zu vectors once", v->n);
}

static rag_code find_codes(vectors *v, rag_err *err)
{
    static const fx_kind kinds[] = { FX_FLAT, FX_SQ8, FX_HNSW_SQ8, FX_IVF_SQ8 };
    if (fx_Index_kind(v->index) != kinds[v->shape.type])
        return rag_fail(err, RAG_CORRUPT, "the vector index is not of type %s", vectors_type_name(v->shape.type));
    if (v->shape.type == VECTORS_FLAT) {
        v->rows = floats_of(v->index);
        return RAG_OK;
    }
    fx_Index_ranges(v->index, &v->low, &v->span);
    if (v->shape.type == VECTORS_IVF)
        return find_lists(v, err);
    v->codes = fx_Index_codes(v->index);
    return RAG_OK;
}

static size_t few_of(const vectors *v)
{
    size_t part = v->n / (v->shape.type == VECTORS_HNSW ? FEW_PART_HNSW : FEW_PART);
    return part > FEW_ROWS ? part : FEW_ROWS;
}

rag_code vectors_wrap(vectors **out, FaissIndex *index, const vectors_shape *shape, kept_row *positions, size_t n,
                      rag_err *err)
{
    vectors *v = rag_calloc(1, sizeof *v);
    atomic_init(&v->refs, 1);
    v->index = index;
    v->shape = *shape;
    v->n = n;
    v->dim = index ? (size_t)faiss_Index_d(index) : 0;
    v->few = few_of(v);
    rag_code code = index ? find_codes(v, err) : RAG_OK;
    if (code != RAG_OK) {
        free(v->code_of);
        free(v->lists);
        free(v);
        return code;
    }
    v->positions = positions;
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
    free(v->code_of);
    free(v->lists);
    free(v->positions);
    free(v);
}

size_t vectors_count(const vectors *v)
{
    return v->n;
}

size_t vectors_bytes(const vectors *v)
{
    size_t row = sizeof(kept_row) + v->dim * (v->shape.type == VECTORS_FLAT ? sizeof(float) : 1);
    if (v->shape.type == VECTORS_HNSW)
        row += HNSW_LINK_BYTES;
    if (v->shape.type == VECTORS_IVF)
        row += sizeof(idx_t) + sizeof *v->code_of;
    return v->n * row + v->shape.lists * v->dim * sizeof(float);
}

vectors_shape vectors_shape_of(const vectors *v)
{
    return v->shape;
}

const kept_row *vectors_positions(const vectors *v)
{
    return v->positions;
}

/* ---- positions --------------------------------------------------------------------------------- */

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

bool vectors_hold(const vectors *v, const kept_row *kept, size_t n)
{
    size_t at = 0;
    for (size_t i = 0; i < n; i++, at++) {
        while (at < v->n && v->positions[at].chunk_id < kept[i].chunk_id)
            at++;
        if (at == v->n || v->positions[at].chunk_id != kept[i].chunk_id ||
            v->positions[at].embedding_id != kept[i].embedding_id)
            return false;
    }
    return true;
}
