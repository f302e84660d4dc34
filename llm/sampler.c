#include "llm/sampler.h"

#include <math.h>

enum { PENALTY_TOKENS = 64, MIN_KEEP = 1 };

static float or_default(float value, float fallback)
{
    return value > 0 ? value : fallback;
}

void sampler_init(sampler *s, const rag_llm_sampling *opt, int n_vocab)
{
    float penalty = or_default(opt->repeat_penalty, 1);
    bool has_penalty = penalty < 1 || penalty > 1;
    *s = (sampler){ .n_vocab = n_vocab };
    if (opt->method == RAG_LLM_GREEDY && !has_penalty)
        return;
    s->chain = llama_sampler_chain_init(llama_sampler_chain_default_params());
    if (has_penalty)
        llama_sampler_chain_add(s->chain, llama_sampler_init_penalties(n_vocab, PENALTY_TOKENS, penalty, 0, 0));
    if (opt->method == RAG_LLM_GREEDY) {
        llama_sampler_chain_add(s->chain, llama_sampler_init_greedy());
        return;
    }
    llama_sampler_chain_add(s->chain, llama_sampler_init_top_k(opt->top_k > 0 ? opt->top_k : 40));
    llama_sampler_chain_add(s->chain, llama_sampler_init_top_p(or_default(opt->top_p, 0.95F), MIN_KEEP));
    llama_sampler_chain_add(s->chain, llama_sampler_init_min_p(or_default(opt->min_p, 0.05F), MIN_KEEP));
    llama_sampler_chain_add(s->chain, llama_sampler_init_temp(or_default(opt->temperature, 0.8F)));
    llama_sampler_chain_add(s->chain, llama_sampler_init_dist(opt->seed));
}

void sampler_free(sampler *s)
{
    if (s->chain)
        llama_sampler_free(s->chain);
    *s = (sampler){ 0 };
}

static int find_largest(const float *logits, int n)
{
    int best = 0;
    for (int i = 1; i < n; i++)
        if (logits[i] > logits[best])
            best = i;
    return best;
}

/* exp(logits[id]) / sum of exp(logits), shifted by the largest against overflow. */
static float probability_of(const float *logits, int n, int id)
{
    /* e^-25: the whole vocabulary of such tokens sums to less than a hundred-thousandth. */
    static const float negligible = -25;
    float largest = logits[find_largest(logits, n)];
    double sum = 0;
    for (int i = 0; i < n; i++)
        if (logits[i] - largest > negligible)
            sum += (double)expf(logits[i] - largest);
    return (float)((double)expf(logits[id] - largest) / sum);
}

rag_llm_token sampler_pick(sampler *s, struct llama_context *context, int index)
{
    const float *logits = llama_get_logits_ith(context, index);
    int id = s->chain ? llama_sampler_sample(s->chain, context, index) : find_largest(logits, s->n_vocab);
    return (rag_llm_token){ .id = id, .probability = probability_of(logits, s->n_vocab, id) };
}
