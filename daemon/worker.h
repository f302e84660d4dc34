/* daemon/worker.h: a search thread.  It runs one step after the other with a reader of its own.
 *
 * Threads: open and close on the loop's. */
#ifndef RAG_DAEMON_WORKER_H
#define RAG_DAEMON_WORKER_H

#include "daemon/queue.h"

typedef struct worker worker;

typedef struct worker_options {
    rag_index *index;
    job_queue *queue;
    mailbox *mail;
    /* The thread cannot read kb.db; on the loop. */
    void (*on_failed)(void *context, const rag_err *err);
    void *context;
} worker_options;

rag_code worker_open(worker **out, const worker_options *opt, rag_err *err);
/* Waits for its end; the queue must be closed. */
void worker_close(worker *w);

#endif
