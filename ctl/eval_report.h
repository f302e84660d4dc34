/* ctl/eval_report.h: a run as JSON, as a table for the terminal, as one HTML page.
 *
 * JSON:
 *   {"ragctl", "set", "file", "date", "seconds", "failed",
 *    "daemon": {"version", "generation", "documents", "chunks", "models"},
 *    "options": {"top_k", "search_mode", "mode", "collection", "search_only", "concurrency"},
 *    "evidence": {"sentences", "not_found"},
 *    "metrics": {KEY: {"value", "low", "high", "n"} or null, …},
 *    "curves": {"doc_recall", "span_recall": [recall@1 … recall@10] or null},
 *    "calibration": [{"from", "to", "n", "confidence", "right"}, …],
 *    "latency_ms": {"search": {STAGE: {"n", "p50", "p90", "p99", "max"}}, "ask": …},
 *    "questions": [{"id", "question", "error"?, "doc_ranks", "span_ranks", "first_document", "outcome", "answer", "confidence",
 *                   "values": {KEY: number, or [sum, weight] where the weight is not 1}}, …]}
 * KEYs are those of eval_metrics; a figure that does not apply is null, or absent from "values".
 *
 * The page has no reference to anything outside of it and no script; whatever comes from documents or models is escaped.
 *
 * Threads: one. */
#ifndef RAG_CTL_EVAL_REPORT_H
#define RAG_CTL_EVAL_REPORT_H

#include <stdio.h>

#include "ctl/eval_run.h"

cJSON *eval_report_json(const eval_run *r);
void eval_report_print(FILE *out, const eval_run *r);
void eval_report_html(rag_buf *out, const eval_run *r);

/* Mean recall at k = 1 … EVAL_DEPTH, by document or by span; false when it applies to no question. */
bool eval_recall_curve(const eval_run *r, bool by_span, double out[EVAL_DEPTH]);
/* Questions by the rank of the first gold item: [0] not found, [k] at k, beyond EVAL_DEPTH in [0]; false as above. */
bool eval_rank_counts(const eval_run *r, bool by_span, size_t out[EVAL_DEPTH + 1]);

/* The parts of a report that several forms show. */
const char *eval_model_of(const eval_run *r, const char *role); /* "embedder"; "" when unknown */

/* ---- a saved report, for comparing -------------------------------------------------- */

typedef struct eval_saved {
    cJSON *json;
    const char **ids, **texts; /* by question */
    eval_data data;
} eval_saved;

/* RAG_INVALID when the file is no report of `ragctl eval`.  Free in either case. */
rag_code eval_saved_read(eval_saved *out, const char *path, rag_err *err);
void eval_saved_free(eval_saved *s);

#endif
