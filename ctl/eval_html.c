/* A run as one HTML page. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/eval_plot.h"
#include "ctl/eval_report.h"
#include "ctl/json.h"

enum { MAX_WORST = 30, MAX_CARDS = 8 };

static const char style[] =
    ":root { color-scheme: light dark;\n"
    "  --ground: #fbfaf7; --ink: #1d1c1a; --soft: #6b675f; --line: #e2ded5; --card: #ffffff; --first: #1f5f99; --second: #c27a3a;\n"
    "  font: 15px/1.5 system-ui, \"Noto Sans\", \"Noto Sans CJK SC\", \"PingFang SC\", \"Microsoft YaHei\", sans-serif; }\n"
    "@media (prefers-color-scheme: dark) { :root {\n"
    "  --ground: #1b1b1a; --ink: #eceae4; --soft: #a19c91; --line: #3a3936; --card: #242322; --first: #7db4e6; --second: #e0a367; } }\n"
    "* { box-sizing: border-box; }\n"
    "body { margin: 0 auto; padding: 2rem 1.5rem 4rem; max-width: 78rem; background: var(--ground); color: var(--ink); }\n"
    "h1 { font-size: 1.6rem; margin: 0; overflow-wrap: anywhere; }\n"
    "h2 { font-size: 1.1rem; margin: 2.4rem 0 .8rem; }\n"
    "p { margin: .3rem 0; } .soft, figcaption, th, .id { color: var(--soft); }\n"
    ".note { border-left: 3px solid var(--second); padding: .2rem .8rem; margin: 1rem 0; }\n"
    ".cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: .8rem; margin-top: 1.4rem; }\n"
    ".card, figure { background: var(--card); border: 1px solid var(--line); border-radius: 10px; }\n"
    ".card { padding: .8rem 1rem; } .card b { display: block; font-size: 1.7rem; font-weight: 600; line-height: 1.25; }\n"
    ".card span { display: block; font-size: .85rem; } .card .soft { font-size: .78rem; }\n"
    ".plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(30rem, 100%), 1fr)); gap: .8rem; }\n"
    "figure { margin: 0; padding: 1rem; } figcaption { font-size: .85rem; margin-bottom: .6rem; } figcaption b { display: block; font-size: .95rem; color: var(--ink); }\n"
    "svg { display: block; width: 100%; height: auto; } svg text { font-size: 11.5px; fill: var(--soft); }\n"
    ".grid { stroke: var(--line); } .axis { stroke: var(--soft); } .ideal { stroke: var(--soft); stroke-dasharray: 4 4; }\n"
    ".first { fill: var(--first); } .second { fill: var(--second); } .quiet { fill: var(--soft); opacity: .45; }\n"
    ".faint { fill: var(--soft); opacity: .35; } .whisker { stroke: var(--soft); stroke-width: 1; }\n"
    ".first-line { stroke: var(--first); stroke-width: 2; fill: none; } .second-line { stroke: var(--second); stroke-width: 2; fill: none; }\n"
    ".interval { width: 7.5rem; } \n"
    "table { border-collapse: collapse; width: 100%; font-size: .88rem; }\n"
    "th { text-align: left; font-weight: 500; } th, td { padding: .4rem .8rem .4rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }\n"
    "td.number { font-variant-numeric: tabular-nums; white-space: nowrap; } .figures { max-width: 52rem; }\n"
    ".worst { table-layout: fixed; } .worst td { overflow-wrap: anywhere; } .id { font-size: .78rem; } .bad { color: var(--second); }\n"
    ".clamp { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 5; overflow: hidden; }\n"
    ".scroll { overflow-x: auto; } .worst { min-width: 46rem; }\n";

/* ---- head --------------------------------------------------------------------------- */

static void put_model(rag_buf *out, const eval_run *r, const char *role)
{
    const char *model = eval_model_of(r, role);
    if (!*model)
        return;
    rag_buf_putf(out, " · %s ", role);
    eval_put_html(out, model);
}

static void put_head(rag_buf *out, const eval_run *r)
{
    rag_buf_puts(out, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
                      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<title>");
    eval_put_html(out, r->set->name);
    rag_buf_putf(out, ": ragctl eval</title>\n<style>\n%s</style></head>\n<body>\n<h1>", style);
    eval_put_html(out, r->set->name);
    rag_buf_putf(out, "</h1>\n<p>%zu questions, %s, in %.1f s</p>\n<p class=\"soft\">", r->set->n, r->date, r->seconds);
    if (r->daemon) {
        rag_buf_puts(out, "ragd ");
        eval_put_html(out, json_string(r->daemon, "version"));
        rag_buf_putf(out, " · generation %lld · %lld documents · %lld chunks", (long long)json_int(r->daemon, "generation", 0),
                     (long long)json_int(r->daemon, "documents", 0), (long long)json_int(r->daemon, "chunks", 0));
        put_model(out, r, "embedder");
        put_model(out, r, "decoder");
    }
    rag_buf_putf(out, "</p>\n<p class=\"soft\">search %s, top %ld", r->opt.search_mode ? r->opt.search_mode : "hybrid", r->opt.top_k);
    if (!r->opt.search_only)
        rag_buf_putf(out, " · answers %s", r->opt.mode ? r->opt.mode : "in the daemon's mode");
    rag_buf_puts(out, " · values with 95 % bootstrap intervals over questions</p>\n");
    if (r->failed)
        rag_buf_putf(out, "<p class=\"note\">%zu questions failed and are left out of the figures.</p>\n", r->failed);
    if (r->set->evidence_missing)
        rag_buf_putf(out, "<p class=\"note\">%zu of %zu evidence sentences stand in no gold document and are left out.</p>\n",
                     r->set->evidence_missing, r->set->evidence);
}

static void put_cards(rag_buf *out, const eval_run *r)
{
    static const eval_metric wanted[] = { EVAL_DOC + EVAL_HIT, EVAL_DOC + EVAL_NDCG, EVAL_SPAN + EVAL_RECALL + 2, EVAL_ANSWER_IN_1,
                                          EVAL_ANSWER_IN_5, EVAL_INCLUSION, EVAL_F1, EVAL_CITATION_PRECISION,
                                          EVAL_REFUSAL_RECALL, EVAL_WRONGLY_REFUSED, EVAL_AUROC, EVAL_DOC + EVAL_MRR };
    rag_buf_puts(out, "<div class=\"cards\">\n");
    for (size_t i = 0, shown = 0; i < sizeof wanted / sizeof *wanted && shown < MAX_CARDS; i++) {
        const eval_estimate *e = &r->estimates[wanted[i]];
        if (isnan(e->value))
            continue;
        shown++;
        rag_buf_putf(out, "<div class=\"card\"><b>%.3f</b><span>%s%s</span><span class=\"soft\">%.3f to %.3f</span></div>\n", e->value,
                     eval_metrics[wanted[i]].label, eval_metric_scope(wanted[i]), e->low, e->high);
    }
    rag_buf_puts(out, "</div>\n");
}

/* ---- figures ------------------------------------------------------------------------ */

static void put_figures(rag_buf *out, const eval_run *r)
{
    rag_buf_puts(out, "<h2>All figures</h2>\n<div class=\"scroll\"><table class=\"figures\">\n"
                      "<tr><th>figure</th><th>value</th><th>95 % interval</th><th>0 to 1</th><th>questions</th></tr>\n");
    for (eval_metric m = 0; m < EVAL_METRICS; m++) {
        const eval_estimate *e = &r->estimates[m];
        int digits = eval_metric_digits(m);
        if (isnan(e->value))
            continue;
        rag_buf_putf(out, "<tr><td>%s%s</td><td class=\"number\">%.*f</td><td class=\"number\">%.*f to %.*f</td><td>",
                     eval_metrics[m].label, eval_metric_scope(m), digits, e->value, digits, e->low, digits, e->high);
        if (digits == 3)
            eval_plot_interval(out, e);
        rag_buf_putf(out, "</td><td class=\"number\">%zu</td></tr>\n", e->n);
    }
    rag_buf_puts(out, "</table></div>\n");
}

/* ---- questions to look at ----------------------------------------------------------- */

static double value_or(const eval_data *d, eval_metric m, size_t i, double fallback)
{
    return d->weights[m][i] > 0 ? d->sums[m][i] / d->weights[m][i] : fallback;
}

/* 0 when nothing is wrong; a failure counts most, then what was found, then what was said. */
static double badness(const eval_run *r, size_t i)
{
    const eval_data *d = &r->data;
    double said = 1 - value_or(d, EVAL_INCLUSION, i, value_or(d, EVAL_RIGHT, i, 1));
    double refusal = 1 - value_or(d, EVAL_REFUSAL_RECALL, i, 1) + value_or(d, EVAL_WRONGLY_REFUSED, i, 0);
    return 4 * (r->records[i].error != NULL) + 1 - value_or(d, EVAL_DOC + EVAL_NDCG, i, 1) + 0.5 * (1 - value_or(d, EVAL_SPAN + EVAL_NDCG, i, 1)) +
           0.8 * said + 0.7 * refusal;
}

static int compare_badness(const void *a, const void *b, void *context)
{
    const double *bad = context;
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    return bad[i] != bad[j] ? (bad[i] < bad[j]) - (bad[i] > bad[j]) : (i > j) - (i < j);
}

/* The worst questions first; *n of them with something wrong.  To be freed. */
static uint32_t *find_worst(const eval_run *r, size_t *n)
{
    uint32_t *order = rag_calloc(r->set->n + 1, sizeof *order);
    double *bad = rag_calloc(r->set->n + 1, sizeof *bad);
    *n = 0;
    for (size_t i = 0; i < r->set->n; i++) {
        bad[i] = badness(r, i);
        if (bad[i] > 0.001)
            order[(*n)++] = (uint32_t)i;
    }
    qsort_r(order, *n, sizeof *order, compare_badness, bad);
    free(bad);
    return order;
}

static void put_expected(rag_buf *out, const eval_question *q)
{
    if (!q->is_answerable)
        rag_buf_puts(out, "<p>no answer: a refusal</p>");
    for (size_t i = 0; i < q->gold_docs.n && i < 4; i++) {
        rag_buf_puts(out, "<p>");
        eval_put_html(out, q->gold_docs.items[i]);
        rag_buf_puts(out, "</p>");
    }
    if (q->gold_docs.n > 4)
        rag_buf_putf(out, "<p class=\"soft\">and %zu more</p>", q->gold_docs.n - 4);
    for (size_t g = 0; g < q->n_groups && g < 3; g++)
        for (size_t i = 0; i < q->groups[g].n && i < 1; i++) {
            rag_buf_puts(out, "<p class=\"soft clamp\">“");
            eval_put_html(out, q->groups[g].items[i]);
            rag_buf_puts(out, "”</p>");
        }
}

static void put_found(rag_buf *out, const eval_question *q, const eval_record *rec)
{
    if (rec->error) {
        rag_buf_puts(out, "<p class=\"bad\">");
        eval_put_html(out, rec->error);
        rag_buf_puts(out, "</p>");
    }
    if (!rec->is_searched)
        return;
    if (q->gold_docs.n && !rec->n_doc_ranks)
        rag_buf_puts(out, "<p class=\"bad\">gold document not found</p>");
    else if (q->gold_docs.n && rec->doc_ranks[0] > 1)
        rag_buf_putf(out, "<p class=\"bad\">gold document at rank %u</p>", (unsigned)rec->doc_ranks[0]);
    if (q->n_spans && !rec->n_span_ranks)
        rag_buf_puts(out, "<p class=\"bad\">gold span not found</p>");
    else if (q->n_spans && rec->span_ranks[0] > 1)
        rag_buf_putf(out, "<p class=\"bad\">gold span at rank %u</p>", (unsigned)rec->span_ranks[0]);
    rag_buf_puts(out, "<p>");
    eval_put_html(out, *rec->first_document ? rec->first_document : "nothing found");
    rag_buf_puts(out, "</p><p class=\"soft clamp\">");
    eval_put_html(out, rec->first_text);
    rag_buf_puts(out, "</p>");
}

static void put_said(rag_buf *out, const eval_record *rec)
{
    if (!rec->is_asked)
        return;
    rag_buf_puts(out, "<p class=\"soft\">");
    eval_put_html(out, rec->outcome);
    rag_buf_putf(out, ", confidence %.2f</p><p class=\"clamp\">", rec->confidence);
    eval_put_html(out, rec->answer);
    rag_buf_puts(out, "</p>");
}

static void put_worst(rag_buf *out, const eval_run *r)
{
    size_t n;
    uint32_t *order = find_worst(r, &n);
    rag_buf_putf(out, "<h2>Questions to look at</h2>\n<p class=\"soft\">%zu of %zu questions have something to look at%s</p>\n", n, r->set->n,
                 n > MAX_WORST ? "; the worst come first, the others are in the JSON report" : "");
    rag_buf_putf(out, "<div class=\"scroll\"><table class=\"worst\">\n<tr><th>question</th><th>expected</th><th>came first</th>%s</tr>\n",
                 r->opt.search_only ? "" : "<th>answer</th>");
    for (size_t i = 0; i < n && i < MAX_WORST; i++) {
        const eval_question *q = &r->set->questions[order[i]];
        const eval_record *rec = &r->records[order[i]];
        rag_buf_puts(out, "<tr><td><p>");
        eval_put_html(out, q->text);
        rag_buf_puts(out, "</p><p class=\"id\">");
        eval_put_html(out, q->id);
        rag_buf_puts(out, "</p></td><td>");
        put_expected(out, q);
        rag_buf_puts(out, "</td><td>");
        put_found(out, q, rec);
        rag_buf_puts(out, r->opt.search_only ? "</td></tr>\n" : "</td><td>");
        if (r->opt.search_only)
            continue;
        put_said(out, rec);
        rag_buf_puts(out, "</td></tr>\n");
    }
    rag_buf_puts(out, "</table></div>\n");
    free(order);
}

void eval_report_html(rag_buf *out, const eval_run *r)
{
    put_head(out, r);
    put_cards(out, r);
    rag_buf_puts(out, "<h2>Plots</h2>\n<div class=\"plots\">\n");
    eval_plot_ranks(out, r);
    eval_plot_recall(out, r);
    eval_plot_calibration(out, r);
    eval_plot_latency(out, r);
    rag_buf_puts(out, "</div>\n");
    put_worst(out, r);
    put_figures(out, r);
    rag_buf_puts(out, "</body></html>\n");
}
