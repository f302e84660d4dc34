#include "ctl/eval_plot.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "ctl/eval_report.h"

/* The plot's area in a drawing, in its units. */
typedef struct area {
    double left, top, width, height;
} area;

enum { DRAWING_WIDTH = 560, DRAWING_HEIGHT = 300 };

/* ---- pieces ------------------------------------------------------------------------- */

void eval_put_html(rag_buf *out, const char *text)
{
    rag_str s = rag_str_of(text);
    for (size_t pos = 0; pos < s.len;) {
        size_t start = pos;
        uint32_t c = rag_utf8_next(s, &pos);
        const char *entity = c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '"' ? "&quot;" :
                             c == '\'' ? "&#39;" : NULL;
        bool is_control = (c < ' ' && c != '\n' && c != '\t') || (c >= 0x7f && c < 0xa0) ||
                          (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
        if (entity)
            rag_buf_puts(out, entity);
        else if (is_control)
            rag_buf_putf(out, "\\u{%04X}", (unsigned)c);
        else
            rag_buf_put(out, rag_str_sub(s, start, pos));
    }
}

static void open_figure(rag_buf *out, const char *title, const char *note, int height)
{
    rag_buf_putf(out, "<figure><figcaption><b>%s</b> %s</figcaption>\n"
                      "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">\n",
                 title, note, DRAWING_WIDTH, height, title);
}

static void close_figure(rag_buf *out)
{
    rag_buf_puts(out, "</svg></figure>\n");
}

static void put_label(rag_buf *out, double x, double y, const char *anchor, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

static void put_label(rag_buf *out, double x, double y, const char *anchor, const char *format, ...)
{
    char text[128];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    rag_buf_putf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
    eval_put_html(out, text);
    rag_buf_puts(out, "</text>\n");
}

static void put_line(rag_buf *out, const char *class, double x1, double y1, double x2, double y2)
{
    rag_buf_putf(out, "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", class, x1, y1, x2, y2);
}

static void put_bar(rag_buf *out, const char *class, double x, double y, double width, double height, const char *title)
{
    rag_buf_putf(out, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"2\"><title>%s</title></rect>\n",
                 class, x, y, width, height, title);
}

static void put_dot(rag_buf *out, const char *class, double x, double y, double radius, const char *title)
{
    rag_buf_putf(out, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"><title>%s</title></circle>\n", class, x, y,
                 radius, title);
}

/* Horizontal lines with their values at the left, `steps` of them above the lowest. */
static void put_shares(rag_buf *out, const area *a, double from, double to, int steps)
{
    for (int i = 0; i <= steps; i++) {
        double y = a->top + a->height * (1 - (double)i / steps);
        put_line(out, i ? "grid" : "axis", a->left, y, a->left + a->width, y);
        put_label(out, a->left - 8, y + 4, "end", "%.*f", to - from < 0.25 ? 2 : 1, from + (to - from) * i / steps);
    }
}

static void put_key(rag_buf *out, const area *a, int place, const char *class, const char *label)
{
    double x = a->left + a->width - 220 + place * 120;
    put_bar(out, class, x, a->top - 20, 10, 10, label);
    put_label(out, x + 15, a->top - 11, "start", "%s", label);
}

/* ---- ranks -------------------------------------------------------------------------- */

static size_t total_of(const size_t counts[EVAL_DEPTH + 1])
{
    size_t total = 0;
    for (int i = 0; i <= EVAL_DEPTH; i++)
        total += counts[i];
    return total;
}

static void put_rank_bars(rag_buf *out, const area *a, const char *class, const char *what,
                          const size_t counts[EVAL_DEPTH + 1], double shift, double width)
{
    double slot = a->width / (EVAL_DEPTH + 1), total = (double)total_of(counts);
    for (int place = 0; place <= EVAL_DEPTH; place++) {
        int rank = place < EVAL_DEPTH ? place + 1 : 0;
        double share = (double)counts[rank] / total, height = a->height * share;
        char title[96];
        snprintf(title, sizeof title, "%s, %s%.0d: %zu questions (%.1f %%)", what, rank ? "rank " : "not found", rank,
                 counts[rank], 100 * share);
        put_bar(out, class, a->left + place * slot + shift, a->top + a->height - height, width, height, title);
        if (share > 0 && share < 0.995 && shift < slot / 2)
            put_label(out, a->left + place * slot + shift + width / 2, a->top + a->height - height - 4, "middle", "%zu",
                      counts[rank]);
    }
}

void eval_plot_ranks(rag_buf *out, const eval_run *r)
{
    const area a = { 44, 40, 500, 210 };
    size_t docs[EVAL_DEPTH + 1], spans[EVAL_DEPTH + 1];
    bool has_docs = eval_rank_counts(r, false, docs), has_spans = eval_rank_counts(r, true, spans);
    double slot = a.width / (EVAL_DEPTH + 1), width = has_docs && has_spans ? slot * 0.38 : slot * 0.7;
    if (!has_docs && !has_spans)
        return;
    open_figure(out, "Rank of the first gold item", "share of questions; the number is the count by document", DRAWING_HEIGHT);
    put_shares(out, &a, 0, 1, 5);
    if (has_docs)
        put_rank_bars(out, &a, "first", "document", docs, slot * 0.1, width);
    if (has_spans)
        put_rank_bars(out, &a, "second", "gold span", spans, has_docs ? slot * 0.52 : slot * 0.1, width);
    for (int i = 0; i < EVAL_DEPTH; i++)
        put_label(out, a.left + (i + 0.5) * slot, a.top + a.height + 18, "middle", "%d", i + 1);
    put_label(out, a.left + (EVAL_DEPTH + 0.5) * slot, a.top + a.height + 18, "middle", "none");
    put_label(out, a.left + a.width / 2, a.top + a.height + 40, "middle", "rank");
    put_key(out, &a, !has_spans, "first", "by document");
    if (has_spans)
        put_key(out, &a, 1, "second", "by gold span");
    close_figure(out);
}

/* ---- recall ------------------------------------------------------------------------- */

/* Where the scale begins: a line of it at every `step`. */
static double floor_of(double lowest, double *step)
{
    *step = lowest > 0.8 ? 0.05 : lowest > 0.5 ? 0.1 : 0.2;
    double from = floor(lowest / *step + 1e-9) * *step;
    return from < 0.8 ? from : 0.8;
}

static void put_curve(rag_buf *out, const area *a, const char *class, const char *what, const double *curve, double from)
{
    char title[96];
    double step = a->width / EVAL_DEPTH;
    rag_buf_putf(out, "<polyline class=\"%s-line\" points=\"", class);
    for (int k = 0; k < EVAL_DEPTH; k++)
        rag_buf_putf(out, "%.1f,%.1f ", a->left + (k + 0.5) * step, a->top + a->height * (1 - (curve[k] - from) / (1 - from)));
    rag_buf_puts(out, "\"/>\n");
    for (int k = 0; k < EVAL_DEPTH; k++) {
        snprintf(title, sizeof title, "%s, recall@%d: %.3f", what, k + 1, curve[k]);
        put_dot(out, class, a->left + (k + 0.5) * step, a->top + a->height * (1 - (curve[k] - from) / (1 - from)), 4, title);
    }
}

void eval_plot_recall(rag_buf *out, const eval_run *r)
{
    const area a = { 44, 40, 500, 210 };
    double docs[EVAL_DEPTH], spans[EVAL_DEPTH], step;
    bool has_docs = eval_recall_curve(r, false, docs), has_spans = eval_recall_curve(r, true, spans);
    if (!has_docs && !has_spans)
        return;
    double from = floor_of(fmin(has_docs ? docs[0] : 1, has_spans ? spans[0] : 1), &step);
    open_figure(out, "Recall over k", from > 0 ? "gold items among the first k; the scale does not begin at 0" :
                "gold items among the first k", DRAWING_HEIGHT);
    put_shares(out, &a, from, 1, (int)lround((1 - from) / step));
    if (has_spans)
        put_curve(out, &a, "second", "gold span", spans, from);
    if (has_docs)
        put_curve(out, &a, "first", "document", docs, from);
    for (int k = 0; k < EVAL_DEPTH; k++)
        put_label(out, a.left + (k + 0.5) * a.width / EVAL_DEPTH, a.top + a.height + 18, "middle", "%d", k + 1);
    put_label(out, a.left + a.width / 2, a.top + a.height + 40, "middle", "k");
    put_key(out, &a, !has_spans, "first", "by document");
    if (has_spans)
        put_key(out, &a, 1, "second", "by gold span");
    close_figure(out);
}

/* ---- calibration -------------------------------------------------------------------- */

static void put_bin_points(rag_buf *out, const area *a, const eval_bin *bins, size_t answers)
{
    double x = 0, y = 0;
    bool has_last = false;
    for (int i = 0; i < EVAL_BINS; i++) {
        double to_x = a->left + a->width * bins[i].confidence, to_y = a->top + a->height * (1 - bins[i].right);
        if (!bins[i].n)
            continue;
        if (has_last)
            put_line(out, "first-line", x, y, to_x, to_y);
        has_last = true;
        x = to_x;
        y = to_y;
    }
    for (int i = 0; i < EVAL_BINS; i++) {
        char title[128];
        double radius = 3 + 4 * sqrt((double)bins[i].n / (double)answers);
        snprintf(title, sizeof title, "%zu answers, mean confidence %.3f, %.3f of them right", bins[i].n, bins[i].confidence,
                 bins[i].right);
        if (bins[i].n)
            put_dot(out, "first", a->left + a->width * bins[i].confidence, a->top + a->height * (1 - bins[i].right), radius, title);
    }
}

static void put_bin_counts(rag_buf *out, const area *a, const eval_bin *bins)
{
    size_t most = 1;
    double slot = a->width / EVAL_BINS;
    for (int i = 0; i < EVAL_BINS; i++)
        most = bins[i].n > most ? bins[i].n : most;
    put_line(out, "axis", a->left, a->top + a->height, a->left + a->width, a->top + a->height);
    for (int i = 0; i < EVAL_BINS; i++) {
        double height = a->height * (double)bins[i].n / (double)most;
        char title[96];
        snprintf(title, sizeof title, "%zu answers with confidence from %.1f to %.1f", bins[i].n, i / 10.0, (i + 1) / 10.0);
        put_bar(out, "quiet", a->left + i * slot + 2, a->top + a->height - height, slot - 4, height, title);
        if (bins[i].n)
            put_label(out, a->left + (i + 0.5) * slot, a->top + a->height - height - 4, "middle", "%zu", bins[i].n);
    }
}

void eval_plot_calibration(rag_buf *out, const eval_run *r)
{
    const area a = { 44, 16, 500, 190 }, counts = { 44, 226, 500, 34 };
    eval_bin bins[EVAL_BINS];
    if (!r->data.n_ascending)
        return;
    eval_bins(&r->data, bins);
    open_figure(out, "Calibration", "share of right answers over their confidence; on the diagonal, confidence says how often",
                DRAWING_HEIGHT);
    put_shares(out, &a, 0, 1, 5);
    put_line(out, "ideal", a.left, a.top + a.height, a.left + a.width, a.top);
    put_bin_points(out, &a, bins, r->data.n_ascending);
    put_bin_counts(out, &counts, bins);
    for (int i = 0; i <= EVAL_BINS; i += 2)
        put_label(out, a.left + a.width * i / EVAL_BINS, counts.top + counts.height + 15, "middle", "%.1f", i / 10.0);
    put_label(out, a.left + a.width / 2, counts.top + counts.height + 34, "middle", "confidence, and how many answers have it");
    close_figure(out);
}

/* ---- latency ------------------------------------------------------------------------ */

/* Tenths of a millisecond and less are all "fast". */
static double log_ms(double ms)
{
    return log10(ms < 0.1 ? 0.1 : ms);
}

static double place_of(const area *a, double ms, double decades)
{
    return a->left + a->width * (log_ms(ms) + 1) / decades;
}

static void put_stage(rag_buf *out, const area *a, const eval_stage *s, double y, double decades)
{
    static const double shares[] = { 0.5, 0.9, 0.99 };
    const char *class = strcmp(s->route, "search") ? "second" : "first";
    double at[3], ms[3], max = s->ms[s->n - 1];
    char title[128];
    for (int i = 0; i < 3; i++) {
        ms[i] = eval_percentile(s->ms, s->n, shares[i]);
        at[i] = place_of(a, ms[i], decades);
    }
    snprintf(title, sizeof title, "p50 %.1f, p90 %.1f, p99 %.1f, max %.1f ms", ms[0], ms[1], ms[2], max);
    put_label(out, a->left - 8, y + 4, "end", "%s: %.24s", s->route, s->name);
    put_line(out, "whisker", at[2], y, place_of(a, max, decades), y);
    put_bar(out, "faint", at[0], y - 3, at[2] - at[0] > 1 ? at[2] - at[0] : 1, 6, title);
    put_bar(out, class, at[0], y - 3, at[1] - at[0] > 1 ? at[1] - at[0] : 1, 6, title);
    put_dot(out, class, at[0], y, 5, title);
    put_label(out, a->left + a->width + 12, y + 4, "start", "%.*f", ms[0] < 100 ? 1 : 0, ms[0]);
    put_label(out, a->left + a->width + 66, y + 4, "start", "%.*f", ms[2] < 100 ? 1 : 0, ms[2]);
}

static double slowest(const eval_run *r)
{
    double ms = 10;
    for (size_t i = 0; i < r->n_stages; i++)
        ms = fmax(ms, r->stages[i].ms[r->stages[i].n - 1]);
    return ms;
}

void eval_plot_latency(rag_buf *out, const eval_run *r)
{
    const area a = { 130, 30, 306, (double)r->n_stages * 22 };
    double decades = ceil(log_ms(slowest(r))) + 1;
    if (!r->n_stages)
        return;
    open_figure(out, "Time by stage", "milliseconds, logarithmic: dot p50, bar to p90, faint to p99, line to the slowest",
                (int)(a.top + a.height) + 30);
    for (int i = 0; i <= (int)decades; i++) {
        double ms = pow(10, i - 1), x = place_of(&a, ms, decades);
        put_line(out, "grid", x, a.top - 6, x, a.top + a.height);
        put_label(out, x, a.top + a.height + 16, "middle", "%s%g", i ? "" : "≤ ", ms);
    }
    put_label(out, a.left + a.width + 12, a.top - 12, "start", "p50");
    put_label(out, a.left + a.width + 66, a.top - 12, "start", "p99");
    for (size_t i = 0; i < r->n_stages; i++)
        put_stage(out, &a, &r->stages[i], a.top + ((double)i + 0.5) * 22, decades);
    close_figure(out);
}

/* ---- intervals ---------------------------------------------------------------------- */

void eval_plot_interval(rag_buf *out, const eval_estimate *e)
{
    rag_buf_puts(out, "<svg class=\"interval\" viewBox=\"0 0 120 12\" aria-hidden=\"true\">");
    put_line(out, "grid", 4, 6, 116, 6);
    if (!isnan(e->low))
        put_line(out, "first-line", 4 + 112 * e->low, 6, 4 + 112 * e->high, 6);
    rag_buf_putf(out, "<circle class=\"first\" cx=\"%.1f\" cy=\"6\" r=\"3.5\"/></svg>", 4 + 112 * e->value);
}
