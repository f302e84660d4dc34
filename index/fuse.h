/* index/fuse.h: two ranked lists to one. */
#ifndef RAG_INDEX_FUSE_H
#define RAG_INDEX_FUSE_H

#include <stddef.h>
#include <stdint.h>

typedef struct candidate {
    uint32_t position;
    int vector_rank, text_rank;      /* from 1; 0 = not in that list */
    float vector_score, text_score;  /* text_score also when it is only in the other list */
    double score;                    /* fused */
} candidate;

/* Sets score of each. */
void fuse(candidate *list, size_t n, int rrf_k);

#endif
