/* llm/span.h: the decoder's work for rag_llm_spans: the prompts of each reading, with the question and without, then
 * the nodes of span_search.h.
 *
 * The engine is a llama context beside the one that writes, over the same weights.  All of its sequences share one store
 * of keys and values, so a branch costs its own tokens only.  There is a sequence for each home (the beginning of a
 * prompt, kept from one request to the next), for each pass of each reading, and for each pass of each branch.
 *
 * One job runs at a time, and what is decoded together depends on that job alone: the numbers of a small quantised model
 * change by tenths with the shape of the batch.
 *
 * Threads: one owner. */
#ifndef RAG_LLM_SPAN_H
#define RAG_LLM_SPAN_H

#include "llm/llama_model.h"
#include "llm/llm.h"

typedef struct span_engine span_engine;
typedef struct span_job span_job;

typedef struct span_engine_options {
    int threads, context_tokens, slice_tokens;
    bool forgets; /* keep no prompt's beginning for the next job */
    bool (*wants_abort)(void *context);
    void *context;
} span_engine_options;

/* RAG_CONFIG when the runtime refuses.  m outlives the engine, which adds its memory to m's. */
rag_code span_engine_open(span_engine **out, rag_llama_model *m, const span_engine_options *opt, rag_err *err);
void span_engine_close(span_engine *e); /* copes with NULL */

/* Copies what it needs of req.  RAG_TOO_LARGE when it exceeds the context, RAG_INVALID when there are no readings, too
 * many, or a prior for some of them only. */
rag_code span_job_new(span_job **out, span_engine *e, const rag_llm_request *req, rag_err *err);
void span_job_free(span_job *j); /* also while it runs; copes with NULL */

typedef enum span_state { SPAN_RUNS, SPAN_DONE, SPAN_FAILED } span_state;

/* One decode.  An aborted one changes nothing. */
span_state span_job_step(span_job *j, rag_err *err);

typedef struct span_counts {
    size_t prompt_tokens, cached_tokens, nodes; /* of all prompts, what they share once */
    bool has_prompt;                            /* all prompts are evaluated */
} span_counts;

span_counts span_job_counts(const span_job *j);
/* Once done: calls on_spans. */
void span_job_report(const span_job *j, void *context);

#endif
