/* daemon/answer_private.h: what the files of the answer share. */
#ifndef RAG_DAEMON_ANSWER_PRIVATE_H
#define RAG_DAEMON_ANSWER_PRIVATE_H

#include "daemon/answer.h"

/* The unit of overlap: an English stem, a Han character that is no function word, or two neighbouring ones. */
typedef struct answer_unit {
    rag_str text;
    double weight; /* rarity: ln(1 + (N - df + 0.5) / (df + 0.5)); a pair's is the sum of its characters' */
} answer_unit;

struct answer_units {
    answer_unit *items;
    size_t n;
    double weight; /* of all of them */
};

/* Distinct units of a text, unweighed (weight 0), sorted by text. */
answer_units *answer_units_of(rag_str text, rag_arena *arena);
/* Share (0–1) of q's weight whose units stand in `in`. */
double answer_units_overlap(const answer_units *q, const answer_units *in);

/* What is known about sentence s as the answer, after answer_rank has sorted. */
void answer_features_of(const answer_evidence *ev, const answer_sentence *s, answer_features *out);
/* That sentence s answers the question (0-1). */
double answer_confidence(const answer_evidence *ev, const answer_sentence *s);

/* Appends text with each run of white space that holds a line break as one space, or as nothing between Han characters.
 * "[1]" becomes "[ 1]": in a source, or left by the decoder, it would pass for one of our markers. */
void answer_put_folded(rag_buf *b, rag_str text);

/* Fills a citation of hit `hit` for span (bytes in the hit's text). */
void answer_cite(const answer_evidence *ev, const answer_sentence *s, int n, answer_citation *out);

#endif
