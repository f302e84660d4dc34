/* Columns of figures, their means, intervals and differences. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/eval_metrics.h"

enum { SEED = 20261124 };

#define RANKINGS(prefix) \
    { prefix "_hit_1", "hit@1", false, false, false }, { prefix "_hit_3", "hit@3", false, false, false }, \
    { prefix "_hit_5", "hit@5", false, false, false }, { prefix "_hit_10", "hit@10", false, false, false }, \
    { prefix "_recall_1", "recall@1", false, false, false }, { prefix "_recall_3", "recall@3", false, false, false }, \
    { prefix "_recall_5", "recall@5", false, false, false }, { prefix "_recall_10", "recall@10", false, false, false }, \
    { prefix "_mrr_10", "MRR@10", false, false, false }, { prefix "_ndcg_10", "nDCG@10", false, false, false }

const eval_metric_row eval_metrics[EVAL_METRICS] = {
    RANKINGS("doc"),
    RANKINGS("span"),
    [EVAL_ANSWER_IN_1] = { "answer_in_1", "answer in the first result", false, false, false },
    [EVAL_ANSWER_IN_5] = { "answer_in_5", "answer in the first five", false, false, false },
    [EVAL_EXACT_MATCH] = { "exact_match", "exact match", false, false, false },
    [EVAL_F1] = { "f1", "F1", false, false, false },
    [EVAL_INCLUSION] = { "inclusion", "inclusion", false, false, false },
    [EVAL_ANSWER_WORDS] = { "answer_words", "words of an answer", true, true, false },
    [EVAL_ANSWER_CHARS] = { "answer_chars", "characters of a Chinese answer", true, true, false },
    [EVAL_CITATION_PRECISION] = { "citation_precision", "citation precision", true, false, false },
    [EVAL_CITATION_RECALL] = { "citation_recall", "citation recall", true, false, false },
    [EVAL_CITED_DOCUMENTS] = { "cited_documents", "citations from gold documents", true, false, false },
    [EVAL_EXACT_QUOTES] = { "exact_quotes", "quotes equal to the stored bytes", true, false, false },
    [EVAL_REFUSAL_PRECISION] = { "refusal_precision", "refusal precision", true, false, false },
    [EVAL_REFUSAL_RECALL] = { "refusal_recall", "refusal recall", true, false, false },
    [EVAL_WRONGLY_REFUSED] = { "wrongly_refused", "wrongly refused", true, true, false },
    [EVAL_RIGHT] = { "right", "right answers", true, false, false },
    [EVAL_BRIER] = { "brier", "Brier score", true, true, false },
    [EVAL_ECE] = { "ece", "expected calibration error", true, true, false },
    [EVAL_AUROC] = { "auroc", "AUROC of confidence", true, false, false },
    [EVAL_SEARCH_MS] = { "search_ms", "search, mean ms", false, true, true },
    [EVAL_ASK_MS] = { "ask_ms", "ask, mean ms", false, true, true },
};

eval_metric eval_metric_find(const char *key)
{
    eval_metric m = 0;
    while (m < EVAL_METRICS && strcmp(eval_metrics[m].key, key))
        m++;
    return m;
}

int eval_metric_digits(eval_metric m)
{
    return eval_metrics[m].is_time || m == EVAL_ANSWER_WORDS || m == EVAL_ANSWER_CHARS ? 1 : 3;
}

const char *eval_metric_scope(eval_metric m)
{
    return m < EVAL_SPAN ? " by document" : m < EVAL_SPAN + EVAL_RANKING ? " by gold span" : "";
}

/* ---- columns ------------------------------------------------------------------------ */

void eval_data_init(eval_data *d, size_t n)
{
    *d = (eval_data){ .n = n };
    for (eval_metric m = 0; m < EVAL_METRICS; m++) {
        d->sums[m] = rag_calloc(n + 1, sizeof(double));
        d->weights[m] = rag_calloc(n + 1, sizeof(double));
    }
    d->confidences = rag_calloc(n + 1, sizeof(double));
    d->ascending = rag_calloc(n + 1, sizeof(uint32_t));
}

void eval_data_free(eval_data *d)
{
    for (eval_metric m = 0; m < EVAL_METRICS; m++) {
        free(d->sums[m]);
        free(d->weights[m]);
    }
    free(d->confidences);
    free(d->ascending);
    *d = (eval_data){ 0 };
}

void eval_data_set(eval_data *d, eval_metric m, size_t question, double sum, double weight)
{
    d->sums[m][question] = sum;
    d->weights[m][question] = weight;
}

static int compare_confidences(const void *a, const void *b, void *context)
{
    const double *confidences = context;
    double x = confidences[*(const uint32_t *)a], y = confidences[*(const uint32_t *)b];
    return (x > y) - (x < y);
}

void eval_data_seal(eval_data *d)
{
    d->n_ascending = 0;
    for (size_t i = 0; i < d->n; i++)
        if (d->weights[EVAL_RIGHT][i] > 0)
            d->ascending[d->n_ascending++] = (uint32_t)i;
    qsort_r(d->ascending, d->n_ascending, sizeof *d->ascending, compare_confidences, d->confidences);
}

/* ---- values ------------------------------------------------------------------------- */

static double rate(const eval_data *d, eval_metric m, const double *counts)
{
    const double *sums = d->sums[m], *weights = d->weights[m];
    double sum = 0, weight = 0;
    for (size_t i = 0; i < d->n; i++) {
        double count = counts ? counts[i] : 1;
        sum += count * sums[i];
        weight += count * weights[i];
    }
    return weight > 0 ? sum / weight : NAN;
}

static size_t bin_of(double confidence)
{
    double at = confidence * EVAL_BINS;
    return at < 0 ? 0 : at >= EVAL_BINS ? EVAL_BINS - 1 : (size_t)at;
}

static double ece(const eval_data *d, const double *counts)
{
    double gap[EVAL_BINS] = { 0 }, total = 0, sum = 0;
    for (size_t i = 0; i < d->n_ascending; i++) {
        uint32_t q = d->ascending[i];
        double count = counts ? counts[q] : 1;
        gap[bin_of(d->confidences[q])] += count * (d->sums[EVAL_RIGHT][q] - d->confidences[q]);
        total += count;
    }
    for (size_t i = 0; i < EVAL_BINS; i++)
        sum += fabs(gap[i]);
    return total > 0 ? sum / total : NAN;
}

/* Walks up the confidences, one value at a time: right answers are above the wrong ones seen before. */
static double auroc(const eval_data *d, const double *counts)
{
    double wins = 0, wrong_below = 0, right_all = 0;
    for (size_t i = 0; i < d->n_ascending;) {
        double here = d->confidences[d->ascending[i]], right = 0, wrong = 0;
        for (; i < d->n_ascending && d->confidences[d->ascending[i]] == here; i++) {
            uint32_t q = d->ascending[i];
            double count = counts ? counts[q] : 1;
            right += count * d->sums[EVAL_RIGHT][q];
            wrong += count * (1 - d->sums[EVAL_RIGHT][q]);
        }
        wins += right * (wrong_below + wrong / 2);
        wrong_below += wrong;
        right_all += right;
    }
    return right_all > 0 && wrong_below > 0 ? wins / (right_all * wrong_below) : NAN;
}

double eval_value(const eval_data *d, eval_metric m, const double *counts)
{
    return m == EVAL_ECE ? ece(d, counts) : m == EVAL_AUROC ? auroc(d, counts) : rate(d, m, counts);
}

static size_t count_questions(const eval_data *d, eval_metric m)
{
    const double *weights = d->weights[m == EVAL_ECE || m == EVAL_AUROC ? EVAL_RIGHT : m];
    size_t n = 0;
    for (size_t i = 0; i < d->n; i++)
        n += weights[i] > 0;
    return n;
}

void eval_bins(const eval_data *d, eval_bin out[EVAL_BINS])
{
    memset(out, 0, EVAL_BINS * sizeof *out);
    for (size_t i = 0; i < d->n_ascending; i++) {
        uint32_t q = d->ascending[i];
        eval_bin *bin = &out[bin_of(d->confidences[q])];
        bin->n++;
        bin->confidence += d->confidences[q];
        bin->right += d->sums[EVAL_RIGHT][q];
    }
    for (size_t i = 0; i < EVAL_BINS; i++) {
        out[i].confidence /= out[i].n ? (double)out[i].n : 1;
        out[i].right /= out[i].n ? (double)out[i].n : 1;
    }
}

/* ---- percentiles -------------------------------------------------------------------- */

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void eval_sort(double *values, size_t n)
{
    qsort(values, n, sizeof *values, compare_doubles);
}

double eval_percentile(const double *ascending, size_t n, double share)
{
    double at = share * (double)(n - 1);
    size_t below = (size_t)at;
    size_t above = below + 1 < n ? below + 1 : below;
    return ascending[below] + (at - (double)below) * (ascending[above] - ascending[below]);
}

/* ---- bootstrap ---------------------------------------------------------------------- */

/* splitmix64 (Steele, Lea and Flood 2014): fast, and the same everywhere. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* How often each question was drawn, in n draws with replacement. */
static void resample(double *counts, size_t n, uint64_t *state)
{
    memset(counts, 0, n * sizeof *counts);
    for (size_t i = 0; i < n; i++)
        counts[(next_random(state) >> 32) * n >> 32]++;
}

/* Resampled values of one figure; those without a value are left out. */
typedef struct samples {
    double *values;
    size_t n;
} samples;

static void open_samples(samples all[EVAL_METRICS])
{
    for (eval_metric m = 0; m < EVAL_METRICS; m++)
        all[m] = (samples){ rag_calloc(EVAL_RESAMPLES, sizeof(double)), 0 };
}

static void close_samples(samples all[EVAL_METRICS])
{
    for (eval_metric m = 0; m < EVAL_METRICS; m++)
        free(all[m].values);
}

static void add_sample(samples *s, double value)
{
    if (!isnan(value))
        s->values[s->n++] = value;
}

static void interval_of(samples *s, double *low, double *high)
{
    eval_sort(s->values, s->n);
    *low = s->n ? eval_percentile(s->values, s->n, 0.025) : NAN;
    *high = s->n ? eval_percentile(s->values, s->n, 0.975) : NAN;
}

void eval_estimates(const eval_data *d, eval_estimate out[EVAL_METRICS])
{
    samples all[EVAL_METRICS];
    uint64_t state = SEED;
    double *counts = rag_calloc(d->n + 1, sizeof *counts);
    open_samples(all);
    for (eval_metric m = 0; m < EVAL_METRICS; m++)
        out[m] = (eval_estimate){ .value = eval_value(d, m, NULL), .n = count_questions(d, m) };
    for (int i = 0; i < EVAL_RESAMPLES; i++) {
        resample(counts, d->n, &state);
        for (eval_metric m = 0; m < EVAL_METRICS; m++)
            if (!isnan(out[m].value))
                add_sample(&all[m], eval_value(d, m, counts));
    }
    for (eval_metric m = 0; m < EVAL_METRICS; m++)
        interval_of(&all[m], &out[m].low, &out[m].high);
    close_samples(all);
    free(counts);
}

static void count_changes(const eval_data *a, const eval_data *b, eval_metric m, eval_difference *out)
{
    for (size_t i = 0; i < a->n; i++) {
        if (a->weights[m][i] <= 0 || b->weights[m][i] <= 0)
            continue;
        double change = b->sums[m][i] / b->weights[m][i] - a->sums[m][i] / a->weights[m][i];
        change = eval_metrics[m].lower_is_better ? -change : change;
        out->n++;
        out->better += change > 1e-12;
        out->worse += change < -1e-12;
    }
}

static double two_sided_p(const samples *s)
{
    size_t down = 0, up = 0;
    for (size_t i = 0; i < s->n; i++) {
        down += s->values[i] <= 0;
        up += s->values[i] >= 0;
    }
    double p = 2 * (1 + (double)(down < up ? down : up)) / ((double)s->n + 1);
    return p < 1 ? p : 1;
}

void eval_differences(const eval_data *a, const eval_data *b, eval_difference out[EVAL_METRICS])
{
    samples all[EVAL_METRICS];
    uint64_t state = SEED;
    double *counts = rag_calloc(a->n + 1, sizeof *counts);
    open_samples(all);
    for (eval_metric m = 0; m < EVAL_METRICS; m++) {
        out[m] = (eval_difference){ .a = eval_value(a, m, NULL), .b = eval_value(b, m, NULL), .p = NAN };
        out[m].difference = out[m].b - out[m].a;
        count_changes(a, b, m, &out[m]);
    }
    for (int i = 0; i < EVAL_RESAMPLES; i++) {
        resample(counts, a->n, &state);
        for (eval_metric m = 0; m < EVAL_METRICS; m++)
            if (!isnan(out[m].difference))
                add_sample(&all[m], eval_value(b, m, counts) - eval_value(a, m, counts));
    }
    for (eval_metric m = 0; m < EVAL_METRICS; m++) {
        interval_of(&all[m], &out[m].low, &out[m].high);
        if (all[m].n && !eval_metrics[m].is_time)
            out[m].p = two_sided_p(&all[m]);
    }
    close_samples(all);
    free(counts);
}
