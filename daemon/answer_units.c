/* Terms of a question and how much of them a sentence holds. */
#include "daemon/answer_private.h"

#include <stdlib.h>
#include <string.h>

static int compare_units(const void *a, const void *b)
{
    const rag_str x = ((const answer_unit *)a)->text, y = ((const answer_unit *)b)->text;
    size_t n = x.len < y.len ? x.len : y.len;
    int c = n ? memcmp(x.ptr, y.ptr, n) : 0;
    return c ? c : (x.len > y.len) - (x.len < y.len);
}

static rag_str join(rag_arena *arena, rag_str a, rag_str b)
{
    char *p = rag_arena_alloc(arena, a.len + b.len + 1);
    memcpy(p, a.ptr, a.len);
    memcpy(p + a.len, b.ptr, b.len);
    return (rag_str){ p, a.len + b.len };
}

static bool is_pair(const rag_term *t, size_t i, size_t n)
{
    return i + 1 < n && t[i].is_cjk && t[i + 1].is_cjk && t[i].end == t[i + 1].start;
}

static void add(answer_units *u, rag_str text)
{
    u->items[u->n++].text = text;
}

static void deduplicate(answer_units *u)
{
    if (!u->n)
        return;
    qsort(u->items, u->n, sizeof *u->items, compare_units);
    size_t kept = 1;
    for (size_t i = 1; i < u->n; i++)
        if (!rag_str_eq(u->items[i].text, u->items[kept - 1].text))
            u->items[kept++] = u->items[i];
    u->n = kept;
}

answer_units *answer_units_of(rag_str text, rag_arena *arena)
{
    answer_units *u = rag_arena_alloc(arena, sizeof *u);
    rag_term *terms = NULL;
    size_t n = 0;
    if (rag_terms(text, arena, &terms, &n) != RAG_OK)
        return u;
    u->items = rag_arena_array(arena, 2 * n + 1, sizeof *u->items);
    for (size_t i = 0; i < n; i++) {
        if (!terms[i].is_stop)
            add(u, terms[i].stem);
        if (is_pair(terms, i, n))
            add(u, join(arena, terms[i].stem, terms[i + 1].stem));
    }
    deduplicate(u);
    return u;
}

double answer_units_overlap(const answer_units *q, const answer_units *in)
{
    if (q->weight <= 0)
        return 0;
    double held = 0;
    size_t j = 0;
    for (size_t i = 0; i < q->n; i++) {
        while (j < in->n && compare_units(&in->items[j], &q->items[i]) < 0)
            j++;
        if (j < in->n && rag_str_eq(in->items[j].text, q->items[i].text))
            held += q->items[i].weight;
    }
    return held / q->weight;
}
