#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "index/vectors_impl.h"

enum {
    MANY_ROWS = 20000,        /* from here on training and adding use every core */
    LISTS_FACTOR = 4,         /* lists: this times the root of the rows */
    SAMPLE_PER_LIST = 48,     /* FAISS asks for 39 at least */
    SAMPLE_MIN = 16384,       /* for the ranges of the codes */
};

typedef struct builder {
    db *d;
    size_t dim;
    const kept_row *rows;
    size_t n;
    const atomic_bool *stop;
    FaissIndex *index;
    vectors_shape shape;
    truth *truth; /* NULL: exact, or not measured */
} builder;

/* ---- embeddings --------------------------------------------------------------------------------- */

static rag_code check_embedding(sqlite3_stmt *st, int64_t id, size_t dim, rag_err *err)
{
    rag_str bytes = column_str(st, 0);
    if (bytes.len != dim * sizeof(float))
        return rag_fail(err, RAG_CORRUPT, "embedding %lld has %zu bytes, not %zu", (long long)id, bytes.len,
                        dim * sizeof(float));
    if (rag_xxh3(bytes, 0) != (uint64_t)sqlite3_column_int64(st, 1))
        return rag_fail(err, RAG_CORRUPT, "embedding %lld does not have its checksum", (long long)id);
    return RAG_OK;
}

rag_code embedding_read(db *d, int64_t id, size_t dim, float *out, rag_err *err)
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
        memcpy(out, column_str(st, 0).ptr, dim * sizeof(float));
    db_done(st);
    return code;
}

static rag_code check_stop(const atomic_bool *stop, rag_err *err)
{
    return stop && atomic_load(stop) ? rag_fail(err, RAG_CANCELED, "interrupted while building the vector index") : RAG_OK;
}

static rag_code read_block(builder *b, size_t from, size_t n, float *out, rag_err *err)
{
    rag_code code = check_stop(b->stop, err);
    for (size_t i = 0; code == RAG_OK && i < n; i++)
        code = embedding_read(b->d, b->rows[from + i].embedding_id, b->dim, out + i * b->dim, err);
    return code;
}

/* ---- training ------------------------------------------------------------------------------------- */

static uint32_t lists_for(size_t n)
{
    size_t lists = (size_t)(LISTS_FACTOR * sqrt((double)n)), most = n / SAMPLE_PER_LIST;
    lists = lists < most ? lists : most;
    return lists ? (uint32_t)lists : 1;
}

static int make_ivf(builder *b, FaissIndex **out)
{
    FaissIndexFlatIP *centroids = NULL;
    FaissIndexIVFScalarQuantizer *ivf = NULL;
    b->shape.lists = lists_for(b->n);
    int rc = faiss_IndexFlatIP_new_with(&centroids, (idx_t)b->dim);
    /* Not of residuals: then a code means the same in every list. */
    if (!rc)
        rc = faiss_IndexIVFScalarQuantizer_new_with_metric(&ivf, (FaissIndex *)centroids, b->dim, b->shape.lists, QT_8bit,
                                                           METRIC_INNER_PRODUCT, 0);
    if (rc) {
        faiss_Index_free((FaissIndex *)centroids);
        return rc;
    }
    faiss_IndexIVFScalarQuantizer_set_own_fields(ivf, 1);
    *out = (FaissIndex *)ivf;
    return 0;
}

static rag_code make_empty(builder *b, rag_err *err)
{
    int rc = 0;
    switch (b->shape.type) {
    case VECTORS_FLAT: rc = faiss_IndexFlatIP_new_with((FaissIndexFlatIP **)&b->index, (idx_t)b->dim); break;
    case VECTORS_SQ8:
        rc = faiss_IndexScalarQuantizer_new_with((FaissIndexScalarQuantizer **)&b->index, (idx_t)b->dim, QT_8bit,
                                                 METRIC_INNER_PRODUCT);
        break;
    case VECTORS_HNSW: rc = faiss_index_factory(&b->index, (int)b->dim, "HNSW32,SQ8", METRIC_INNER_PRODUCT); break;
    case VECTORS_IVF: rc = make_ivf(b, &b->index); break;
    }
    return rc ? faiss_fail(err, "make the vector index") : RAG_OK;
}

/* Every row has the same chance, and rows are read in their order (Knuth, algorithm S). */
static rag_code read_sample(builder *b, float *out, size_t wanted, rag_err *err)
{
    uint64_t state = 1;
    size_t taken = 0;
    rag_code code = RAG_OK;
    for (size_t i = 0; code == RAG_OK && i < b->n && taken < wanted; i++)
        if (draw(&state) % (b->n - i) < wanted - taken)
            code = read_block(b, i, 1, out + taken++ * b->dim, err);
    return code;
}

static rag_code train(builder *b, rag_err *err)
{
    size_t wanted = b->shape.lists * (size_t)SAMPLE_PER_LIST;
    if (b->shape.type == VECTORS_FLAT)
        return RAG_OK;
    wanted = wanted > SAMPLE_MIN ? wanted : SAMPLE_MIN;
    wanted = wanted < b->n ? wanted : b->n;
    float *sample = rag_alloc(wanted * b->dim * sizeof *sample);
    rag_code code = read_sample(b, sample, wanted, err);
    if (code == RAG_OK && faiss_Index_train(b->index, (idx_t)wanted, sample))
        code = faiss_fail(err, "train the vector index");
    free(sample);
    return code;
}

/* ---- adding ----------------------------------------------------------------------------------------- */

static rag_code add_block(builder *b, const float *block, size_t n, rag_err *err)
{
    rag_code code = b->truth ? truth_look(b->truth, block, n, err) : RAG_OK;
    if (code == RAG_OK && faiss_Index_add(b->index, (idx_t)n, block))
        code = faiss_fail(err, "add to the vector index");
    return code;
}

static rag_code add_all(builder *b, rag_err *err)
{
    float *block = rag_alloc(VECTORS_BLOCK * b->dim * sizeof *block);
    rag_code code = RAG_OK;
    for (size_t from = 0; code == RAG_OK && from < b->n; from += VECTORS_BLOCK) {
        size_t n = b->n - from < VECTORS_BLOCK ? b->n - from : VECTORS_BLOCK;
        code = read_block(b, from, n, block, err);
        if (code == RAG_OK)
            code = add_block(b, block, n, err);
    }
    free(block);
    return code;
}

/* ---- from nothing ------------------------------------------------------------------------------------ */

static bool is_trained(vectors_type type)
{
    return type == VECTORS_HNSW || type == VECTORS_IVF;
}

static void use_threads(const builder *b)
{
    bool many = is_trained(b->shape.type) && b->n >= MANY_ROWS;
    omp_set_num_threads(many ? omp_get_num_procs() : 1);
}

static bool is_set(const void *stop)
{
    return atomic_load((const atomic_bool *)stop);
}

static rag_code make(builder *b, rag_err *err)
{
    rag_code code = make_empty(b, err);
    use_threads(b);
    if (b->stop)
        fx_set_interrupt(is_set, b->stop);
    if (code == RAG_OK)
        code = train(b, err);
    if (code == RAG_OK && is_trained(b->shape.type))
        code = truth_new(&b->truth, b->shape.type, b->d, b->dim, b->rows, b->n, err);
    if (code == RAG_OK)
        code = add_all(b, err);
    if (b->stop)
        fx_set_interrupt(NULL, NULL);
    omp_set_num_threads(1);
    return b->stop && is_set(b->stop) ? check_stop(b->stop, err) : code;
}

static vectors_type possible_type(vectors_type type, size_t n)
{
    return is_trained(type) && n < VECTORS_MIN_TRAINED ? VECTORS_FLAT : type;
}

static rag_code check_dim(int dim, rag_err *err)
{
    if (dim <= 0 || dim > VECTORS_MAX_DIM)
        return rag_fail(err, RAG_CORRUPT, "the embedder's dimension is %d", dim);
    return RAG_OK;
}

rag_code vectors_build(vectors **out, db *d, int dim, vectors_type type, kept_row *positions, size_t n,
                       const atomic_bool *stop, rag_err *err)
{
    builder b = { .d = d, .dim = (size_t)dim, .rows = positions, .n = n, .stop = stop };
    b.shape = (vectors_shape){ .type = possible_type(type, n), .trained = (int64_t)n };
    b.shape.recall = b.shape.type == VECTORS_FLAT ? 1000 : 0;
    *out = NULL;
    rag_code code = n > 0 ? check_dim(dim, err) : RAG_OK;
    if (code == RAG_OK && n > 0)
        code = make(&b, err);
    if (code == RAG_OK)
        code = vectors_wrap(out, b.index, &b.shape, positions, n, err);
    if (code != RAG_OK) {
        faiss_Index_free(b.index);
        free(positions);
    } else if (b.truth) {
        code = truth_tune(b.truth, *out, d, err);
    }
    truth_free(b.truth);
    if (code != RAG_OK) {
        vectors_release(*out);
        *out = NULL;
    }
    return code;
}

/* ---- from an older one ---------------------------------------------------------------------------------- */

/* The positions of before, and the rows that came since. */
static void append_rows(vectors_raw *l, const kept_row *kept, size_t n, size_t *first)
{
    int64_t last = l->positions[l->manifest.n - 1].chunk_id;
    size_t from = n;
    while (from > 0 && kept[from - 1].chunk_id > last)
        from--;
    *first = from;
    l->positions = rag_realloc(l->positions, (l->manifest.n + n - from) * sizeof *l->positions);
    if (from < n)
        memcpy(l->positions + l->manifest.n, kept + from, (n - from) * sizeof *kept);
}

static rag_code extend(vectors **out, vectors_raw *l, db *d, size_t dim, const kept_row *kept, size_t n, size_t most,
                       rag_err *err)
{
    size_t first;
    append_rows(l, kept, n, &first);
    if (n - first > most) {
        vectors_raw_free(l);
        return rag_fail(err, RAG_INVALID, "%zu rows are too many to add", n - first);
    }
    builder b = { .d = d, .dim = dim, .rows = kept + first, .n = n - first, .index = l->index };
    omp_set_num_threads(b.n >= MANY_ROWS ? omp_get_num_procs() : 1);
    rag_code code = add_all(&b, err);
    omp_set_num_threads(1);
    if (code == RAG_OK)
        code = vectors_wrap(out, l->index, &l->manifest.shape, l->positions, l->manifest.n + b.n, err);
    if (code != RAG_OK)
        vectors_raw_free(l);
    return code;
}

rag_code vectors_extend(vectors **out, db *d, const char *dir, const vectors_identity *id, const kept_row *kept, size_t n,
                        size_t most, rag_err *err)
{
    vectors_raw l;
    *out = NULL;
    if (n == 0)
        return rag_fail(err, RAG_INVALID, "no row is kept");
    rag_code code = vectors_load_raw(&l, dir, id, err);
    if (code == RAG_OK)
        code = extend(out, &l, d, (size_t)id->dim, kept, n, most, err);
    if (code == RAG_OK && !vectors_hold(*out, kept, n)) {
        vectors_release(*out);
        *out = NULL;
        code = rag_fail(err, RAG_INVALID, "generation %lld has other rows", (long long)id->generation);
    }
    return code;
}
