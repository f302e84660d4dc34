/* embed/unigram.h: SentencePiece's unigram model in 9 MB.
 *
 * libllama's own tokenizer for it takes 130 MB with the 250,000 pieces of multilingual E5, and most of the
 * time that opening the model takes.  This one gives the same tokens (tests/test_embed.c compares them) and knows
 * where each ends.
 *
 * A token sequence is the one with the highest sum of log probabilities (Viterbi); the pieces are a trie whose nodes lie
 * in breadth-first order, so that the children of node i are first[i] .. first[i + 1].
 * Taku Kudo, "Subword Regularization", ACL 2018, section 3.2.
 *
 * White space of any kind separates words and is otherwise dropped; text should be NFKC.
 *
 * Threads: immutable after open. */
#ifndef RAG_EMBED_UNIGRAM_H
#define RAG_EMBED_UNIGRAM_H

#include <llama.h>

#include "base/err.h"
#include "base/str.h"

typedef struct unigram {
    uint32_t n_nodes, n_tokens;
    uint8_t *label;  /* byte that leads to a node */
    uint32_t *first; /* n_nodes + 1 */
    int32_t *token;  /* that ends at a node, or -1 */
    float *score;    /* log probability of a token */
    double unknown_score;
    llama_token bos, eos, unknown;
    char architecture[64];
} unigram;

/* *out is NULL, without an error, when the GGUF file's tokenizer is another one or uses what this one lacks (a table of
 * normalisations, tokens of the user). */
rag_code unigram_open(unigram **out, const char *path, rag_err *err);
void unigram_close(unigram *u);

/* Tokens of text without special ones; the first max of them into tokens, and the offsets where they end in text into
 * ends (each may be NULL).  Returns their number, which may exceed max. */
size_t unigram_tokenize(const unigram *u, rag_str text, llama_token *tokens, uint32_t *ends, size_t max);

#endif
