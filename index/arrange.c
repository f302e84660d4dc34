/* Hits to results. */
#include "index/search_impl.h"

rag_code search_arrange(rag_reader *r, const rag_search *q, rag_arena *arena, rag_results *io, rag_err *err)
{
    (void)r, (void)arena, (void)err;
    size_t top_k = search_top_k(q);
    io->n = io->n < top_k ? io->n : top_k;
    for (size_t i = 0; i < io->n; i++)
        io->hits[i].rank = (int)i + 1;
    return RAG_OK;
}
