/* llm/span_search.h: which spans of the evidence the decoder is asked about.
 *
 * Each span is the token sequence that the model itself would write for it, behind the prompt; those of a reading are
 * a tree that begins at the prompt's end (the root), so that what spans share is evaluated once.  Node r is the root of reading r.  A node is
 * `known` when the probability of the tokens up to it is, and `scored` once its own continuations and its end are: that takes
 * one decoded token in each pass (with the question and, as prior, without).
 *
 * The score is that of rag_llm_spans.  First the most promising first tokens are kept; then, a few at a time, the known nodes that promise most are
 * scored, each together with a child, until none can beat the best span or `max_nodes` are used up.  A
 * node promises its score so far, spread over two more tokens: a guess, not a bound.  On 100 questions this finds spans as
 * good as scoring all of them, with about 20 nodes in place of 300.
 *
 * Threads: one owner. */
#ifndef RAG_LLM_SPAN_SEARCH_H
#define RAG_LLM_SPAN_SEARCH_H

#include <stdint.h>

#include "llm/llm.h"

enum {
    SPAN_PASSES = 2,      /* with the question, without */
    SPAN_BEAM = 8,        /* first tokens kept, and nodes that wait to be scored */
    SPAN_ROUND = 4,       /* of them scored together */
    SPAN_ROUND_NODES = 8, /* the same with their children */
    SPAN_MAX_TOKENS = 96, /* of one span */
};

/* Tokens of text, in the middle of a text, into out (room for max); their number, above max when they do not fit. */
typedef size_t (*span_tokenizer)(void *context, rag_str text, int32_t *out, size_t max);

typedef struct span_node {
    int32_t token;
    int parent, child, sibling; /* first child, next of the parent's children; -1 */
    size_t reading;
    int depth;                  /* tokens up to and including this one */
    int chain;                  /* the caller's; -1 at first */
    bool is_continued;          /* the caller's */
    bool is_known, is_scored, is_dropped;
    bool is_end;                /* a span ends here: the first one in the evidence that reads so */
    rag_span span;
    double echo;
    double path[SPAN_PASSES];   /* log P of the tokens up to here */
    double end[SPAN_PASSES];    /* log P of the end behind them */
} span_node;

typedef struct span_search {
    span_node *nodes;
    size_t n_nodes, cap_nodes;
    struct span_place *places;
    size_t n_places;
    rag_str evidence[RAG_LLM_MAX_READINGS], question; /* owned copies */
    double bonus[RAG_LLM_MAX_READINGS];
    size_t n_readings;
    rag_str lead; /* what stands between prompt and answer: a space or nothing; static */
    double lambda, alpha, gamma;
    int max_nodes, n_scored; /* without the roots */
    bool is_grown;
    span_tokenizer tokenize;
    void *context;
} span_search;

/* Collects the spans' starts and their first tokens.  RAG_TOO_LARGE when there is more evidence than any prompt holds,
 * RAG_INVALID when there are no readings or too many. */
rag_code span_search_init(span_search *s, const rag_llm_spans *query, rag_str lead, span_tokenizer tokenize,
                          void *context, rag_err *err);
void span_search_free(span_search *s); /* copes with zeroed ones */

/* The nodes to score now, each behind its parent; at most SPAN_ROUND_NODES: first the roots.  0: the search is over. */
size_t span_search_next(span_search *s, int *nodes);

/* Tells what the model says behind `node` in one pass: its end's log P, and that of each child's token through
 * `logprob`.  With the last pass (n_passes - 1) the node is scored. */
void span_search_tell(span_search *s, int node, int pass, int n_passes, double end,
                      double (*logprob)(void *context, int32_t token), void *context);

/* The best spans found, best first, at most max; no two of the same bytes. */
size_t span_search_best(const span_search *s, rag_llm_span *out, size_t max);

#endif
