/* ctl/eval_metrics.h: every figure of `ragctl eval`, with its formula and where the formula is from.
 *
 * A figure is computed from columns.  A column holds, for each question, a sum and a weight; weight 0 means that the
 * figure does not apply to the question.  A figure's value is the sum of the sums over the sum of the weights: the
 * mean over questions where every weight is 1, and otherwise a rate over citations, refusals and the like.
 *
 *   Ranking, by document and by gold span (r = ranks of the gold items that were found, G = how many there are).  By
 *   document a rank counts distinct documents, each at its first result; what a result names as its duplicates does
 *   not count.  By span a rank counts results; a result finds a span when it overlaps at least half of the shorter of
 *   the two; each span counts once, at its first result.
 *   hit@k        1 if any r <= k                      trec_eval's success_k
 *   recall@k     |{r <= k}| / G                       trec_eval's recall_k
 *   MRR@10       1 / min r, 0 if that is above 10     trec_eval's recip_rank, cut at 10 (as MS MARCO does)
 *   nDCG@10      sum over r <= 10 of 1 / log2(r + 1), over the same sum for r = 1 … min(G, 10)
 *                                                     trec_eval's ndcg_cut_10 with gains 0 and 1 (Järvelin and Kekäläinen 2002)
 *                By span, spans that one result found first are one item: a result has one place in the order.
 *   answer@k     1 if the text of one of the first k results holds a gold answer (inclusion, below)
 *
 *   Answers to answerable questions with gold answers that can be compared; a refusal scores 0.
 *   exact match  1 if normalise(answer) = normalise(gold)                  SQuAD's evaluate-v1.1.py (Rajpurkar et al. 2016)
 *   F1           harmonic mean of the precision and the recall of tokens as multisets; the same source
 *   inclusion    1 if normalise(gold) is a substring of normalise(answer)
 *                The best over the gold answers counts.  normalise and tokens: see eval_normalise.
 *
 *   Length, of answers that are no refusal, without their markers.
 *   words        runs of characters that are not white space; answers to questions that are not Chinese
 *   characters   that are not white space; answers to Chinese questions
 *
 *   Citations of answers that are no refusal.
 *   citation precision   right citations / citations; a citation is right when its quote overlaps a gold span
 *   citation recall      gold spans that some citation overlaps / gold spans; a refusal cites none
 *   cited documents      citations from a gold document / citations
 *   exact quotes         citations (of refusals too) whose quote is the stored bytes from start to end / citations
 *
 *   Refusals.
 *   refusal precision    refused questions without an answer / refused questions
 *   refusal recall       refused questions without an answer / questions without an answer
 *   wrongly refused      refused questions with an answer / questions with an answer
 *
 *   Calibration, over answers that are no refusal.  An answer is right when the question has an answer and
 *     - a gold answer is included in it, where gold answers can be compared (match any, all_groups); else
 *     - one of its citations overlaps a gold span, where the question has gold spans; else
 *     - one of its citations is from a gold document.
 *   right        share of right answers
 *   Brier        mean of (confidence - right)²                             Brier 1950
 *   ECE          expected calibration error: sum over 10 bins of equal width, [0, 0.1), … [0.9, 1], of
 *                (questions in bin / questions) · |mean right - mean confidence|
 *                                                                          Naeini et al. 2015, Guo et al. 2017
 *   AUROC        how often the confidence of a right answer is above that of a wrong one; ties count half
 *                                                                          Mann and Whitney 1947, Hanley and McNeil 1982
 *
 *   Time.  search and ask: the mean of timings_ms.total.  Percentiles: linear between order statistics (Hyndman and Fan's type 7).
 *
 *   Intervals: percentile bootstrap (Efron and Tibshirani 1993), 95 %, EVAL_RESAMPLES resamples of the questions, fixed
 *   seed.  Paired differences resample the same questions on both sides; the two-sided p is
 *   2 · (1 + min(resamples <= 0, resamples >= 0)) / (resamples + 1), at most 1.  Times have none: two runs differ by what else the
 *   machine did, which no resampling of questions shows.
 *
 * Threads: pure functions. */
#ifndef RAG_CTL_EVAL_METRICS_H
#define RAG_CTL_EVAL_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum { EVAL_RESAMPLES = 10000, EVAL_BINS = 10, EVAL_CUTS = 4, EVAL_DEPTH = 10 };

/* The cuts of hit@k and recall@k: 1, 3, 5, 10. */
extern const int eval_cuts[EVAL_CUTS];

/* What is ranked: the eval_ranking offsets below are the same for both. */
typedef enum eval_ranking { EVAL_HIT = 0, EVAL_RECALL = 4, EVAL_MRR = 8, EVAL_NDCG = 9, EVAL_RANKING = 10 } eval_ranking;

typedef enum eval_metric {
    EVAL_DOC = 0,             /* + an eval_ranking, + the number of the cut */
    EVAL_SPAN = EVAL_RANKING, /* the same */
    EVAL_ANSWER_IN_1 = 2 * EVAL_RANKING,
    EVAL_ANSWER_IN_5,
    EVAL_EXACT_MATCH,
    EVAL_F1,
    EVAL_INCLUSION,
    EVAL_ANSWER_WORDS,
    EVAL_ANSWER_CHARS,
    EVAL_CITATION_PRECISION,
    EVAL_CITATION_RECALL,
    EVAL_CITED_DOCUMENTS,
    EVAL_EXACT_QUOTES,
    EVAL_REFUSAL_PRECISION,
    EVAL_REFUSAL_RECALL,
    EVAL_WRONGLY_REFUSED,
    EVAL_RIGHT,
    EVAL_BRIER,
    EVAL_ECE,
    EVAL_AUROC,
    EVAL_SEARCH_MS,
    EVAL_ASK_MS,
    EVAL_METRICS,
} eval_metric;

typedef struct eval_metric_row {
    const char *key;   /* in JSON and on the command line: "doc_ndcg_10" */
    const char *label; /* for people: "nDCG@10" */
    bool is_rate;      /* weights other than 1; a question may count on one side of a comparison only */
    bool lower_is_better;
    bool is_time;      /* milliseconds; a difference has no p */
} eval_metric_row;

extern const eval_metric_row eval_metrics[EVAL_METRICS];
/* EVAL_METRICS when no row has that key. */
eval_metric eval_metric_find(const char *key);
/* Digits behind the point that say something: 3 for shares, 1 for times and lengths. */
int eval_metric_digits(eval_metric m);
/* What is ranked: " by document", " by gold span", or "" for other figures. */
const char *eval_metric_scope(eval_metric m);

/* ---- one question ------------------------------------------------------------------ */

/* ranks: ascending, from 1, of the gold items that were found; n_items: what nDCG's ideal counts (n_gold, or fewer by
 * span).  out: one value an eval_ranking. */
void eval_rank(const uint32_t *ranks, size_t n, size_t n_gold, size_t n_items, double out[EVAL_RANKING]);

/* English as SQuAD's script does it: lower case, no ASCII punctuation, no articles, words separated by one space.
 * Characters (zh): NFKC, lower case, letters and digits alone, every one a token; as the scripts of CMRC 2018 and DRCD
 * drop punctuation. */
void eval_normalise(rag_str text, bool zh, rag_buf *out);
/* Whether to compare by characters: Chinese question, or a gold answer that holds Han characters. */
bool eval_by_characters(bool is_chinese, rag_str gold);

double eval_exact_match(rag_str answer, rag_str gold, bool zh);
double eval_f1(rag_str answer, rag_str gold, bool zh);
double eval_includes(rag_str text, rag_str gold, bool zh); /* 0 for a gold answer of nothing */

size_t eval_length(rag_str text, bool zh); /* characters (zh), or words */

/* Appends text without the markers [1], [2] … and the space before each. */
void eval_strip_markers(rag_str text, rag_buf *out);

/* Bytes that both have. */
size_t eval_overlap(rag_span a, rag_span b);
/* A hit finds a span: they share at least half of the shorter one. */
bool eval_finds(rag_span hit, rag_span gold);

/* ---- many questions ---------------------------------------------------------------- */

typedef struct eval_data {
    size_t n; /* questions */
    double *sums[EVAL_METRICS], *weights[EVAL_METRICS];
    double *confidences;   /* of questions with a weight in EVAL_RIGHT */
    uint32_t *ascending;   /* those questions, by confidence */
    size_t n_ascending;
} eval_data;

void eval_data_init(eval_data *d, size_t n);
void eval_data_free(eval_data *d); /* copes with a zeroed one */
void eval_data_set(eval_data *d, eval_metric m, size_t question, double sum, double weight);
/* To be called when all is set, before what follows. */
void eval_data_seal(eval_data *d);

/* The figure over the questions, each as often as `counts` says (NULL: once); NAN when nothing applies. */
double eval_value(const eval_data *d, eval_metric m, const double *counts);

typedef struct eval_estimate {
    double value, low, high; /* NAN when nothing applies */
    size_t n;                /* questions that it applies to */
} eval_estimate;

void eval_estimates(const eval_data *d, eval_estimate out[EVAL_METRICS]);

typedef struct eval_difference {
    double a, b, difference, low, high; /* difference = b - a */
    double p;
    size_t n, better, worse; /* questions with a value on both sides; those whose value is better, worse in b */
} eval_difference;

/* The questions of a and b are the same, in the same order. */
void eval_differences(const eval_data *a, const eval_data *b, eval_difference out[EVAL_METRICS]);

typedef struct eval_bin {
    size_t n;
    double confidence, right; /* means; 0 in an empty bin */
} eval_bin;

void eval_bins(const eval_data *d, eval_bin out[EVAL_BINS]);

/* share from 0 to 1 of n > 0 ascending values. */
double eval_percentile(const double *ascending, size_t n, double share);
void eval_sort(double *values, size_t n);

#endif
