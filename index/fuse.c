#include "index/fuse.h"

static double reciprocal(int rank, int k)
{
    return rank ? 1.0 / (k + rank) : 0;
}

void fuse(candidate *list, size_t n, int rrf_k)
{
    for (size_t i = 0; i < n; i++)
        list[i].score = reciprocal(list[i].vector_rank, rrf_k) + reciprocal(list[i].text_rank, rrf_k);
}
