/* ingest/lead.h: what introduces the block behind it.  Private to the room. */
#ifndef RAG_INGEST_LEAD_H
#define RAG_INGEST_LEAD_H

#include "ingest/ingest.h"

/* Where text[start, end), the end of a block, begins to introduce what follows: the last sentence of a paragraph or item that
 * ends with a colon, or all of a paragraph that is a heading in all but its mark.  SIZE_MAX: it does not. */
size_t lead_of(rag_str text, size_t start, size_t end, rag_block_kind kind);

#endif
