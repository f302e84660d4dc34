#include "index/fuse.h"

/* E5's cosines spread by about 0.02 around a question's candidates, BM25 by about 4. */
static const double TEXT_WEIGHT = 0.003;

static double text_weight(const rag_search *q)
{
    return q->text_weight > 0 ? q->text_weight : TEXT_WEIGHT;
}

double fuse_closeness_weight(const rag_search *q)
{
    return text_weight(q) * 4 / 3;
}

static double reciprocal(int rank, int k)
{
    return rank ? 1.0 / (k + rank) : 0;
}

void fuse(candidate *list, size_t n, const rag_search *q)
{
    int k = q->rrf_k ? q->rrf_k : 60;
    double weight = text_weight(q);
    for (size_t i = 0; i < n; i++) {
        candidate *c = &list[i];
        if (q->fusion == RAG_FUSE_RRF)
            c->score = reciprocal(c->vector_rank, k) + reciprocal(c->text_rank, k);
        else
            c->score = c->vector_score + weight * c->text_score;
    }
}
