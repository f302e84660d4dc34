#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "index/vectors_impl.h"

/* A question does not lie where passages lie.  Over 13,000 passages, part of the ten best that was found:
 *
 *                                            IVF, 32 of 256 lists    HNSW, efSearch 64
 *   711 questions                                  0.93                   0.95
 *   passages with noise, cosine 0.78               0.95                   0.97
 *   passages with noise, cosine 0.96               0.98                   1.00
 *   passages + one − another                       0.95                   0.93
 *   halfway between two passages                   0.94                   0.81
 *
 * So a point halfway stands for a question where there are lists, and a passage, moved by the difference of two others,
 * where there is a graph.  Even so IVF looks at 32,768 rows at least, which takes 1.3 ms, and at 131,072 at most. */
enum { QUESTIONS = 200, BEST = 10, TARGET = 970, MIN_LOOKED_AT = 32768, MAX_LOOKED_AT = 131072 };
enum { FEWEST_LISTS = 8, FEWEST_NODES = 64, MOST_NODES = 512 };

struct truth {
    size_t dim, seen;
    float *question;
    float *score; /* BEST for each question, best first */
    size_t n[QUESTIONS];
};

static rag_code add_row(truth *t, float *q, float weight, db *d, const kept_row *row, rag_err *err)
{
    float *vector = rag_alloc(t->dim * sizeof *vector);
    rag_code code = embedding_read(d, row->embedding_id, t->dim, vector, err);
    for (size_t i = 0; code == RAG_OK && i < t->dim; i++)
        q[i] += weight * vector[i];
    free(vector);
    return code;
}

static void make_unit(float *q, size_t dim)
{
    double norm = 0;
    for (size_t i = 0; i < dim; i++)
        norm += (double)q[i] * q[i];
    for (size_t i = 0; norm > 0 && i < dim; i++)
        q[i] = (float)(q[i] / sqrt(norm));
}

rag_code truth_new(truth **out, vectors_type type, db *d, size_t dim, const kept_row *rows, size_t n, rag_err *err)
{
    static const float halfway[] = { 1, 1, 0 }, moved[] = { 1, 1, -1 };
    const float *weight = type == VECTORS_IVF ? halfway : moved;
    truth *t = rag_calloc(1, sizeof *t);
    uint64_t state = 2;
    rag_code code = RAG_OK;
    t->dim = dim;
    t->question = rag_calloc(QUESTIONS * dim, sizeof *t->question);
    t->score = rag_calloc(QUESTIONS * BEST, sizeof *t->score);
    for (size_t i = 0; code == RAG_OK && i < QUESTIONS; i++) {
        float *q = t->question + i * dim;
        for (int part = 0; code == RAG_OK && part < 3; part++)
            code = add_row(t, q, weight[part], d, &rows[draw(&state) % n], err);
        make_unit(q, dim);
    }
    *out = t;
    return code;
}

void truth_free(truth *t)
{
    if (!t)
        return;
    free(t->question);
    free(t->score);
    free(t);
}

static void keep_best(truth *t, size_t question, float score)
{
    float *best = t->score + question * BEST;
    size_t n = t->n[question], i = n < BEST ? t->n[question]++ : BEST - 1;
    if (n == BEST && score <= best[i])
        return;
    for (; i > 0 && best[i - 1] < score; i--)
        best[i] = best[i - 1];
    best[i] = score;
}

rag_code truth_look(truth *t, const float *rows, size_t n, rag_err *err)
{
    float scores[QUESTIONS * BEST];
    idx_t at[QUESTIONS * BEST];
    FaissIndexFlatIP *flat = NULL;
    int rc = faiss_IndexFlatIP_new_with(&flat, (idx_t)t->dim);
    if (!rc)
        rc = faiss_Index_add((FaissIndex *)flat, (idx_t)n, rows);
    if (!rc)
        rc = faiss_Index_search((FaissIndex *)flat, QUESTIONS, t->question, BEST, scores, at);
    for (size_t i = 0; !rc && i < QUESTIONS * BEST; i++)
        if (at[i] >= 0)
            keep_best(t, i / BEST, scores[i]);
    faiss_Index_free((FaissIndex *)flat);
    return rc ? faiss_fail(err, "search exactly") : RAG_OK;
}

/* Twins have the same score: each of them counts, so scores are compared, not positions. */
static rag_code measure(const truth *t, const vectors *v, db *d, uint32_t *recall, rag_err *err)
{
    size_t right = 0, all = 0;
    rag_code code = RAG_OK;
    for (size_t i = 0; code == RAG_OK && i < QUESTIONS; i++) {
        int64_t at[BEST];
        float scores[BEST], worst = t->score[i * BEST + t->n[i] - 1];
        size_t n;
        code = vectors_search(v, d, t->question + i * t->dim, NULL, BEST, at, scores, &n, err);
        for (size_t j = 0; j < n; j++)
            right += scores[j] >= worst - 1e-6f;
        all += t->n[i];
    }
    *recall = all ? (uint32_t)(right * 1000 / all) : 1000;
    return code;
}

/* Lists that hold so many rows. */
static size_t lists_of(const vectors *v, size_t rows)
{
    size_t lists = v->shape.lists * rows / v->n;
    lists = lists > FEWEST_LISTS ? lists : FEWEST_LISTS;
    return lists < v->shape.lists ? lists : v->shape.lists;
}

rag_code truth_tune(truth *t, vectors *v, db *d, rag_err *err)
{
    bool is_ivf = v->shape.type == VECTORS_IVF;
    size_t effort = is_ivf ? lists_of(v, MIN_LOOKED_AT) : FEWEST_NODES;
    size_t most = is_ivf ? lists_of(v, MAX_LOOKED_AT) : MOST_NODES, few = v->few;
    rag_code code = RAG_OK;
    v->few = 0; /* it is the index that is measured */
    for (bool done = false; code == RAG_OK && !done; effort += effort / 3) {
        effort = effort < most ? effort : most;
        v->shape.effort = (uint32_t)effort;
        code = measure(t, v, d, &v->shape.recall, err);
        done = v->shape.recall >= TARGET || effort == most;
    }
    v->few = few;
    return code;
}
