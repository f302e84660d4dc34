/* What was a candidate, and why. */
#include <math.h>
#include <stdlib.h>

#include "index/search_impl.h"

/* The words and strings that a passage holds, as they can be read. */
static void name_terms(const search *x, uint64_t held, rag_candidate *c)
{
    const plan *p = &x->plan;
    size_t max = p->n_phrases < PLAN_BITS ? p->n_phrases : PLAN_BITS;
    rag_str *terms = rag_arena_array(x->arena, max + 1, sizeof *terms);
    for (size_t i = 0; i < max; i++)
        if ((held & plan_bit(i)) && p->phrases[i].label.len > 0)
            terms[c->n_terms++] = p->phrases[i].label;
    c->terms = terms;
}

static rag_code name_document(search *x, uint32_t position, rag_candidate *c, rag_err *err)
{
    sqlite3_stmt *q;
    bool row = false;
    c->chunk_id = vectors_positions(x->s->vectors)[position].chunk_id;
    c->document_id = x->s->versions[x->s->version_of[position]].document_id;
    rag_code code = db_query(x->r->db, &q, "SELECT path FROM documents WHERE id = ?", BIND(num(c->document_id)), err);
    if (code == RAG_OK)
        code = db_step(x->r->db, q, &row, err);
    if (code == RAG_OK && row)
        c->document = rag_arena_str(x->arena, column_str(q, 0));
    db_done(q);
    return code;
}

static rag_candidate of_hit(const rag_hit *h)
{
    return (rag_candidate){ .chunk_id = h->chunk_id, .document_id = h->document_id, .document = h->document,
                            .vector_rank = h->vector_rank, .text_rank = h->text_rank, .vector_score = h->vector_score,
                            .text_score = h->text_score, .fused_score = h->fused_score, .rerank_score = NAN,
                            .fate = RAG_FATE_BELOW };
}

static rag_candidate of_candidate(const candidate *c)
{
    return (rag_candidate){ .vector_rank = c->vector_rank, .text_rank = c->text_rank, .vector_score = c->vector_score,
                            .text_score = c->text_score, .fused_score = c->score, .rerank_score = NAN,
                            .fate = RAG_FATE_BELOW };
}

/* Equal scores keep their order, which `other` remembers. */
static int by_score(const void *a, const void *b)
{
    const rag_candidate *p = a, *q = b;
    if (p->fused_score != q->fused_score)
        return p->fused_score < q->fused_score ? 1 : -1;
    return (p->other > q->other) - (p->other < q->other);
}

rag_code search_explain(search *x, rag_results *io, rag_err *err)
{
    rag_code code = RAG_OK;
    io->candidates = rag_arena_array(x->arena, x->n + 1, sizeof *io->candidates);
    io->n_candidates = x->n;
    for (size_t i = 0; code == RAG_OK && i < x->n; i++) {
        rag_candidate *c = &io->candidates[i];
        uint32_t position = x->list[i].position;
        *c = i < io->n ? of_hit(&io->hits[i]) : of_candidate(&x->list[i]);
        if (i < io->n)
            position = (uint32_t)vectors_find(x->s->vectors, c->chunk_id, 0);
        else
            code = name_document(x, position, c, err);
        if (code == RAG_OK && x->has_text)
            name_terms(x, bm25_held(x->r->bm25, position), c);
        c->other = i;
    }
    qsort(io->candidates, io->n_candidates, sizeof *io->candidates, by_score);
    for (size_t i = 0; i < io->n_candidates; i++)
        io->candidates[i].other = 0;
    return code;
}
