/* daemon/rerank.c */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "daemon/rerank.h"
#include "daemon/state.h"

int rerank_pool(const job *j, int top_k)
{
    int for_results = 2 * top_k + 10; /* twins and neighbours leave it */
    if (!model_has_reranker(j->d->model))
        return 0;
    return j->tuning.rerank > for_results ? j->tuning.rerank : for_results;
}

/* ---- handing over ------------------------------------------------------------------- */

/* As the embedder sees a chunk: what it stands under, then its text. */
static rag_str passage_of(const rag_hit *hit, rag_arena *arena)
{
    rag_buf b;
    rag_buf_init(&b, RAG_MAX_TEXT);
    rag_buf_put(&b, hit->title);
    for (size_t i = 0; i < hit->n_heading; i++) {
        if (rag_str_eq(hit->heading[i], hit->title))
            continue;
        rag_buf_puts(&b, b.len > 0 ? "\n" : "");
        rag_buf_put(&b, hit->heading[i]);
    }
    rag_buf_puts(&b, b.len > 0 ? "\n" : "");
    rag_buf_put(&b, hit->text);
    rag_str s = rag_arena_str(arena, rag_buf_str(&b));
    rag_buf_free(&b);
    return s;
}

static double end_of_time(const job *j)
{
    double now = rag_clock_ms(), budget = (double)j->tuning.rerank_ms;
    double half = j->deadline_ms > 0 ? (j->deadline_ms - now) / 2 : budget;
    return now + (half < budget ? half : budget);
}

void rerank_begin(job *j, search *s, job_step *then)
{
    reranking *k = &j->rerank;
    size_t most = (size_t)j->tuning.rerank, n = s->found.n < most ? s->found.n : most;
    rag_str *passages = rag_arena_array(j->arena, n, sizeof *passages);
    float *scores = rag_arena_array(j->arena, n, sizeof *scores);
    for (size_t i = 0; i < n; i++) {
        passages[i] = passage_of(&s->found.hits[i], j->arena);
        scores[i] = NAN;
    }
    *k = (reranking){ .query = s->query, .passages = passages, .n = n, .until_ms = end_of_time(j), .scores = scores,
                      .search = s };
    job_rerank(j, then);
}

/* ---- scoring ------------------------------------------------------------------------ */

bool rerank_next(job *j, rag_reranker *r)
{
    reranking *k = &j->rerank;
    rag_err err = { 0 };
    double start = rag_clock_ms();
    if (atomic_load(&j->is_late) || start >= k->until_ms)
        return true;
    rag_code code = rag_rerank_score(r, k->query, k->passages[k->next], k->until_ms, &k->scores[k->next], NULL, &err);
    k->ms += rag_clock_ms() - start;
    if (code == RAG_OK)
        return ++k->next == k->n;
    if (code != RAG_DEADLINE)
        rag_log(RAG_WARN, "request_id=%s the rest keeps its order: %s", j->request_id, err.message);
    return true;
}

/* ---- the new order ------------------------------------------------------------------ */

typedef struct seat {
    float score;
    size_t at; /* in the old order */
} seat;

static int by_score(const void *a, const void *b)
{
    const seat *p = a, *q = b;
    if (p->score != q->score)
        return p->score < q->score ? 1 : -1;
    return (p->at > q->at) - (p->at < q->at);
}

static size_t seat_scored(const reranking *k, seat *seats)
{
    size_t n = 0;
    for (size_t i = 0; i < k->n; i++)
        if (!isnan(k->scores[i]))
            seats[n++] = (seat){ k->scores[i], i };
    qsort(seats, n, sizeof *seats, by_score);
    return n;
}

static void seat_others(const reranking *k, const rag_results *found, rag_hit *out, size_t n, double worst)
{
    double first = NAN;
    for (size_t i = 0; i < found->n; i++) {
        if (i < k->n && !isnan(k->scores[i]))
            continue;
        if (isnan(first))
            first = found->hits[i].score;
        out[n] = found->hits[i];
        out[n++].score = worst - (first - found->hits[i].score);
    }
}

static size_t place_of(const rag_results *found, int64_t chunk_id)
{
    size_t i = 0;
    while (i < found->n && found->hits[i].chunk_id != chunk_id)
        i++;
    return i;
}

/* The candidates take the order of the hits; those that are none stay behind. */
static void order_candidates(job *j, rag_results *found)
{
    size_t n = found->n_candidates;
    seat *seats = rag_arena_array(j->arena, n + 1, sizeof *seats);
    rag_candidate *out = rag_arena_array(j->arena, n + 1, sizeof *out);
    for (size_t i = 0; i < n; i++) {
        size_t place = place_of(found, found->candidates[i].chunk_id);
        seats[i] = (seat){ -(float)place, i };
        if (place < found->n)
            found->candidates[i].rerank_score = found->hits[place].rerank_score;
    }
    qsort(seats, n, sizeof *seats, by_score);
    for (size_t i = 0; i < n; i++)
        out[i] = found->candidates[seats[i].at];
    found->candidates = out;
}

void rerank_apply(job *j, rag_results *found)
{
    const reranking *k = &j->rerank;
    seat *seats = rag_arena_array(j->arena, k->n, sizeof *seats);
    rag_hit *out = rag_arena_array(j->arena, found->n, sizeof *out);
    size_t n = seat_scored(k, seats);
    if (n == 0)
        return;
    for (size_t i = 0; i < n; i++) {
        out[i] = found->hits[seats[i].at];
        out[i].score = out[i].rerank_score = (double)seats[i].score;
    }
    seat_others(k, found, out, n, (double)seats[n - 1].score);
    found->hits = out;
    if (found->n_candidates > 0)
        order_candidates(j, found);
}
