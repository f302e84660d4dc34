/* daemon/search.h: the search that /v1/search and /v1/ask share.
 *
 * Threads: search_run on a search thread. */
#ifndef RAG_DAEMON_SEARCH_H
#define RAG_DAEMON_SEARCH_H

#include "daemon/request.h"

typedef struct search {
    rag_str query;
    rag_filter filter;
    int top_k;
    rag_search_mode mode;
    bool explain;
    double ms;      /* spent searching */
    rag_results found; /* in the job's arena */
    rag_search plan;   /* what the index was asked */
    job_step *then;
} search;

/* Pins the current snapshot to the job, once, fills found and goes on with `then`, by way of the model thread when there is
 * a reranker; or ends the job with a problem.  The vector is the job's first embedding; without one (no time was left) text
 * alone is searched.  s lives in the job's arena. */
void search_run(job *j, rag_reader *r, search *s, job_step *then);
/* filter.c: what "collection" (a name without control characters, of 1 to 128 bytes) and "filter" let through of what the
 * job's caller may see. */
bool search_read_filter(job *j, const fields *f, rag_filter *out);
/* False for a text of nothing but white space. */
bool search_has_text(rag_str s);

/* explain.c: "absent" and "corrections", each only when there are any. */
void render_findings(json_writer *w, const rag_results *found);
/* The members of "explain" that tell how s found: visible, filter, fusion, candidates. */
void render_explanation(json_writer *w, const search *s);
void render_filter(json_writer *w, const rag_filter *f);

#endif
