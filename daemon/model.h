/* daemon/model.h: the one model thread.  It owns the embedder, the reranker and the decoder.
 *
 * Each turn: all waiting questions are embedded, then a few pairs of questions and passages are scored (questions that
 * come meanwhile go before the next pair), then a few waiting sentences are embedded, then prompts are
 * admitted to free slots, then one rag_llm_step advances every running answer.  The embedder is loaded
 * first; reranker and decoder are opened by a thread of its own meanwhile and handed over.
 *
 * Threads: model_embed, model_rerank and model_decode give a job away (request.h); the rest from any thread.
 * The callbacks of model_options come on the loop. */
#ifndef RAG_DAEMON_MODEL_H
#define RAG_DAEMON_MODEL_H

#include "daemon/queue.h"

typedef struct model model;

typedef enum decoder_state {
    DECODER_NONE,    /* none is configured */
    DECODER_LOADING,
    DECODER_READY,
    DECODER_FAILED,
} decoder_state;

/* What is known of the models; plain values. */
typedef struct model_facts {
    bool embedder_ready;
    rag_sha256 embedder_id, decoder_id; /* of the files */
    char embedder[128], decoder[128]; /* file names; "" when there is none */
    char reranker[128];
    bool reranker_ready;
    decoder_state decoder_state;
    char decoder_error[320];
    size_t embedder_bytes, reranker_bytes, kv_bytes, buffer_bytes;
    int slots, context;
} model_facts;

typedef struct model_options {
    const char *embed_path, *decoder_path, *reranker_path; /* the last two "" = none */
    const char *prompts_dir, *prompt_style; /* "auto", "completion", "chat" */
    int threads, slots, context_tokens;
    bool deterministic;
    mailbox *mail;
    job_queue *workers;   /* where jobs go next */
    /* The embedder is there, or err says why not. */
    void (*on_embedder)(void *context, const rag_err *err);
    /* The reranker cannot be had. */
    void (*on_failed)(void *context, const rag_err *err);
    void *context;
} model_options;

/* Strings in opt must live as long as the model. */
rag_code model_open(model **out, const model_options *opt, rag_err *err);
/* Ends the thread; no job may be on its way. */
void model_close(model *m);

void model_embed(model *m, job *j);
/* Only when model_has_reranker. */
void model_rerank(model *m, job *j);
void model_decode(model *m, job *j);
/* Some job that waits may be canceled or late. (A running decode looks at is_late itself, and stops when most of its
 * work is for nobody: it is not interrupted from here, or clients that leave could stall the others.) */
void model_wake(model *m);
void model_get_facts(model *m, model_facts *out);
decoder_state model_decoder_state(const model *m);
/* It is loaded. */
bool model_has_reranker(const model *m);
/* Answers that are being decoded, and prompts that wait for a slot. */
void model_get_load(model *m, int *running, int *waiting);
const char *decoder_state_name(decoder_state s);

#endif
