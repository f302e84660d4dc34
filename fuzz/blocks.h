/* fuzz/blocks.h: what ingest.h promises of a parsed document. */
#ifndef RAG_FUZZ_BLOCKS_H
#define RAG_FUZZ_BLOCKS_H

#include "fuzz/fuzz.h"
#include "ingest/ingest.h"

/* White space, and comments when the format has them. */
static inline void check_unclaimed(rag_str gap, bool has_comments)
{
    while (has_comments && !is_white(gap)) {
        size_t open = rag_str_find(gap, RAG_STR("<!--"), 0), close = rag_str_find(gap, RAG_STR("-->"), 0);
        MUST(open != SIZE_MAX && close != SIZE_MAX && is_white(rag_str_sub(gap, 0, open)));
        gap = rag_str_sub(gap, close + 3, gap.len);
    }
    MUST(is_white(gap));
}

static inline void check_blocks(const rag_parsed *doc, bool has_comments)
{
    size_t done = 0;
    MUST(rag_utf8_valid(doc->text, NULL) && rag_utf8_valid(doc->title, NULL));
    for (size_t i = 0; i < doc->n_blocks; i++) {
        const rag_block *b = &doc->blocks[i];
        MUST(b->start >= done && b->end > b->start && is_range(doc->text, b->start, b->end));
        MUST(b->level >= 0 && b->level <= 6 && rag_utf8_valid(b->heading_text, NULL));
        check_unclaimed(rag_str_sub(doc->text, done, b->start), has_comments);
        done = b->end;
    }
    check_unclaimed(rag_str_sub(doc->text, done, doc->text.len), has_comments);
}

/* The stored text alone gives the same blocks. */
static inline void check_stored(rag_format format, rag_str path, const rag_parsed *doc, rag_arena *arena)
{
    rag_parsed again;
    rag_parse_stored(format, path, doc->text, doc->title, arena, &again);
    MUST(again.n_blocks == doc->n_blocks && rag_str_eq(again.title, doc->title));
    for (size_t i = 0; i < doc->n_blocks; i++) {
        const rag_block *a = &doc->blocks[i], *b = &again.blocks[i];
        MUST(a->kind == b->kind && a->level == b->level && a->start == b->start && a->end == b->end);
    }
}

/* Parses a file of any bytes and checks all of it. */
static inline void check_file(rag_format format, rag_str path, rag_str bytes)
{
    rag_parsed doc;
    rag_err err = { 0 };
    rag_arena *arena = rag_arena_new();
    rag_code code = rag_parse(format, path, bytes, arena, &doc, &err);
    MUST(code == RAG_OK || code == RAG_INVALID || code == RAG_UNSUPPORTED);
    if (code == RAG_OK) {
        check_blocks(&doc, format == RAG_FORMAT_MARKDOWN);
        check_stored(format, path, &doc, arena);
    }
    rag_arena_free(arena);
}

#endif
