/* Fits conf/confidence.conf: a logistic regression over what answers were made from, and whether they were right.
 *
 *   fit_confidence [-o FILE] [-d DATE] [-2 L2] NAME=QUESTIONS:REPLIES...
 *
 * QUESTIONS are of an evaluation set, REPLIES what `ragctl ask --batch` gave for them with "explain": true (bench/confidence.sh makes both).
 * An answer is right when a gold answer stands in it (eval_metrics.h: inclusion), and where golds are a person's words (match judge) when its first citation is
 * of a gold document; to a question without an answer nothing is right.  The hash of a question's id says whether it is fitted to or reported on. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "ctl/eval_metrics.h"
#include "daemon/answer_confidence.h"

enum { MAX_SETS = 64, MAX_ANSWERS = 50000, BINS = 10, MAX_STEPS = 50, N = ANSWER_FEATURES, MAX_INPUT = 1 << 30 };

typedef struct answer {
    int set;
    bool is_right, is_answerable, is_kept; /* kept: reported on, not fitted to */
    double old;                            /* the confidence in the reply */
    double p;
    answer_features f;
} answer;

typedef struct data {
    char *sets[MAX_SETS];
    int n_sets;
    answer *answers;
    size_t n;
} data;

/* ---- reading --------------------------------------------------------------------------- */

static const char *text_of(const cJSON *o, const char *name)
{
    const char *s = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, name));
    return s ? s : "";
}

static cJSON *read_lines(const char *path)
{
    rag_buf text;
    rag_err err;
    rag_buf_init(&text, MAX_INPUT);
    if (rag_file_read(path, &text, &err) != RAG_OK) {
        fprintf(stderr, "fit_confidence: %s\n", err.message);
        exit(1);
    }
    cJSON *list = cJSON_CreateObject();
    for (char *rest = text.ptr, *line; rest && (line = strsep(&rest, "\n"));) {
        cJSON *o = *line ? cJSON_Parse(line) : NULL;
        if (o)
            cJSON_AddItemToObject(list, text_of(o, "id"), o);
    }
    rag_buf_free(&text);
    return list;
}

static bool holds_gold(const cJSON *question, const char *said)
{
    const cJSON *gold;
    cJSON_ArrayForEach(gold, cJSON_GetObjectItemCaseSensitive(question, "answers"))
    {
        rag_str g = rag_str_of(cJSON_GetStringValue(gold));
        if (g.len && eval_includes(rag_str_of(said), g, eval_by_characters(!strcmp(text_of(question, "lang"), "zh"), g)) > 0)
            return true;
    }
    return false;
}

static bool cites_gold(const cJSON *question, const cJSON *reply)
{
    const cJSON *gold, *first = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(reply, "citations"), 0);
    cJSON_ArrayForEach(gold, cJSON_GetObjectItemCaseSensitive(question, "gold_docs"))
        if (!strcmp(cJSON_GetStringValue(gold), text_of(first, "document")))
            return true;
    return false;
}

static bool read_features(const cJSON *reply, answer_features *f)
{
    const cJSON *features = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(reply, "explain"), "features");
    for (int i = 0; i < N; i++) {
        const cJSON *v = cJSON_GetObjectItemCaseSensitive(features, answer_feature_name((answer_feature)i));
        f->value[i] = cJSON_IsNumber(v) ? v->valuedouble : 0;
    }
    return features && f->value[ANSWER_BIAS] == 1;
}

static unsigned hash(const char *id)
{
    unsigned h = 2166136261u;
    for (; *id; id++)
        h = (h ^ (unsigned char)*id) * 16777619u;
    return h ^ h >> 15;
}

static void take(data *d, const cJSON *question, const cJSON *reply)
{
    answer *a = &d->answers[d->n];
    *a = (answer){ .set = d->n_sets - 1, .is_kept = hash(text_of(question, "id")) & 1 };
    if (d->n == MAX_ANSWERS || !read_features(reply, &a->f))
        return;
    a->is_answerable = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(question, "answerable"));
    bool by_document = !strcmp(text_of(question, "match"), "judge");
    a->is_right = a->is_answerable && (by_document ? cites_gold(question, reply) : holds_gold(question, text_of(reply, "answer")));
    a->old = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(reply, "confidence"));
    d->n++;
}

static bool read_set(data *d, char *argument)
{
    char *questions = strchr(argument, '='), *replies = questions ? strchr(questions, ':') : NULL;
    if (!replies || d->n_sets == MAX_SETS)
        return false;
    *questions++ = *replies++ = '\0';
    d->sets[d->n_sets++] = argument;
    cJSON *q = read_lines(questions), *r = read_lines(replies);
    cJSON *reply;
    cJSON_ArrayForEach(reply, r)
    {
        const cJSON *question = cJSON_GetObjectItemCaseSensitive(q, reply->string);
        if (question)
            take(d, question, reply);
    }
    cJSON_Delete(q);
    cJSON_Delete(r);
    return true;
}

/* ---- fitting --------------------------------------------------------------------------- */

/* Gauss with pivots; a is n × (n + 1). */
static void solve(double a[N][N + 1], double *x)
{
    for (int i = 0; i < N; i++) {
        int best = i;
        for (int k = i + 1; k < N; k++)
            best = fabs(a[k][i]) > fabs(a[best][i]) ? k : best;
        for (int c = 0; c <= N; c++) {
            double held = a[i][c];
            a[i][c] = a[best][c];
            a[best][c] = held;
        }
        for (int k = i + 1; k < N; k++) {
            double f = a[k][i] / a[i][i];
            for (int c = i; c <= N; c++)
                a[k][c] -= f * a[i][c];
        }
    }
    for (int i = N - 1; i >= 0; i--) {
        x[i] = a[i][N];
        for (int c = i + 1; c < N; c++)
            x[i] -= a[i][c] * x[c];
        x[i] /= a[i][i];
    }
}

/* Newton's steps towards the maximum of log likelihood - l2/2 · |w|², the bias left free. */
static void fit(const data *d, double l2, answer_model *m)
{
    static double a[N][N + 1];
    double step[N], largest = 1;
    *m = (answer_model){ 0 };
    for (int round = 0; round < MAX_STEPS && largest > 1e-9; round++) {
        memset(a, 0, sizeof a);
        for (size_t k = 0; k < d->n; k++) {
            const answer *s = &d->answers[k];
            double p = answer_probability(m, &s->f), v = p * (1 - p);
            for (int i = 0; !s->is_kept && i < N; i++) {
                a[i][N] += (s->is_right - p) * s->f.value[i];
                for (int j = 0; j < N; j++)
                    a[i][j] += v * s->f.value[i] * s->f.value[j];
            }
        }
        for (int i = 0; i < N; i++) {
            double lambda = i == ANSWER_BIAS ? 1e-9 : l2;
            a[i][N] -= lambda * m->weight[i];
            a[i][i] += lambda;
        }
        solve(a, step);
        largest = 0;
        for (int i = 0; i < N; i++) {
            m->weight[i] += step[i];
            largest = fmax(largest, fabs(step[i]));
        }
    }
    for (int i = 0; i < N; i++)
        m->weight[i] = round(m->weight[i] * 1000) / 1000;
}

/* ---- reporting ------------------------------------------------------------------------- */

static bool is_of(const answer *a, int set)
{
    return a->is_kept && (set < 0 || a->set == set);
}

/* Chance that a right answer's p is above a wrong one's. */
static double auroc(const data *d, int set)
{
    double won = 0, pairs = 0;
    for (size_t i = 0; i < d->n; i++)
        for (size_t k = 0; d->answers[i].is_right && is_of(&d->answers[i], set) && k < d->n; k++) {
            const answer *a = &d->answers[i], *b = &d->answers[k];
            if (b->is_right || !is_of(b, set))
                continue;
            won += a->p > b->p ? 1 : a->p == b->p ? 0.5 : 0;
            pairs++;
        }
    return pairs > 0 ? won / pairs : NAN;
}

static double calibration_error(const data *d, int set, bool print)
{
    double said[BINS] = { 0 }, right[BINS] = { 0 }, sum = 0;
    int n[BINS] = { 0 }, all = 0;
    for (size_t i = 0; i < d->n; i++) {
        const answer *a = &d->answers[i];
        int bin = a->p >= 1 ? BINS - 1 : (int)(a->p * BINS);
        if (!is_of(a, set))
            continue;
        said[bin] += a->p;
        right[bin] += a->is_right;
        n[bin]++;
        all++;
    }
    for (int b = 0; b < BINS; b++) {
        sum += fabs(said[b] - right[b]);
        if (print && n[b] > 0)
            printf("  %.1f-%.1f  n %5d  said %.3f  right %.3f\n", b / 10.0, (b + 1) / 10.0, n[b], said[b] / n[b], right[b] / n[b]);
    }
    return all ? sum / all : NAN;
}

static void report_refusals(const data *d, int set)
{
    int n[2] = { 0 };
    for (size_t i = 0; i < d->n; i++)
        n[d->answers[i].is_answerable] += is_of(&d->answers[i], set);
    if (!n[0])
        return;
    printf("    refused below:");
    for (int t = 2; t <= 10; t++) {
        int refused[2] = { 0 };
        for (size_t i = 0; i < d->n; i++)
            refused[d->answers[i].is_answerable] += is_of(&d->answers[i], set) && d->answers[i].p < t * 0.05;
        printf("  %.2f %.2f/%.2f", t * 0.05, refused[0] / (double)n[0], n[1] ? refused[1] / (double)n[1] : 0);
    }
    printf("  (of %d without / %d with an answer)\n", n[0], n[1]);
}

static void report(data *d, const char *title, const answer_model *m)
{
    printf("%s\n", title);
    for (size_t i = 0; i < d->n; i++)
        d->answers[i].p = m ? answer_probability(m, &d->answers[i].f) : d->answers[i].old;
    for (int s = 0; s <= d->n_sets; s++) {
        int set = s < d->n_sets ? s : -1, n = 0, right = 0;
        for (size_t i = 0; i < d->n; i++) {
            n += is_of(&d->answers[i], set);
            right += is_of(&d->answers[i], set) && d->answers[i].is_right;
        }
        printf("  %-22s n %5d  right %.3f  AUROC %.3f  ECE %.3f\n", set < 0 ? "all" : d->sets[s], n, n ? right / (double)n : 0,
               auroc(d, set), calibration_error(d, set, false));
        report_refusals(d, set);
    }
    calibration_error(d, -1, true);
}

static void write_model(const data *d, const answer_model *m, const char *date, FILE *out)
{
    size_t fitted = 0;
    for (size_t i = 0; i < d->n; i++)
        fitted += !d->answers[i].is_kept;
    fprintf(out, "# How likely an answer is right: logistic(sum of weight and feature).  Made by bench/fit_confidence (bench/confidence.sh);\n"
                 "# daemon/answer_confidence.h says what each feature is.  One that is 0 or not here weighs nothing.\n"
                 "date = %s\nanswers = %zu\ndata =", date, fitted);
    for (int s = 0; s < d->n_sets; s++)
        fprintf(out, " %s", d->sets[s]);
    fputs("\n\n", out);
    for (int i = 0; i < N; i++)
        if (m->weight[i] != 0)
            fprintf(out, "%s = %.3f\n", answer_feature_name((answer_feature)i), m->weight[i]);
}

int main(int argc, char **argv)
{
    data d = { .answers = rag_calloc(MAX_ANSWERS + 1, sizeof(answer)) };
    const char *path = NULL, *date = "unknown";
    double l2 = 1;
    for (int c; (c = getopt(argc, argv, "o:d:2:")) != -1;) {
        if (c == '?')
            return 2;
        path = c == 'o' ? optarg : path;
        date = c == 'd' ? optarg : date;
        l2 = c == '2' ? atof(optarg) : l2;
    }
    for (int i = optind; i < argc; i++)
        if (!read_set(&d, argv[i]))
            return fprintf(stderr, "fit_confidence: '%s' is not NAME=QUESTIONS:REPLIES\n", argv[i]), 2;
    answer_model m;
    fit(&d, l2, &m);
    report(&d, "confidence as the replies have it", NULL);
    report(&d, "fitted", &m);
    FILE *out = path ? fopen(path, "w") : stdout;
    if (!out)
        return perror(path), 1;
    write_model(&d, &m, date, out);
    if (out != stdout)
        fclose(out);
    free(d.answers);
    return 0;
}
