/* Exact strings: what stands nowhere, and the place of those who hold the others. */
#include <string.h>

#include "index/search_impl.h"

/* ---- what stands --------------------------------------------------------------------------- */

void search_tell_absent(search *x, rag_results *out, rag_str text)
{
    rag_str *list = (rag_str *)out->absent;
    if (!list)
        out->absent = list = rag_arena_array(x->arena, PLAN_MAX_QUOTES + EXACT_MAX, sizeof *list);
    list[out->n_absent++] = text;
}

void search_find_standing(search *x, rag_results *out)
{
    for (size_t i = 0; i < x->plan.n_exact; i++) {
        const plan_exact *e = &x->plan.exact[i];
        if (bm25_rows(x->r->bm25, e->phrase) > 0)
            x->standing |= plan_bit(e->phrase);
        else if (e->is_told)
            search_tell_absent(x, out, e->text);
    }
}

/* ---- candidates ------------------------------------------------------------------------------ */

/* What the passages that may be candidates hold of the strings. */
static uint64_t reachable(const search *x)
{
    const bm25 *b = x->r->bm25;
    uint64_t all = 0;
    for (size_t i = 0; i < bm25_count(b); i++)
        if (bit_is_set(x->bits, bm25_touched(b)[i]))
            all |= bm25_held(b, bm25_touched(b)[i]);
    return all & x->standing;
}

/* The best one by BM25 that holds all of `wanted`; false when there is none. */
static bool find_best(search *x, uint64_t wanted, uint32_t *best)
{
    const bm25 *b = x->r->bm25;
    bool found = false;
    for (size_t i = 0; i < bm25_count(b); i++) {
        uint32_t at = bm25_touched(b)[i];
        if ((bm25_held(b, at) & wanted) != wanted || !bit_is_set(x->bits, at))
            continue;
        if (!found || search_by_text_score(&at, best, x) < 0)
            *best = at;
        found = true;
    }
    return found;
}

static size_t rows_of(const search *x, uint64_t bit)
{
    return bm25_rows(x->r->bm25, (size_t)__builtin_ctzll(bit));
}

/* The next string by rarity after those in `done`; 0 when there is none. */
static uint64_t next_rarest(const search *x, uint64_t done)
{
    uint64_t best = 0;
    for (uint64_t left = x->standing & ~done; left; left &= left - 1) {
        uint64_t bit = left & -left;
        if (!best || rows_of(x, bit) < rows_of(x, best))
            best = bit;
    }
    return best;
}

void search_add_holders(search *x)
{
    uint32_t best;
    x->standing = reachable(x);
    if (!x->standing)
        return;
    for (uint64_t left = x->standing; left; left &= left - 1)
        if (find_best(x, left & -left, &best))
            search_candidate(x, best);
    if (find_best(x, x->standing, &best)) {
        search_candidate(x, best);
        x->wanted = x->standing;
    } else {
        x->wanted = next_rarest(x, 0);
    }
}

/* ---- places ------------------------------------------------------------------------------------ */

/* Items in order, the first `limit` of which are to hold what is wanted. */
typedef struct line {
    const uint64_t *held; /* of each item */
    size_t *order;        /* items by their new places */
    bool *kept;           /* by place */
    size_t n, limit;
} line;

/* The last one in front that nobody needs goes behind the limit, and the item at place `from` takes the last place before it. */
static size_t promote(line *l, size_t from)
{
    size_t last = l->limit - 1, victim = l->limit;
    while (victim > 0 && l->kept[victim - 1])
        victim--;
    if (victim-- == 0)
        return from;
    size_t leaves = l->order[victim], comes = l->order[from];
    memmove(&l->order[victim], &l->order[victim + 1], (last - victim) * sizeof *l->order);
    memmove(&l->kept[victim], &l->kept[victim + 1], (last - victim) * sizeof *l->kept);
    memmove(&l->order[l->limit + 1], &l->order[l->limit], (from - l->limit) * sizeof *l->order);
    l->order[last] = comes;
    l->order[l->limit] = leaves;
    return last;
}

static void serve(line *l, uint64_t goal, size_t *promoted)
{
    size_t i = 0;
    while (i < l->n && (l->held[l->order[i]] & goal) != goal)
        i++;
    if (i == l->n)
        return;
    if (i >= l->limit && *promoted < (l->limit + 1) / 2) {
        i = promote(l, i);
        *promoted += i < l->limit;
    }
    if (i < l->limit)
        l->kept[i] = true;
}

/* All strings at once are served first, or, when nobody holds all, one after the other, the rarest first.  At most half of the
 * places go to items that would not be there. */
static void find_order(const search *x, const uint64_t *held, size_t n, size_t limit, size_t *order)
{
    line l = { .held = held, .order = order, .n = n, .limit = limit < n ? limit : n };
    l.kept = rag_arena_array(x->arena, l.limit + 1, sizeof *l.kept);
    size_t promoted = 0;
    uint64_t done = x->wanted;
    for (size_t i = 0; i < n; i++)
        order[i] = i;
    for (uint64_t goal = x->wanted; goal; done |= goal) {
        serve(&l, goal, &promoted);
        goal = next_rarest(x, done);
    }
}

void search_keep_holders(search *x, size_t n)
{
    if (!x->wanted || n >= x->n)
        return;
    uint64_t *held = rag_arena_array(x->arena, x->n, sizeof *held);
    size_t *order = rag_arena_array(x->arena, x->n, sizeof *order);
    candidate *list = rag_arena_array(x->arena, x->n, sizeof *list);
    for (size_t i = 0; i < x->n; i++)
        held[i] = bm25_held(x->r->bm25, x->list[i].position);
    find_order(x, held, x->n, n, order);
    for (size_t i = 0; i < x->n; i++)
        list[i] = x->list[order[i]];
    memcpy(x->list, list, x->n * sizeof *list);
}

static uint64_t held_by(const search *x, const rag_hit *h)
{
    size_t at = vectors_find(x->s->vectors, h->chunk_id, 0);
    return at == SIZE_MAX ? 0 : bm25_held(x->r->bm25, at);
}

void search_place_holders(const search *x, rag_results *io)
{
    size_t limit = x->q->pool && (size_t)x->q->pool < x->top_k ? (size_t)x->q->pool : x->top_k;
    if (!x->wanted || limit >= io->n)
        return;
    uint64_t *held = rag_arena_array(x->arena, io->n, sizeof *held);
    size_t *order = rag_arena_array(x->arena, io->n, sizeof *order);
    rag_hit *hits = rag_arena_array(x->arena, io->n, sizeof *hits);
    for (size_t i = 0; i < io->n; i++)
        held[i] = held_by(x, &io->hits[i]);
    find_order(x, held, io->n, limit, order);
    for (size_t i = 0; i < io->n; i++)
        hits[i] = io->hits[order[i]];
    io->hits = hits;
}
