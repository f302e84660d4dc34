/* index/reader.h: what reader.c and search.c share. */
#ifndef RAG_INDEX_READER_H
#define RAG_INDEX_READER_H

#include "index/bm25.h"
#include "index/store.h"

struct rag_reader {
    rag_index *ix;
    db *db;
    bm25 *bm25;
    uint8_t *only; /* a search's positions with its quotes */
    size_t only_bytes;
    int64_t data_version, rows; /* indexed rows, counted when kb.db was at that version; 0 = not yet */
};

/* Opens a read transaction and checks that kb.db still holds the snapshot's generation: RAG_BUSY when it was
 * restored from a backup, or the generation was let go, since the snapshot was made. */
rag_code reader_begin(rag_reader *r, const rag_snapshot *s, rag_err *err);
void reader_end(rag_reader *r);

/* Headings as they are stored, one a line, to an array in the arena. */
const rag_str *reader_split_heading(rag_str heading, rag_arena *arena, size_t *n);

#endif
