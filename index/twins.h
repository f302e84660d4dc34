/* index/twins.h: passages that say the same.
 *
 * Two texts are twins when they are equal after NFKC, folding and white space, or when their sets of four words in a row
 * (a Han, kana or hangul character is a word) have a Jaccard index of at least 0.9 and their lengths are within a factor
 * of 1.3.  Their figures must agree in any case: "within 30 days" is not "within 14 days", however much they share.
 *
 * Threads: pure. */
#ifndef RAG_INDEX_TWINS_H
#define RAG_INDEX_TWINS_H

#include "base/arena.h"
#include "base/str.h"

/* What is compared of a text. */
typedef struct gist {
    uint64_t whole;   /* of the folded text, white space as one space */
    uint64_t figures; /* of its words with a digit, in order */
    size_t bytes;     /* of the folded text */
    uint32_t *set;    /* distinct hashes of four words in a row, none of them 0 */
    size_t n;
    uint32_t *table;  /* the same, to be found: open addressing, 0 = free */
    size_t mask;
} gist;

void gist_make(rag_str text, rag_arena *arena, gist *out);
bool gist_is_twin(const gist *a, const gist *b);

#endif
