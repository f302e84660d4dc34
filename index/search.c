#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/utf8.h"
#include "index/fuse.h"
#include "index/reader.h"

enum {
    DEFAULT_TOP_K = 5,
    MAX_TOP_K = 100,
    DEFAULT_CANDIDATES = 100,
    MAX_CANDIDATES = 1000,
    MAX_QUOTE_CHECKS = 2000, /* passages whose text is compared with the quotes: the best by BM25 */
};

typedef struct search {
    rag_reader *r;
    rag_snapshot *s;
    const rag_search *q;
    rag_arena *arena;
    const filter *filter;
    plan plan;
    size_t top_k, n_candidates;
    const uint8_t *bits; /* the filter's, or those of them that hold the quotes */
    bool none;           /* no passage holds the quotes */
    candidate *list;
    size_t n;
    uint32_t *by_text; /* positions, best first */
    size_t n_by_text;
} search;

/* ---- order ---------------------------------------------------------------------------------------- */

/* Ties break by path, then by place in the document. */
static int compare_places(const rag_snapshot *s, uint32_t a, uint32_t b)
{
    uint32_t x = s->version_of[a], y = s->version_of[b];
    if (x != y)
        return x < y ? -1 : 1;
    return (a > b) - (a < b);
}

static int by_text_score(const void *a, const void *b, void *context)
{
    const search *x = context;
    uint32_t p = *(const uint32_t *)a, q = *(const uint32_t *)b;
    float s = bm25_score(x->r->bm25, p), t = bm25_score(x->r->bm25, q);
    return s != t ? (s < t ? 1 : -1) : compare_places(x->s, p, q);
}

static int by_vector_score(const void *a, const void *b, void *context)
{
    const candidate *p = a, *q = b;
    if (p->vector_score != q->vector_score)
        return p->vector_score < q->vector_score ? 1 : -1;
    return compare_places(((const search *)context)->s, p->position, q->position);
}

static int by_fused_score(const void *a, const void *b, void *context)
{
    const candidate *p = a, *q = b;
    if (p->score != q->score)
        return p->score < q->score ? 1 : -1;
    return compare_places(((const search *)context)->s, p->position, q->position);
}

/* ---- text half -------------------------------------------------------------------------------------- */

/* Moves the best k to the front, in order: a heap of the best so far, its root the worst of them. */
static void sift_down(search *x, uint32_t *heap, size_t n, size_t i)
{
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && by_text_score(&heap[child + 1], &heap[child], x) > 0)
            child++;
        if (by_text_score(&heap[i], &heap[child], x) >= 0)
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
        if (by_text_score(&list[i], &list[0], x) < 0) {
            list[0] = list[i];
            sift_down(x, list, k, 0);
        }
    qsort_r(list, k, sizeof *list, by_text_score, x);
    return k;
}

static void rank_text(search *x, size_t k)
{
    const bm25 *b = x->r->bm25;
    size_t n = bm25_count(b);
    x->by_text = rag_arena_array(x->arena, n ? n : 1, sizeof *x->by_text);
    for (size_t i = 0; i < n; i++)
        if (bm25_has_quotes(b, &x->plan, bm25_touched(b)[i]))
            x->by_text[x->n_by_text++] = bm25_touched(b)[i];
    x->n_by_text = keep_best(x, x->by_text, x->n_by_text, k);
}

/* ---- quoted parts ------------------------------------------------------------------------------------- */

static rag_code read_chunk(search *x, uint32_t position, rag_buf *out, rag_err *err)
{
    sqlite3_stmt *q;
    bool row = false;
    int64_t id = vectors_positions(x->s->vectors)[position].chunk_id;
    rag_buf_clear(out);
    rag_code code = db_query(x->r->db, &q, "SELECT version_id, start, stop FROM chunks WHERE id = ?", BIND(num(id)), err);
    if (code == RAG_OK)
        code = db_step(x->r->db, q, &row, err);
    if (code == RAG_OK && !row)
        code = rag_fail(err, RAG_CORRUPT, "chunk %lld is missing", (long long)id);
    if (code == RAG_OK)
        code = text_get(x->r->db, sqlite3_column_int64(q, 0), (size_t)sqlite3_column_int64(q, 1),
                        (size_t)sqlite3_column_int64(q, 2), out, err);
    db_done(q);
    return code;
}

static bool holds_quotes(const plan *p, rag_str passage, rag_arena *scratch)
{
    rag_str text_form = plan_comparable(passage, scratch);
    for (size_t i = 0; i < p->n_quotes; i++)
        if (rag_str_find(text_form, p->quotes[i], 0) == SIZE_MAX)
            return false;
    return true;
}

static int by_position(const void *a, const void *b)
{
    uint32_t p = *(const uint32_t *)a, q = *(const uint32_t *)b;
    return (p > q) - (p < q);
}

/* In the order of positions, so that passages of one block of text come together and it is unpacked once. */
static rag_code check_quotes(search *x, rag_buf *passage, rag_arena *scratch, rag_err *err)
{
    size_t kept = 0;
    rag_code code = RAG_OK;
    qsort(x->by_text, x->n_by_text, sizeof *x->by_text, by_position);
    for (size_t i = 0; code == RAG_OK && i < x->n_by_text; i++) {
        uint32_t at = x->by_text[i];
        if (x->q->deadline_ms > 0 && rag_clock_ms() > x->q->deadline_ms)
            return rag_fail(err, RAG_DEADLINE, "out of time while comparing quoted parts");
        code = read_chunk(x, at, passage, err);
        rag_arena_reset(scratch);
        if (code != RAG_OK || !holds_quotes(&x->plan, rag_buf_str(passage), scratch))
            continue;
        x->by_text[kept++] = at;
        bit_set(x->r->only, at);
    }
    x->n_by_text = kept;
    qsort_r(x->by_text, kept, sizeof *x->by_text, by_text_score, x);
    return code;
}

/* A quote of punctuation alone has no token to look up: any visible passage may hold it, and the first ones are looked at. */
static void take_all_visible(search *x)
{
    size_t n = 0;
    x->by_text = rag_arena_array(x->arena, MAX_QUOTE_CHECKS, sizeof *x->by_text);
    for (uint32_t i = 0; i < x->s->n && n < MAX_QUOTE_CHECKS; i++)
        if (bit_is_set(x->filter->bits, i) && bm25_has_quotes(x->r->bm25, &x->plan, i))
            x->by_text[n++] = i;
    x->n_by_text = n;
}

static void clear_only(rag_reader *r, size_t bytes)
{
    if (bytes > r->only_bytes) {
        r->only = rag_realloc(r->only, bytes);
        r->only_bytes = bytes;
    }
    if (bytes)
        memset(r->only, 0, bytes);
}

/* From here on only passages that hold every quoted part are candidates, in both halves. */
static rag_code demand_quotes(search *x, rag_err *err)
{
    rag_buf passage;
    rag_arena *scratch = rag_arena_new();
    rag_buf_init(&passage, RAG_MAX_TEXT);
    clear_only(x->r, bits_bytes(x->s->n));
    if (x->plan.quote_without_phrase)
        take_all_visible(x);
    rag_code code = check_quotes(x, &passage, scratch, err);
    x->bits = x->r->only;
    x->none = x->n_by_text == 0;
    rag_buf_free(&passage);
    rag_arena_free(scratch);
    return code;
}

static rag_code search_text(search *x, rag_err *err)
{
    bool quoted = x->plan.n_quotes > 0;
    if (x->q->mode == RAG_SEARCH_VECTOR && !quoted)
        return RAG_OK;
    rag_code code = bm25_run(x->r->bm25, x->r->db, x->s, x->filter, &x->plan, err);
    if (code != RAG_OK)
        return code;
    rank_text(x, quoted ? MAX_QUOTE_CHECKS : x->n_candidates);
    if (quoted)
        code = demand_quotes(x, err);
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
    rag_code code = vectors_search(x->s->vectors, x->q->vector, all ? NULL : x->bits, k, positions, scores, &n, err);
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

static candidate *find_candidate(search *x, uint32_t position, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (x->list[i].position == position)
            return &x->list[i];
    return NULL;
}

static void join_text(search *x)
{
    size_t from_vectors = x->n;
    for (size_t i = 0; i < x->n_by_text; i++) {
        candidate *c = find_candidate(x, x->by_text[i], from_vectors);
        if (!c) {
            c = &x->list[x->n++];
            *c = (candidate){ .position = x->by_text[i] };
            if (x->q->vector && x->q->mode != RAG_SEARCH_TEXT)
                c->vector_score = vectors_score(x->s->vectors, x->q->vector, c->position);
        }
        c->text_rank = (int)i + 1;
    }
    for (size_t i = 0; x->q->mode != RAG_SEARCH_VECTOR && i < x->n; i++)
        x->list[i].text_score = bm25_score(x->r->bm25, x->list[i].position);
}

static const char select_hit[] =
    "SELECT c.start, c.stop, c.line_start, c.line_end, c.page, c.heading, v.id, v.document_id, v.title, v.url, d.path "
    "FROM chunks c JOIN versions v ON v.id = c.version_id JOIN documents d ON d.id = v.document_id WHERE c.id = ?";

static rag_code read_text(search *x, int64_t version, rag_hit *hit, rag_err *err)
{
    rag_buf buf;
    rag_buf_init(&buf, RAG_MAX_TEXT);
    rag_code code = text_get(x->r->db, version, hit->start, hit->end, &buf, err);
    hit->text = rag_arena_str(x->arena, rag_buf_str(&buf));
    rag_buf_free(&buf);
    return code;
}

static rag_code fill_hit(search *x, const candidate *c, rag_hit *hit, rag_err *err)
{
    sqlite3_stmt *q;
    bool row = false;
    int64_t id = vectors_positions(x->s->vectors)[c->position].chunk_id;
    *hit = (rag_hit){ .chunk_id = id, .score = c->score, .vector_rank = c->vector_rank, .text_rank = c->text_rank,
                      .vector_score = c->vector_score, .text_score = c->text_score };
    rag_code code = db_query(x->r->db, &q, select_hit, BIND(num(id)), err);
    if (code == RAG_OK)
        code = db_step(x->r->db, q, &row, err);
    if (code == RAG_OK && !row)
        code = rag_fail(err, RAG_CORRUPT, "chunk %lld is missing", (long long)id);
    if (code == RAG_OK) {
        hit->start = (size_t)sqlite3_column_int64(q, 0);
        hit->end = (size_t)sqlite3_column_int64(q, 1);
        hit->line_start = (size_t)sqlite3_column_int64(q, 2);
        hit->line_end = (size_t)sqlite3_column_int64(q, 3);
        hit->page = sqlite3_column_int(q, 4);
        hit->heading = reader_split_heading(column_str(q, 5), x->arena, &hit->n_heading);
        hit->document_id = sqlite3_column_int64(q, 7);
        hit->title = rag_arena_str(x->arena, column_str(q, 8));
        hit->url = rag_arena_str(x->arena, column_str(q, 9));
        hit->document = rag_arena_str(x->arena, column_str(q, 10));
        code = read_text(x, sqlite3_column_int64(q, 6), hit, err);
    }
    db_done(q);
    return code;
}

static rag_code fill_hits(search *x, rag_hit **out, size_t *n, rag_err *err)
{
    rag_code code = RAG_OK;
    size_t wanted = x->n < x->top_k ? x->n : x->top_k;
    rag_hit *hits = rag_arena_array(x->arena, wanted ? wanted : 1, sizeof *hits);
    for (size_t i = 0; code == RAG_OK && i < wanted; i++) {
        code = fill_hit(x, &x->list[i], &hits[i], err);
        hits[i].rank = (int)i + 1;
    }
    *out = hits;
    *n = code == RAG_OK ? wanted : 0;
    return code;
}

static rag_code run(search *x, rag_hit **out, size_t *n, rag_err *err)
{
    plan_build(x->q->query, x->arena, &x->plan);
    rag_code code = search_text(x, err);
    if (code == RAG_OK)
        code = search_vectors(x, err);
    if (code != RAG_OK)
        return code;
    join_text(x);
    fuse(x->list, x->n, x->q->rrf_k);
    qsort_r(x->list, x->n, sizeof *x->list, by_fused_score, x);
    return fill_hits(x, out, n, err);
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

rag_code rag_reader_search(rag_reader *r, rag_snapshot *s, const rag_search *q, rag_arena *arena,
                           rag_hit **out, size_t *n, rag_err *err)
{
    search x = { .r = r, .s = s, .q = q, .arena = arena };
    bool cached = true;
    *out = NULL;
    *n = 0;
    rag_code code = check(q, err);
    if (code == RAG_OK)
        code = filter_get(s, &q->filter, &x.filter, &cached, err);
    if (code != RAG_OK)
        return code;
    x.top_k = q->top_k ? (size_t)q->top_k : DEFAULT_TOP_K;
    x.n_candidates = q->candidates ? (size_t)q->candidates : DEFAULT_CANDIDATES;
    if (x.n_candidates < x.top_k)
        x.n_candidates = x.top_k;
    x.bits = x.filter->bits;
    x.list = rag_arena_array(arena, 2 * x.n_candidates, sizeof *x.list);
    code = reader_begin(r, s, err);
    if (code == RAG_OK) {
        db_set_deadline(r->db, q->deadline_ms);
        code = run(&x, out, n, err);
        reader_end(r);
    }
    if (!cached)
        filter_free((filter *)x.filter);
    return code;
}
