/* llm/sampler.h: which token comes next.
 *
 * GREEDY takes the most likely one.  SAMPLE draws after, in this order: repeat penalty over the last 64 tokens,
 * top_k, top_p, min_p, temperature.
 *
 * Threads: one owner. */
#ifndef RAG_LLM_SAMPLER_H
#define RAG_LLM_SAMPLER_H

#include <llama.h>

#include "llm/llm.h"

typedef struct sampler {
    struct llama_sampler *chain; /* NULL when the plain maximum is taken */
    int n_vocab;
} sampler;

void sampler_init(sampler *s, const rag_llm_sampling *opt, int n_vocab);
void sampler_free(sampler *s); /* copes with zeroed ones */

/* Picks from output `index` of the last decode. */
rag_llm_token sampler_pick(sampler *s, struct llama_context *context, int index);

#endif
