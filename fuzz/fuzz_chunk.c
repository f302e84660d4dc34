/* Chunks: they ascend, and hold every byte that is not white space, a heading's or in no block; none is above the
 * maximum.  The first byte chooses the format and the sizes. */
#include "fuzz/fuzz.h"
#include "ingest/ingest.h"

static rag_embedder *embedder;

/* Bytes between chunks: each one is white space, a heading's, or no block's. *block moves along. */
static void check_gap(const rag_parsed *doc, size_t start, size_t end, size_t *block)
{
    for (size_t pos = start, at; pos < end;) {
        at = pos;
        bool is_space = rag_unicode_is_space(rag_utf8_next(doc->text, &pos));
        while (*block < doc->n_blocks && doc->blocks[*block].end <= at)
            ++*block;
        const rag_block *b = *block < doc->n_blocks ? &doc->blocks[*block] : NULL;
        MUST(is_space || !b || at < b->start || b->kind == RAG_BLOCK_HEADING);
    }
}

static void check_chunk(const rag_parsed *doc, const rag_chunk *k, size_t max)
{
    rag_str own = rag_str_sub(doc->text, k->start, k->end);
    MUST(k->start < k->end && is_range(doc->text, k->start, k->end));
    MUST(k->tokens == rag_embed_count(embedder, own));
    MUST(k->tokens <= max || rag_utf8_count(own) == 1);
    MUST(k->line_start >= 1 && k->line_start <= k->line_end);
    MUST(rag_str_ends(k->embed_text, own) && rag_utf8_valid(k->embed_text, NULL));
}

static void check_chunks(const rag_parsed *doc, const rag_chunker_options *opt, rag_arena *arena)
{
    rag_chunk *chunks;
    size_t n, done = 0, block = 0;
    rag_err err = { 0 };
    MUST(rag_chunk_document(doc, embedder, opt, arena, &chunks, &n, &err) == RAG_OK);
    for (size_t i = 0; i < n; i++) {
        MUST(chunks[i].start >= done);
        check_gap(doc, done, chunks[i].start, &block);
        check_chunk(doc, &chunks[i], opt->max_tokens);
        done = chunks[i].end;
    }
    check_gap(doc, done, doc->text.len, &block);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const rag_format formats[] = { RAG_FORMAT_TEXT, RAG_FORMAT_MARKDOWN, RAG_FORMAT_HTML };
    rag_parsed doc;
    rag_err err = { 0 };
    rag_embed_options model = { 0 };
    if (!embedder)
        MUST(rag_embed_open(&embedder, &model, &err) == RAG_OK);
    rag_str bytes = input_of(data, size);
    uint8_t variant = take_byte(&bytes);
    rag_chunker_options opt = { .max_tokens = 1 + variant / 3 % 40 };
    opt.target_tokens = 1 + opt.max_tokens * 3 / 4;
    if (opt.target_tokens > opt.max_tokens)
        opt.target_tokens = opt.max_tokens;
    rag_arena *arena = rag_arena_new();
    if (rag_parse(formats[variant % 3], RAG_STR("a"), bytes, arena, &doc, &err) == RAG_OK)
        check_chunks(&doc, &opt, arena);
    rag_arena_free(arena);
    return 0;
}
