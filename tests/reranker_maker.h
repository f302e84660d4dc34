/* tests/reranker_maker.h: writes a cross-encoder's GGUF.
 *
 * With meaning (random false) it knows five words, "gold", "lead", "wood", "clay" and "sand", and a pair's score rises
 * with the share of "gold" among its tokens and falls with that of "lead"; a pair with neither scores 0 before the
 * head's bias, or one half where the head has labels.  Attention is the mean over all tokens (over those before, when
 * causal), and what is not needed is zero.  With random weights the shape alone matters: for measuring.
 *
 * The same shape gives the same bytes. */
#ifndef RAG_TESTS_RERANKER_MAKER_H
#define RAG_TESTS_RERANKER_MAKER_H

#include <ggml.h>
#include <stdbool.h>

typedef struct reranker_shape {
    int layers, hidden, heads, wide, positions; /* 0: 1, 32, 2, 64, 64 */
    int words;            /* beyond the five: "w0", "w1" … */
    enum ggml_type type;  /* of the matrices; 0 = F32 */
    bool random;
    bool is_causal;       /* as Qwen3-Reranker: a decoder with the labels "yes" and "no"; else BERT */
    bool has_no_head;
    bool has_eos;         /* [SEP] ends the query and the passage, as well as standing between them */
    int labels;           /* of the head, other ones than "yes" and "no"; 0: none */
    const char *template; /* NULL: none */
} reranker_shape;

/* Ends the program when it cannot. */
void reranker_make(const char *path, const reranker_shape *shape);

#endif
