/* A run as JSON, and back. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "ctl/eval_report.h"
#include "ctl/json.h"

#ifndef RAGD_VERSION
#define RAGD_VERSION "0"
#endif

/* ---- shared with the other forms ---------------------------------------------------- */

bool eval_recall_curve(const eval_run *r, bool by_span, double out[EVAL_DEPTH])
{
    size_t n = 0;
    memset(out, 0, EVAL_DEPTH * sizeof *out);
    for (size_t i = 0; i < r->set->n; i++) {
        const eval_record *rec = &r->records[i];
        size_t gold = by_span ? r->set->questions[i].n_spans : r->set->questions[i].gold_docs.n;
        size_t found = by_span ? rec->n_span_ranks : rec->n_doc_ranks;
        const uint32_t *ranks = by_span ? rec->span_ranks : rec->doc_ranks;
        if (!rec->is_searched || !gold)
            continue;
        n++;
        for (size_t j = 0; j < found; j++)
            for (size_t k = ranks[j]; k <= EVAL_DEPTH; k++)
                out[k - 1] += 1 / (double)gold;
    }
    for (size_t k = 0; k < EVAL_DEPTH && n; k++)
        out[k] /= (double)n;
    return n > 0;
}

bool eval_rank_counts(const eval_run *r, bool by_span, size_t out[EVAL_DEPTH + 1])
{
    size_t n = 0;
    memset(out, 0, (EVAL_DEPTH + 1) * sizeof *out);
    for (size_t i = 0; i < r->set->n; i++) {
        const eval_record *rec = &r->records[i];
        size_t gold = by_span ? r->set->questions[i].n_spans : r->set->questions[i].gold_docs.n;
        size_t found = by_span ? rec->n_span_ranks : rec->n_doc_ranks;
        uint32_t first = !found ? 0 : by_span ? rec->span_ranks[0] : rec->doc_ranks[0];
        if (!rec->is_searched || !gold)
            continue;
        n++;
        out[first <= EVAL_DEPTH ? first : 0]++;
    }
    return n > 0;
}

const char *eval_model_of(const eval_run *r, const char *role)
{
    return json_string(cJSON_GetObjectItemCaseSensitive(r->daemon, "models"), role);
}

/* ---- writing ------------------------------------------------------------------------ */

static void add_number(cJSON *object, const char *key, double value)
{
    if (isnan(value))
        cJSON_AddNullToObject(object, key);
    else
        cJSON_AddNumberToObject(object, key, value);
}

static void add_text(cJSON *object, const char *key, const char *text)
{
    if (text)
        cJSON_AddStringToObject(object, key, text);
    else
        cJSON_AddNullToObject(object, key);
}

static void add_daemon(cJSON *out, const cJSON *status)
{
    static const char *const keys[] = { "version", "generation", "documents", "chunks", "models" };
    cJSON *daemon = cJSON_AddObjectToObject(out, "daemon");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(status, keys[i]);
        cJSON_AddItemToObject(daemon, keys[i], item ? cJSON_Duplicate(item, true) : cJSON_CreateNull());
    }
}

static void add_options(cJSON *out, const eval_options *opt)
{
    cJSON *options = cJSON_AddObjectToObject(out, "options");
    cJSON_AddNumberToObject(options, "top_k", (double)opt->top_k);
    add_text(options, "search_mode", opt->search_mode);
    add_text(options, "mode", opt->mode);
    add_text(options, "collection", opt->collection);
    cJSON_AddBoolToObject(options, "search_only", opt->search_only);
    cJSON_AddNumberToObject(options, "concurrency", (double)opt->concurrency);
}

static void add_metrics(cJSON *out, const eval_estimate *estimates)
{
    cJSON *metrics = cJSON_AddObjectToObject(out, "metrics");
    for (eval_metric m = 0; m < EVAL_METRICS; m++) {
        const eval_estimate *e = &estimates[m];
        if (isnan(e->value)) {
            cJSON_AddNullToObject(metrics, eval_metrics[m].key);
            continue;
        }
        cJSON *metric = cJSON_AddObjectToObject(metrics, eval_metrics[m].key);
        add_number(metric, "value", e->value);
        add_number(metric, "low", e->low);
        add_number(metric, "high", e->high);
        cJSON_AddNumberToObject(metric, "n", (double)e->n);
    }
}

static void add_curve(cJSON *curves, const char *key, const eval_run *r, bool by_span)
{
    double curve[EVAL_DEPTH];
    bool applies = eval_recall_curve(r, by_span, curve);
    cJSON_AddItemToObject(curves, key, applies ? cJSON_CreateDoubleArray(curve, EVAL_DEPTH) : cJSON_CreateNull());
}

static void add_bins(cJSON *out, const eval_data *d)
{
    eval_bin bins[EVAL_BINS];
    eval_bins(d, bins);
    cJSON *list = cJSON_AddArrayToObject(out, "calibration");
    for (int i = 0; i < EVAL_BINS; i++) {
        cJSON *bin = cJSON_CreateObject();
        cJSON_AddNumberToObject(bin, "from", (double)i / EVAL_BINS);
        cJSON_AddNumberToObject(bin, "to", (double)(i + 1) / EVAL_BINS);
        cJSON_AddNumberToObject(bin, "n", (double)bins[i].n);
        add_number(bin, "confidence", bins[i].n ? bins[i].confidence : NAN);
        add_number(bin, "right", bins[i].n ? bins[i].right : NAN);
        cJSON_AddItemToArray(list, bin);
    }
}

static void add_stages(cJSON *out, const eval_run *r)
{
    cJSON *latency = cJSON_AddObjectToObject(out, "latency_ms");
    for (size_t i = 0; i < r->n_stages; i++) {
        const eval_stage *s = &r->stages[i];
        cJSON *route = cJSON_GetObjectItemCaseSensitive(latency, s->route);
        cJSON *stage = cJSON_AddObjectToObject(route ? route : cJSON_AddObjectToObject(latency, s->route), s->name);
        cJSON_AddNumberToObject(stage, "n", (double)s->n);
        cJSON_AddNumberToObject(stage, "p50", eval_percentile(s->ms, s->n, 0.5));
        cJSON_AddNumberToObject(stage, "p90", eval_percentile(s->ms, s->n, 0.9));
        cJSON_AddNumberToObject(stage, "p99", eval_percentile(s->ms, s->n, 0.99));
        cJSON_AddNumberToObject(stage, "max", s->ms[s->n - 1]);
    }
}

static void add_ranks(cJSON *question, const char *key, const uint32_t *ranks, size_t n)
{
    cJSON *list = cJSON_AddArrayToObject(question, key);
    for (size_t i = 0; i < n; i++)
        cJSON_AddItemToArray(list, cJSON_CreateNumber(ranks[i]));
}

static void add_values(cJSON *question, const eval_data *d, size_t i)
{
    cJSON *values = cJSON_AddObjectToObject(question, "values");
    for (eval_metric m = 0; m < EVAL_METRICS; m++) {
        double pair[2] = { d->sums[m][i], d->weights[m][i] };
        if (pair[1] == 1)
            cJSON_AddNumberToObject(values, eval_metrics[m].key, pair[0]);
        else if (pair[1] > 0)
            cJSON_AddItemToObject(values, eval_metrics[m].key, cJSON_CreateDoubleArray(pair, 2));
    }
}

static cJSON *question_json(const eval_run *r, size_t i)
{
    const eval_record *rec = &r->records[i];
    cJSON *question = cJSON_CreateObject();
    cJSON_AddStringToObject(question, "id", r->set->questions[i].id);
    cJSON_AddStringToObject(question, "question", r->set->questions[i].text);
    if (rec->error)
        cJSON_AddStringToObject(question, "error", rec->error);
    if (rec->is_searched) {
        add_ranks(question, "doc_ranks", rec->doc_ranks, rec->n_doc_ranks);
        add_ranks(question, "span_ranks", rec->span_ranks, rec->n_span_ranks);
        cJSON_AddStringToObject(question, "first_document", rec->first_document);
    }
    if (rec->is_asked) {
        cJSON_AddStringToObject(question, "outcome", rec->outcome);
        cJSON_AddStringToObject(question, "answer", rec->answer);
        cJSON_AddNumberToObject(question, "confidence", rec->confidence);
    }
    add_values(question, &r->data, i);
    return question;
}

cJSON *eval_report_json(const eval_run *r)
{
    cJSON *out = cJSON_CreateObject();
    cJSON_AddStringToObject(out, "ragctl", RAGD_VERSION);
    cJSON_AddStringToObject(out, "set", r->set->name);
    cJSON_AddStringToObject(out, "file", r->set->file);
    cJSON_AddStringToObject(out, "date", r->date);
    cJSON_AddNumberToObject(out, "seconds", round(r->seconds * 1000) / 1000);
    cJSON_AddNumberToObject(out, "failed", (double)r->failed);
    add_daemon(out, r->daemon);
    add_options(out, &r->opt);
    cJSON *evidence = cJSON_AddObjectToObject(out, "evidence");
    cJSON_AddNumberToObject(evidence, "sentences", (double)r->set->evidence);
    cJSON_AddNumberToObject(evidence, "not_found", (double)r->set->evidence_missing);
    add_metrics(out, r->estimates);
    cJSON *curves = cJSON_AddObjectToObject(out, "curves");
    add_curve(curves, "doc_recall", r, false);
    add_curve(curves, "span_recall", r, true);
    add_bins(out, &r->data);
    add_stages(out, r);
    cJSON *questions = cJSON_AddArrayToObject(out, "questions");
    for (size_t i = 0; i < r->set->n; i++)
        cJSON_AddItemToArray(questions, question_json(r, i));
    return out;
}

/* ---- reading ------------------------------------------------------------------------ */

static void take_value(eval_data *d, size_t question, const cJSON *value)
{
    eval_metric m = eval_metric_find(value->string ? value->string : "");
    const cJSON *sum = cJSON_GetArrayItem(value, 0), *weight = cJSON_GetArrayItem(value, 1);
    if (m == EVAL_METRICS)
        return; /* of another version */
    if (cJSON_IsNumber(value))
        eval_data_set(d, m, question, value->valuedouble, 1);
    else if (cJSON_IsNumber(sum) && cJSON_IsNumber(weight) && weight->valuedouble > 0)
        eval_data_set(d, m, question, sum->valuedouble, weight->valuedouble);
}

static bool take_questions(eval_saved *s, const cJSON *questions)
{
    const cJSON *question, *value;
    size_t i = 0;
    cJSON_ArrayForEach(question, questions)
    {
        s->ids[i] = json_string(question, "id");
        s->texts[i] = json_string(question, "question");
        s->data.confidences[i] = json_number(question, "confidence", 0);
        if (!*s->ids[i])
            return false;
        cJSON_ArrayForEach(value, cJSON_GetObjectItemCaseSensitive(question, "values"))
            take_value(&s->data, i, value);
        i++;
    }
    return i > 0;
}

rag_code eval_saved_read(eval_saved *out, const char *path, rag_err *err)
{
    rag_buf text;
    rag_err why = { 0 };
    *out = (eval_saved){ 0 };
    rag_buf_init(&text, RAG_MAX_TEXT);
    rag_code code = rag_file_read(path, &text, err);
    if (!code && !(out->json = json_parse(rag_buf_str(&text), &why)))
        code = rag_fail(err, RAG_INVALID, "'%s': %s", path, why.message);
    rag_buf_free(&text);
    if (code)
        return code;
    const cJSON *questions = cJSON_GetObjectItemCaseSensitive(out->json, "questions");
    size_t n = (size_t)cJSON_GetArraySize(questions);
    out->ids = rag_calloc(n + 1, sizeof *out->ids);
    out->texts = rag_calloc(n + 1, sizeof *out->texts);
    eval_data_init(&out->data, n);
    if (!cJSON_IsArray(questions) || !take_questions(out, questions))
        return rag_fail(err, RAG_INVALID, "'%s' is no report of 'ragctl eval'", path);
    eval_data_seal(&out->data);
    return RAG_OK;
}

void eval_saved_free(eval_saved *s)
{
    free(s->ids);
    free(s->texts);
    if (s->json)
        eval_data_free(&s->data);
    cJSON_Delete(s->json);
    *s = (eval_saved){ 0 };
}
