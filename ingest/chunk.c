/* Chunks: blocks are measured one after the other and placed into the chunk that is open, a section at a time. */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "ingest/measure.h"
#include "ingest/parse.h"

enum {
    MAX_PIECE = 32 * 1024, /* bytes measured at once: larger blocks come in pieces */
    MAX_DEPTH = 7,         /* levels of headings, front matter's included */
};

typedef struct chunker {
    const rag_parsed *doc;
    rag_arena *arena;
    measure measure, second; /* `second` halves a chunk while the marks of the piece at work are still needed */
    size_t target, max, limit;          /* limit: max less what the sums may be wrong by */
    size_t small;                       /* what is less does not stand well by itself */
    int levels[MAX_DEPTH];              /* of the headings we are under */
    rag_str path[MAX_DEPTH];
    size_t depth;
    const rag_str *heading;             /* the path's copy for this section's chunks */
    size_t start, end, tokens;          /* the open chunk */
    bool is_open;
    size_t line, line_pos;              /* line that line_pos lies in */
    rag_chunk *chunks;
    size_t n, cap;
} chunker;

/* ---- headings ---------------------------------------------------------------------- */

static void enter_section(chunker *c, const rag_block *b)
{
    while (c->depth > 0 && c->levels[c->depth - 1] >= b->level)
        c->depth--;
    if (b->heading_text.len > 0 && c->depth < MAX_DEPTH) {
        c->levels[c->depth] = b->level;
        c->path[c->depth++] = b->heading_text;
    }
    rag_str *copy = rag_arena_array(c->arena, c->depth + 1, sizeof *copy);
    memcpy(copy, c->path, c->depth * sizeof *copy);
    c->heading = copy;
}

/* Nothing stands under it: neither text nor a deeper heading that carries it along. */
static bool is_lonely(const rag_parsed *doc, size_t i)
{
    if (i + 1 == doc->n_blocks)
        return true;
    const rag_block *next = &doc->blocks[i + 1];
    return next->kind == RAG_BLOCK_HEADING && next->level <= doc->blocks[i].level;
}

/* ---- a chunk is done --------------------------------------------------------------- */

static void put_context(chunker *c, rag_buf *b)
{
    rag_str title = c->doc->has_title ? c->doc->title : (rag_str){ 0 };
    bool first = true;
    rag_buf_put(b, title);
    for (size_t i = 0; i < c->depth; i++) {
        if (rag_str_eq(c->heading[i], title))
            continue;
        rag_buf_puts(b, !first ? " > " : b->len > 0 ? "\n" : "");
        rag_buf_put(b, c->heading[i]);
        first = false;
    }
    if (b->len > 0)
        rag_buf_putc(b, '\n');
}

static rag_str embed_text(chunker *c, rag_str body)
{
    rag_buf b;
    rag_buf_init(&b, body.len + 16 * PARSE_MAX_HEADING);
    put_context(c, &b);
    rag_buf_put(&b, body);
    rag_str out = rag_arena_str(c->arena, rag_buf_str(&b));
    rag_buf_free(&b);
    return out;
}

static size_t line_of(chunker *c, size_t pos)
{
    while (c->line_pos < pos)
        c->line += c->doc->text.ptr[c->line_pos++] == '\n';
    return c->line;
}

static void add_chunk(chunker *c, size_t start, size_t end, size_t tokens)
{
    if (c->n == c->cap) {
        size_t cap = c->cap ? c->cap * 2 : 16;
        rag_chunk *chunks = rag_arena_array(c->arena, cap, sizeof *chunks);
        if (c->n)
            memcpy(chunks, c->chunks, c->n * sizeof *chunks);
        c->chunks = chunks;
        c->cap = cap;
    }
    rag_chunk *k = &c->chunks[c->n++];
    *k = (rag_chunk){ .start = start, .end = end, .heading = c->heading, .n_heading = c->depth, .tokens = tokens };
    k->line_start = line_of(c, start);
    k->line_end = line_of(c, end - 1);
    k->embed_text = embed_text(c, rag_str_sub(c->doc->text, start, end));
}

/* A place to cut text[start, end), which is too long by the exact count. */
static size_t middle(chunker *c, size_t start, size_t end)
{
    measure_piece(&c->second, c->doc->text, start, end, RAG_BLOCK_PARAGRAPH);
    size_t half = measure_tokens(&c->second) / 2;
    size_t cut = c->second.marks[measure_cut(&c->second, SIZE_MAX, half, half + half / 2)].pos;
    if (cut > start && cut < end)
        return cut;
    cut = rag_utf8_floor(c->doc->text, start + (end - start) / 2);
    if (cut == start)
        rag_utf8_next(c->doc->text, &cut);
    return cut;
}

/* The sums that placed the blocks are close, not exact: the exact count has the last word. */
static void emit(chunker *c, size_t start, size_t end)
{
    rag_span span = parse_trim(c->doc->text, start, end);
    while (span.start < span.end) {
        size_t stop = span.end, tokens;
        while ((tokens = rag_embed_count(c->measure.embedder, rag_str_sub(c->doc->text, span.start, stop))) > c->max) {
            size_t cut = middle(c, span.start, stop);
            if (cut >= stop)
                break;
            stop = parse_trim(c->doc->text, span.start, cut).end;
        }
        add_chunk(c, span.start, stop, tokens);
        span = parse_trim(c->doc->text, stop, span.end);
    }
}

static void flush(chunker *c)
{
    if (c->is_open)
        emit(c, c->start, c->end);
    c->is_open = false;
}

static void open_chunk(chunker *c, size_t start, size_t end, size_t tokens)
{
    flush(c);
    c->start = start;
    c->end = end;
    c->tokens = tokens;
    c->is_open = true;
}

/* ---- placing ----------------------------------------------------------------------- */

/* Cuts the measured piece into even parts; the last one stays open. */
static void place_parts(chunker *c, size_t start)
{
    size_t total = measure_tokens(&c->measure), from = SIZE_MAX, done = 0;
    rag_span part = { start, start };
    while (total - done > c->limit) {
        size_t left = total - done, parts = (left + c->target - 1) / c->target;
        from = measure_cut(&c->measure, from, left / parts, c->limit);
        if (from + 1 == c->measure.n)
            break;
        part.end = c->measure.marks[from].pos;
        open_chunk(c, part.start, part.end, c->measure.marks[from].tokens - done);
        done = c->measure.marks[from].tokens;
        part.start = part.end;
    }
    open_chunk(c, part.start, c->measure.marks[c->measure.n - 1].pos, total - done);
}

static bool has_words(rag_str s)
{
    for (size_t pos = 0; pos < s.len;)
        if (rag_unicode_class(rag_utf8_next(s, &pos)) != RAG_CHAR_OTHER)
            return true;
    return false;
}

/* How far the open chunk may grow for a block: beyond the target for a section's last line and for a rule. */
static size_t room_for(const chunker *c, rag_str block, size_t tokens, bool is_last)
{
    bool stretches = (is_last && tokens < c->small) || !has_words(block);
    return stretches ? c->limit : c->target;
}

static void place(chunker *c, size_t start, size_t end, rag_block_kind kind, bool is_last)
{
    /* A sentence that introduces a list or a table is measured, and if need be cut, together with it. */
    if (c->is_open && c->tokens < c->small && end - c->start <= 2 * MAX_PIECE) {
        start = c->start;
        c->is_open = false;
    }
    measure_piece(&c->measure, c->doc->text, start, end, kind);
    size_t tokens = measure_tokens(&c->measure);
    rag_str block = rag_str_sub(c->doc->text, start, end);
    if (c->is_open && c->tokens + tokens <= room_for(c, block, tokens, is_last)) {
        c->end = end;
        c->tokens += tokens;
    } else if (tokens <= c->limit) {
        open_chunk(c, start, end, tokens);
    } else {
        place_parts(c, start);
    }
}

/* The end of a piece of at most MAX_PIECE bytes: behind a line or, failing that, a space. */
static size_t piece_end(rag_str text, size_t start, size_t end)
{
    if (end - start <= MAX_PIECE)
        return end;
    size_t last = rag_utf8_floor(text, start + MAX_PIECE);
    static const char wanted[] = { '\n', ' ' };
    for (size_t i = 0; i < sizeof wanted; i++)
        for (size_t pos = last; pos > start + MAX_PIECE / 2; pos--)
            if (text.ptr[pos - 1] == wanted[i])
                return pos;
    return last;
}

static void place_block(chunker *c, size_t i)
{
    const rag_block *b = &c->doc->blocks[i];
    bool is_last = i + 1 == c->doc->n_blocks || b[1].kind == RAG_BLOCK_HEADING;
    for (size_t start = b->start, end; start < b->end; start = end) {
        end = piece_end(c->doc->text, start, b->end);
        place(c, start, end, b->kind, is_last);
    }
}

rag_code rag_chunk_document(const rag_parsed *doc, const rag_embedder *embedder, const rag_chunker_options *opt,
                            rag_arena *arena, rag_chunk **out, size_t *n, rag_err *err)
{
    chunker c = { .doc = doc, .arena = arena, .line = 1 };
    c.target = opt && opt->target_tokens ? opt->target_tokens : RAG_CHUNK_TARGET;
    c.max = opt && opt->max_tokens ? opt->max_tokens : RAG_CHUNK_MAX;
    if (c.target > c.max)
        return rag_fail(err, RAG_CONFIG, "chunks of %zu tokens are over the maximum of %zu", c.target, c.max);
    c.limit = c.max - c.max / 40;
    c.target = c.target < c.limit ? c.target : c.limit;
    c.small = c.target / 5;
    measure_init(&c.measure, embedder);
    measure_init(&c.second, embedder);
    for (size_t i = 0; i < doc->n_blocks; i++) {
        const rag_block *b = &doc->blocks[i];
        if (b->kind == RAG_BLOCK_HEADING) {
            flush(&c);
            enter_section(&c, b);
        }
        if (b->kind != RAG_BLOCK_HEADING || is_lonely(doc, i))
            place_block(&c, i);
    }
    flush(&c);
    measure_free(&c.measure);
    measure_free(&c.second);
    *out = c.chunks;
    *n = c.n;
    return RAG_OK;
}
