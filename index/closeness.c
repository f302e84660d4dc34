/* How close together the best hits hold the query's words. */
#include <stdlib.h>

#include "index/proximity.h"
#include "index/search_impl.h"

/* Equal scores keep the order they came in: by path, then place. */
static int by_score(const void *a, const void *b)
{
    const rag_hit *p = a, *q = b;
    if (p->score != q->score)
        return p->score < q->score ? 1 : -1;
    return p->rank - q->rank;
}

void search_weigh_closeness(search *x, rag_results *io)
{
    size_t n = io->n < SEARCH_CLOSENESS_HITS ? io->n : SEARCH_CLOSENESS_HITS;
    if (x->q->mode != RAG_SEARCH_HYBRID || x->q->fusion != RAG_FUSE_ADAPTIVE || x->plan.n_phrases == 0)
        return;
    double weight = fuse_closeness_weight(x->q);
    proximity *p = proximity_new(&x->plan, bm25_idf(x->r->bm25), x->arena);
    for (size_t i = 0; i < n; i++) {
        rag_hit *h = &io->hits[i];
        h->closeness = proximity_of(p, tokenizer_of_this_thread(), h->text);
        h->fused_score += weight * h->closeness;
        h->score = h->fused_score;
        h->rank = (int)i;
    }
    qsort(io->hits, n, sizeof *io->hits, by_score);
}
