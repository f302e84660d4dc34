/* daemon/explain.c: how a search came to its results. */
#include <math.h>

#include "daemon/reply.h"
#include "daemon/search.h"

void render_findings(json_writer *w, const rag_results *found)
{
    if (found->n_absent > 0) {
        json_open(w, "absent", '[');
        for (size_t i = 0; i < found->n_absent; i++)
            json_str(w, NULL, found->absent[i]);
        json_close(w, ']');
    }
    if (found->n_corrections > 0) {
        json_open(w, "corrections", '[');
        for (size_t i = 0; i < found->n_corrections; i++) {
            json_open(w, NULL, '{');
            json_str(w, "from", found->corrections[i].from);
            json_str(w, "to", found->corrections[i].to);
            json_close(w, '}');
        }
        json_close(w, ']');
    }
}

static void render_fusion(json_writer *w, const search *s)
{
    static const char *const names[] = { "adaptive", "weighted", "rrf" };
    json_open(w, "fusion", '{');
    json_cstr(w, "method", names[s->plan.fusion]);
    if (s->plan.fusion == RAG_FUSE_WEIGHTED)
        json_num(w, "text_weight", s->plan.text_weight, 6);
    if (s->plan.fusion == RAG_FUSE_RRF)
        json_int(w, "rrf_k", s->plan.rrf_k);
    json_num(w, "text_ceiling", s->found.text_ceiling, 6);
    json_close(w, '}');
}

static const char *name_of(rag_fate fate)
{
    switch (fate) {
    case RAG_FATE_RESULT: return "result";
    case RAG_FATE_MERGED: return "merged";
    case RAG_FATE_TWIN: return "duplicate";
    case RAG_FATE_SHARE: return "share";
    case RAG_FATE_BELOW: return "below";
    }
    return "below";
}

/* The result that it became or went into. */
static void render_result(json_writer *w, const rag_candidate *c, const rag_results *found)
{
    bool has_one = c->fate == RAG_FATE_RESULT || c->fate == RAG_FATE_MERGED || c->fate == RAG_FATE_TWIN;
    if (has_one && c->other < found->n)
        json_int(w, "result", found->hits[c->other].rank);
    else
        json_null(w, "result");
}

static void render_candidate(json_writer *w, const search *s, const rag_candidate *c)
{
    json_open(w, NULL, '{');
    json_int(w, "chunk_id", c->chunk_id);
    json_int(w, "document_id", c->document_id);
    json_str(w, "document", c->document);
    render_rank(w, "vector_rank", c->vector_rank);
    render_score(w, "vector_score", s->plan.mode == RAG_SEARCH_TEXT ? NAN : c->vector_score);
    render_rank(w, "text_rank", c->text_rank);
    render_score(w, "text_score", s->plan.mode == RAG_SEARCH_VECTOR ? NAN : c->text_score);
    json_open(w, "terms", '[');
    for (size_t i = 0; i < c->n_terms; i++)
        json_str(w, NULL, c->terms[i]);
    json_close(w, ']');
    render_score(w, "fused_score", c->fused_score);
    render_score(w, "rerank_score", c->rerank_score);
    json_cstr(w, "fate", name_of(c->fate));
    render_result(w, c, &s->found);
    json_close(w, '}');
}

void render_explanation(json_writer *w, const search *s)
{
    json_int(w, "visible", (int64_t)s->found.visible);
    render_filter(w, &s->plan.filter);
    render_fusion(w, s);
    json_open(w, "candidates", '[');
    for (size_t i = 0; i < s->found.n_candidates; i++)
        render_candidate(w, s, &s->found.candidates[i]);
    json_close(w, ']');
}
