/* Ranking and overlap: one question, one list of results. */
#include <math.h>

#include "ctl/eval_metrics.h"

const int eval_cuts[EVAL_CUTS] = { 1, 3, 5, 10 };

static size_t count_within(const uint32_t *ranks, size_t n, uint32_t cut)
{
    size_t found = 0;
    while (found < n && ranks[found] <= cut)
        found++;
    return found;
}

/* Items at one rank have one place in the order: the first counts. */
static double gain_of(const uint32_t *ranks, size_t n)
{
    double gain = 0;
    for (size_t i = 0; i < n && ranks[i] <= EVAL_DEPTH; i++)
        if (i == 0 || ranks[i] != ranks[i - 1])
            gain += 1 / log2(ranks[i] + 1.0);
    return gain;
}

static double ideal_of(size_t n_items)
{
    double ideal = 0;
    for (size_t rank = 1; rank <= n_items && rank <= EVAL_DEPTH; rank++)
        ideal += 1 / log2((double)rank + 1);
    return ideal;
}

void eval_rank(const uint32_t *ranks, size_t n, size_t n_gold, size_t n_items, double out[EVAL_RANKING])
{
    for (size_t i = 0; i < EVAL_CUTS; i++) {
        size_t found = count_within(ranks, n, (uint32_t)eval_cuts[i]);
        out[EVAL_HIT + i] = found > 0;
        out[EVAL_RECALL + i] = n_gold ? (double)found / (double)n_gold : 0;
    }
    double ideal = ideal_of(n_items);
    out[EVAL_MRR] = n && ranks[0] <= EVAL_DEPTH ? 1.0 / ranks[0] : 0;
    out[EVAL_NDCG] = ideal > 0 ? gain_of(ranks, n) / ideal : 0;
}

size_t eval_overlap(rag_span a, rag_span b)
{
    size_t start = a.start > b.start ? a.start : b.start;
    size_t end = a.end < b.end ? a.end : b.end;
    return end > start ? end - start : 0;
}

bool eval_finds(rag_span hit, rag_span gold)
{
    size_t hit_len = hit.end > hit.start ? hit.end - hit.start : 0;
    size_t gold_len = gold.end > gold.start ? gold.end - gold.start : 0;
    size_t shorter = hit_len < gold_len ? hit_len : gold_len;
    size_t shared = eval_overlap(hit, gold);
    return shared > 0 && 2 * shared >= shorter;
}
