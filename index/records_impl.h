/* index/records_impl.h: what the two files of the records share. */
#ifndef RAG_INDEX_RECORDS_IMPL_H
#define RAG_INDEX_RECORDS_IMPL_H

#include <pthread.h>

#include "index/db.h"
#include "index/records.h"

enum { RECORDS_STEP = 8 /* rows that one pruning removes of each kind */ };

struct rag_records {
    pthread_mutex_t mu; /* all below, but the options */
    db *db;
    rag_records_options opt; /* with the defaults filled in; dir is not kept */
    int64_t n_answers, n_conversations;
};

int64_t records_now(const rag_records *r);
/* What was created or used before these has ended. */
int64_t records_oldest_answer(const rag_records *r);
int64_t records_oldest_conversation(const rag_records *r);

/* Locks and begins a write transaction; RAG_DENIED on a read_only handle.  Call records_end whatever it returns. */
rag_code records_begin(rag_records *r, rag_err *err);
/* Prunes, commits when `code` is RAG_OK, else rolls back; unlocks; returns what became of it. */
rag_code records_end(rag_records *r, rag_code code, rag_err *err);

rag_code records_check_name(const char *what, rag_str s, bool may_be_empty, rag_err *err);
rag_code records_check_length(const char *what, rag_str s, size_t max, rag_err *err);

#endif
