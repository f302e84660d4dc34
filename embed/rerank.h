/* embed/rerank.h: how well a passage answers a query, by a cross-encoder that reads both at once.
 *
 * The model is a GGUF with a rank head (pooling type RANK: cls.* tensors with one output, or, as Qwen3-Reranker has it,
 * the labels "yes" and "no").  A pair is one sequence, built with the model's own tokenizer as llama-server's /rerank does:
 *
 *     [BOS] query [EOS] [SEP] passage [EOS]      each special token where the file asks for it
 *     the file's chat template "rerank"          with {query} and {document}, where there is one
 *
 * A score is what the head gives, as it is: a logit for most models, a probability where the file has labels.  Scores
 * compare passages for one query under one model, nothing else.
 *
 * A pair longer than the window: the query is cut to half of it, the passage to what is left.
 *
 * libllama gives every token type 0, so that BERT models which were trained with two types (ms-marco-MiniLM) score
 * somewhat differently from their originals; XLM-RoBERTa and ModernBERT (bge-reranker, gte-reranker) have one type.
 *
 * Threads: rag_rerank_score from one thread at a time; rag_rerank_cancel, _name, _max_tokens from any.
 *
 * tests/rerank_fake.c implements the same header and counts. */
#ifndef RAG_EMBED_RERANK_H
#define RAG_EMBED_RERANK_H

#include "base/err.h"
#include "base/str.h"

typedef struct rag_reranker rag_reranker;

typedef struct rag_rerank_options {
    const char *model_path;
    int threads;    /* compute threads; 0 = online cores */
    int max_tokens; /* window, at most the model's positions; 0 = those, but at most 512 */
} rag_rerank_options;

/* RAG_CONFIG when the file is missing, no model, or a model without a rank head. */
rag_code rag_rerank_open(rag_reranker **out, const rag_rerank_options *opt, rag_err *err);
void rag_rerank_close(rag_reranker *r); /* copes with NULL */
/* What would stop rag_rerank_open and can be seen in the file's header. */
rag_code rag_rerank_check(const char *model_path, rag_err *err);

const char *rag_rerank_name(const rag_reranker *r); /* the file's base name */
int rag_rerank_max_tokens(const rag_reranker *r);
/* Resident bytes of context and buffers as the runtime reports them (not the mapped weights). */
size_t rag_rerank_memory(const rag_reranker *r);

/* Scores one pair; *tokens (may be NULL) is what was given to the model.  RAG_DEADLINE as soon as rag_clock_ms passes
 * deadline_ms (0 = none), also in the middle of the pair; RAG_TOO_LARGE when the window has no room for the template. */
rag_code rag_rerank_score(rag_reranker *r, rag_str query, rag_str passage, double deadline_ms, float *score,
                          size_t *tokens, rag_err *err);

/* Interrupts a running rag_rerank_score, which returns RAG_CANCELED; from any thread. */
void rag_rerank_cancel(rag_reranker *r);

#endif
