/* daemon/search.h: the search that /v1/search and /v1/ask share.
 *
 * Threads: search_run on a search thread. */
#ifndef RAG_DAEMON_SEARCH_H
#define RAG_DAEMON_SEARCH_H

#include "daemon/request.h"

typedef struct search {
    rag_str query;
    rag_str collection;
    int top_k;
    rag_search_mode mode;
    double ms;      /* spent searching */
    rag_results found; /* in the job's arena */
} search;

/* Pins the current snapshot to the job, once, and fills found; false with the job's problem.  The vector is the
 * job's first embedding; without one (no time was left) text alone is searched. */
bool search_run(job *j, rag_reader *r, search *s);
/* "collection" is a name without control characters, of 1 to 128 bytes. */
bool search_collection(const fields *f, rag_arena *arena, rag_str *out);
/* False for a text of nothing but white space. */
bool search_has_text(rag_str s);

#endif
