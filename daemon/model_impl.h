/* daemon/model_impl.h: the model thread, as its files share it.
 *
 *   model_start.c   opens the models
 *   model.c         works with them
 *
 * Threads: `mu` says. */
#ifndef RAG_DAEMON_MODEL_IMPL_H
#define RAG_DAEMON_MODEL_IMPL_H

#include <pthread.h>

#include "daemon/model.h"
#include "embed/rerank.h"

struct model {
    model_options opt;
    pthread_t thread, loader;
    bool has_loader;
    pthread_mutex_t mu; /* everything down to the next blank line */
    pthread_cond_t work;
    bool is_stopping;
    job_list questions, pairs, sentences, prompts;
    rag_llm *llm; /* left here by the loader, as */
    rag_reranker *reranker;
    model_facts facts;

    atomic_int decoder; /* a decoder_state, for a quick look */
    atomic_int running;
    atomic_bool has_reranker;
    rag_llm *own; /* llm, once the model thread has seen it */
    rag_llm_template *templates[2], *span_templates[2]; /* the latter may be NULL */
    rag_embedder *embedder;
};

/* Takes the decoder's memory into the facts: with mu held, by whoever owns llm. */
static inline void model_note_memory(model *m, const rag_llm *llm)
{
    m->facts.kv_bytes = rag_llm_kv_bytes(llm);
    m->facts.buffer_bytes = rag_llm_buffer_bytes(llm);
}

/* The model thread: opens the embedder, and starts a thread that opens the others. */
void model_start(model *m);

#endif
