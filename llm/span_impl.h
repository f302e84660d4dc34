/* llm/span_impl.h: what span.c (a job's steps), span_prompt.c (its prompts) and span_engine.c (the context) share. */
#ifndef RAG_LLM_SPAN_IMPL_H
#define RAG_LLM_SPAN_IMPL_H

#include "llm/span.h"
#include "llm/span_search.h"

enum {
    SPAN_HOMES = 2,          /* one for each language of the prompts, say */
    SPAN_HOME_TOKENS = 512,  /* kept between jobs */
    SPAN_CHAINS = SPAN_BEAM, /* branches in hand: each leads to another waiting node */
    SPAN_SEQUENCES = SPAN_HOMES + SPAN_PASSES * (RAG_LLM_MAX_READINGS + SPAN_CHAINS),
    SPAN_ROWS = SPAN_PASSES * SPAN_ROUND_NODES, /* in a prompt: one a reading and pass */
    SPAN_MAX_ENDS = 256,
};

/* The beginning of a prompt, held in the sequence of the home's index. */
typedef struct span_home {
    llama_token tokens[SPAN_HOME_TOKENS];
    size_t n;
    uint64_t used;
} span_home;

struct span_engine {
    rag_llama_model *model;
    struct llama_context *llama;
    struct llama_batch batch;
    int n_vocab, context_tokens, slice_tokens;
    bool forgets;
    llama_token ends[SPAN_MAX_ENDS]; /* of an answer: line breaks, end of generation */
    size_t n_ends;
    span_home homes[SPAN_HOMES];
    uint64_t n_jobs;
};

/* An output of the batch in hand. */
typedef struct span_row {
    int index, node, pass;
} span_row;

/* The prompts of a reading, one a pass. */
typedef struct span_prompts {
    llama_token *tokens[SPAN_PASSES];
    size_t n_tokens[SPAN_PASSES];
    size_t n_common; /* leading tokens of both */
} span_prompts;

struct span_job {
    span_engine *engine;
    span_prompts readings[RAG_LLM_MAX_READINGS];
    size_t n_readings;
    int n_passes;
    size_t n_fixed;          /* leading tokens of all prompts of this kind */
    size_t n_cached, n_done; /* prompt tokens in the order of span_prompt_add */
    int home;                /* -1 before the first step */
    bool is_chain_used[SPAN_CHAINS];
    span_search search;
    span_row rows[SPAN_ROWS];
    size_t n_rows;
    void (*on_spans)(void *context, const rag_llm_span *spans, size_t n, double margin);
};

static inline llama_seq_id span_root_seq(size_t reading, int pass)
{
    return SPAN_HOMES + (llama_seq_id)reading * SPAN_PASSES + pass;
}

static inline llama_seq_id span_chain_seq(int chain, int pass)
{
    return SPAN_HOMES + SPAN_PASSES * (RAG_LLM_MAX_READINGS + chain) + pass;
}

/* Adds a token to the batch in hand; with a node it has an output, which is read for that node. */
void span_batch_add(span_job *j, llama_token token, size_t pos, llama_seq_id seq, int node, int pass);

rag_code span_prompt_read(span_job *j, const rag_llm_request *req, rag_err *err);
void span_prompt_free(span_job *j);
size_t span_prompt_tokens(const span_job *j); /* of all, what is shared once */
/* Fills the batch with what is next: the fixed beginning, then reading for reading what its passes share, the rest of
 * the first, the rest of the second. */
void span_prompt_add(span_job *j);

/* Chooses a home and starts from what it holds; leaves it for the next job. */
void span_engine_enter(span_job *j);
void span_engine_leave(span_job *j);
void span_engine_remove(span_engine *e, llama_seq_id seq, llama_pos from); /* from `from` on; -1: all */

#endif
