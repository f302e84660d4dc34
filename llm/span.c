#include "llm/span.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "llm/llama_runtime.h"
#include "llm/span_impl.h"

/* Jobs */

/* A word begins with its space for most tokenizers; behind a full-width colon or a line break there is none. */
static rag_str lead_of(rag_str prompt)
{
    char last = prompt.len > 0 ? prompt.ptr[prompt.len - 1] : '\n';
    return last > ' ' && last < 0x7F ? RAG_STR(" ") : RAG_STR("");
}

static size_t tokenize(void *context, rag_str text, int32_t *out, size_t max)
{
    const rag_llama_model *m = context;
    return rag_llama_tokenize(m->vocab, text, false, false, out, max);
}

rag_code span_job_new(span_job **out, span_engine *e, const rag_llm_request *req, rag_err *err)
{
    const rag_llm_spans *query = req->spans;
    rag_llm_reading first = query->n_readings > 0 ? query->readings[0] : (rag_llm_reading){ 0 };
    span_job *j = rag_calloc(1, sizeof *j);
    *j = (span_job){ .engine = e, .n_passes = first.prior_prompt.len > 0 ? 2 : 1, .home = -1,
                     .on_spans = query->on_spans };
    rag_code code = span_search_init(&j->search, query, lead_of(first.prompt), tokenize, e->model, err);
    if (!code)
        code = span_prompt_read(j, req, err);
    if (code)
        span_job_free(j);
    *out = code ? NULL : j;
    return code;
}

void span_job_free(span_job *j)
{
    if (!j)
        return;
    if (j->home >= 0)
        span_engine_leave(j);
    span_prompt_free(j);
    span_search_free(&j->search);
    free(j);
}

void span_batch_add(span_job *j, llama_token token, size_t pos, llama_seq_id seq, int node, int pass)
{
    struct llama_batch *b = &j->engine->batch;
    int i = b->n_tokens++;
    b->token[i] = token;
    b->pos[i] = (llama_pos)pos;
    b->n_seq_id[i] = 1;
    b->seq_id[i][0] = seq;
    b->logits[i] = node >= 0;
    if (node >= 0)
        j->rows[j->n_rows++] = (span_row){ i, node, pass };
}

/* Nodes */

static llama_seq_id seq_of(const span_job *j, int node, int pass)
{
    const span_node *n = &j->search.nodes[node];
    return n->parent < 0 ? span_root_seq(n->reading, pass) : span_chain_seq(n->chain, pass);
}

/* The position of what comes behind node. */
static size_t end_of(const span_job *j, const span_node *node, int pass)
{
    return j->readings[node->reading].n_tokens[pass] + (size_t)node->depth;
}

/* Chains that no waiting node is on or goes on from are free. */
static void free_chains(span_job *j)
{
    bool is_used[SPAN_CHAINS] = { false };
    for (size_t i = j->n_readings; i < j->search.n_nodes; i++) {
        const span_node *n = &j->search.nodes[i], *parent = &j->search.nodes[n->parent];
        if (!n->is_known || n->is_scored || n->is_dropped)
            continue;
        if (n->chain >= 0) /* its decode was aborted */
            is_used[n->chain] = true;
        if (parent->chain >= 0)
            is_used[parent->chain] = true;
    }
    for (int chain = 0; chain < SPAN_CHAINS; chain++) {
        for (int pass = 0; pass < j->n_passes && j->is_chain_used[chain] && !is_used[chain]; pass++)
            span_engine_remove(j->engine, span_chain_seq(chain, pass), -1);
        j->is_chain_used[chain] &= is_used[chain];
    }
}

static int take_chain(span_job *j)
{
    for (int chain = 0; chain < SPAN_CHAINS; chain++)
        if (!j->is_chain_used[chain]) {
            j->is_chain_used[chain] = true;
            return chain;
        }
    return -1;
}

/* The first child goes on in its parent's sequences, others in copies.  False when there is no room for those. */
static bool place(span_job *j, int node)
{
    span_node *n = &j->search.nodes[node], *parent = &j->search.nodes[n->parent];
    if (n->chain >= 0)
        return true;
    if (parent->parent >= 0 && !parent->is_continued) {
        n->chain = parent->chain;
        parent->is_continued = true;
        return n->chain >= 0;
    }
    n->chain = take_chain(j);
    for (int pass = 0; pass < j->n_passes && n->chain >= 0; pass++)
        llama_memory_seq_cp(llama_get_memory(j->engine->llama), seq_of(j, n->parent, pass),
                            span_chain_seq(n->chain, pass), 0, (llama_pos)end_of(j, parent, pass));
    return n->chain >= 0;
}

/* False when the search is over. */
static bool add_nodes(span_job *j)
{
    int nodes[SPAN_ROUND_NODES];
    size_t n = span_search_next(&j->search, nodes);
    free_chains(j);
    for (size_t i = 0; i < n; i++) {
        span_node *node = &j->search.nodes[nodes[i]];
        if (!place(j, nodes[i])) {
            node->is_dropped = true;
            continue;
        }
        for (int pass = 0; pass < j->n_passes; pass++)
            span_batch_add(j, node->token, end_of(j, node, pass) - 1, span_chain_seq(node->chain, pass), nodes[i],
                           pass);
    }
    return n > 0;
}

/* Decoding */

typedef struct reading {
    const float *logits;
    double log_sum;
} reading;

static double log_sum_exp(const float *logits, int n)
{
    static const float negligible = -25; /* as in sampler.c */
    float largest = logits[0];
    double sum = 0;
    for (int i = 1; i < n; i++)
        largest = logits[i] > largest ? logits[i] : largest;
    for (int i = 0; i < n; i++)
        if (logits[i] - largest > negligible)
            sum += (double)expf(logits[i] - largest);
    return (double)largest + log(sum);
}

static double logprob(void *context, int32_t token)
{
    const reading *r = context;
    return (double)r->logits[token] - r->log_sum;
}

static void read_row(span_job *j, const span_row *at)
{
    const span_engine *e = j->engine;
    double end = 0;
    reading r = { .logits = llama_get_logits_ith(e->llama, at->index) };
    r.log_sum = log_sum_exp(r.logits, e->n_vocab);
    for (size_t i = 0; i < e->n_ends; i++)
        end += exp(logprob(&r, e->ends[i]));
    span_search_tell(&j->search, at->node, at->pass, j->n_passes, log(fmax(end, 1e-30)), logprob, &r);
}

/* As if the decode had never begun. */
static void roll_back(span_job *j)
{
    const struct llama_batch *b = &j->engine->batch;
    for (int i = b->n_tokens - 1; i >= 0; i--)
        for (int k = 0; k < b->n_seq_id[i]; k++)
            span_engine_remove(j->engine, b->seq_id[i][k], b->pos[i]);
}

static bool is_quiet(void *context, rag_str line)
{
    (void)context;
    (void)line;
    return true;
}

static int decode(span_job *j)
{
    rag_llama_listen(is_quiet, NULL); /* it calls an abort an error */
    int status = llama_decode(j->engine->llama, j->engine->batch);
    rag_llama_listen(NULL, NULL);
    if (status)
        roll_back(j);
    return status;
}

span_state span_job_step(span_job *j, rag_err *err)
{
    span_engine *e = j->engine;
    bool is_prompt = j->n_done < span_prompt_tokens(j);
    if (j->home < 0)
        span_engine_enter(j);
    e->batch.n_tokens = 0;
    j->n_rows = 0;
    if (is_prompt)
        span_prompt_add(j);
    else if (!add_nodes(j))
        return SPAN_DONE;
    int status = e->batch.n_tokens > 0 ? decode(j) : 0;
    if (status == 2)
        return SPAN_RUNS;
    if (status) {
        rag_fail(err, RAG_IO, "cannot decode %d tokens: libllama returned %d", e->batch.n_tokens, status);
        return SPAN_FAILED;
    }
    if (is_prompt)
        j->n_done += (size_t)e->batch.n_tokens;
    for (size_t i = 0; i < j->n_rows; i++)
        read_row(j, &j->rows[i]);
    return SPAN_RUNS;
}

/* Results */

span_counts span_job_counts(const span_job *j)
{
    size_t n = span_prompt_tokens(j);
    return (span_counts){ .prompt_tokens = n, .cached_tokens = j->n_cached, .nodes = (size_t)j->search.n_scored,
                          .has_prompt = j->n_done == n };
}

static rag_str text_of(const span_job *j, const rag_llm_span *s)
{
    return rag_str_sub(j->search.evidence[s->reading], s->span.start, s->span.end);
}

static bool is_rival(const span_job *j, const rag_llm_span *a, const rag_llm_span *b)
{
    bool overlaps = a->reading == b->reading && a->span.start < b->span.end && b->span.start < a->span.end;
    return !overlaps && !rag_str_eq(text_of(j, a), text_of(j, b));
}

void span_job_report(const span_job *j, void *context)
{
    enum { ALL = 128 };
    rag_llm_span spans[ALL];
    size_t n = span_search_best(&j->search, spans, ALL);
    double margin = RAG_LLM_NO_RIVAL;
    for (size_t i = n; i-- > 1;)
        if (is_rival(j, &spans[0], &spans[i]))
            margin = spans[0].score - spans[i].score;
    if (j->on_spans)
        j->on_spans(context, spans, n < RAG_LLM_MAX_SPANS ? n : RAG_LLM_MAX_SPANS, margin);
}
