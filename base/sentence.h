/* base/sentence.h: sentence boundaries in English and Chinese prose, Markdown lists
 * and tables.
 *
 * A sentence ends after . ! ? … 。！？； and closing quotes or brackets behind them;
 * Chinese ends need no space behind.  No end after an abbreviation (Dr., e.g., U.S., initials,
 * No. 5), inside a decimal, a version or an address, nor inside the list label "1.".  A blank line,
 * a form feed, a list item, a heading line and a table row are boundaries too; a single line
 * break inside a paragraph is not.  A heading, a table row and a code fence are one span each.
 *
 * Property: the spans ascend, do not overlap, lie on character boundaries, and every byte
 * outside them is white space, or a Markdown list, heading, quote or rule marker.
 *
 * Threads: pure. */
#ifndef RAG_BASE_SENTENCE_H
#define RAG_BASE_SENTENCE_H

#include "base/str.h"

/* Finds the next sentence of text at or after *pos, sets *out to it without
 * surrounding white space and *pos behind it; false at the end. */
bool rag_sentence_next(rag_str text, size_t *pos, rag_span *out);

#endif
