/* daemon/answer_confidence.h: one number, how likely the answer is right.
 *
 *   evidence, chosen sentence ─> features ─> logistic over conf/confidence.conf ─> 0 … 1
 *
 * A feature is a number about 0 to 1 (or -1 to 1) that says something about question, passages and sentence; 0 is
 * "nothing known" wherever that can be, so that what a mode does not have (token probabilities in `extract`) speaks neither for nor
 * against.  The coefficients were fitted by bench/fit_confidence over answers to development questions; the file says which.
 *
 * Threads: plain values; a model that is loaded is only read. */
#ifndef RAG_DAEMON_ANSWER_CONFIDENCE_H
#define RAG_DAEMON_ANSWER_CONFIDENCE_H

#include "base/err.h"
#include "base/str.h"

typedef enum answer_feature {
    ANSWER_BIAS,             /* 1 */
    ANSWER_COSINE,           /* question and sentence, (x - 0.78) / 0.12 */
    ANSWER_OVERLAP,          /* rarity-weighted share of the question's terms in the sentence and its heading */
    ANSWER_PASSAGE_OVERLAP,  /* … in the whole passage and its title */
    ANSWER_RAREST,           /* weight of the rarest term that the passage lacks, as a share of the rarest of all */
    ANSWER_COVERAGE,         /* rag_hit.coverage of the passage */
    ANSWER_ELSEWHERE,        /* by how much another passage covers more */
    ANSWER_NAMES,            /* share of the question's names and figures that the passage lacks */
    ANSWER_NAMES_FAR,        /* … that the passage holds but the sentence and its heading do not */
    ANSWER_WANTS_FIGURE,     /* the question asks for one: 1 the sentence has one that is not the question's, -1 it has none */
    ANSWER_WANTS_NAME,       /* the same for a person or place, by capital letters; 0 in Chinese */
    ANSWER_WANTS_REASON,     /* 1: why, how */
    ANSWER_MARGIN,           /* the sentence's score less the next best one's, at most 1 */
    ANSWER_PASSAGE_MARGIN,   /* … less the best one's of another passage, at most 2, halved */
    ANSWER_HIT_COSINE,       /* question and passage, (x - 0.8) / 0.1 */
    ANSWER_HIT_SECOND,       /* best hit's fused score less the second's, / 0.05, at most 1 */
    ANSWER_HIT_LAST,         /* … less the last one's, / 0.1, at most 1 */
    ANSWER_HIT_TEXT,         /* the passage's BM25 as a share of what it could be for this question */
    ANSWER_HIT_CLOSENESS,    /* the passage's closeness, as a share likewise */
    ANSWER_BOTH_FIRST,       /* 1: the first hit is first in both halves of the search */
    ANSWER_FROM_FIRST,       /* 1: the sentence is the first hit's */
    ANSWER_ONE_DOCUMENT,     /* share of the hits that are of the sentence's document */
    ANSWER_LENGTH,           /* terms of the question, ln(1 + n) / 3 */
    ANSWER_CHINESE,          /* 1: question and sentence are */
    ANSWER_CHINESE_COSINE,   /* ANSWER_COSINE in Chinese */
    ANSWER_CHINESE_OVERLAP,  /* ANSWER_OVERLAP in Chinese */
    ANSWER_ACROSS,           /* 1: the sentence is in another language than the question */
    ANSWER_ACROSS_COSINE,    /* ANSWER_COSINE across languages */
    ANSWER_ACROSS_HIT,       /* ANSWER_HIT_COSINE across languages */
    ANSWER_RERANK,           /* reranker's share of the passage less 0.5, doubled; 0 without one */
    ANSWER_ALIGNED,          /* generated text: share of its words that the quote holds, less 1 */
    ANSWER_TOKENS,           /* mean log probability of its tokens, at least -2, halved */
    ANSWER_SPAN_AGREES,      /* the decoder's best span is in the best sentence 1, in another -1; 0 without a decoder */
    ANSWER_SPAN_MARGIN,      /* its score less the next one's, at most 1 */
    ANSWER_FEATURES,
} answer_feature;

typedef struct answer_features {
    double value[ANSWER_FEATURES];
} answer_features;

/* "cosine", "span_agrees", …: as they stand in the file. */
const char *answer_feature_name(answer_feature f);

typedef struct answer_model {
    double weight[ANSWER_FEATURES];
} answer_model;

/* The numbers of conf/confidence.conf as they are in the tree. */
extern const answer_model ANSWER_MODEL;

/* Reads a coefficient file: "name = value" lines, "#" comments, and the entries date, data and answers, which are for people.  A
 * feature that is not named weighs nothing.  RAG_CONFIG: no such file, an unknown or repeated name, a value that is no number, or no bias. */
rag_code answer_model_load(const char *path, answer_model *out, rag_err *err);

/* Logistic function of the weighed sum; NULL is ANSWER_MODEL. */
double answer_probability(const answer_model *m, const answer_features *f);

#endif
