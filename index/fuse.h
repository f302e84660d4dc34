/* index/fuse.h: two ranked lists to one. */
#ifndef RAG_INDEX_FUSE_H
#define RAG_INDEX_FUSE_H

#include "index/index.h"

/* Both scores are known for every candidate, whichever list it comes from. */
typedef struct candidate {
    uint32_t position;
    int vector_rank, text_rank; /* from 1; 0 = not in that list */
    float vector_score, text_score;
    float coverage; /* part of the question's rarity that it holds: 0 to 1 */
    double score;   /* fused */
} candidate;

/* Sets the score of each:
 *
 *   adaptive   cosine + text_weight · BM25; index/closeness.c adds 4/3 · text_weight · closeness to the best ones
 *   weighted   cosine + text_weight · BM25
 *   rrf        reciprocal rank fusion (Cormack, Clarke, Büttcher 2009)
 *
 * Ranks forget by how much: a passage that holds all the rare words of a question, and one that holds a common word,
 * may both be first.  BM25's own scale tells them apart, and closeness whether the words stand together; where the words
 * are of another language both are small, and the vectors decide.  docs/ARCHITECTURE.md has what was measured. */
void fuse(candidate *list, size_t n, const rag_search *q);

/* What a point of idf within a sentence's length (index/proximity.h) is worth in cosine. */
double fuse_closeness_weight(const rag_search *q);

#endif
