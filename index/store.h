/* index/store.h: the handle, the schema and what writers and care share. */
#ifndef RAG_INDEX_STORE_H
#define RAG_INDEX_STORE_H

#include <pthread.h>

#include "index/db.h"
#include "index/index.h"
#include "index/snapshot.h"

/* "RAGD" */
#define APPLICATION_ID 0x52414744
enum { SCHEMA_VERSION = 1, DEFAULT_KEEP_GENERATIONS = 10 };

/* gen_to of what is live, gen_from of what is pending; the same in the schema's text. */
#define FOREVER INT64_MAX

struct rag_index {
    char *dir, *file;
    bool has_model;
    rag_sha256 model;
    float weight[N_COLUMNS]; /* of title, heading and body in BM25 */
    int keep_generations;
    rag_index_type type;

    pthread_mutex_t refresh_mu; /* held while a snapshot is looked for and built */
    db *db;                     /* refresh's own */
    int64_t data_version;
    int64_t refused_generation; /* told once that it has another model */

    pthread_mutex_t mu; /* current */
    rag_snapshot *current;
};

/* An empty file that others may not read; SQLite gives its WAL the same mode.  It may be there already. */
rag_code store_make_file(const char *file, rag_err *err);
/* Creates the schema in an empty file, migrates an older one, refuses a newer or a foreign one. */
rag_code schema_prepare(db *d, const char *file, rag_err *err);
/* The same checks without changing anything. */
rag_code schema_check(db *d, const char *file, rag_err *err);

/* meta; a key that is absent reads as "" and 0. */
rag_code meta_text(db *d, const char *key, char *out, size_t size, rag_err *err);
rag_code meta_number(db *d, const char *key, int64_t *out, rag_err *err);
rag_code meta_set_text(db *d, const char *key, const char *value, rag_err *err);
rag_code meta_set_number(db *d, const char *key, int64_t value, rag_err *err);
void random_hex(char out[33]);

/* The chunks of kept generations that were embedded with a model, by id (malloc'd). */
rag_code kept_positions(db *d, int64_t model_id, kept_row **out, size_t *n, rag_err *err);
/* How many those are: it takes a look at the versions only. */
rag_code kept_count(db *d, int64_t model_id, size_t *n, rag_err *err);

/* Writes the latest generation's vectors: those of the generation before with what came since where that is possible, else
 * untrained ones.  A failure is logged: they can be made again from kb.db; RAG_CORRUPT when kb.db itself cannot give them. */
rag_code files_save(db *d, const char *dir, rag_index_type type, rag_err *err);
/* Makes them anew, trained, when that is due, puts them in place, and counts in meta, so that daemons look. */
rag_code files_renew(db *d, const char *dir, rag_index_type type, const atomic_bool *stop, bool *renewed, rag_err *err);

/* Deletes versions with chunks, texts and full-text rows: pending ones, or those that no kept generation shows;
 * in bounded transactions.  Then documents and embeddings that nothing refers to. */
rag_code sweep_pending(db *d, rag_err *err);
rag_code sweep_history(db *d, rag_err *err);
/* One pending version, in the caller's transaction. */
rag_code delete_version(db *d, int64_t version_id, rag_err *err);

#endif
