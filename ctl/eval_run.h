/* ctl/eval_run.h: one run of a question set: what was asked, what came back, what it is worth.
 *
 *   set ─> POST /v1/search for every question ─> POST /v1/ask for every question ─> records, columns, stages
 *
 * Each reply is scored as it comes and not kept; a record keeps what a report shows of it.
 *
 * Threads: one. */
#ifndef RAG_CTL_EVAL_RUN_H
#define RAG_CTL_EVAL_RUN_H

#include <cjson/cJSON.h>

#include "ctl/client.h"
#include "ctl/eval_metrics.h"
#include "ctl/eval_set.h"

enum { EVAL_MAX_STAGES = 48 };

typedef struct eval_options {
    const char *collection, *mode, *search_mode; /* NULL: the daemon's default */
    long top_k;                                  /* of searches */
    bool search_only;
    size_t concurrency;
    bool show_progress;
} eval_options;

typedef struct eval_record {
    const char *error;              /* why a request for it failed; NULL */
    bool is_searched, is_asked;     /* there is a reply */
    uint32_t *doc_ranks, *span_ranks; /* of gold items that were found, ascending */
    size_t n_doc_ranks, n_span_ranks;
    const char *first_document, *first_text; /* of the best result; "" without one */
    const char *outcome, *answer;
    double confidence;
    size_t citations, right_citations;
} eval_record;

/* One of timings_ms. */
typedef struct eval_stage {
    const char *route, *name; /* "search", "embed" */
    double *ms;               /* ascending once the run is done */
    size_t n;
} eval_stage;

typedef struct eval_run {
    const eval_set *set;
    eval_options opt;
    client *client;
    rag_arena *arena;
    eval_record *records; /* a question each */
    eval_data data;
    eval_estimate estimates[EVAL_METRICS];
    eval_stage stages[EVAL_MAX_STAGES];
    size_t n_stages;
    size_t failed; /* questions with an error */
    cJSON *daemon; /* GET /v1/status at the start, or NULL */
    char date[32];
    double seconds;
} eval_run;

/* Asks everything.  *stop (NULL: never) ends it early when it becomes true: RAG_CANCELED.  A question that fails is an error of
 * its record; RAG_UNREACHABLE or RAG_DENIED when no reply came at all.  Free in either case; set and client must outlive the run. */
rag_code eval_run_all(eval_run *out, const eval_set *set, const eval_options *opt, client *c,
                      const volatile int *stop, rag_err *err);
void eval_run_free(eval_run *r);

/* ---- its parts ---------------------------------------------------------------------- */

void eval_run_init(eval_run *out, const eval_set *set, const eval_options *opt, client *c);
/* Replies, in any order. */
void eval_score_search(eval_run *r, size_t question, const cJSON *reply);
void eval_score_ask(eval_run *r, size_t question, const cJSON *reply);
/* From the columns to the estimates; before any report. */
void eval_run_finish(eval_run *r);

#endif
