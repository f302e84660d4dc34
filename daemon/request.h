/* daemon/request.h: a request on its way through the daemon.
 *
 * The three laws:
 *   1. Only the loop thread touches libevent's objects.
 *   2. Only workers touch SQLite, FAISS and llama handles (the search threads, the keeper of the
 *      index, the model thread).
 *   3. A job is owned by one side at a time; what both touch is atomic: `canceled` and `is_late`.
 *
 *   loop ──job_work──> search thread ──job_embed──> model thread ──> search thread … ──job_finish──> loop
 *
 * A job moves by one of five calls, after which the caller no longer touches it.  job_finish is called
 * exactly once for each job that has left the loop, also after a cancel; only then is the request freed. */
#ifndef RAG_DAEMON_REQUEST_H
#define RAG_DAEMON_REQUEST_H

#include <stdatomic.h>

#include "base/arena.h"
#include "daemon/fields.h"
#include "daemon/http.h"
#include "daemon/mailbox.h"
#include "daemon/tuning.h"
#include "embed/embed.h"
#include "index/index.h"
#include "llm/llm.h"

struct event;

typedef struct ragd ragd;
typedef struct job job;
typedef struct stream stream;

/* A step on a search thread.  It ends with one of the five calls. */
typedef void job_step(job *j, rag_reader *r);

/* What the model thread is asked to embed. */
typedef struct embedding {
    rag_embed_role role;
    const rag_str *texts;
    size_t n;
    size_t max_tokens;  /* of a text: 413 above; 0 = cut at the window */
    rag_str counted;    /* whose tokens count; empty: the text's own */
    float **vectors;    /* in the arena; NULL where there was no time */
    int dim;
    double ms;          /* spent embedding for this job, all calls together */
    size_t next;        /* the model thread's */
} embedding;

/* What the model thread is asked to score. */
typedef struct reranking {
    rag_str query;
    const rag_str *passages;
    size_t n;
    double until_ms; /* rag_clock_ms: when its time is over */
    float *scores;   /* in the arena; NAN where there was no time */
    double ms;       /* spent scoring */
    size_t next;     /* the model thread's */
    void *search;    /* whose hits they are */
} reranking;

/* What the decoder wrote, token by token. */
typedef struct decoded_token {
    rag_llm_token token;
    rag_str text; /* of the piece that begins with it; empty when it only goes on with one */
} decoded_token;

/* What the model thread is asked to decode. */
typedef struct decoding {
    /* Makes the prompt, on the model thread; the templates are those of both languages. RAG_TOO_LARGE: does not fit. */
    rag_code (*prompt)(job *j, const rag_llm *m, rag_llm_template *const templates[2], size_t max_bytes,
                       rag_llm_request *req, rag_err *err);
    void (*piece)(job *j, rag_str piece); /* on the model thread */
    bool is_span;                         /* the templates are span.LANG.txt, not answer.LANG.txt */
    size_t max_prompt_bytes;              /* of the passages: where to start */
    rag_buf text;                         /* for piece to fill; freed with the job */
    rag_code code;                        /* RAG_OK: done is valid; else why there is no answer */
    rag_err err;
    rag_llm_done done;
    double first_piece_ms; /* rag_clock_ms; 0 = none */
    rag_llm_request request; /* as it was submitted; its strings live in the arena */
    decoded_token *tokens;   /* in the arena */
    size_t n_tokens, max_tokens;
} decoding;

/* How many jobs of a kind may be on their way at once. */
typedef struct lane {
    int active, limit;
} lane;

struct job {
    /* The loop's from beginning to end. */
    ragd *d;
    http_request *q; /* NULL when it was answered before the job came back */
    stream *stream;  /* NULL: one whole reply */
    lane *lane;
    struct event *alarm; /* at deadline_ms */
    job *live_prev, *live_next;

    /* The owner's. */
    rag_arena *arena;
    ragd_tuning tuning;
    char request_id[40];
    bool may_see_all;    /* groups do not matter for this caller */
    char caller[40];     /* "uid:1000", "key:" and a part of its hash, or "tcp" */
    double accepted_ms, started_ms, deadline_ms; /* rag_clock_ms; 0 = none */
    job_step *step;
    job *next;
    rag_snapshot *snapshot;
    bool is_repinned;    /* see job_repin */
    embedding embed;
    reranking rerank;
    decoding decode;
    void *state;         /* of the route, in the arena */
    problem bad;         /* status 0: body is the reply */
    const char *content_type;
    rag_buf body;
    letter done;

    /* Both sides'. */
    atomic_bool canceled; /* nobody wants the answer any more */
    atomic_bool is_late;  /* canceled, or the deadline is over: send what there is */
};

/* The loop: takes a request up, or answers it (503) and returns NULL.  on_leave sets `canceled`. */
job *job_new(ragd *d, http_request *q, lane *way);
/* The loop: gives a job up that has gone nowhere yet, with `bad` or `body` as its reply. */
void job_answer(job *j);
/* The loop: from now on the answer goes out as server-sent events. */
void job_stream(job *j);
/* The loop: sets deadline_ms and an alarm at it. */
void job_deadline(job *j, int64_t ms);
/* The loop: answers for good, whoever has the job now; it is freed when it comes back. */
void job_abort(job *j);

void job_work(job *j, job_step *step);
void job_embed(job *j, rag_embed_role role, const rag_str *texts, size_t n, size_t max_tokens, job_step *then);
/* `rerank` is filled in but for ms and next. */
void job_rerank(job *j, job_step *then);
void job_decode(job *j, job_step *then);
void job_finish(job *j);

/* The owner: writes what went wrong, from an error of a lower room.  Unexpected ones are logged. */
void job_fail(job *j, const rag_err *err, const char *param);
/* A worker: pins the current snapshot to the job, if none is pinned yet. */
void job_pin(job *j);
/* A worker: a read said RAG_BUSY because the pinned generation is gone (a restore, or history let it go).  Pins the state
 * that is current now and returns true, once a job: the read is tried again. */
bool job_repin(job *j, rag_code code);
/* The owner: one server-sent event; `json` is copied. */
void job_event(job *j, const char *event, rag_str json);

/* A list of jobs, first in first out. */
typedef struct job_list {
    job *head, **tail;
    size_t n;
} job_list;

void job_list_init(job_list *l);
void job_list_push(job_list *l, job *j);
job *job_list_pop(job_list *l); /* NULL when empty */
void job_list_prepend(job_list *l, job_list *front); /* empties front */

#endif
