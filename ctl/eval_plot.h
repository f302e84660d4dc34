/* ctl/eval_plot.h: the plots of the HTML report, as inline SVG.  Colours are the page's CSS variables; every mark has its numbers
 * as a tooltip.  Each appends one <figure>, or nothing when there is nothing to show.
 *
 * Threads: pure. */
#ifndef RAG_CTL_EVAL_PLOT_H
#define RAG_CTL_EVAL_PLOT_H

#include "ctl/eval_run.h"

/* Questions by the rank of the first gold document, and of the first gold span. */
void eval_plot_ranks(rag_buf *out, const eval_run *r);
/* recall@k over k. */
void eval_plot_recall(rag_buf *out, const eval_run *r);
/* How often answers are right over their confidence, and how many have it. */
void eval_plot_calibration(rag_buf *out, const eval_run *r);
/* Percentiles of each stage on a logarithmic scale. */
void eval_plot_latency(rag_buf *out, const eval_run *r);

/* A value and its interval on a line from 0 to 1, for tables. */
void eval_plot_interval(rag_buf *out, const eval_estimate *e);

/* Text for HTML: markup escaped, control characters made visible. */
void eval_put_html(rag_buf *out, const char *text);

#endif
