/* index/vectors_impl.h: what vectors.c and vectors_file.c share. */
#ifndef RAG_INDEX_VECTORS_IMPL_H
#define RAG_INDEX_VECTORS_IMPL_H

#include <stdatomic.h>

#include "index/faiss_c.h"
#include "index/vectors.h"

struct vectors {
    atomic_int refs;
    FaissIndex *index; /* NULL when there is no row */
    const float *rows; /* the index's own memory */
    size_t dim;
    kept_row *positions;
    size_t n;
};

/* Takes index and positions over when it succeeds. */
rag_code vectors_wrap(vectors **out, FaissIndex *index, kept_row *positions, size_t n, rag_err *err);
rag_code faiss_fail(rag_err *err, const char *doing);

#endif
