#include "ctl/eval_compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/json.h"
#include "ctl/print.h"

/* ---- pairing ------------------------------------------------------------------------ */

static int compare_ids(const void *a, const void *b, void *context)
{
    const char *const *ids = context;
    return strcmp(ids[*(const uint32_t *)a], ids[*(const uint32_t *)b]);
}

/* The questions by id; NULL when one comes twice. */
static uint32_t *sort_ids(const eval_saved *s, rag_err *err)
{
    size_t n = s->data.n;
    uint32_t *order = rag_calloc(n + 1, sizeof *order);
    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    qsort_r(order, n, sizeof *order, compare_ids, (void *)s->ids);
    for (size_t i = 1; i < n; i++)
        if (!strcmp(s->ids[order[i - 1]], s->ids[order[i]])) {
            rag_fail(err, RAG_INVALID, "the id '%.60s' stands twice in one report", s->ids[order[i]]);
            free(order);
            return NULL;
        }
    return order;
}

static void copy(eval_data *to, size_t at, const eval_data *from, size_t question)
{
    for (eval_metric m = 0; m < EVAL_METRICS; m++)
        eval_data_set(to, m, at, from->sums[m][question], from->weights[m][question]);
    to->confidences[at] = from->confidences[question];
}

/* A mean of one side's questions alone would compare different questions. */
static void drop_one_sided(eval_pairing *p, size_t at)
{
    for (eval_metric m = 0; m < EVAL_METRICS; m++) {
        if (eval_metrics[m].is_rate || (p->a.weights[m][at] > 0 && p->b.weights[m][at] > 0))
            continue;
        eval_data_set(&p->a, m, at, 0, 0);
        eval_data_set(&p->b, m, at, 0, 0);
    }
}

static void merge(eval_pairing *p, const eval_saved *a, const uint32_t *by_id_a, const eval_saved *b,
                  const uint32_t *by_id_b)
{
    for (size_t i = 0, j = 0; i < a->data.n || j < b->data.n;) {
        int order = i == a->data.n ? 1 : j == b->data.n ? -1 : strcmp(a->ids[by_id_a[i]], b->ids[by_id_b[j]]);
        if (order == 0) {
            p->ids[p->n] = a->ids[by_id_a[i]];
            p->texts[p->n] = a->texts[by_id_a[i]];
            copy(&p->a, p->n, &a->data, by_id_a[i]);
            copy(&p->b, p->n, &b->data, by_id_b[j]);
            drop_one_sided(p, p->n++);
        }
        p->only_a += order < 0;
        p->only_b += order > 0;
        i += order <= 0;
        j += order >= 0;
    }
    p->a.n = p->b.n = p->n;
}

rag_code eval_pair(eval_pairing *out, const eval_saved *a, const eval_saved *b, rag_err *err)
{
    *out = (eval_pairing){ 0 };
    eval_data_init(&out->a, a->data.n);
    eval_data_init(&out->b, a->data.n);
    out->ids = rag_calloc(a->data.n + 1, sizeof *out->ids);
    out->texts = rag_calloc(a->data.n + 1, sizeof *out->texts);
    uint32_t *by_id_a = sort_ids(a, err), *by_id_b = by_id_a ? sort_ids(b, err) : NULL;
    bool sorted = by_id_a && by_id_b;
    if (sorted)
        merge(out, a, by_id_a, b, by_id_b);
    free(by_id_a);
    free(by_id_b);
    if (!sorted)
        return RAG_INVALID;
    if (!out->n)
        return rag_fail(err, RAG_INVALID, "the two reports have no question in common");
    eval_data_seal(&out->a);
    eval_data_seal(&out->b);
    eval_differences(&out->a, &out->b, out->differences);
    return RAG_OK;
}

void eval_pairing_free(eval_pairing *p)
{
    eval_data_free(&p->a);
    eval_data_free(&p->b);
    free(p->ids);
    free(p->texts);
    *p = (eval_pairing){ 0 };
}

bool eval_is_significant(const eval_difference *d)
{
    return d->p < 0.05;
}

/* ---- changes ------------------------------------------------------------------------ */

static bool has_both(const eval_pairing *p, eval_metric m, size_t i)
{
    return p->a.weights[m][i] > 0 && p->b.weights[m][i] > 0;
}

static double mean(const eval_data *d, eval_metric m, size_t i)
{
    return d->sums[m][i] / d->weights[m][i];
}

static double change_of(const eval_pairing *p, eval_metric m, size_t i)
{
    return has_both(p, m, i) ? mean(&p->b, m, i) - mean(&p->a, m, i) : 0;
}

typedef struct sorting {
    const eval_pairing *pairing;
    eval_metric metric;
} sorting;

static int compare_changes(const void *a, const void *b, void *context)
{
    const sorting *s = context;
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    double x = fabs(change_of(s->pairing, s->metric, i)), y = fabs(change_of(s->pairing, s->metric, j));
    return x != y ? (x < y) - (x > y) : (i > j) - (i < j);
}

uint32_t *eval_largest_changes(const eval_pairing *p, eval_metric m, size_t max, size_t *n)
{
    sorting how = { p, m };
    uint32_t *order = rag_calloc(p->n + 1, sizeof *order);
    *n = 0;
    for (size_t i = 0; i < p->n; i++)
        if (fabs(change_of(p, m, i)) > 1e-12)
            order[(*n)++] = (uint32_t)i;
    qsort_r(order, *n, sizeof *order, compare_changes, &how);
    *n = *n < max ? *n : max;
    return order;
}

/* ---- JSON --------------------------------------------------------------------------- */

static void add_number(cJSON *object, const char *key, double value)
{
    if (isnan(value))
        cJSON_AddNullToObject(object, key);
    else
        cJSON_AddNumberToObject(object, key, value);
}

static void add_side(cJSON *out, const char *key, const char *file, const eval_saved *s)
{
    cJSON *side = cJSON_AddObjectToObject(out, key);
    cJSON_AddStringToObject(side, "file", file);
    cJSON_AddStringToObject(side, "set", json_string(s->json, "set"));
    cJSON_AddStringToObject(side, "date", json_string(s->json, "date"));
}

static void add_difference(cJSON *metrics, eval_metric m, const eval_difference *d)
{
    if (isnan(d->difference)) {
        cJSON_AddNullToObject(metrics, eval_metrics[m].key);
        return;
    }
    cJSON *metric = cJSON_AddObjectToObject(metrics, eval_metrics[m].key);
    add_number(metric, "a", d->a);
    add_number(metric, "b", d->b);
    add_number(metric, "difference", d->difference);
    add_number(metric, "low", d->low);
    add_number(metric, "high", d->high);
    add_number(metric, "p", d->p);
    cJSON_AddBoolToObject(metric, "significant", eval_is_significant(d));
    cJSON_AddNumberToObject(metric, "n", (double)d->n);
    cJSON_AddNumberToObject(metric, "better", (double)d->better);
    cJSON_AddNumberToObject(metric, "worse", (double)d->worse);
}

static void add_changes(cJSON *out, const eval_comparison *c)
{
    size_t n;
    uint32_t *order = eval_largest_changes(c->pairing, c->metric, c->changes, &n);
    cJSON *list = cJSON_AddArrayToObject(out, "changes");
    for (size_t i = 0; i < n; i++) {
        cJSON *change = cJSON_CreateObject();
        cJSON_AddStringToObject(change, "id", c->pairing->ids[order[i]]);
        cJSON_AddStringToObject(change, "question", c->pairing->texts[order[i]]);
        cJSON_AddNumberToObject(change, "a", mean(&c->pairing->a, c->metric, order[i]));
        cJSON_AddNumberToObject(change, "b", mean(&c->pairing->b, c->metric, order[i]));
        cJSON_AddItemToArray(list, change);
    }
    free(order);
}

cJSON *eval_compare_json(const eval_comparison *c)
{
    cJSON *out = cJSON_CreateObject(), *metrics;
    add_side(out, "a", c->file_a, c->a);
    add_side(out, "b", c->file_b, c->b);
    cJSON_AddNumberToObject(out, "paired", (double)c->pairing->n);
    cJSON_AddNumberToObject(out, "only_a", (double)c->pairing->only_a);
    cJSON_AddNumberToObject(out, "only_b", (double)c->pairing->only_b);
    metrics = cJSON_AddObjectToObject(out, "metrics");
    for (eval_metric m = 0; m < EVAL_METRICS; m++)
        add_difference(metrics, m, &c->pairing->differences[m]);
    cJSON_AddStringToObject(out, "changes_of", eval_metrics[c->metric].key);
    add_changes(out, c);
    return out;
}

/* ---- table -------------------------------------------------------------------------- */

static void print_side(FILE *out, char name, const char *file, const eval_saved *s)
{
    fprintf(out, "%c  ", name);
    print_text(out, rag_str_of(file), " ");
    fputs(": ", out);
    print_text(out, rag_str_of(json_string(s->json, "set")), " ");
    fputs(", ", out);
    print_text(out, rag_str_of(json_string(s->json, "date")), " ");
    fputc('\n', out);
}

static void print_difference(FILE *out, eval_metric m, const eval_difference *d)
{
    char label[64], worse[32] = "", p[16] = "-";
    int digits = eval_metric_digits(m);
    snprintf(label, sizeof label, "%s%s", eval_metrics[m].label, eval_metric_scope(m));
    if (d->n)
        snprintf(worse, sizeof worse, "%zu, %zu", d->better, d->worse);
    if (!isnan(d->p))
        snprintf(p, sizeof p, "%.4f", d->p);
    fprintf(out, "%-32s %8.*f %8.*f  %+8.*f [%+.*f, %+.*f]  %6s%s  %s\n", label, digits, d->a, digits, d->b, digits,
            d->difference, digits, d->low, digits, d->high, p, eval_is_significant(d) ? " *" : "  ", worse);
}

static void print_significant(FILE *out, const eval_pairing *p, bool better)
{
    const char *separator = better ? "significantly better in B: " : "significantly worse in B: ";
    bool any = false;
    for (eval_metric m = 0; m < EVAL_METRICS; m++) {
        const eval_difference *d = &p->differences[m];
        bool is_better = eval_metrics[m].lower_is_better ? d->difference < 0 : d->difference > 0;
        if (!eval_is_significant(d) || is_better != better || d->difference == 0)
            continue;
        fprintf(out, "%s%s%s", separator, eval_metrics[m].label, eval_metric_scope(m));
        separator = ", ";
        any = true;
    }
    fputs(any ? "\n" : "", out);
}

static void print_changes(FILE *out, const eval_comparison *c)
{
    size_t n;
    uint32_t *order = eval_largest_changes(c->pairing, c->metric, c->changes, &n);
    if (c->changes)
        fprintf(out, "\nlargest changes of %s%s\n", eval_metrics[c->metric].label, eval_metric_scope(c->metric));
    for (size_t i = 0; i < n; i++) {
        fprintf(out, "  %7.3f -> %7.3f  ", mean(&c->pairing->a, c->metric, order[i]),
                mean(&c->pairing->b, c->metric, order[i]));
        print_text(out, rag_str_of(c->pairing->ids[order[i]]), " ");
        fputs("  ", out);
        print_text(out, rag_str_of(c->pairing->texts[order[i]]), " ");
        fputc('\n', out);
    }
    free(order);
}

void eval_compare_print(FILE *out, const eval_comparison *c)
{
    const eval_pairing *p = c->pairing;
    print_side(out, 'A', c->file_a, c->a);
    print_side(out, 'B', c->file_b, c->b);
    fprintf(out, "%zu questions in both, %zu in A only, %zu in B only\n\n", p->n, p->only_a, p->only_b);
    fprintf(out, "%-32s %8s %8s  %8s %-18s %6s    %s\n", "", "A", "B", "B - A", "[95 % interval]", "p", "better, worse");
    for (eval_metric m = 0; m < EVAL_METRICS; m++)
        if (!isnan(p->differences[m].difference))
            print_difference(out, m, &p->differences[m]);
    fputc('\n', out);
    print_significant(out, p, true);
    print_significant(out, p, false);
    bool any = false;
    for (eval_metric m = 0; m < EVAL_METRICS; m++)
        any |= eval_is_significant(&p->differences[m]);
    if (!any)
        fputs("no figure differs significantly\n", out);
    print_changes(out, c);
}
