/* tests/vector_world.h: a store that holds nothing but embeddings, and exact search over them. */
#ifndef RAG_TESTS_VECTOR_WORLD_H
#define RAG_TESTS_VECTOR_WORLD_H

#include "kb.h"

#include "index/store.h"
#include "index/vectors_impl.h"

enum { N = 3000, DIM = 24, QUERIES = 40, K = 10 };

typedef struct world {
    char *dir, *file;
    db *d;
    float rows[N][DIM]; /* of unit length, in clusters; embedding i + 1 */
    float queries[QUERIES][DIM];
    rag_sha256 model;
} world;

extern const vectors_type types[];
enum { TYPES = 4 };

/* cmocka's set-up and tear-down: *state is a world. */
int make_world(void **state);
int end_world(void **state);

kept_row row_of(size_t i);
kept_row *rows_of(size_t from, size_t to); /* to be freed */
vectors *build(world *w, vectors_type type, size_t n);
vectors_identity identity(const world *w, int64_t generation);

float product(const float *a, const float *b);
/* How many of the k (or fewer visible) ones found are among the best; each must be visible, new, and have its own exact
 * score. */
size_t check(const world *w, const vectors *v, const float *q, const uint8_t *bits, size_t n, size_t k);
/* The same over all queries, K each, as a part of one. */
double recall(const world *w, const vectors *v, const uint8_t *bits, size_t n);

#endif
