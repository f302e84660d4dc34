/* llm/output.h: from tokens' bytes to pieces of text.
 *
 * Tokens end inside characters, and stop strings span tokens; so the end of the text is held back while it may still
 * become a character or a stop string.  Bytes that can no longer become a character turn into U+FFFD.
 *
 * Threads: one owner. */
#ifndef RAG_LLM_OUTPUT_H
#define RAG_LLM_OUTPUT_H

#include "llm/llm.h"

enum { OUTPUT_MAX_STOPS = 8, OUTPUT_MAX_TOKEN = 4096 };

typedef struct output_token {
    rag_llm_token token;
    size_t end; /* in held */
} output_token;

typedef struct output {
    rag_buf held;  /* bytes that were not handed out */
    rag_buf piece; /* the last piece */
    output_token *tokens;
    rag_llm_token *piece_tokens;
    size_t n_tokens, n_piece_tokens, cap_tokens;
    rag_str stops[OUTPUT_MAX_STOPS]; /* owned */
    size_t n_stops;
    bool is_stopped; /* a stop string stood in the text; nothing follows */
} output;

/* Copies stops; empty ones and those past OUTPUT_MAX_STOPS are left out. */
void output_init(output *o, const rag_str *stops, size_t n_stops);
void output_free(output *o); /* copes with zeroed ones */

void output_push(output *o, rag_str bytes, rag_llm_token token);
/* What may be handed out now; with is_final also what was held back for a stop string or a character that
 * did not come.  piece is empty when there is nothing; it and o->piece_tokens (n_piece_tokens) live until the next call.  A
 * token goes with the piece that holds its last byte, or after it. */
rag_str output_take(output *o, bool is_final);

#endif
