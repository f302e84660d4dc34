/* index/bm25.h: BM25 as an FTS5 auxiliary function of ours, over the rows that a reader may see.
 *
 * FTS5's own bm25() counts every row in the table: old generations, a run in progress, other people's
 * documents.  Here one call, on the first row of a MATCH, walks the postings of each phrase (xQueryPhrase), looks every
 * row up in the filter's bitmap, and adds
 *
 *     idf · tf · (k1 + 1) / (tf + k1 · (1 − b + b · length / mean length))
 *
 * with tf and length summed over the columns with a weight each (Robertson and Zaragoza 2009, eq. 3.15 and
 * section 3.6), idf = ln(1 + (N − n + ½) / (n + ½)), and N, n and the mean counted over visible rows only.  All of
 * a query costs one pass over its postings.
 *
 * Threads: a bm25 object belongs to one reader. */
#ifndef RAG_INDEX_BM25_H
#define RAG_INDEX_BM25_H

#include "index/query.h"
#include "index/snapshot.h"

#define BM25_K1 1.2
#define BM25_B 0.75

extern const float bm25_column_weight[N_COLUMNS];

typedef struct bm25 bm25;

bm25 *bm25_new(void);
void bm25_free(bm25 *b); /* copes with NULL */

/* Scores all visible rows that any phrase of the plan hits; valid until the next run.  RAG_DEADLINE. */
rag_code bm25_run(bm25 *b, db *d, const rag_snapshot *s, const filter *f, const plan *p, rag_err *err);

size_t bm25_count(const bm25 *b);                /* rows with a score */
const uint32_t *bm25_touched(const bm25 *b);     /* their positions, in no order */
float bm25_score(const bm25 *b, size_t position); /* 0 when no phrase hits it */
/* Part of the query's rarity (idf) that the row holds: 0 to 1. */
double bm25_coverage(const bm25 *b, size_t position);
/* Of each phrase of the plan; 0 when no visible row holds it. */
const float *bm25_idf(const bm25 *b);
/* More than any row could score for this query. */
double bm25_ceiling(const bm25 *b);
/* True when the body of the row holds the phrase of every quote that has one. */
bool bm25_has_quotes(const bm25 *b, const plan *p, size_t position);

#endif
