/* ingest/run.h: one run, shared by plan.c (what to read), file.c (one document), stored.c (documents without their
 * file) and run.c (the order of things).  Private to the room. */
#ifndef RAG_INGEST_RUN_H
#define RAG_INGEST_RUN_H

#include "ingest/walk.h"

/* One path argument that is there: a folder, or a file. */
typedef struct target {
    bool is_folder;
    int fd;               /* the folder, or the file's folder */
    rag_str file_name;    /* of a file: its name in that folder */
    rag_source source;
    int64_t source_id;
    walk_result found;    /* of a file: itself, under the path it gets */
} target;

typedef struct run {
    rag_index *index;
    rag_writer *writer;   /* NULL in a dry run over a store that does not exist */
    rag_embedder *embedder;
    const rag_ingest_options *opt;
    rag_arena *arena;     /* the caller's */
    rag_arena *doc_arena; /* emptied after each document */
    rag_ingest_summary *out;
    rag_ingest_failure *failures;
    size_t failures_cap;
    rag_ingest_progress progress;
    double started_ms;
    target *targets;
    size_t n_targets;
    const target *current; /* being walked */
    rag_buf bytes;         /* of the file at work */
    float *vector;
} run;

/* What is to be put, wherever it comes from. */
typedef struct origin {
    int64_t source_id;
    rag_str path;
    int64_t size, mtime_ns, inode, read_ns;
    rag_sha256 sha256;
} origin;

void run_fail(run *r, rag_str path, const char *code, const char *message);
rag_code run_check_stop(const run *r, rag_err *err);
void run_report(run *r, const char *stage, const char *path);

/* Fills targets: opens and walks every path argument. */
rag_code plan_make(run *r, rag_err *err);
void plan_close(run *r);

/* Brings one file of a target into the store, or counts why not. */
rag_code file_ingest(run *r, const target *t, const walk_file *file, rag_err *err);
/* Chunks, embeds what is new, and puts. RAG_INVALID when another root holds the path. */
rag_code file_put(run *r, const origin *from, const rag_parsed *doc, rag_err *err);

/* Puts the documents that a full run has not read, and not removed, from their stored texts. */
rag_code stored_put_all(run *r, rag_err *err);

#endif
