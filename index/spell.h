/* index/spell.h: indexed words that are one typing error away.
 *
 * An error is a letter too many, one that is missing, one in place of another, or two exchanged (Damerau 1964).  The index's
 * own vocabulary is read: the words with the same first letters in one range, and, for errors in those letters, each
 * possible word by itself; so the cost does not grow with the vocabulary but with the words that begin alike.
 *
 * Threads: those of the connection. */
#ifndef RAG_INDEX_SPELL_H
#define RAG_INDEX_SPELL_H

#include "base/arena.h"
#include "index/db.h"

enum {
    SPELL_MIN_LETTERS = 6,
    SPELL_MAX_LETTERS = 30, /* longer runs are no words */
    SPELL_MAX = 16,
};

typedef struct spell_word {
    rag_str word; /* in search form */
    int64_t rows; /* of the index, whoever may see them */
} spell_word;

/* Whether a word, in search form, is one that errors are looked for in: a to z only, of such a length. */
bool spell_is_word(rag_str word);
/* True at a distance of exactly one error. */
bool spell_is_near(rag_str a, rag_str b);
/* The most frequent words near `word`, most frequent first; at most SPELL_MAX, into the arena.  RAG_DEADLINE. */
rag_code spell_near(db *d, rag_str word, rag_arena *arena, spell_word *out, size_t *n, rag_err *err);

#endif
