#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/utf8.h"
#include "index/search_impl.h"

enum {
    MAX_TOP_K = 100,
    DEFAULT_CANDIDATES = 100,
    MAX_CANDIDATES = 1000,
};

/* ---- order ---------------------------------------------------------------------------------------- */

int search_compare_places(const rag_snapshot *s, uint32_t a, uint32_t b)
{
    uint32_t x = s->version_of[a], y = s->version_of[b];
    if (x != y)
        return x < y ? -1 : 1;
    return (a > b) - (a < b);
}

int search_by_text_score(const void *a, const void *b, void *context)
{
    const search *x = context;
    uint32_t p = *(const uint32_t *)a, q = *(const uint32_t *)b;
    float s = bm25_score(x->r->bm25, p), t = bm25_score(x->r->bm25, q);
    return s != t ? (s < t ? 1 : -1) : search_compare_places(x->s, p, q);
}

static int by_vector_score(const void *a, const void *b, void *context)
{
    const candidate *p = a, *q = b;
    if (p->vector_score != q->vector_score)
        return p->vector_score < q->vector_score ? 1 : -1;
    return search_compare_places(((const search *)context)->s, p->position, q->position);
}

static int by_fused_score(const void *a, const void *b, void *context)
{
    const candidate *p = a, *q = b;
    if (p->score != q->score)
        return p->score < q->score ? 1 : -1;
    return search_compare_places(((const search *)context)->s, p->position, q->position);
}

/* ---- text half -------------------------------------------------------------------------------------- */

/* Moves the best k to the front, in order: a heap of the best so far, its root the worst of them. */
static void sift_down(search *x, uint32_t *heap, size_t n, size_t i)
{
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && search_by_text_score(&heap[child + 1], &heap[child], x) > 0)
            child++;
        if (search_by_text_score(&heap[i], &heap[child], x) >= 0)
            return;
        uint32_t swap = heap[i];
        heap[i] = heap[child];
        heap[child] = swap;
    }
}

static size_t keep_best(search *x, uint32_t *list, size_t n, size_t k)
{
    if (k > n)
        k = n;
    for (size_t i = k / 2; i-- > 0;)
        sift_down(x, list, k, i);
    for (size_t i = k; k > 0 && i < n; i++)
        if (search_by_text_score(&list[i], &list[0], x) < 0) {
            list[0] = list[i];
            sift_down(x, list, k, 0);
        }
    qsort_r(list, k, sizeof *list, search_by_text_score, x);
    return k;
}

static void rank_text(search *x, size_t k)
{
    const bm25 *b = x->r->bm25;
    size_t n = bm25_count(b);
    x->by_text = rag_arena_array(x->arena, n ? n : 1, sizeof *x->by_text);
    for (size_t i = 0; i < n; i++) {
        uint32_t at = bm25_touched(b)[i];
        if (bm25_score(b, at) > 0 && (bm25_held(b, at) & x->plan.quote_bits) == x->plan.quote_bits)
            x->by_text[x->n_by_text++] = at;
    }
    x->n_by_text = keep_best(x, x->by_text, x->n_by_text, k);
}

static rag_code score_text(search *x, rag_err *err)
{
    x->has_text = true;
    rag_code code = bm25_add(x->r->bm25, &x->plan, 0, x->arena, err);
    return code == RAG_OK ? search_widen(x, err) : code;
}

static rag_code search_text(search *x, rag_results *out, rag_err *err)
{
    bool quoted = x->plan.n_quotes > 0;
    bm25_begin(x->r->bm25, x->r->db, x->s, x->filter);
    if (x->q->mode == RAG_SEARCH_VECTOR && !quoted)
        return RAG_OK;
    rag_code code = score_text(x, err);
    if (code != RAG_OK)
        return code;
    search_find_standing(x, out);
    rank_text(x, quoted ? SEARCH_MAX_QUOTE_CHECKS : x->n_candidates);
    if (quoted)
        code = search_demand_quotes(x, out, err);
    if (x->n_by_text > x->n_candidates)
        x->n_by_text = x->n_candidates;
    if (x->q->mode == RAG_SEARCH_VECTOR)
        x->n_by_text = 0;
    return code;
}

/* ---- vector half ---------------------------------------------------------------------------------------- */

static rag_code search_vectors(search *x, rag_err *err)
{
    size_t k = x->n_candidates, n = 0;
    if (x->q->mode == RAG_SEARCH_TEXT || !x->q->vector || x->none || x->filter->n_visible == 0)
        return RAG_OK;
    int64_t *positions = rag_arena_array(x->arena, k, sizeof *positions);
    float *scores = rag_arena_array(x->arena, k, sizeof *scores);
    bool all = x->bits == x->filter->bits && x->filter->n_visible == x->s->n;
    rag_code code = vectors_search(x->s->vectors, x->r->db, x->q->vector, all ? NULL : x->bits, k, positions, scores, &n, err);
    if (code != RAG_OK)
        return code;
    for (size_t i = 0; i < n; i++)
        x->list[i] = (candidate){ .position = (uint32_t)positions[i], .vector_score = scores[i] };
    qsort_r(x->list, n, sizeof *x->list, by_vector_score, x);
    for (size_t i = 0; i < n; i++)
        x->list[i].vector_rank = (int)i + 1;
    x->n = n;
    return RAG_OK;
}

/* ---- both ------------------------------------------------------------------------------------------------- */

candidate *search_candidate(search *x, uint32_t position)
{
    for (size_t i = 0; i < x->n; i++)
        if (x->list[i].position == position)
            return &x->list[i];
    candidate *c = &x->list[x->n++];
    *c = (candidate){ .position = position };
    if (x->q->vector && x->q->mode != RAG_SEARCH_TEXT)
        c->vector_score = vectors_score(x->s->vectors, x->q->vector, position);
    return c;
}

static void set_text_score(search *x, candidate *c)
{
    c->text_score = bm25_score(x->r->bm25, c->position);
    c->coverage = (float)bm25_coverage(x->r->bm25, c->position);
}

static void join_text(search *x)
{
    for (size_t i = 0; i < x->n_by_text; i++)
        search_candidate(x, x->by_text[i])->text_rank = (int)i + 1;
    if (x->q->mode == RAG_SEARCH_VECTOR)
        return;
    search_add_holders(x);
    for (size_t i = 0; i < x->n; i++)
        set_text_score(x, &x->list[i]);
}

/* As many as the results may need (twins, neighbours and a document's surplus leave the pool), and as are read anyway. */
static size_t pool_of(const search *x)
{
    size_t pool = x->q->pool ? (size_t)x->q->pool : 2 * x->top_k + 10;
    pool = pool > SEARCH_CLOSENESS_HITS ? pool : SEARCH_CLOSENESS_HITS;
    return pool < x->n ? pool : x->n;
}

static rag_code make_pool(search *x, size_t pool, rag_results *out, rag_err *err)
{
    search_keep_holders(x, pool);
    rag_code code = search_fill_hits(x, pool, &out->hits, err);
    if (code != RAG_OK)
        return code;
    out->n = pool;
    search_weigh_closeness(x, out);
    if (x->q->explain)
        code = search_explain(x, out, err);
    search_place_holders(x, out);
    if (x->q->pool && out->n > (size_t)x->q->pool)
        out->n = (size_t)x->q->pool;
    for (size_t i = 0; i < out->n; i++)
        out->hits[i].rank = (int)i + 1;
    return code;
}

/* A pool full of twins, or of one document, gives too little: then a larger one is taken. */
static rag_code make_results(search *x, rag_results *out, rag_err *err)
{
    rag_code code = RAG_OK;
    bool lacks = true;
    for (size_t pool = pool_of(x), last = 0; code == RAG_OK && lacks && pool > last;) {
        code = make_pool(x, pool, out, err);
        if (code == RAG_OK)
            code = search_arrange(x->r, x->q, x->arena, out, err);
        lacks = search_lacks_results(x->q, out);
        last = pool;
        pool = 4 * pool < x->n ? 4 * pool : x->n;
    }
    return code;
}

static rag_code run(search *x, rag_results *out, rag_err *err)
{
    plan_build(x->q->query, x->arena, &x->plan);
    rag_code code = search_text(x, out, err);
    if (code == RAG_OK)
        code = search_vectors(x, err);
    if (code != RAG_OK)
        return code;
    join_text(x);
    out->corrections = x->corrections;
    out->n_corrections = x->n_corrections;
    out->text_ceiling = x->q->mode == RAG_SEARCH_VECTOR ? 0 : bm25_ceiling(x->r->bm25);
    fuse(x->list, x->n, x->q);
    qsort_r(x->list, x->n, sizeof *x->list, by_fused_score, x);
    return x->q->pool ? make_pool(x, pool_of(x), out, err) : make_results(x, out, err);
}

static rag_code check(const rag_search *q, rag_err *err)
{
    if (q->top_k < 0 || q->top_k > MAX_TOP_K)
        return rag_fail(err, RAG_INVALID, "top_k %d is not between 1 and %d", q->top_k, MAX_TOP_K);
    if (q->candidates < 0 || q->candidates > MAX_CANDIDATES)
        return rag_fail(err, RAG_INVALID, "candidates %d is not between 1 and %d", q->candidates, MAX_CANDIDATES);
    if (q->mode == RAG_SEARCH_VECTOR && !q->vector)
        return rag_fail(err, RAG_INVALID, "a vector search needs an embedder");
    if (!rag_utf8_valid(q->query, NULL))
        return rag_fail(err, RAG_INVALID, "the query is not UTF-8");
    return RAG_OK;
}

rag_code rag_reader_search(rag_reader *r, rag_snapshot *s, const rag_search *q, rag_arena *arena, rag_results *out,
                           rag_err *err)
{
    search x = { .r = r, .s = s, .q = q, .arena = arena };
    *out = (rag_results){ 0 };
    rag_code code = check(q, err);
    if (code == RAG_OK)
        code = filter_get(s, &q->filter, &x.filter, err);
    if (code != RAG_OK)
        return code;
    x.top_k = search_top_k(q);
    out->visible = x.filter->n_visible;
    x.n_candidates = q->candidates ? (size_t)q->candidates : DEFAULT_CANDIDATES;
    if (x.n_candidates < x.top_k)
        x.n_candidates = x.top_k;
    x.bits = x.filter->bits;
    x.list = rag_arena_array(arena, 2 * x.n_candidates + SEARCH_MAX_HOLDERS, sizeof *x.list);
    code = reader_begin(r, s, err);
    if (code == RAG_OK) {
        db_set_deadline(r->db, q->deadline_ms);
        code = run(&x, out, err);
        reader_end(r);
    }
    filter_release(s, x.filter);
    if (code != RAG_OK)
        *out = (rag_results){ 0 };
    return code;
}

rag_code rag_reader_arrange(rag_reader *r, rag_snapshot *s, const rag_search *q, rag_arena *arena, rag_results *io,
                            rag_err *err)
{
    rag_code code = reader_begin(r, s, err);
    if (code != RAG_OK)
        return code;
    db_set_deadline(r->db, q->deadline_ms);
    code = search_arrange(r, q, arena, io, err);
    reader_end(r);
    return code;
}
