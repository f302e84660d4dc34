/* index/snapshot.h: one generation in memory.
 *
 * Positions 0 … n-1 are the chunks of all kept generations that were embedded with this one's model, by
 * ascending chunk id, and dead ones among them, whose version nobody sees; vectors, lengths and bitmaps are arrays over them.  A generation, a collection and a
 * reader's groups are bitmaps of positions: FAISS's selector and BM25 look at the same bits.
 *
 * Everything is immutable once built, but for the cache of filters, which has its lock. */
#ifndef RAG_INDEX_SNAPSHOT_H
#define RAG_INDEX_SNAPSHOT_H

#include <pthread.h>
#include <stdatomic.h>

#include "index/db.h"
#include "index/index.h"
#include "index/vectors.h"

enum { COLUMN_TITLE, COLUMN_HEADING, COLUMN_BODY, N_COLUMNS };

/* What tells one state of one store from every other. */
typedef struct store_state {
    int64_t generation; /* the served one; 0 = none */
    int64_t latest;     /* its number names the folder of vectors */
    int64_t pinned;     /* as it was asked for; 0 = the latest */
    int64_t model_id;   /* of the served generation; 0 = none */
    int64_t files_model_id; /* of the latest: files of vectors are of that model */
    int64_t files;      /* counts how often they were made anew without a new generation */
    int dim;
    rag_sha256 model;
    char store_id[33], epoch[33];
} store_state;

rag_code state_read(db *d, store_state *out, rag_err *err);
/* As if the latest generation were served: what the files of vectors belong to. */
rag_code state_read_latest(db *d, store_state *out, rag_err *err);
vectors_identity state_identity(const store_state *st);
typedef struct held_version {
    int64_t id, document_id;
    int64_t mtime_ns;    /* as of when the snapshot was built: a touch alone makes no generation */
    size_t path;         /* byte in paths */
    uint32_t collection; /* index into collections */
    uint32_t access;     /* index into accesses */
    uint8_t lang;        /* rag_lang */
    bool is_visible;     /* in the snapshot's generation */
} held_version;

typedef struct held_collection {
    int64_t id;
    char *name;
} held_collection;

/* The positions that a filter lets through. */
typedef struct filter {
    char *key;
    size_t refs; /* under the snapshot's lock */
    uint8_t *bits;
    size_t n_visible;
    double mean_length; /* weighted tokens, for BM25 */
} filter;

enum { MAX_CACHED_FILTERS = 32 };

struct rag_snapshot {
    atomic_int refs;
    store_state state;
    vectors *vectors;       /* shared with other snapshots of the same rows */
    size_t n;               /* positions */
    uint32_t *version_of;   /* position → index into versions */
    float weight[N_COLUMNS]; /* of each column in BM25 */
    float *length;          /* position → weighted tokens, for BM25 */
    held_version *versions; /* by collection and path, so that an index is an order; one more, invisible, for the dead */
    size_t n_versions;
    char *paths; /* of the versions, in order, each ended by NUL */
    size_t paths_bytes;
    held_collection *collections;
    size_t n_collections;
    char **accesses; /* distinct access lists, "a,b" */
    size_t n_accesses;
    int64_t documents, chunks;
    pthread_mutex_t mu; /* filters */
    filter *filters[MAX_CACHED_FILTERS]; /* the latest used first */
    size_t n_filters;
};

/* Builds the snapshot of `state` in a read transaction of d.  Takes the vectors of `like` (may be NULL) when it holds the
 * same rows, else the files in dir, else the embeddings in kb.db.  `weight`: of the columns in BM25. */
rag_code snapshot_build(rag_snapshot **out, db *d, const char *dir, const store_state *st, rag_snapshot *like,
                        const float weight[N_COLUMNS], rag_err *err);
/* The part of it that finds vectors for the rows that kb.db keeps, and brings version_of and length into their order. */
rag_code snapshot_take_vectors(rag_snapshot *s, db *d, const char *dir, rag_snapshot *like, const kept_row *rows, size_t n,
                               rag_err *err);

/* Counted up: release it.  RAG_NOT_FOUND for an unknown collection. */
rag_code filter_get(rag_snapshot *s, const rag_filter *want, const filter **out, rag_err *err);
void filter_release(rag_snapshot *s, const filter *f); /* copes with NULL */
void filter_forget_all(rag_snapshot *s);               /* for a snapshot that nobody uses any more */
/* Whether a document with this access list is for the filter's groups. */
bool filter_admits(const rag_filter *want, rag_str access);
/* Whether it has one of the filter's languages and was modified in its time. */
bool filter_admits_document(const rag_filter *want, rag_lang lang, int64_t mtime_ns);

static inline bool bit_is_set(const uint8_t *bits, size_t i)
{
    return bits[i >> 3] >> (i & 7) & 1;
}
static inline void bit_set(uint8_t *bits, size_t i)
{
    bits[i >> 3] |= (uint8_t)(1u << (i & 7));
}
static inline size_t bits_bytes(size_t n)
{
    return (n + 7) / 8;
}

#endif
