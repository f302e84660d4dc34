/* index/tokenizer.h: text to tokens, the same for indexed text and for queries.
 *
 * A word is a run of letters and digits, in search form (NFKC, case and accents folded); Han, kana and
 * hangul give one token a character, Han in its simplified form.  A word of ASCII letters has an English stem, which is indexed at
 * the word's position behind a marker byte, so that a stem never matches an exact form.
 *
 * A change of what comes out is a new TOKENIZER_VERSION: stores of another one are indexed again when opened.
 *
 * Threads: a tokenizer is used by one at a time. */
#ifndef RAG_INDEX_TOKENIZER_H
#define RAG_INDEX_TOKENIZER_H

#include <stdbool.h>

#include "base/str.h"

enum { TOKENIZER_VERSION = 2 };

/* Bytes that no token holds: a stem in the index, a query of ours, and between two of its tokens. */
enum { MARK_STEM = 0x01, MARK_QUERY = 0x02, MARK_NEXT = 0x1f };

typedef struct token {
    rag_str exact;
    rag_str stem;      /* empty when the word has none; may equal exact */
    size_t start, end; /* bytes in the text */
    bool is_cjk;
} token;

typedef struct tokenizer tokenizer;
tokenizer *tokenizer_new(void);
void tokenizer_free(tokenizer *t);
/* One that lives as long as the calling thread. */
tokenizer *tokenizer_of_this_thread(void);

/* Calls on_token for each token in order; a result other than 0 ends the run and is returned.  The token's
 * strings live until on_token returns. */
typedef int token_fn(void *context, const token *t);
int tokenizer_run(tokenizer *t, rag_str text, token_fn *on_token, void *context);

/* Words and characters that are no evidence by themselves (stop.c). */
bool stop_word(rag_str exact);
bool stop_character(rag_str exact);

#endif
