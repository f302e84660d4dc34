/* index/query.h: any text to phrases for FTS5, and to a valid MATCH.
 *
 * The query is tokenised with the index's own tokenizer; what goes to FTS5 are only its tokens, each phrase in
 * double quotes and behind a mark, so that nothing the user writes is syntax.
 *
 *   words            one phrase each, by stem; stop words only when nothing else remains
 *   E-4012, wi-fi    and the whole as a phrase of exact forms
 *   黑豹队           overlapping pairs 黑豹 豹队; a character that stands alone as itself
 *   "exact words"    must stand in the passage: a phrase, and then a comparison of the texts
 *   exact strings    (index/exact.h) a phrase each, that has no part in the score unless it is one of the above
 *
 * A plan grows while a search is at work: a misspelt word gets the words that it may mean (plan_add).
 *
 * Threads: pure. */
#ifndef RAG_INDEX_QUERY_H
#define RAG_INDEX_QUERY_H

#include "index/exact.h"
#include "index/index.h"

enum {
    PLAN_MAX_PHRASES = 64, /* of plain text, distinct */
    PLAN_MAX_QUOTES = 8,
    PLAN_MAX_QUOTE_TOKENS = 32, /* of a quote that FTS5 sees; the comparison sees all */
    PLAN_MAX_ADDED = 96,
    PLAN_ROOM = PLAN_MAX_QUOTES + EXACT_MAX + PLAN_MAX_PHRASES + PLAN_MAX_ADDED,
};

typedef struct plan_phrase {
    rag_str tokens; /* with MARK_NEXT between them */
    rag_str label;  /* to be read: the word, or the part of the query */
    enum { PLAN_PHRASE, PLAN_WORD, PLAN_PAIR } kind; /* a plain word; two Han characters side by side */
    size_t term;    /* its first one in the query */
    float weight;   /* of its part in the score; 0 = only looked for */
    int quote;      /* 0 = plain; else quotes[quote - 1] */
} plan_phrase;

typedef struct plan_quote {
    rag_span at;        /* bytes between the marks */
    rag_str text;       /* as it was written */
    rag_str comparable;
    size_t phrase;      /* SIZE_MAX: it holds no token, only punctuation */
    bool is_word;       /* one word and nothing else: a passage with its phrase holds it */
} plan_quote;

typedef struct plan_exact {
    rag_str text;  /* as it was written */
    size_t from, to; /* terms [from, to) */
    size_t phrase;
    bool is_told;  /* when it stands nowhere */
} plan_exact;

/* Quotes' phrases come first, those of exact strings next, so that each has a bit of its own. */
typedef struct plan {
    plan_phrase *phrases;
    size_t n_phrases;
    plan_quote *quotes;
    size_t n_quotes;
    uint64_t quote_bits; /* of their phrases, by plan_bit */
    plan_exact *exact;
    size_t n_exact;
    const rag_term *terms; /* of the query */
    size_t n_terms;
    rag_str text;          /* the query, in the arena */
    bool quote_without_phrase; /* one holds no token, only punctuation */
    bool quotes_are_words;     /* each is_word */
} plan;

/* A phrase as a bit of a set: the ones from number PLAN_BITS on share the last one. */
enum { PLAN_BITS = 63 };
#define PLAN_OTHER ((uint64_t)1 << PLAN_BITS)

static inline uint64_t plan_bit(size_t phrase)
{
    return phrase < PLAN_BITS ? (uint64_t)1 << phrase : PLAN_OTHER;
}

/* Everything in it lives in the arena. */
void plan_build(rag_str query, rag_arena *arena, plan *out);

/* One more phrase; false when there is no room, or the plan has it already. */
bool plan_add(plan *p, const plan_phrase *phrase);
/* The phrase of one term: by stem, where it has one. */
rag_str plan_stem(rag_arena *arena, const rag_term *t);
/* Phrases [from, n_phrases) in order, OR between them; NULL when there is none. */
const char *plan_match(const plan *p, size_t from, rag_arena *arena);

/* The form in which quotes are compared: folded, runs of white space one space, none between characters that
 * are written without. */
rag_str plan_comparable(rag_str text, rag_arena *arena);

#endif
