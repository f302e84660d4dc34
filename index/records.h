/* index/records.h: what the daemon writes down: audit records of answers, and conversations.
 *
 * DIR/state.db, a SQLite file beside kb.db (docs/FORMAT.md).  Nothing of it is needed to answer: when it is damaged, foreign
 * or of a newer ragd, rag_records_open says so and the caller goes on without, or sets the file aside and begins a new one.
 *
 * Bounded in number and age.  Every write removes a few of what is over the bounds, so no write takes long; what is
 * over age is not shown even while it is still there.
 *
 * WAL with synchronous=NORMAL: what was written survives the end of the process, and after a power cut the file is sound but
 * may lack the last records.
 *
 * Threads: any; a mutex inside, held for one short transaction.  One process writes (the daemon); others may
 * open it read_only meanwhile. */
#ifndef RAG_INDEX_RECORDS_H
#define RAG_INDEX_RECORDS_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

typedef struct rag_records rag_records;

typedef struct rag_records_options {
    const char *dir;           /* storage.dir; must exist */
    bool read_only;            /* RAG_NOT_FOUND when there is no file yet */
    int max_answers;           /* 0 = 10000 */
    int keep_days;             /* of answers; 0 = 30 */
    int max_conversations;     /* 0 = 10000; the longest unused go first */
    int max_turns;             /* of a conversation, the newest; 0 = 20 */
    int64_t conversation_ms;   /* a conversation ends when it was not used for so long; 0 = one day */
    int64_t (*now_ns)(void *clock); /* wall clock; NULL = rag_clock_wall_ns */
    void *clock;
} rag_records_options;

/* Ceilings of one record, bytes; more is RAG_TOO_LARGE, except an answer's text in a turn, which is cut. */
enum {
    RAG_RECORD_NAME = 256,            /* ids, owner, collection, outcome, mode */
    RAG_RECORD_AUDIT = 16 * 1024 * 1024,
    RAG_TURN_ANSWER = 16 * 1024,
    RAG_TURN_DOCUMENTS = 100,         /* ids */
};

/* Makes the file when it is absent and migrates an older one.  RAG_CORRUPT: it is not ragd's, or damaged;
 * RAG_CONFIG: of a newer ragd.  Damage inside may also show later, as RAG_CORRUPT of any call. */
rag_code rag_records_open(rag_records **out, const rag_records_options *opt, rag_err *err);
void rag_records_close(rag_records *r); /* copes with NULL */

/* Moves DIR/state.db, with its WAL, to DIR/state.db.damaged, over an earlier one, so that the next open begins anew.  Nobody
 * may have it open. */
rag_code rag_records_set_aside(const char *dir, rag_err *err);

/* One step of removing what is over the bounds, for a quiet moment; *more: call again. */
rag_code rag_records_prune(rag_records *r, bool *more, rag_err *err);

/* ---- answers ---------------------------------------------------------------------------- */

typedef struct rag_record {
    rag_str answer_id;       /* not empty */
    rag_str conversation_id; /* may be empty */
    rag_str collection;
    int64_t generation;
    rag_str question, resolved; /* resolved: empty when the question stood alone */
    rag_str outcome, mode;
    double confidence;
    rag_str audit;           /* the whole audit record, JSON; kept compressed */
    int64_t created_ns;      /* set by rag_records_put */
    int64_t number;          /* rising with each put; set by rag_records_put */
} rag_record;

/* RAG_INVALID when the id is taken; RAG_DENIED on a read_only handle. */
rag_code rag_records_put(rag_records *r, const rag_record *record, rag_err *err);
/* RAG_NOT_FOUND when there is none, or no longer; RAG_CORRUPT when the audit record is damaged. */
rag_code rag_records_get(rag_records *r, rag_str answer_id, rag_arena *arena, rag_record *out, rag_err *err);
/* Newest first, with number < before (0: from the newest on), at most `limit`, without `audit`. */
rag_code rag_records_list(rag_records *r, int64_t before, size_t limit, rag_arena *arena, rag_record **out, size_t *n,
                          rag_err *err);

/* ---- conversations ---------------------------------------------------------------------- */

typedef struct rag_turn {
    int64_t ordinal;         /* from 1, also when earlier turns are gone; set by rag_turns_add */
    rag_str question, resolved; /* resolved: empty when the question stood alone */
    rag_str answer;          /* its first RAG_TURN_ANSWER bytes, whole characters */
    rag_str answer_id;
    const int64_t *documents; /* ids of what was cited */
    size_t n_documents;
} rag_turn;

typedef struct rag_conversation {
    rag_str id, owner;
    int64_t created_ns, used_ns;
    rag_turn *turns;         /* the newest, oldest of them first */
    size_t n;
} rag_conversation;

/* Adds a turn, and the conversation when there is none of that id (or it had ended).  `owner` says who asks (a name or a
 * hash): RAG_DENIED when the conversation is another's. */
rag_code rag_turns_add(rag_records *r, rag_str conversation_id, rag_str owner, const rag_turn *turn, rag_err *err);
/* The last `limit` turns (0: all that are kept).  RAG_NOT_FOUND when there is no such conversation or it has ended;
 * RAG_DENIED when it is another's.  Does not count as use. */
rag_code rag_turns_read(rag_records *r, rag_str conversation_id, rag_str owner, size_t limit, rag_arena *arena,
                        rag_conversation *out, rag_err *err);
/* Deletes the conversation with its turns and the audit records of its answers.  RAG_NOT_FOUND, RAG_DENIED as above. */
rag_code rag_turns_forget(rag_records *r, rag_str conversation_id, rag_str owner, rag_err *err);

#endif
