/* daemon/keeper.h: the thread that keeps the index: opens it, and looks every 250 ms whether kb.db
 * holds a newer generation, so that what an ingest run publishes is served within a second.
 *
 * Threads: open and close on the loop's, where the callbacks come, too. */
#ifndef RAG_DAEMON_KEEPER_H
#define RAG_DAEMON_KEEPER_H

#include "daemon/mailbox.h"
#include "index/index.h"

typedef struct keeper keeper;

/* What is served now; a plain value. */
typedef struct keeper_view {
    int64_t generation, documents, chunks;
    size_t bytes; /* of the snapshot in memory */
} keeper_view;

typedef struct keeper_options {
    rag_index_options index; /* strings and model must outlive the keeper */
    mailbox *mail;
    /* Once: the index is open and its first snapshot there, or err says why not (index is NULL then). */
    void (*on_open)(void *context, rag_index *index, const rag_err *err);
    void (*on_view)(void *context, const keeper_view *view);
    void *context;
} keeper_options;

rag_code keeper_open(keeper **out, const keeper_options *opt, rag_err *err);
/* Ends the thread and closes the index: nobody may use it any more. */
void keeper_close(keeper *k);

#endif
