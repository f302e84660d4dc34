#include <stdlib.h>
#include <string.h>

#include "llm/span_impl.h"

enum { MAX_PIECE = 256 };

static void collect_ends(span_engine *e)
{
    for (llama_token i = 0; i < e->n_vocab && e->n_ends < SPAN_MAX_ENDS; i++) {
        char piece[MAX_PIECE];
        int32_t n = llama_token_to_piece(e->model->vocab, i, piece, sizeof piece, 0, false);
        if (llama_vocab_is_eog(e->model->vocab, i) || (n > 0 && piece[0] == '\n'))
            e->ends[e->n_ends++] = i;
    }
}

rag_code span_engine_open(span_engine **out, rag_llama_model *m, const span_engine_options *opt, rag_err *err)
{
    struct llama_context_params params = llama_context_default_params();
    params.n_ctx = (uint32_t)(opt->context_tokens + (SPAN_HOMES - 1) * SPAN_HOME_TOKENS);
    params.n_batch = params.n_ubatch = (uint32_t)opt->slice_tokens;
    params.n_seq_max = SPAN_SEQUENCES;
    params.n_outputs_max = SPAN_SEQUENCES; /* libllama makes room for one a sequence anyway */
    params.n_threads = params.n_threads_batch = rag_llama_threads(opt->threads);
    params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_ENABLED;
    params.swa_full = true;
    params.kv_unified = true; /* a branch shares its trunk's cells */
    params.abort_callback = opt->wants_abort;
    params.abort_callback_data = opt->context;
    _Static_assert((int)SPAN_ROWS <= (int)SPAN_SEQUENCES && (int)RAG_LLM_MAX_READINGS <= (int)SPAN_ROUND_NODES,
                   "a batch may have more outputs than there is room for");
    rag_llama_model second = { .model = m->model, .vocab = m->vocab, .name = m->name, .memory = m->memory };
    rag_code code = rag_llama_model_start(&second, params, err);
    if (code)
        return code;
    span_engine *e = rag_calloc(1, sizeof *e);
    *e = (span_engine){ .model = m, .llama = second.context, .n_vocab = llama_vocab_n_tokens(m->vocab),
                        .context_tokens = opt->context_tokens, .slice_tokens = opt->slice_tokens,
                        .forgets = opt->forgets, .batch = llama_batch_init(opt->slice_tokens, 0, SPAN_SEQUENCES) };
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

void span_engine_remove(span_engine *e, llama_seq_id seq, llama_pos from)
{
    llama_memory_seq_rm(llama_get_memory(e->llama), seq, from, -1);
}

static bool holds_fixed(const span_home *h, const span_job *j)
{
    return j->n_fixed > 0 && h->n == j->n_fixed &&
           memcmp(h->tokens, j->readings[0].tokens[0], h->n * sizeof *h->tokens) == 0;
}

/* The home that holds the prompts' beginning; else the one that was not used for longest. */
static int choose_home(const span_engine *e, const span_job *j)
{
    int best = 0;
    for (int i = 0; i < SPAN_HOMES; i++) {
        if (holds_fixed(&e->homes[i], j))
            return i;
        if (e->homes[i].used < e->homes[best].used)
            best = i;
    }
    return best;
}

void span_engine_enter(span_job *j)
{
    span_engine *e = j->engine;
    j->home = choose_home(e, j);
    span_home *h = &e->homes[j->home];
    j->n_cached = j->n_done = holds_fixed(h, j) ? j->n_fixed : 0;
    h->n = 0;
    h->used = ++e->n_jobs;
    if (e->forgets)
        llama_memory_clear(llama_get_memory(e->llama), false); /* cells are taken in the same order each time */
    span_engine_remove(e, j->home, (llama_pos)j->n_cached);
    for (size_t r = 0; r < j->n_readings; r++)
        for (int pass = 0; pass < j->n_passes; pass++)
            llama_memory_seq_cp(llama_get_memory(e->llama), j->home, span_root_seq(r, pass), -1, -1);
}

void span_engine_leave(span_job *j)
{
    span_engine *e = j->engine;
    span_home *h = &e->homes[j->home];
    h->n = e->forgets || j->n_done < j->n_fixed ? 0 : j->n_fixed;
    memcpy(h->tokens, j->readings[0].tokens[0], h->n * sizeof *h->tokens);
    span_engine_remove(e, j->home, (llama_pos)h->n);
    for (llama_seq_id seq = SPAN_HOMES; seq < SPAN_SEQUENCES; seq++)
        span_engine_remove(e, seq, -1);
}
