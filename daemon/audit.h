/* daemon/audit.h: what is written down of each answer, and reading it again.
 *
 * A record is one JSON object that tells how the answer came about: what was asked, what was found and why, what the decoder
 * was given and wrote, what the check said of it (docs/API.md).  It holds no key and nothing else of the request's header.
 *
 * The reply does not wait for it: audit_finish sends the job back to the loop first and renders and writes behind it, on the
 * same search thread, out of the arena that it keeps.  So at most one record a search thread is on its way. */
#ifndef RAG_DAEMON_AUDIT_H
#define RAG_DAEMON_AUDIT_H

#include "daemon/ask.h"
#include "daemon/model.h"
#include "index/records.h"

/* Records on their way: audit_read waits for them. */
typedef struct audit audit;

audit *audit_new(void);
void audit_free(audit *g); /* copes with NULL */

/* A search thread, in place of job_finish: the reply stands in the job.  Without answer.audit, or without state.db, that is
 * all. */
void audit_finish(job *j, const ask *a);

/* A search thread: the record, which may be one whose reply has just gone out. */
rag_code audit_read(ragd *d, rag_str answer_id, rag_arena *arena, rag_record *out, rag_err *err);
/* The same for a job; false with its problem: 404 also for a caller who may not see every document. */
bool audit_find(job *j, rag_str answer_id, rag_record *out);

/* audit_render.c: what a record is made from; everything lives in `arena`, which was the job's. */
typedef struct audit_note {
    rag_arena *arena;
    const ask *a;
    decoding decode;
    ragd_tuning tuning;
    model_facts facts;
    char request_id[40];
    int64_t generation;
    bool is_deterministic;
    bool is_late;         /* the deadline cut it short */
    rag_str response;     /* as it was sent */
} audit_note;

/* The question made to stand alone; empty when it did already. */
static inline rag_str audit_resolved(const ask *a)
{
    return ask_is_resolved(a) ? a->search.query : (rag_str){ 0 };
}

enum {
    AUDIT_CANDIDATES = 200,  /* the best ones are written down, */
    AUDIT_FEW_CANDIDATES = 20, /* and so many, without passages, when the record would be too large */
    AUDIT_BYTES = 8 * 1024 * 1024,
};

void audit_render(const audit_note *n, bool is_brief, rag_buf *out);

#endif
