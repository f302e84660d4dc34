/* index/query.h: any text to a valid MATCH.
 *
 * The query is tokenised with the index's own tokenizer; what goes to FTS5 are only its tokens, each phrase in
 * double quotes and behind a mark, so that nothing the user writes is syntax.
 *
 *   words            one phrase each, by stem; stop words only when nothing else remains
 *   E-4012, wi-fi    and the whole as a phrase of exact forms
 *   黑豹队           overlapping pairs 黑豹 豹队; a character that stands alone as itself
 *   "exact words"    must stand in the passage: a phrase, and then a comparison of the texts
 *
 * Threads: pure. */
#ifndef RAG_INDEX_QUERY_H
#define RAG_INDEX_QUERY_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum {
    PLAN_MAX_PHRASES = 64, /* of plain text, distinct */
    PLAN_MAX_QUOTES = 8,
    PLAN_MAX_QUOTE_TOKENS = 32, /* of a quote that FTS5 sees; the comparison sees all */
};

typedef struct plan_phrase {
    rag_str tokens; /* with MARK_NEXT between them */
    int quote;      /* 0 = plain; else quotes[quote - 1] */
} plan_phrase;

typedef struct plan {
    const char *match; /* phrases in order, OR between them; NULL when there is no term */
    plan_phrase *phrases;
    size_t n_phrases;
    rag_str *quotes; /* in comparable form */
    size_t n_quotes;
    bool quote_without_phrase; /* one holds no token, only punctuation */
} plan;

void plan_build(rag_str query, rag_arena *arena, plan *out);

/* The form in which quotes are compared: folded, runs of white space one space, none between characters that
 * are written without. */
rag_str plan_comparable(rag_str text, rag_arena *arena);

#endif
