#include "index/fuse.h"

/* What one point of BM25 is worth in cosine.  E5's cosines spread by about 0.02 around a question's candidates, BM25 by
 * about 4; docs/ARCHITECTURE.md has the measurements. */
static const double TEXT_WEIGHT = 0.005;

static double reciprocal(int rank, int k)
{
    return rank ? 1.0 / (k + rank) : 0;
}

void fuse(candidate *list, size_t n, int rrf_k)
{
    for (size_t i = 0; i < n; i++) {
        candidate *c = &list[i];
        if (rrf_k > 0)
            c->score = reciprocal(c->vector_rank, rrf_k) + reciprocal(c->text_rank, rrf_k);
        else
            c->score = c->vector_score + TEXT_WEIGHT * c->text_score;
    }
}
