#include "llm/span.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "llm/llama_runtime.h"
#include "llm/span_search.h"

enum {
    HOMES = 2,                         /* one for each language of the prompts, say */
    HOME_TOKENS = 512,                 /* kept between jobs */
    SEQ_PRIOR = HOMES,
    CHAINS = 8,                        /* branches that are gone on with at a time */
    SEQUENCES = HOMES + 1 + SPAN_PASSES * CHAINS,
    ROWS = SPAN_PASSES * SPAN_ROUND_NODES,
    MAX_OUTPUTS = SEQUENCES > ROWS ? SEQUENCES : ROWS, /* libllama makes room for one output a sequence anyway */
    MAX_ENDS = 256,
    MAX_PIECE = 256,
};
static const double DEFAULT_LAMBDA = 0.3, DEFAULT_ALPHA = 0.5;

typedef struct home {
    llama_token tokens[HOME_TOKENS];
    size_t n;
    uint64_t used;
} home;

struct span_engine {
    rag_llama_model *model;
    struct llama_context *llama;
    struct llama_batch batch;
    int n_vocab, context_tokens, slice_tokens;
    bool forgets;
    llama_token ends[MAX_ENDS]; /* of an answer: line breaks, end of generation */
    size_t n_ends;
    home homes[HOMES];
    uint64_t n_jobs;
};

/* An output of the batch in hand. */
typedef struct row {
    int index, node, pass;
} row;

struct span_job {
    span_engine *engine;
    llama_token *tokens[SPAN_PASSES];
    size_t n_tokens[SPAN_PASSES];
    int n_passes;
    size_t n_common, n_fixed; /* leading tokens that both passes, all prompts of this kind share */
    size_t n_cached, n_done;  /* of the common tokens, then the rest of the first pass, then that of the second */
    int home;                 /* -1 before the first step */
    bool is_chain_used[CHAINS];
    span_search search;
    row rows[ROWS];
    size_t n_rows;
    void (*on_spans)(void *context, const rag_llm_span *spans, size_t n, double margin);
};

/* Opening */

static void collect_ends(span_engine *e)
{
    for (llama_token i = 0; i < e->n_vocab && e->n_ends < MAX_ENDS; i++) {
        char piece[MAX_PIECE];
        int32_t n = llama_token_to_piece(e->model->vocab, i, piece, sizeof piece, 0, false);
        if (llama_vocab_is_eog(e->model->vocab, i) || (n > 0 && piece[0] == '\n'))
            e->ends[e->n_ends++] = i;
    }
}

rag_code span_engine_open(span_engine **out, rag_llama_model *m, const span_engine_options *opt, rag_err *err)
{
    struct llama_context_params params = llama_context_default_params();
    params.n_ctx = (uint32_t)(opt->context_tokens + (HOMES - 1) * HOME_TOKENS);
    params.n_batch = params.n_ubatch = (uint32_t)opt->slice_tokens;
    params.n_seq_max = SEQUENCES;
    params.n_outputs_max = MAX_OUTPUTS;
    params.n_threads = params.n_threads_batch = rag_llama_threads(opt->threads);
    params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_ENABLED;
    params.swa_full = true;
    params.kv_unified = true;
    params.abort_callback = opt->wants_abort;
    params.abort_callback_data = opt->context;
    rag_llama_model second = { .model = m->model, .vocab = m->vocab, .name = m->name, .memory = m->memory };
    rag_code code = rag_llama_model_start(&second, params, err);
    if (code)
        return code;
    span_engine *e = rag_calloc(1, sizeof *e);
    *e = (span_engine){ .model = m, .llama = second.context, .n_vocab = llama_vocab_n_tokens(m->vocab),
                        .context_tokens = opt->context_tokens, .slice_tokens = opt->slice_tokens,
                        .forgets = opt->forgets, .batch = llama_batch_init(opt->slice_tokens, 0, SPAN_PASSES) };
    m->memory = second.memory;
    collect_ends(e);
    *out = e;
    return RAG_OK;
}

void span_engine_close(span_engine *e)
{
    if (!e)
        return;
    llama_batch_free(e->batch);
    llama_free(e->llama);
    free(e);
}

/* Jobs */

/* A word begins with its space for most tokenizers; behind a full-width colon or a line break there is none. */
static rag_str lead_of(rag_str prompt)
{
    char last = prompt.len > 0 ? prompt.ptr[prompt.len - 1] : '\n';
    return last > ' ' && last < 0x7F ? RAG_STR(" ") : RAG_STR("");
}

static size_t tokenize_span(void *context, rag_str text, int32_t *out, size_t max)
{
    const rag_llama_model *m = context;
    return rag_llama_tokenize(m->vocab, text, false, false, out, max);
}

static size_t common(const llama_token *a, size_t n_a, const llama_token *b, size_t n_b)
{
    size_t n = 0;
    while (n < n_a && n < n_b && a[n] == b[n])
        n++;
    return n;
}

static rag_code read_prompt(span_job *j, int pass, rag_str prompt, bool parse_special, rag_err *err)
{
    size_t room = (size_t)j->engine->context_tokens;
    j->tokens[pass] = rag_calloc(room, sizeof(llama_token));
    size_t n = prompt.len > RAG_MAX_PROMPT ? SIZE_MAX
                                           : rag_llama_tokenize(j->engine->model->vocab, prompt, true, parse_special,
                                                                j->tokens[pass], room);
    if (n == 0)
        return rag_fail(err, RAG_INVALID, "prompt is empty");
    if (n > room)
        return rag_fail(err, RAG_TOO_LARGE, "prompt of %zu bytes exceeds the context of %zu tokens", prompt.len, room);
    j->n_tokens[pass] = n;
    return RAG_OK;
}

/* The last token of each pass is its own, since it has its own output. */
static void find_common(span_job *j)
{
    size_t a = j->n_tokens[0], b = j->n_tokens[1];
    j->n_common = j->n_passes == 1 ? a : common(j->tokens[0], a, j->tokens[1], b);
    if (j->n_passes > 1 && j->n_common == (a < b ? a : b))
        j->n_common--;
}

static void find_fixed(span_job *j, const rag_llm_request *req)
{
    llama_token fixed[HOME_TOKENS];
    size_t n = req->prefix_bytes == 0
                   ? 0
                   : rag_llama_tokenize(j->engine->model->vocab, rag_str_sub(req->prompt, 0, req->prefix_bytes), true,
                                        req->parse_special, fixed, HOME_TOKENS);
    j->n_fixed = n > HOME_TOKENS ? 0 : common(fixed, n, j->tokens[0], j->n_common);
    if (j->n_fixed == j->n_tokens[0])
        j->n_fixed = 0;
}

static size_t n_prompt(const span_job *j)
{
    return j->n_tokens[0] + (j->n_passes > 1 ? j->n_tokens[1] - j->n_common : 0);
}

static rag_code read_prompts(span_job *j, const rag_llm_request *req, rag_err *err)
{
    rag_code code = read_prompt(j, 0, req->prompt, req->parse_special, err);
    if (!code && j->n_passes > 1)
        code = read_prompt(j, 1, req->spans->prior_prompt, req->parse_special, err);
    if (code)
        return code;
    find_common(j);
    find_fixed(j, req);
    size_t most = n_prompt(j) + SPAN_PASSES * ((size_t)j->search.max_nodes + SPAN_ROUND_NODES);
    if (most > (size_t)j->engine->context_tokens)
        return rag_fail(err, RAG_TOO_LARGE, "prompts and spans of %zu tokens exceed the context of %d", most,
                        j->engine->context_tokens);
    return RAG_OK;
}

rag_code span_job_new(span_job **out, span_engine *e, const rag_llm_request *req, rag_err *err)
{
    rag_llm_spans query = *req->spans;
    span_job *j = rag_calloc(1, sizeof *j);
    *j = (span_job){ .engine = e, .n_passes = query.prior_prompt.len > 0 ? 2 : 1, .home = -1,
                     .on_spans = query.on_spans };
    query.lambda = query.lambda > 0 ? query.lambda : DEFAULT_LAMBDA;
    query.alpha = query.alpha > 0 ? query.alpha : DEFAULT_ALPHA;
    rag_code code = span_search_init(&j->search, &query, lead_of(req->prompt), tokenize_span, e->model, err);
    if (!code)
        code = read_prompts(j, req, err);
    if (code)
        span_job_free(j);
    *out = code ? NULL : j;
    return code;
}

static void remove_from(span_engine *e, llama_seq_id seq, llama_pos from)
{
    llama_memory_seq_rm(llama_get_memory(e->llama), seq, from, -1);
}

static llama_seq_id chain_seq(int chain, int pass)
{
    return HOMES + 1 + chain * SPAN_PASSES + pass;
}

/* What the next job cannot use goes; the prompt's fixed beginning stays. */
static void leave(span_job *j)
{
    span_engine *e = j->engine;
    home *h = &e->homes[j->home];
    h->n = e->forgets || j->n_done < j->n_fixed ? 0 : j->n_fixed;
    memcpy(h->tokens, j->tokens[0], h->n * sizeof *h->tokens);
    remove_from(e, j->home, (llama_pos)h->n);
    for (llama_seq_id seq = SEQ_PRIOR; seq < SEQUENCES; seq++)
        remove_from(e, seq, -1);
}

void span_job_free(span_job *j)
{
    if (!j)
        return;
    if (j->home >= 0)
        leave(j);
    for (int i = 0; i < SPAN_PASSES; i++)
        free(j->tokens[i]);
    span_search_free(&j->search);
    free(j);
}

/* Prompts */

static bool holds_fixed(const home *h, const span_job *j)
{
    return j->n_fixed > 0 && h->n == j->n_fixed && common(h->tokens, h->n, j->tokens[0], j->n_fixed) == j->n_fixed;
}

/* The home that holds the prompt's beginning; else the one that was not used for longest. */
static int choose_home(const span_engine *e, const span_job *j)
{
    int best = 0;
    for (int i = 0; i < HOMES; i++) {
        if (holds_fixed(&e->homes[i], j))
            return i;
        if (e->homes[i].used < e->homes[best].used)
            best = i;
    }
    return best;
}

static void enter(span_job *j)
{
    span_engine *e = j->engine;
    j->home = choose_home(e, j);
    home *h = &e->homes[j->home];
    size_t n = holds_fixed(h, j) ? j->n_fixed : 0;
    j->n_cached = j->n_done = n;
    h->n = 0;
    h->used = ++e->n_jobs;
    if (e->forgets)
        llama_memory_clear(llama_get_memory(e->llama), false); /* cells are taken in the same order each time */
    remove_from(e, j->home, (llama_pos)n);
    llama_memory_seq_cp(llama_get_memory(e->llama), j->home, SEQ_PRIOR, -1, -1);
}

static void add_token(span_job *j, llama_token token, size_t pos, llama_seq_id seq, int node, int pass)
{
    struct llama_batch *b = &j->engine->batch;
    int i = b->n_tokens++;
    b->token[i] = token;
    b->pos[i] = (llama_pos)pos;
    b->n_seq_id[i] = 1;
    b->seq_id[i][0] = seq;
    b->logits[i] = node >= 0;
    if (node >= 0)
        j->rows[j->n_rows++] = (row){ i, node, pass };
}

/* The fixed beginning goes alone, so that the numbers are the same when it is there already. */
static void add_prompt(span_job *j)
{
    struct llama_batch *b = &j->engine->batch;
    size_t a = j->n_tokens[0], n = j->n_done < j->n_fixed ? j->n_fixed : n_prompt(j);
    for (size_t i = j->n_done; i < n && b->n_tokens < j->engine->slice_tokens; i++) {
        int pass = i >= a;
        size_t pos = pass ? i - a + j->n_common : i;
        bool is_last = pos + 1 == j->n_tokens[pass];
        add_token(j, j->tokens[pass][pos], pos, pass ? SEQ_PRIOR : j->home, is_last ? 0 : -1, pass);
        if (j->n_passes > 1 && i < j->n_common) {
            b->n_seq_id[b->n_tokens - 1] = 2;
            b->seq_id[b->n_tokens - 1][1] = SEQ_PRIOR;
        }
    }
}

/* Nodes */

static llama_seq_id seq_of(const span_job *j, int node, int pass)
{
    int chain = j->search.nodes[node].chain;
    if (node == 0)
        return pass ? SEQ_PRIOR : j->home;
    return chain_seq(chain, pass);
}

/* Chains that no node in hand or waiting goes on from are free. */
static void free_chains(span_job *j)
{
    bool is_used[CHAINS] = { false };
    for (size_t i = 1; i < j->search.n_nodes; i++) {
        const span_node *n = &j->search.nodes[i];
        if (!n->is_known || n->is_scored || n->is_dropped)
            continue;
        if (n->chain >= 0) /* its decode was aborted */
            is_used[n->chain] = true;
        if (n->parent > 0)
            is_used[j->search.nodes[n->parent].chain] = true;
    }
    for (int chain = 0; chain < CHAINS; chain++) {
        for (int pass = 0; pass < j->n_passes && j->is_chain_used[chain] && !is_used[chain]; pass++)
            remove_from(j->engine, chain_seq(chain, pass), -1);
        j->is_chain_used[chain] &= is_used[chain];
    }
}

static int take_chain(span_job *j)
{
    for (int chain = 0; chain < CHAINS; chain++)
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
    if (n->parent > 0 && !parent->is_continued) {
        n->chain = parent->chain;
        parent->is_continued = true;
        return n->chain >= 0;
    }
    n->chain = take_chain(j);
    for (int pass = 0; pass < j->n_passes && n->chain >= 0; pass++)
        llama_memory_seq_cp(llama_get_memory(j->engine->llama), seq_of(j, n->parent, pass), chain_seq(n->chain, pass),
                            0, (llama_pos)(j->n_tokens[pass] + (size_t)parent->depth));
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
            add_token(j, node->token, j->n_tokens[pass] + (size_t)node->depth - 1, chain_seq(node->chain, pass),
                      nodes[i], pass);
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

static void read_row(span_job *j, const row *at)
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
            remove_from(j->engine, b->seq_id[i][k], b->pos[i]);
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
    bool is_prompt = j->n_done < n_prompt(j);
    if (j->home < 0)
        enter(j);
    e->batch.n_tokens = 0;
    j->n_rows = 0;
    if (is_prompt)
        add_prompt(j);
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
    return (span_counts){ .prompt_tokens = n_prompt(j), .cached_tokens = j->n_cached,
                          .nodes = (size_t)j->search.n_scored, .has_prompt = j->n_done == n_prompt(j) };
}

static bool overlap(const rag_llm_span *a, const rag_llm_span *b)
{
    return a->evidence == b->evidence && a->span.start < b->span.end && b->span.start < a->span.end;
}

void span_job_report(const span_job *j, void *context)
{
    enum { ALL = 128 };
    rag_llm_span spans[ALL];
    size_t n = span_search_best(&j->search, spans, ALL);
    double margin = RAG_LLM_NO_RIVAL;
    for (size_t i = n; i-- > 1;)
        if (!overlap(&spans[0], &spans[i]))
            margin = spans[0].score - spans[i].score;
    if (j->on_spans)
        j->on_spans(context, spans, n < RAG_LLM_MAX_SPANS ? n : RAG_LLM_MAX_SPANS, margin);
}
