/* index/vectors.h: the FAISS index over the kept chunks, in memory and in its files.
 *
 * DIR/vectors/<generation>/
 *   index.faiss    IndexFlatIP over the positions
 *   positions      pairs of chunk id and embedding id, int64, little-endian, one a position
 *   manifest.json  what the files were made from, their sizes and checksums; written last
 *
 * FAISS checks nothing when it reads, so files are used only when the manifest is, byte for byte, the one that we
 * would write for this store, generation, model and these files, and the positions are the rows that kb.db
 * holds now.  Everything else is rebuilt from kb.db.
 *
 * Threads: a vectors object is immutable; search from any. */
#ifndef RAG_INDEX_VECTORS_H
#define RAG_INDEX_VECTORS_H

#include "index/db.h"

typedef struct vectors vectors;

/* One kept row. */
typedef struct kept_row {
    int64_t chunk_id, embedding_id;
} kept_row;

/* Names the state that files belong to. */
typedef struct vectors_identity {
    const char *store_id, *epoch;
    int64_t generation;
    const rag_sha256 *model;
    int dim;
} vectors_identity;

/* From the embeddings in kb.db; takes the positions over (malloc'd), also when it fails. */
rag_code vectors_build(vectors **out, db *d, int dim, kept_row *positions, size_t n, rag_err *err);
/* From the files.  RAG_NOT_FOUND when there are none, RAG_CORRUPT, saying what does not fit, when they are not
 * those of this identity and these positions; then the positions stay the caller's. */
rag_code vectors_load(vectors **out, const char *dir, const vectors_identity *id, kept_row *positions, size_t n,
                      rag_err *err);
/* Writes the files beside, makes them durable, renames last. */
rag_code vectors_save(const vectors *v, const char *dir, const vectors_identity *id, rag_err *err);
/* Deletes folders of other generations than `keep`, and what a killed save left. */
void vectors_sweep(const char *dir, int64_t keep);
/* Whether there are files of this generation, right or wrong. */
bool vectors_exist(const char *dir, int64_t generation);

void vectors_retain(vectors *v);
void vectors_release(vectors *v); /* copes with NULL */

size_t vectors_count(const vectors *v);
size_t vectors_bytes(const vectors *v);
const kept_row *vectors_positions(const vectors *v);
/* The position of a chunk, or SIZE_MAX.  `hint`: a position at or below it. */
size_t vectors_find(const vectors *v, int64_t chunk_id, size_t hint);

/* The k best by inner product among the positions whose bit is set (NULL = all), best first, equal ones
 * in any order; *n <= k. */
rag_code vectors_search(const vectors *v, const float *query, const uint8_t *bits, size_t k, int64_t *positions,
                        float *scores, size_t *n, rag_err *err);
/* Inner product of one position's vector with query. */
float vectors_score(const vectors *v, const float *query, size_t at);

#endif
