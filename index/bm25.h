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

/* A query counts so many visible rows; after that, a phrase of more than the second number is left out of the score: it
 * is a common word, whose idf is small.  No query reaches this below 10,000 passages. */
enum { BM25_MAX_ROWS = 1000000, BM25_MAX_MORE_ROWS = 20000 };

#define BM25_K1 1.2
#define BM25_B 0.75

typedef struct bm25 bm25;

bm25 *bm25_new(void);
void bm25_free(bm25 *b); /* copes with NULL */
void bm25_limit(bm25 *b, size_t rows, size_t more_rows); /* instead of the above */

/* A new query: what the last one left is forgotten. */
void bm25_begin(bm25 *b, db *d, const rag_snapshot *s, const filter *f);
/* Walks the plan's phrases from number `from` on, and adds their parts to the scores of the visible rows that they hit; all of it
 * is valid until the next bm25_begin.  RAG_DEADLINE. */
rag_code bm25_add(bm25 *b, const plan *p, size_t from, rag_arena *arena, rag_err *err);

size_t bm25_count(const bm25 *b);                /* rows that a phrase hits */
const uint32_t *bm25_touched(const bm25 *b);     /* their positions, in no order */
float bm25_score(const bm25 *b, size_t position); /* 0 when no phrase hits it */
/* Part of the query's rarity (idf) that the row holds: 0 to 1. */
double bm25_coverage(const bm25 *b, size_t position);
/* Of each phrase of the plan; 0 for one that no visible row holds, or that has no part in the score. */
const float *bm25_idf(const bm25 *b);
/* More than any row could score for this query. */
double bm25_ceiling(const bm25 *b);
/* A phrase that no row holds is no longer part of the query's rarity: others were taken in its place. */
void bm25_forget_absent(bm25 *b, size_t phrase);
size_t bm25_rows(const bm25 *b, size_t phrase);  /* visible rows that hold it */
/* The phrases that the row holds, by plan_bit(); a quote's only when the body holds it, else PLAN_OTHER. */
uint64_t bm25_held(const bm25 *b, size_t position);

#endif
