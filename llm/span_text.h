/* llm/span_text.h: where an answer that is copied from a text may start and end.
 *
 * A span starts and ends at word boundaries (between Chinese characters anywhere), never inside a word, a number, an
 * amount ("$5", "1,200", "10%", "30万") or a contraction; it neither starts nor ends with punctuation, closes the
 * brackets that it opens, lies within one sentence and is short.
 *
 * Threads: pure. */
#ifndef RAG_LLM_SPAN_TEXT_H
#define RAG_LLM_SPAN_TEXT_H

#include "base/str.h"

enum {
    SPAN_MAX_WORDS = 20,
    SPAN_MAX_CJK = 30,    /* characters; a word counts as one and a half */
    SPAN_MAX_BYTES = 320, /* whatever the words are like */
};

/* A start and the furthest byte that a span from it may reach. */
typedef struct span_start {
    size_t at, last;
} span_start;

/* Starts in text, ascending, at most max; returns their number. */
size_t span_starts(rag_str text, span_start *out, size_t max);

/* Whether text[start, end) may be a span, given that one may start at start and end <= its `last`. */
bool span_ends_at(rag_str text, size_t start, size_t end);

/* The next end behind `from` up to start->last; 0 when there is none. */
size_t span_next_end(rag_str text, const span_start *start, size_t from);

/* The share of text's words (of pairs of Chinese characters) that stand in question; words of up to three Latin letters
 * and single Chinese characters count only where there is nothing else. */
double span_echo(rag_str text, rag_str question);

#endif
