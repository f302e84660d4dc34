/* llm/llama_model.h: one GGUF file opened through libllama; shared by embed and llm.
 *
 * The weights are mapped from the file; the runtime may keep repacked copies of some in memory.
 *
 * Threads: open and close from one thread; the model itself is immutable. */
#ifndef RAG_LLM_LLAMA_MODEL_H
#define RAG_LLM_LLAMA_MODEL_H

#include <llama.h>

#include "base/digest.h"
#include "base/err.h"

/* Bytes as the runtime reports them in its log, the only place where its C interface tells them; mapped
 * weights are left out. */
typedef struct rag_llama_memory {
    size_t kv;      /* KV cache */
    size_t buffers; /* compute and output buffers, repacked weights */
} rag_llama_memory;

typedef struct rag_llama_model {
    struct llama_model *model;
    const struct llama_vocab *vocab;
    struct llama_context *context;
    rag_llama_memory memory;
    rag_sha256 id; /* of the file */
    char *name;    /* its base name */
} rag_llama_model;

/* Starts the runtime, hashes and loads the file, with other metadata where overrides (may be NULL; a
 * row with an empty key ends it) says so.  RAG_CONFIG when it is missing or no model. */
rag_code rag_llama_model_open(rag_llama_model *m, const char *path, const struct llama_model_kv_override *overrides,
                              rag_err *err);
/* Makes m->context; RAG_CONFIG when the runtime refuses. */
rag_code rag_llama_model_start(rag_llama_model *m, struct llama_context_params params, rag_err *err);
void rag_llama_model_close(rag_llama_model *m); /* copes with zeroed and half-opened ones */

/* An encoder's context keeps room for the logits of every token of the longest encode, 1 MB each with a vocabulary of
 * 250,000, zeroes it and never uses it.  After an encode of n_tokens, of the whole window and aborted at once, its pages
 * go back to the system. */
void rag_llama_release_logits(const rag_llama_model *m, size_t n_tokens);

/* The configured number, or the processors this process may run on when it is 0. */
int rag_llama_threads(int configured);

/* Tokens of text into out (room for max), with the model's special tokens around it when add_special, and control
 * tokens in the text read as such when parse_special.  Returns their number, which may exceed max: then
 * out holds nothing.  Text above 1 GiB counts as SIZE_MAX. */
size_t rag_llama_tokenize(const struct llama_vocab *vocab, rag_str text, bool add_special, bool parse_special,
                          llama_token *out, size_t max);

#endif
