/* index/proximity.h: how close together a passage holds the words of a question.
 *
 *     closeness = max over windows of PROXIMITY_WINDOW tokens of the idf of the distinct phrases in the window, summed
 *
 * BM25 counts a passage's words wherever they stand: a passage that says half of the question at its begin and
 * the other half at its end scores like one that says it in a sentence.  A window of about a sentence's length tells them
 * apart (cf. cover density, Clarke, Cormack and Tudhope 2000; proximity terms beside BM25, Rasolofo and Savoy 2003).
 *
 * Threads: those of the tokenizer. */
#ifndef RAG_INDEX_PROXIMITY_H
#define RAG_INDEX_PROXIMITY_H

#include "index/query.h"
#include "index/tokenizer.h"

enum { PROXIMITY_WINDOW = 20 };

typedef struct proximity proximity;

/* idf[i] is that of p's phrase i; phrases of 0 do not count.  Lives in the arena; NULL when no phrase counts. */
proximity *proximity_new(const plan *p, const float *idf, rag_arena *arena);
/* Of one passage; copes with NULL. */
double proximity_of(proximity *x, tokenizer *t, rag_str passage);

#endif
