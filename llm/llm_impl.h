/* llm/llm_impl.h: what llm.c (opening, submitting, getters) and step.c (running) share.
 *
 * A slot is a sequence of the context: its id is its index.  `kv` lists the tokens whose keys and values the context
 * holds for it, also after its request is gone, so that the next prompt with the same beginning need not be evaluated
 * again.  Nothing is added to kv before the decode that evaluates it has succeeded. */
#ifndef RAG_LLM_LLM_IMPL_H
#define RAG_LLM_LLM_IMPL_H

#include "llm/llama_model.h"
#include "llm/llm.h"
#include "llm/output.h"
#include "llm/sampler.h"
#include "llm/span.h"

enum { LLM_MAX_SLOTS = 64 };

struct rag_llm_seq {
    bool is_running;
    llama_seq_id id;
    llama_token *kv; /* room for the context */
    size_t n_kv;

    /* The running request. */
    uint64_t order; /* of submission */
    bool (*on_piece)(void *context, rag_str piece, const rag_llm_token *tokens, size_t n);
    void (*on_done)(void *context, const rag_llm_done *done);
    void *context;
    const atomic_bool *canceled;
    llama_token *prompt;
    size_t n_prompt, max_tokens;
    llama_token next; /* sampled, not evaluated; while n_kv >= n_prompt */
    span_job *spans; /* NULL: free text; else nothing of kv, prompt, sampler, output is used */
    sampler sampler;
    output output;
    rag_llm_done done;
    double submitted_ms, started_ms, first_ms, logprob_sum;

    /* Its part of the batch in hand. */
    size_t n_batched;
    int logits_index; /* -1: none */
};

typedef struct control_token {
    const char *text;
    size_t len;
} control_token;

struct rag_llm {
    rag_llama_model llama;
    int n_slots, context_tokens, slice_tokens, n_vocab, threads;
    bool is_deterministic, is_closing;
    uint64_t submitted;
    struct llama_batch batch;
    atomic_bool interrupt;
    control_token *controls; /* ascending */
    size_t n_controls, longest_control;
    rag_llm_seq seqs[LLM_MAX_SLOTS];
    span_engine *spans; /* NULL before the first request for spans */
};

/* Ends the request of s: its slot is free before on_done runs, which may submit the next. */
void rag_llm_finish_seq(rag_llm_seq *s, rag_llm_finish how, const rag_err *err);
/* For the contexts' abort callbacks; context is the rag_llm. */
bool rag_llm_wants_abort(void *context);
bool rag_llm_wants_span_abort(void *context);

#endif
