/* index/vectors.h: the FAISS index over the kept chunks, in memory and in its files.
 *
 * DIR/vectors/<generation>/
 *   index.faiss    the index over the positions
 *   positions      pairs of chunk id and embedding id, int64, little-endian, one a position
 *   manifest.json  what the files were made from, how, their sizes and checksums; written last
 *
 * FAISS checks nothing when it reads, so files are used only when the manifest is, byte for byte, the one that we
 * would write for this store, generation, model and these files, and the positions hold the rows that kb.db
 * keeps.  Everything else is rebuilt from kb.db.
 *
 * A position whose chunk kb.db no longer keeps is dead: it is never visible, and goes when the index is made anew.
 *
 *   Flat   float32, exact
 *   SQ8    8 bits a dimension, all of them looked at: what stands in until there is a trained index
 *   HNSW   a graph over SQ8
 *   IVF    lists of SQ8 around centroids; a query looks into the nearest few
 *
 * All but Flat are approximate: they give more candidates than asked for, which are scored again with the float32
 * vectors of kb.db.  How many lists or nodes a query looks at (effort) is measured when the index is made.  Where a filter
 * leaves few positions all of them are looked at.
 *
 * Files are read, not mapped: a mapped file that is cut short kills the process that touches it.
 *
 * Threads: a vectors object is immutable; search from any. */
#ifndef RAG_INDEX_VECTORS_H
#define RAG_INDEX_VECTORS_H

#include <stdatomic.h>

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

typedef enum vectors_type { VECTORS_FLAT, VECTORS_SQ8, VECTORS_HNSW, VECTORS_IVF } vectors_type;

/* How an index was made. */
typedef struct vectors_shape {
    vectors_type type;
    uint32_t lists;   /* IVF */
    uint32_t effort;  /* lists (IVF) or nodes (HNSW) that a query looks at */
    uint32_t recall;  /* recall@10 measured with it, per mille; of exact ones 1000, of SQ8 0: not measured */
    int64_t trained;  /* rows that there were then */
} vectors_shape;

enum {
    VECTORS_MIN_TRAINED = 1000, /* fewer rows than these are a Flat index, whatever is asked for */
    VECTORS_FLAT_ROWS = 100000, /* up to here Flat is fast (5 ms) and small (150 MB) enough */
};

const char *vectors_type_name(vectors_type type);
/* What can be made at once for so many rows. */
vectors_type vectors_untrained_type(size_t n);

/* From the embeddings in kb.db, in blocks; HNSW and IVF are trained and measured.  Takes the positions over (malloc'd), also
 * when it fails.  `stop` (may be NULL): RAG_CANCELED soon after it is set. */
rag_code vectors_build(vectors **out, db *d, int dim, vectors_type type, kept_row *positions, size_t n,
                       const atomic_bool *stop, rag_err *err);
/* From the files.  RAG_NOT_FOUND when there are none, RAG_CORRUPT, saying what does not fit, when they are not
 * those of this identity, or do not hold the rows `kept`. */
rag_code vectors_load(vectors **out, const char *dir, const vectors_identity *id, const kept_row *kept, size_t n,
                      rag_err *err);
/* From the files of this identity, and those of the rows `kept` that they lack and whose ids come after theirs.  RAG_INVALID when
 * the rest does not fit, or more than `most` would be added. */
rag_code vectors_extend(vectors **out, db *d, const char *dir, const vectors_identity *id, const kept_row *kept, size_t n,
                        size_t most, rag_err *err);
/* Writes the files beside, makes them durable, and puts them in place at once, also of older ones. */
rag_code vectors_save(const vectors *v, const char *dir, const vectors_identity *id, rag_err *err);
/* What the manifest says, the files unread: whether it is this identity's. */
rag_code vectors_peek(vectors_shape *out, size_t *n, const char *dir, const vectors_identity *id, rag_err *err);
/* Deletes folders of other generations than `keep`, and what a killed save left. */
void vectors_sweep(const char *dir, int64_t keep);
/* Whether there are files of this generation, right or wrong. */
bool vectors_exist(const char *dir, int64_t generation);
/* The highest generation below `below` that has files; 0 = none. */
int64_t vectors_newest(const char *dir, int64_t below);

void vectors_retain(vectors *v);
void vectors_release(vectors *v); /* copes with NULL */

size_t vectors_count(const vectors *v); /* positions, dead ones too */
size_t vectors_bytes(const vectors *v);
vectors_shape vectors_shape_of(const vectors *v);
const kept_row *vectors_positions(const vectors *v);
/* The position of a chunk, or SIZE_MAX.  `hint`: a position at or below it. */
size_t vectors_find(const vectors *v, int64_t chunk_id, size_t hint);
/* Whether each of these rows (by chunk id) has a position, with its embedding. */
bool vectors_hold(const vectors *v, const kept_row *kept, size_t n);

/* The k best by inner product among the positions whose bit is set (NULL = all), best first, equal ones
 * in any order; *n is k, or as many as bits are set.  `d`: where float32 vectors are read to score approximate candidates
 * again; NULL leaves them as they are. */
rag_code vectors_search(const vectors *v, db *d, const float *query, const uint8_t *bits, size_t k, int64_t *positions,
                        float *scores, size_t *n, rag_err *err);
/* Inner product of one position's vector, as the index holds it, with query. */
float vectors_score(const vectors *v, const float *query, size_t at);

#endif
