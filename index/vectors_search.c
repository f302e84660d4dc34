#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "index/vectors_impl.h"

/* FAISS trains, stores, and walks the graph; rows and lists are looked through here.  Its own loops, as Debian builds them,
 * take 160 ns for a float32 row of 384 and 360 ns for an 8-bit one; these take 45 and 38 in plain C on the same CPU, and FAISS
 * built for it 65 and 65. */

/* Approximate candidates that are scored again for k results: at a million vectors the 10 best were all among the 20 best by
 * their 8-bit codes, so this is ample. */
enum { POOL_FACTOR = 4, POOL_MORE = 100 };
enum { HNSW_MAX_EFFORT = 4096, LANES = 16 };

typedef struct found {
    float score;
    int64_t at;
} found;

typedef struct query {
    const vectors *v;
    const float *x;
    const uint8_t *bits; /* NULL = all */
    size_t visible;
    float *weight; /* of codes */
    found *list;
    size_t n, pool;
} query;

/* ---- scores ------------------------------------------------------------------------------------ */

/* In lanes, which the compiler may keep in one register. */
static float add_lanes(const float lane[LANES])
{
    float sum = 0;
    for (size_t j = 0; j < LANES; j++)
        sum += lane[j];
    return sum;
}

static float dot(const float *a, const float *b, size_t dim)
{
    float lane[LANES] = { 0 };
    size_t i = 0;
    for (; i + LANES <= dim; i += LANES)
        for (size_t j = 0; j < LANES; j++)
            lane[j] += a[i + j] * b[i + j];
    for (; i < dim; i++)
        lane[0] += a[i] * b[i];
    return add_lanes(lane);
}

static float dot_code(const float *weight, const uint8_t *code, size_t dim)
{
    float lane[LANES] = { 0 };
    size_t i = 0;
    for (; i + LANES <= dim; i += LANES)
        for (size_t j = 0; j < LANES; j++)
            lane[j] += weight[i + j] * (float)code[i + j];
    for (; i < dim; i++)
        lane[0] += weight[i] * (float)code[i];
    return add_lanes(lane);
}

/* A row is low + (code + ½) / 255 · span, so that its product with x is a constant, returned, and a sum over the codes. */
static float weigh(query *q)
{
    const vectors *v = q->v;
    float constant = 0;
    for (size_t i = 0; i < v->dim; i++) {
        q->weight[i] = q->x[i] * v->span[i] / 255;
        constant += q->x[i] * v->low[i] + q->weight[i] / 2;
    }
    return constant;
}

static const uint8_t *code_at(const vectors *v, size_t at)
{
    return v->code_of ? v->code_of[at] : v->codes + at * v->dim;
}

float vectors_score(const vectors *v, const float *x, size_t at)
{
    if (v->rows)
        return dot(v->rows + at * v->dim, x, v->dim);
    const uint8_t *code = code_at(v, at);
    float sum = 0;
    for (size_t i = 0; i < v->dim; i++)
        sum += x[i] * (v->low[i] + ((float)code[i] + 0.5f) / 255 * v->span[i]);
    return sum;
}

/* ---- candidates ------------------------------------------------------------------------------------ */

static size_t count_bits(const uint8_t *bits, size_t n)
{
    size_t count = 0, i = 0;
    for (uint64_t word; i + 8 <= n / 8; i += 8) {
        memcpy(&word, bits + i, sizeof word);
        count += (size_t)__builtin_popcountll(word);
    }
    for (i *= 8; i < n; i++)
        count += bits[i >> 3] >> (i & 7) & 1;
    return count;
}

static void swap(found *a, found *b)
{
    found c = *a;
    *a = *b;
    *b = c;
}

/* A heap of the best so far; its root is the worst of them. */
static void offer(query *q, float score, int64_t at)
{
    found *heap = q->list;
    size_t i;
    if (q->n < q->pool) {
        heap[i = q->n++] = (found){ score, at };
        for (; i > 0 && heap[(i - 1) / 2].score > heap[i].score; i = (i - 1) / 2)
            swap(&heap[i], &heap[(i - 1) / 2]);
        return;
    }
    if (score <= heap[0].score)
        return;
    heap[i = 0] = (found){ score, at };
    for (size_t child; (child = 2 * i + 1) < q->n; i = child) {
        if (child + 1 < q->n && heap[child + 1].score < heap[child].score)
            child++;
        if (heap[i].score <= heap[child].score)
            return;
        swap(&heap[i], &heap[child]);
    }
}

static bool is_visible(const query *q, size_t at)
{
    return !q->bits || q->bits[at >> 3] >> (at & 7) & 1;
}

static void look_at_all(query *q)
{
    const vectors *v = q->v;
    float constant = v->rows ? 0 : weigh(q);
    q->n = 0;
    for (size_t at = 0; at < v->n; at++) {
        if (q->bits && at % 8 == 0 && q->bits[at / 8] == 0)
            at += 7;
        else if (is_visible(q, at))
            offer(q, v->rows ? dot(v->rows + at * v->dim, q->x, v->dim)
                             : constant + dot_code(q->weight, code_at(v, at), v->dim), (int64_t)at);
    }
}

static void look_at_list(query *q, const vectors_list *list, float constant)
{
    const uint8_t *code = list->codes;
    for (size_t i = 0; i < list->n; i++, code += q->v->dim)
        if (is_visible(q, (size_t)list->ids[i]))
            offer(q, constant + dot_code(q->weight, code, q->v->dim), list->ids[i]);
}

static void look_at_lists(query *q, size_t effort)
{
    const vectors *v = q->v;
    query near = { .v = v, .pool = effort, .list = rag_alloc(effort * sizeof *near.list) };
    for (size_t l = 0; l < v->shape.lists; l++)
        offer(&near, dot(v->centroids + l * v->dim, q->x, v->dim), (int64_t)l);
    float constant = weigh(q);
    q->n = 0;
    for (size_t i = 0; i < near.n; i++)
        look_at_list(q, &v->lists[near.list[i].at], constant);
    free(near.list);
}

/* ---- a graph ----------------------------------------------------------------------------------------- */

static int ask_with(const query *q, size_t effort, size_t k, idx_t *at, float *scores)
{
    FaissIDSelectorBitmap *selector = NULL;
    FaissSearchParameters *params = NULL;
    const vectors *v = q->v;
    int rc = q->bits ? faiss_IDSelectorBitmap_new(&selector, (v->n + 7) / 8, q->bits) : 0;
    if (!rc)
        rc = fx_SearchParameters_new(&params, v->index, (FaissIDSelector *)selector, effort);
    if (!rc)
        rc = faiss_Index_search_with_params(v->index, 1, q->x, (idx_t)k, params, scores, at);
    faiss_SearchParameters_free(params);
    faiss_IDSelectorBitmap_free(selector);
    return rc;
}

/* FAISS 1.7.3's HNSW keeps to the index's own efSearch, or to k where that is more: so k is what is asked with. */
static size_t ask_for(const query *q, size_t effort)
{
    return q->v->shape.type == VECTORS_HNSW && effort > q->pool ? effort : q->pool;
}

static rag_code ask(query *q, size_t effort, rag_err *err)
{
    size_t k = ask_for(q, effort);
    idx_t *at = rag_alloc(k * sizeof *at);
    float *scores = rag_alloc(k * sizeof *scores);
    /* One query is one thread's work; more only wait for each other. */
    omp_set_num_threads(1);
    rag_code code = ask_with(q, effort, k, at, scores) ? faiss_fail(err, "search the vector index") : RAG_OK;
    q->n = 0;
    for (size_t i = 0; code == RAG_OK && i < q->pool && at[i] >= 0; i++)
        q->list[q->n++] = (found){ scores[i], at[i] };
    free(scores);
    free(at);
    return code;
}

/* With a filter the best lie among more lists: as many more as there are fewer visible rows, so that as many are scored. */
static rag_code look_until(query *q, size_t k, rag_err *err)
{
    const vectors *v = q->v;
    bool is_ivf = v->shape.type == VECTORS_IVF;
    size_t max = is_ivf ? v->shape.lists : HNSW_MAX_EFFORT;
    size_t effort = (v->shape.effort * v->n + q->visible - 1) / q->visible;
    rag_code code = RAG_OK;
    do {
        effort = effort < max ? effort : max;
        if (is_ivf)
            look_at_lists(q, effort);
        else
            code = ask(q, effort, err);
    } while (code == RAG_OK && q->n < k && effort < max && (effort *= 4));
    if (code == RAG_OK && q->n < k)
        look_at_all(q);
    return code;
}

/* ---- a search ---------------------------------------------------------------------------------------- */

/* A vector that cannot be read keeps the score of its code: verify tells of it. */
static rag_code score_again(query *q, db *d, rag_err *err)
{
    const vectors *v = q->v;
    float *row = rag_alloc(v->dim * sizeof *row);
    rag_code code = RAG_OK;
    for (size_t i = 0; code == RAG_OK && i < q->n; i++) {
        code = embedding_read(d, v->positions[q->list[i].at].embedding_id, v->dim, row, err);
        if (code == RAG_OK)
            q->list[i].score = dot(row, q->x, v->dim);
        if (code == RAG_CORRUPT)
            code = RAG_OK;
    }
    free(row);
    return code;
}

static int best_first(const void *a, const void *b)
{
    float x = ((const found *)a)->score, y = ((const found *)b)->score;
    return (x < y) - (x > y);
}

static rag_code look(query *q, size_t k, rag_err *err)
{
    vectors_type type = q->v->shape.type;
    if ((type == VECTORS_HNSW || type == VECTORS_IVF) && q->visible > q->v->few)
        return look_until(q, k, err);
    look_at_all(q);
    return RAG_OK;
}

rag_code vectors_search(const vectors *v, db *d, const float *x, const uint8_t *bits, size_t k, int64_t *positions,
                        float *scores, size_t *n, rag_err *err)
{
    query q = { .v = v, .x = x, .bits = bits };
    bool exact = v->shape.type == VECTORS_FLAT;
    *n = 0;
    q.visible = bits ? count_bits(bits, v->n) : v->n;
    if (k > q.visible)
        k = q.visible;
    if (k == 0)
        return RAG_OK;
    q.pool = exact ? k : k < POOL_MORE / (POOL_FACTOR - 1) ? POOL_FACTOR * k : k + POOL_MORE;
    if (q.pool > q.visible)
        q.pool = q.visible;
    q.list = rag_alloc(q.pool * sizeof *q.list);
    q.weight = rag_alloc(v->dim * sizeof *q.weight);
    rag_code code = look(&q, k, err);
    if (code == RAG_OK && d && !exact)
        code = score_again(&q, d, err);
    if (code == RAG_OK)
        qsort(q.list, q.n, sizeof *q.list, best_first);
    for (size_t i = 0; code == RAG_OK && i < q.n && i < k; i++) {
        positions[i] = q.list[i].at;
        scores[i] = q.list[i].score;
        *n = i + 1;
    }
    free(q.weight);
    free(q.list);
    return code;
}
