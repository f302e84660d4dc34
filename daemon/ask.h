/* daemon/ask.h: one question's way to its answer.
 *
 *   loop     read the request
 *   search   read the conversation, make a follow-up stand alone  (with a conversation_id)
 *   model    embed the question
 *   search   search
 *   model    score the hits                 (with a reranker)
 *   search   split into sentences                                  ─> meta, sources
 *   model    embed the sentences
 *   search   rank, extract, read the quotes back                   ─> draft
 *   model    decode                                                ─> delta …
 *   search   check, read the quotes back, choose, keep the turn    ─> delta, citation …, done
 *
 * Each step does what the time that is left allows: without vectors term overlap ranks, and
 * when the deadline is over the extract is the answer. */
#ifndef RAG_DAEMON_ASK_H
#define RAG_DAEMON_ASK_H

#include "daemon/answer.h"
#include "daemon/followup.h"
#include "daemon/json.h"
#include "daemon/request.h"
#include "daemon/search.h"

typedef enum ask_mode { ASK_AUTO, ASK_GENERATE, ASK_EXTRACT, ASK_SPAN } ask_mode;

struct replay;

typedef struct ask {
    char *answer_id, *conversation_id;
    bool is_continued;      /* the request named the conversation */
    rag_str question;       /* as it was asked */
    followup followup;      /* search.query is its question */
    ask_mode mode;
    bool is_stream, explain;
    rag_llm_sampling sampling;
    search search;          /* its query is the question, made to stand alone */
    float *question_vector; /* NULL: there was no time */
    int dim;
    answer_evidence evidence;
    answer_result extract;  /* quotes read back */
    double extracted_ms;    /* rag_clock_ms */
    size_t *order;          /* of the prompt's sentences */
    size_t n_order;
    size_t checked_bytes;   /* of the generated text */
    rag_str sent;           /* of the answer, as deltas */
    answer_result result;   /* what is sent */
    bool has_span;
    rag_llm_span span;      /* its reading is the number of the sentence */
    const char *degraded;   /* why it is less than was asked for; NULL: it is not */
    rag_str request;        /* the body, word for word */
    struct replay *replay;  /* NULL: an answer; else it is compared, not sent (replay.h) */
} ask;

/* ask_request.c: fills a and the job's deadline; false with the job's problem. */
bool ask_read(job *j, const cJSON *json, ask *a, int64_t *deadline_ms);

/* ask_turns.c, on a search thread. */
/* Reads the conversation and makes the question stand alone; false with the job's problem when it is another's. */
bool ask_recall(job *j, ask *a);
void ask_remember(job *j, const ask *a);
static inline bool ask_is_resolved(const ask *a)
{
    return !rag_str_eq(a->question, a->search.query);
}

/* Whoever has the job: sets out with what ask_read read. */
void ask_begin(job *j, ask *a);

/* What generated text must stand up to. */
/* How many of the decoder's passages may support what it says: in `auto` the best alone, so that the decoder speaks only
 * where it agrees with the extract. */
size_t ask_allowed_support(const ask *a);

static inline answer_strictness ask_strictness(const ask *a)
{
    return a->mode == ASK_GENERATE ? ANSWER_SUPPORTED : ANSWER_VERBATIM;
}

/* ask_decode.c: sets the job's decoding up. */
void ask_prepare_decoding(job *j);
/* The length of generated text that holds whole sentences, each with the markers behind it. */
size_t ask_whole_sentences(rag_str text);

/* ask_span.c: sets the job's decoding up to find a span; whether there is one, in time, and the answer made of it. */
void ask_prepare_span(job *j);
bool ask_take_span(job *j, const ask *a, answer_result *out);

/* ask_reply.c */
void ask_render(job *j, const ask *a, rag_buf *out);
void ask_tell_start(job *j, const ask *a);     /* meta, sources */
void ask_tell_draft(job *j, const ask *a);
void ask_tell_delta(job *j, rag_str text);
void ask_tell_end(job *j, const ask *a, rag_str response); /* citation …, done */

#endif
