/* daemon/rerank.h: the reranker between a search and its results.
 *
 *   search thread   the index gives a pool; rerank_begin hands the first search.rerank hits over
 *   model thread    rerank_next, one pair a call, until all are scored or the time is over
 *   search thread   rerank_apply, then the index arranges
 *
 * Its time is search.rerank_budget from the hand-over on, waiting included, and at most half of what is left of the
 * request's: a daemon with much to do reranks less and answers no later. */
#ifndef RAG_DAEMON_RERANK_H
#define RAG_DAEMON_RERANK_H

#include "daemon/search.h"
#include "embed/rerank.h"

/* How many chunks the index is to give for top_k results; 0 when no reranker is ready. */
int rerank_pool(const job *j, int top_k);
/* A search thread: gives the job away. */
void rerank_begin(job *j, search *s, job_step *then);
/* The model thread: one pair further; true when the job may go on. */
bool rerank_next(job *j, rag_reranker *r);
/* A search thread: scored hits by rerank_score, best first, the others behind in their old order; score is the reranker's,
 * and falls on behind the scored ones as the fused score does. */
void rerank_apply(job *j, rag_results *found);

#endif
