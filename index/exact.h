/* index/exact.h: which strings of a query must be found as they are written.
 *
 *   part numbers and names   words joined by one mark (E-4012, gen-itgc, a_b, 3.5), words of letters and digits (6E, IPv6)
 *   runs of them             and of capitalised words, one space between: Wi-Fi 6E; not E-4012 E-4013, which is a list
 *   Latin in Han text        重跑gen-itgc后 holds gen-itgc, 重启nginx后 holds nginx
 *   the whole query          when it is one Han character, or a few words without the structure of a sentence
 *
 * Quoted parts are exact by themselves and left out here.  A string is a run of terms: how it is looked for is a phrase of
 * exact forms.
 *
 * Threads: pure. */
#ifndef RAG_INDEX_EXACT_H
#define RAG_INDEX_EXACT_H

#include "index/index.h"

enum { EXACT_MAX = 16 };

typedef struct exact_span {
    size_t from, to; /* terms [from, to) */
    bool is_told;    /* when it stands nowhere; not for parts of a string that is, nor for what may be plain words */
} exact_span;

typedef struct exact_query {
    rag_str text;
    const rag_term *terms;
    size_t n;
    const rag_span *quotes; /* bytes between quotes */
    size_t n_quotes;
} exact_query;

/* Distinct spans, at most EXACT_MAX; returns how many. */
size_t exact_find(const exact_query *q, exact_span out[EXACT_MAX]);

#endif
