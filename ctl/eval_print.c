/* A run as a table for the terminal. */
#include <math.h>
#include <string.h>

#include "ctl/eval_report.h"
#include "ctl/json.h"
#include "ctl/print.h"

static void print_estimate(FILE *out, const eval_estimate *e, const char *end)
{
    if (isnan(e->value))
        fprintf(out, "  %-*s%s", *end == '\n' ? 1 : 20, "-", end);
    else
        fprintf(out, "  %5.3f [%5.3f, %5.3f]%s", e->value, e->low, e->high, end);
}

static void print_ranking(FILE *out, const eval_run *r)
{
    fprintf(out, "\n%-34s  %-24s  %s\n", "search", "by document", "by gold span");
    for (int i = 0; i < EVAL_RANKING; i++) {
        fprintf(out, "  %-32s", eval_metrics[i].label);
        print_estimate(out, &r->estimates[EVAL_DOC + i], "    ");
        print_estimate(out, &r->estimates[EVAL_SPAN + i], "\n");
    }
}

static void print_figures(FILE *out, const eval_run *r, const char *title, eval_metric first, eval_metric last)
{
    if (title)
        fprintf(out, "\n%s\n", title);
    for (eval_metric m = first; m <= last; m++) {
        fprintf(out, "  %-32s", eval_metrics[m].label);
        print_estimate(out, &r->estimates[m], "");
        fprintf(out, "  of %zu\n", r->estimates[m].n);
    }
}

static void print_stages(FILE *out, const eval_run *r)
{
    fprintf(out, "\n%-34s  %8s  %8s  %8s  %8s\n", "milliseconds", "p50", "p90", "p99", "max");
    for (size_t i = 0; i < r->n_stages; i++) {
        const eval_stage *s = &r->stages[i];
        char name[64];
        snprintf(name, sizeof name, "%s: %s", s->route, s->name);
        fputs("  ", out);
        fprintf(out, "%-32.32s  %8.1f  %8.1f  %8.1f  %8.1f\n", name, eval_percentile(s->ms, s->n, 0.5),
                eval_percentile(s->ms, s->n, 0.9), eval_percentile(s->ms, s->n, 0.99), s->ms[s->n - 1]);
    }
}

static void print_head(FILE *out, const eval_run *r)
{
    print_text(out, rag_str_of(r->set->name), " ");
    fprintf(out, ": %zu questions in %.1f s", r->set->n, r->seconds);
    if (r->daemon)
        fprintf(out, "; generation %lld, %lld documents, %lld chunks", (long long)json_int(r->daemon, "generation", 0),
                (long long)json_int(r->daemon, "documents", 0), (long long)json_int(r->daemon, "chunks", 0));
    if (*eval_model_of(r, "embedder")) {
        fputs("; ", out);
        print_text(out, rag_str_of(eval_model_of(r, "embedder")), " ");
    }
    fprintf(out, "\nsearch %s, top %ld", r->opt.search_mode ? r->opt.search_mode : "hybrid", r->opt.top_k);
    if (!r->opt.search_only)
        fprintf(out, "; ask %s", r->opt.mode ? r->opt.mode : "in the daemon's mode");
    fputs("; value [95 % interval]\n", out);
}

/* What makes figures mean less than they seem to. */
static void print_notes(FILE *out, const eval_run *r)
{
    size_t counts[EVAL_DEPTH + 1];
    const eval_estimate *found = &r->estimates[EVAL_DOC + EVAL_HIT + EVAL_CUTS - 1];
    if (eval_rank_counts(r, false, counts) && found->value == 0)
        fputs("\nno question found a gold document: is the set's docs/ folder what was ingested?\n", out);
    if (r->set->evidence_missing)
        fprintf(out, "\n%zu of %zu evidence sentences stand in no gold document and are left out\n",
                r->set->evidence_missing, r->set->evidence);
    if (r->failed)
        fprintf(out, "\n%zu questions failed and are left out\n", r->failed);
    for (size_t i = 0, shown = 0; i < r->set->n && shown < 3; i++) {
        if (!r->records[i].error)
            continue;
        shown++;
        fputs("  ", out);
        print_text(out, rag_str_of(r->set->questions[i].id), " ");
        fputs(": ", out);
        print_text(out, rag_str_of(r->records[i].error), " ");
        fputc('\n', out);
    }
}

void eval_report_print(FILE *out, const eval_run *r)
{
    print_head(out, r);
    print_ranking(out, r);
    print_figures(out, r, NULL, EVAL_ANSWER_IN_1, EVAL_ANSWER_IN_5);
    if (!r->opt.search_only) {
        print_figures(out, r, "answers", EVAL_EXACT_MATCH, EVAL_ANSWER_CHARS);
        print_figures(out, r, "citations", EVAL_CITATION_PRECISION, EVAL_EXACT_QUOTES);
        print_figures(out, r, "refusals", EVAL_REFUSAL_PRECISION, EVAL_WRONGLY_REFUSED);
        print_figures(out, r, "confidence", EVAL_RIGHT, EVAL_AUROC);
    }
    print_stages(out, r);
    print_notes(out, r);
}
