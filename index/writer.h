/* index/writer.h: what writer.c, put.c and publish.c share. */
#ifndef RAG_INDEX_WRITER_H
#define RAG_INDEX_WRITER_H

#include "index/store.h"

typedef struct writer_source {
    int64_t id, collection_id;
    char *root, *prefix, *access, *url;
    bool adopt;
} writer_source;

struct rag_writer {
    rag_index *ix;
    db *db;
    int lock;
    rag_code failed; /* a write failed: what is open was rolled back, and nothing more is taken */
    rag_err why;

    rag_sha256 model;
    int64_t model_id, old_model_id; /* of this run; of the published state, 0 = none */
    int dim;
    char *chunker;
    bool full;

    writer_source *sources;
    size_t n_sources;

    bool in_transaction;
    bool is_dry; /* one transaction from begin to end, rolled back */
    double begun_ms;
    size_t puts;
    size_t bytes;
    bool published;
};

/* Opens a transaction if none is, so that a row can be written; fails at once after a failure. */
rag_code writer_ready(rag_writer *w, rag_err *err);
/* Ends a step that wrote `bytes`: rolls back and remembers the failure if code is one, commits when it is time. */
rag_code writer_wrote(rag_writer *w, rag_code code, size_t bytes, rag_err *err);
rag_code writer_commit(rag_writer *w, rag_err *err);
writer_source *writer_find_source(const rag_writer *w, int64_t id);
/* The original's address of a path of this source, percent-encoded; "" without url. */
void writer_url(const writer_source *s, rag_str path, rag_buf *out);

#define IS_LIVE "gen_to = 9223372036854775807 AND gen_from < 9223372036854775807"
#define IS_PENDING "gen_from = 9223372036854775807"

#endif
