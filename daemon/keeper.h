/* daemon/keeper.h: the thread that keeps the index: opens it, and looks every 250 ms whether kb.db
 * holds a newer generation, so that what an ingest run publishes is served within a second.  It keeps state.db, too:
 * a damaged one is set aside, and what is over its bounds goes in quiet moments.
 *
 * Threads: open and close on the loop's, where the callbacks come, too. */
#ifndef RAG_DAEMON_KEEPER_H
#define RAG_DAEMON_KEEPER_H

#include "daemon/mailbox.h"
#include "index/index.h"
#include "index/records.h"

typedef struct keeper keeper;

/* What is served now; a plain value. */
typedef struct keeper_view {
    int64_t generation, documents, chunks;
    size_t bytes; /* of the snapshot in memory */
} keeper_view;

typedef struct keeper_options {
    rag_index_options index; /* strings and model must outlive the keeper */
    rag_records_options records; /* likewise */
    mailbox *mail;
    /* Once: the index is open and its first snapshot there, or err says why not (index is NULL then). */
    void (*on_open)(void *context, rag_index *index, const rag_err *err);
    void (*on_view)(void *context, const keeper_view *view);
    void *context;
} keeper_options;

rag_code keeper_open(keeper **out, const keeper_options *opt, rag_err *err);
/* From on_open on: answers and conversations; NULL when state.db cannot be had (the log says why). */
rag_records *keeper_records(const keeper *k);
/* Ends the thread and closes the index and state.db: nobody may use them any more. */
void keeper_close(keeper *k);

#endif
