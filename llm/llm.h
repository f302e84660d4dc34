/* llm/llm.h: the decoder.
 *
 * One rag_llm holds one model and one context with `slots` sequences.  Its owner (the
 * model thread) submits requests and calls rag_llm_step again and again; each step
 * advances every running sequence: prompts by a slice, answers by one token (continuous batching).
 *
 *     rag_llm_submit(llm, &req, &seq, &err);
 *     while (rag_llm_busy(llm)) rag_llm_step(llm);     // calls on_piece, then on_done once
 *
 * Law: on_done is called exactly once for each submitted request, also after a cancel and
 * on error; after it the sequence is gone.
 *
 * Spans (rag_llm_spans) are scored in a context of their own, made at the first such request: one request at a time, the
 * oldest first, a slice of its prompt or a few tokens of its spans in each step.
 *
 * Threads: everything from the owner's thread, except rag_llm_cancel (any thread), the rag_llm_… getters and
 * rag_llm_count (any thread: the vocabulary is immutable).
 *
 * tests/llm_fake.c implements the same header with an answer that quotes its sources. */
#ifndef RAG_LLM_LLM_H
#define RAG_LLM_LLM_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/str.h"

typedef struct rag_llm rag_llm;
typedef struct rag_llm_seq rag_llm_seq;

typedef struct rag_llm_options {
    const char *model_path;
    int threads;        /* compute threads; 0 = online cores */
    int slots;          /* sequences that run together; 0 = 1 */
    int context_tokens; /* per slot; 0 = 2048 */
    int slice_tokens;   /* prompt tokens evaluated in one step; 0 = 256 */
    bool deterministic; /* one sequence a batch, no sharing of KV across requests */
} rag_llm_options;

typedef enum rag_llm_method { RAG_LLM_GREEDY, RAG_LLM_SAMPLE } rag_llm_method;

/* {0} is greedy with the default length. Temperature, top_k, top_p, min_p apply to SAMPLE. */
typedef struct rag_llm_sampling {
    rag_llm_method method;
    float temperature; /* > 0; 0 = 0.8 */
    int top_k;         /* 0 = 40 */
    float top_p;       /* 0 = 0.95 */
    float min_p;       /* 0 = 0.05 */
    float repeat_penalty; /* 0 = 1 (off) */
    uint32_t seed;
    int max_tokens;    /* 0 = 128 */
} rag_llm_sampling;

typedef struct rag_llm_token {
    int id;
    float probability; /* softmax over the whole vocabulary at temperature 1, before sampling filters */
} rag_llm_token;

typedef enum rag_llm_finish {
    RAG_LLM_STOP,     /* end-of-generation token or stop string */
    RAG_LLM_LENGTH,   /* max_tokens or the context is used up */
    RAG_LLM_CANCELED,
    RAG_LLM_ERROR,
} rag_llm_finish;

typedef struct rag_llm_done {
    rag_llm_finish finish;
    size_t prompt_tokens, cached_tokens, completion_tokens;
    double prefill_ms, decode_ms, first_token_ms; /* from submit to first token, queueing in llm included */
    double mean_logprob;                          /* over the completion's tokens; 0 when none */
    rag_err err;                                  /* with RAG_LLM_ERROR */
} rag_llm_done;

/* One way to copy the answer from the evidence. */
typedef struct rag_llm_span {
    size_t reading;       /* whose evidence */
    rag_span span;        /* bytes in it */
    size_t tokens;
    double score;         /* see rag_llm_spans; comparable between spans of one request */
    double logprob;       /* log P(span, end | prompt) */
    double prior_logprob; /* log P(span, end | prior_prompt); 0 without one */
    double echo;          /* share of its words that stand in the question */
    double probability;   /* exp(logprob) as a share of that of all spans that were scored */
} rag_llm_span;

enum { RAG_LLM_MAX_SPANS = 8, RAG_LLM_MAX_READINGS = 4 };

/* A piece of evidence, a sentence at best, and the prompts that show it. */
typedef struct rag_llm_reading {
    rag_str prompt;       /* ends where the answer begins */
    rag_str prior_prompt; /* the same without the question; empty = no correction, at half the cost */
    rag_str evidence;     /* UTF-8 */
    double bonus;         /* what speaks for it beforehand, on the scale of score */
} rag_llm_reading;

/* With it a request writes nothing: it finds the bytes of the evidence that answer best, by
 *
 *     score = (logprob - lambda · prior_logprob) / (tokens + 1) ^ alpha - gamma · echo + bonus
 *
 * where the prior keeps what the decoder would say to any question from winning, and echo what the question says itself.
 * Spans lie on word boundaries within one sentence, 20 words or 30 Chinese characters at most.  The search is a beam, so
 * a better span may be missed; with `deterministic` its result depends on the request alone.
 *
 * Small decoders are lost among several sentences: two in one prompt are worse than one, two readings are better. */
typedef struct rag_llm_spans {
    const rag_llm_reading *readings; /* 1 to RAG_LLM_MAX_READINGS, all with a prior or none; copied */
    size_t n_readings;
    rag_str question;                /* for echo; may be empty; copied */
    double lambda, alpha, gamma;     /* 0 = 0.3, 0.5, 1 */
    int max_nodes;                   /* tokens of spans that are evaluated; 0 = 48 */
    /* Called once, before on_done(STOP): the best spans, best first, at most RAG_LLM_MAX_SPANS; none when the evidence holds no
     * words.  margin: by how much the first one's score is above that of the best span that neither overlaps it nor
     * reads the same; RAG_LLM_NO_RIVAL when there is none. */
    void (*on_spans)(void *context, const rag_llm_span *spans, size_t n, double margin);
} rag_llm_spans;

enum { RAG_LLM_NO_RIVAL = 10 };

typedef struct rag_llm_request {
    rag_str prompt;         /* as rag_llm_prompt made it; copied */
    bool parse_special;     /* control tokens in the prompt are control tokens (chat templates) */
    size_t prefix_bytes;    /* leading bytes of prompt that all requests of this kind share (KV reuse); 0 = none */
    rag_llm_sampling sampling;
    const rag_str *stops;   /* stop strings, never emitted; at most 8; copied */
    size_t n_stops;
    const rag_llm_spans *spans; /* NULL: free text; else prompt, sampling, stops and on_piece are not used; copied */
    /* Valid UTF-8, whole characters; n tokens made it. Return false to cancel. */
    bool (*on_piece)(void *context, rag_str piece, const rag_llm_token *tokens, size_t n);
    void (*on_done)(void *context, const rag_llm_done *done);
    void *context;
    const atomic_bool *canceled; /* looked at before each step and inside long decodes; may be NULL */
} rag_llm_request;

rag_code rag_llm_open(rag_llm **out, const rag_llm_options *opt, rag_err *err);
void rag_llm_close(rag_llm *m); /* running sequences get on_done(CANCELED) */

const char *rag_llm_name(const rag_llm *m);           /* file's base name */
const rag_sha256 *rag_llm_model_id(const rag_llm *m); /* SHA-256 of the file */
bool rag_llm_has_chat_template(const rag_llm *m);
int rag_llm_context(const rag_llm *m);                /* tokens per slot */
size_t rag_llm_kv_bytes(const rag_llm *m);            /* KV cache as the runtime reports it; owner's thread */
size_t rag_llm_buffer_bytes(const rag_llm *m);        /* compute and output buffers, likewise; both grow with the first spans */
size_t rag_llm_count(const rag_llm *m, rag_str text); /* tokens, specials not parsed */

/* RAG_FULL when no slot is free, RAG_TOO_LARGE when prompt + max_tokens (or the readings' prompts and max_nodes) exceed
 * the context. */
rag_code rag_llm_submit(rag_llm *m, const rag_llm_request *req, rag_llm_seq **out, rag_err *err);
bool rag_llm_busy(const rag_llm *m);  /* some sequence is running */
int rag_llm_free_slots(const rag_llm *m);
void rag_llm_step(rag_llm *m);
/* Makes a decode in progress return early so that a set `canceled` flag is seen; any thread. */
void rag_llm_interrupt(rag_llm *m);

/* Prompts are files under prompts.dir: NAME.LANG.txt (completion, for base models) and
 * NAME.LANG.chat.txt (for instruct models: parts "[system]", "[user]" rendered through the GGUF's own chat template).
 * Variables are {{question}} and {{passages}}; nothing else is special, and a value is never expanded again.  A
 * value whose ptr is NULL leaves its whole line out.
 * A first line "stop: A | B" lists the stop strings (\n escaped); "prefix" is all before the first variable. */
typedef struct rag_llm_template rag_llm_template;

rag_code rag_llm_template_load(rag_llm_template **out, const char *path, rag_err *err);
void rag_llm_template_free(rag_llm_template *t);

typedef struct rag_llm_var {
    const char *name;
    rag_str value;
} rag_llm_var;

typedef struct rag_llm_prompt {
    rag_str text; /* in the arena */
    bool parse_special;
    size_t prefix_bytes;
    const rag_str *stops;
    size_t n_stops;
} rag_llm_prompt;

/* Renders t; control tokens of the model that occur in a value are broken up, so that a document cannot end its
 * passage or speak as another role. RAG_INVALID for an unknown variable in the template. */
rag_code rag_llm_template_render(const rag_llm *m, const rag_llm_template *t, const rag_llm_var *vars, size_t n_vars,
                                 rag_arena *arena, rag_llm_prompt *out, rag_err *err);

#endif
