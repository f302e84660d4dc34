/* daemon/answer.h: from passages to a checked answer.
 *
 *   hits ─> candidate sentences ─> (sentence vectors) ─> chosen evidence ─> extract
 *                                                                     └──> prompt ─> decoder ─> check ─> answer
 *
 * Pure functions over an arena: no libevent, no threads; the reader is only used for rarity and lines.  Every
 * quote is a byte range of a hit's text, and so of the stored text. */
#ifndef RAG_DAEMON_ANSWER_H
#define RAG_DAEMON_ANSWER_H

#include "base/arena.h"
#include "base/err.h"
#include "daemon/answer_confidence.h"
#include "index/index.h"

/* One sentence of a hit. */
typedef struct answer_sentence {
    size_t hit;        /* index into the hits */
    rag_span span;     /* bytes in hit.text */
    rag_str text;      /* those bytes */
    rag_str embed_text; /* what to embed: title or heading in front where the sentence alone is short */
    double overlap;    /* rarity-weighted share of the question's terms that it (and half-weighted, its heading) holds */
    double cosine;     /* filled from vectors; 0 before */
    double score;
} answer_sentence;

/* Twelve by term overlap lose nothing against all sentences of five passages (measured on xquad, both
 * languages).  Of them at least three are embedded, and whatever before embedding is not far behind the best: three in
 * the median, with which xquad, cmrc2018, drcd and squad2 include as many answers as with twelve. */
enum { ANSWER_MAX_CANDIDATES = 12, ANSWER_MIN_PROMISING = 3, ANSWER_MAX_SENTENCES = 3 };

typedef struct answer_units answer_units; /* the question's weighed terms */

typedef struct answer_evidence {
    rag_str question;
    rag_lang lang;            /* of the question */
    const answer_units *units;
    const rag_hit *hits;
    size_t n_hits;
    answer_sentence *sentences; /* best term overlap first, at most ANSWER_MAX_CANDIDATES */
    size_t n_sentences;
    size_t n_promising;       /* the first ones, that are worth embedding */
    double confidence;        /* that the best sentence answers the question; set by answer_rank */
    answer_features features; /* what it came from */
    double text_ceiling;      /* rag_results.text_ceiling; 0: not known */
    const answer_model *model; /* NULL: ANSWER_MODEL */
} answer_evidence;

/* Splits the hits into sentences and keeps the most promising for embedding. Without a reader every term weighs
 * the same. */
rag_code answer_collect(rag_reader *r, rag_str question, const rag_hit *hits, size_t n_hits, rag_arena *arena,
                        answer_evidence *out, rag_err *err);

/* Scores: question and sentence vectors are unit length; vectors[i] belongs to sentences[i], i < n_promising, and may be NULL
 * (no embedder: overlap alone). Sorts the promising sentences by score, best first; the others stay behind them. */
void answer_rank(answer_evidence *ev, const float *question_vector, float *const *vectors, int dim);

typedef struct answer_citation {
    int n;               /* its marker */
    size_t hit;
    size_t start, end;   /* bytes in the stored text */
    size_t line_start, line_end;
    rag_str quote;
    double score;
} answer_citation;

typedef struct answer_result {
    bool refused;
    const char *mode;    /* "extract", "generate", "span" */
    rag_str answer;      /* with [n] markers */
    answer_citation *citations;
    size_t n_citations;
    double confidence;   /* 0–1 */
} answer_result;

/* The best one to max_sentences sentences, verbatim, each with its marker, in the order of the source where they
 * are neighbours.  Refuses politely, in the question's language, when there is no evidence. */
void answer_extract(const answer_evidence *ev, int max_sentences, rag_arena *arena, answer_result *out);

/* A span of a sentence as the answer, cited by that sentence. */
void answer_span(const answer_evidence *ev, size_t sentence, rag_span span, rag_arena *arena, answer_result *out);

/* The {{passages}} of the prompt: "[1] …" lines, whole sentences, line breaks folded and marker look-alikes ("[1]") broken up,
 * at most max_bytes.  order[i] is the sentence behind marker i+1. */
rag_str answer_passages(const answer_evidence *ev, size_t max_passages, size_t max_bytes, rag_arena *arena,
                        size_t **order, size_t *n_order);

typedef enum answer_strictness {
    ANSWER_VERBATIM,  /* must stand in one evidence sentence, after folding: `auto` */
    ANSWER_SUPPORTED, /* or say the same in another order, without any other word: `generate` */
} answer_strictness;

/* The check: holds generated text against the evidence it was given.  Sentences without support are dropped,
 * markers are set to the passages that support what is left, and every figure must occur in the quote.
 * False when nothing is left. */
bool answer_check(const answer_evidence *ev, const size_t *order, size_t n_order, rag_str generated,
                  answer_strictness strictness, rag_arena *arena, answer_result *out);

/* A polite "not in the documents" in the language given. */
rag_str answer_refusal(rag_lang lang);

#endif
