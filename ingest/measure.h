/* ingest/measure.h: where a piece of text may be cut, and how many tokens lie before each place.  Private to the room.
 *
 * The embedder counts tokens of NFKC text, in which offsets differ, so that the text is normalised atom by atom
 * (words, Han characters) into one buffer and tokenised once.  The sums are within a few tokens of an exact count. */
#ifndef RAG_INGEST_MEASURE_H
#define RAG_INGEST_MEASURE_H

#include "ingest/ingest.h"

typedef enum cut_quality { CUT_CHARACTER, CUT_SPACE, CUT_CLAUSE, CUT_LINE, CUT_SENTENCE, CUT_QUALITIES } cut_quality;

typedef struct mark {
    size_t pos;       /* a cut may be made here */
    size_t tokens;    /* from the start of the piece to here */
    size_t nfkc_end;
    cut_quality quality;
} mark;

typedef struct measure {
    const rag_embedder *embedder;
    rag_buf nfkc;
    mark *marks;      /* ascending; the last is the end of the piece */
    size_t n, cap;
    uint32_t *ends;
    size_t ends_cap;
} measure;

void measure_init(measure *m, const rag_embedder *embedder);
void measure_free(measure *m);

/* Fills the marks of text[start, end), not empty.  Tables and code end sentences at line ends only. */
void measure_piece(measure *m, rag_str text, size_t start, size_t end, rag_block_kind kind);
size_t measure_tokens(const measure *m);

/* The mark to cut at so that the piece from `from` (a mark's index, SIZE_MAX for the start) has about `ideal` and at most
 * `limit` tokens: the best quality that lies in [ideal / 2, limit], nearest to ideal. Always behind `from`. */
size_t measure_cut(const measure *m, size_t from, size_t ideal, size_t limit);

#endif
