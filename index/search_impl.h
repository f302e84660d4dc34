/* index/search_impl.h: one search at work, as its files share it.
 *
 *   search.c   the two halves, joined and fused to a list of candidates
 *   closeness.c  how close together the best hits hold the query's words
 *   quotes.c   quoted parts: which passages may be candidates at all
 *   widen.c    typing errors, and characters whose pairs stand nowhere
 *   holders.c  exact strings: what stands nowhere, and the place of those who hold the others
 *   explain.c  what was a candidate, and why
 *   hits.c     candidates to hits: their rows and texts
 *   arrange.c  hits to results: twins folded, neighbours merged, documents' shares
 *
 * Threads: those of the reader. */
#ifndef RAG_INDEX_SEARCH_IMPL_H
#define RAG_INDEX_SEARCH_IMPL_H

#include "index/fuse.h"
#include "index/reader.h"

enum {
    SEARCH_CLOSENESS_HITS = 32, /* the best ones, whose words are looked at where they stand */
    SEARCH_MAX_HOLDERS = PLAN_MAX_QUOTES + EXACT_MAX + 2, /* candidates beside those of the halves */
    SEARCH_MAX_QUOTE_CHECKS = 2000, /* passages whose text is compared with the quotes: the best by BM25 */
};

typedef struct search {
    rag_reader *r;
    rag_snapshot *s;
    const rag_search *q;
    rag_arena *arena;
    const filter *filter;
    plan plan;
    size_t top_k, n_candidates;
    const uint8_t *bits; /* the filter's, or those of them that hold the quotes */
    bool has_text;       /* the text half was asked: what its bm25 holds is of this query */
    bool none;           /* no passage holds the quotes */
    candidate *list;     /* best first, once fused */
    size_t n;
    uint32_t *by_text; /* positions, best first */
    size_t n_by_text;
    uint64_t standing;   /* exact strings that some visible passage holds, by plan_bit of their phrases */
    uint64_t wanted;     /* those of them that a hit must hold to count as exact: all, or the rarest if no candidate may hold all */
    rag_correction *corrections;
    size_t n_corrections;
} search;

/* Ties break by path, then by place in the document. */
int search_compare_places(const rag_snapshot *s, uint32_t a, uint32_t b);
/* The one at this position, added, with its cosine, when it is not in the list. */
candidate *search_candidate(search *x, uint32_t position);
/* For qsort_r over positions, with the search as context: BM25, best first. */
int search_by_text_score(const void *a, const void *b, void *context);

/* Leaves in by_text, and in the reader's bitmap, what holds every quoted part; from here on nothing else is a candidate,
 * in either half. */
rag_code search_demand_quotes(search *x, rag_results *out, rag_err *err);
void search_tell_absent(search *x, rag_results *out, rag_str text);

/* When words of the query stand nowhere: adds what they may mean to the plan, with its scores. */
rag_code search_widen(search *x, rag_err *err);

/* Tells which exact strings stand in no visible passage, and leaves the others' bits in `standing`. */
void search_find_standing(search *x, rag_results *out);
/* Puts the best holder of each standing string among the candidates. */
void search_add_holders(search *x);
/* The list is sorted: sees to it that the first n, which become hits, have the best candidate that holds what is wanted, and
 * one for each string. */
void search_keep_holders(search *x, size_t n);
/* The same for the first top_k hits, after their last sort. */
void search_place_holders(const search *x, rag_results *io);

/* rag_results.candidates: the hits of the pool and the rest of the list, by fused score; their fate is RAG_FATE_BELOW.
 * search_arrange finds a candidate by its chunk_id and sets fate and other. */
rag_code search_explain(search *x, rag_results *io, rag_err *err);

/* Rows and texts of the best n candidates. */
rag_code search_fill_hits(search *x, size_t n, rag_hit **out, rag_err *err);

/* With adaptive fusion: adds to the best hits' scores how close together they hold the query's words, and sorts those again. */
void search_weigh_closeness(search *x, rag_results *io);

/* rag_reader_arrange within a read transaction. */
rag_code search_arrange(rag_reader *r, const rag_search *q, rag_arena *arena, rag_results *io, rag_err *err);
/* Whether a larger pool could give more: fewer than top_k results, or a document with more than its share. */
bool search_lacks_results(const rag_search *q, const rag_results *got);

static inline size_t search_top_k(const rag_search *q)
{
    return q->top_k ? (size_t)q->top_k : 5;
}

#endif
