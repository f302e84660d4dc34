/* embed/tokenizer.h: the embedder's tokens, by unigram.h where it fits the model, else by libllama.
 *
 * Threads: immutable after open. */
#ifndef RAG_EMBED_TOKENIZER_H
#define RAG_EMBED_TOKENIZER_H

#include "embed/unigram.h"
#include "llm/llama_model.h"

typedef struct tokenizer {
    unigram *unigram; /* NULL when libllama does it */
    const struct llama_vocab *vocab;
} tokenizer;

/* Tokens of text with the special ones around it; the first max into out.  Returns their number, which may exceed
 * max; then the last of out is the closing special token, if the model has one. */
size_t tokenizer_fill(const tokenizer *t, rag_str text, llama_token *out, size_t max);
/* The number without special tokens. */
size_t tokenizer_count(const tokenizer *t, rag_str text);
/* As rag_embed_offsets. */
size_t tokenizer_offsets(const tokenizer *t, rag_str text, uint32_t *ends, size_t max);

#endif
