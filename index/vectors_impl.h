/* index/vectors_impl.h: what the files of vectors share.
 *
 *   vectors.c           a set of vectors in memory, its positions
 *   vectors_search.c    a query over it
 *   vectors_manifest.c  what the files say of themselves
 *   vectors_file.c      saving and loading
 *   vectors_build.c     from the embeddings in kb.db: training, adding
 *   vectors_tune.c      how many lists or nodes a query must look at */
#ifndef RAG_INDEX_VECTORS_IMPL_H
#define RAG_INDEX_VECTORS_IMPL_H

#include "index/faiss_c.h"
#include "index/vectors.h"

enum { VECTORS_MAX_DIM = 16384, VECTORS_BLOCK = 16384 };

/* One of IVF's. */
typedef struct vectors_list {
    const idx_t *ids; /* positions */
    const uint8_t *codes;
    size_t n;
} vectors_list;

struct vectors {
    atomic_int refs;
    FaissIndex *index; /* NULL when there is no row */
    vectors_shape shape;
    size_t dim;
    kept_row *positions;
    size_t n;
    size_t few; /* visible positions up to which all are looked at */

    /* The index's own memory: */
    const float *rows;             /* Flat */
    const uint8_t *codes;          /* SQ8, HNSW */
    const float *centroids;        /* IVF */
    vectors_list *lists;           /* IVF */
    const uint8_t **code_of;       /* IVF, by position */
    const float *low, *span;       /* of the codes */
};

/* Takes index and positions over when it succeeds; RAG_CORRUPT when the index is not of the shape's type. */
rag_code vectors_wrap(vectors **out, FaissIndex *index, const vectors_shape *shape, kept_row *positions, size_t n,
                      rag_err *err);
rag_code faiss_fail(rag_err *err, const char *doing);

/* One vector out of kb.db; RAG_CORRUPT when it is missing or damaged. */
rag_code embedding_read(db *d, int64_t id, size_t dim, float *out, rag_err *err);

/* ---- manifest ------------------------------------------------------------------------------------- */

typedef struct file_sum {
    int64_t bytes;
    uint64_t xxh3;
} file_sum;

typedef struct manifest {
    vectors_shape shape;
    size_t n;
    file_sum index, positions;
} manifest;

enum { MANIFEST_MAX = 2048 };

void manifest_render(char out[MANIFEST_MAX], const vectors_identity *id, const manifest *m);
/* Whether the text is the manifest of this identity, byte for byte, and what it says then. */
bool manifest_parse(manifest *out, const vectors_identity *id, rag_str text);

/* What files hold, apart. */
typedef struct vectors_raw {
    manifest manifest;
    FaissIndex *index;
    kept_row *positions;
} vectors_raw;

rag_code vectors_load_raw(vectors_raw *out, const char *dir, const vectors_identity *id, rag_err *err);
void vectors_raw_free(vectors_raw *l);

/* ---- tuning --------------------------------------------------------------------------------------- */

/* Questions for an index of this type, made of stored vectors, and what of the rows is best for them, by exact search. */
typedef struct truth truth;
rag_code truth_new(truth **out, vectors_type type, db *d, size_t dim, const kept_row *rows, size_t n, rag_err *err);
void truth_free(truth *t); /* copes with NULL */
/* The next rows, in order. */
rag_code truth_look(truth *t, const float *rows, size_t n, rag_err *err);
/* Sets effort and recall. */
rag_code truth_tune(truth *t, vectors *v, db *d, rag_err *err);

/* xorshift64*: the same every time. */
static inline uint64_t draw(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 2685821657736338717u;
}

#endif
