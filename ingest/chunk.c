/* Chunks: blocks are measured one after the other and placed into the chunk that is open, a section at a time.  A list is
 * one block where it fits; a sentence that introduces a block goes with it. */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "ingest/lead.h"
#include "ingest/measure.h"
#include "ingest/parse.h"

enum {
    MAX_PIECE = 32 * 1024, /* bytes measured at once: larger blocks come in pieces */
    MAX_DEPTH = 7,         /* levels of headings, front matter's included */
    MAX_FRAME_TOKENS = 96, /* of a line that is repeated for the embedder: a table's header, a list's introduction */
    PREFIX_TOKENS = 8,     /* what the embedder puts around a text */
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
    size_t lead, lead_tokens;           /* where the open chunk's end begins to introduce what follows; SIZE_MAX: it does not */
    size_t at, list;                    /* block that the chunk at work begins in; the first one of its list */
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

/* The block that holds pos, or the next one; pos never goes back. */
static const rag_block *block_at(chunker *c, size_t pos)
{
    for (; c->at < c->doc->n_blocks && c->doc->blocks[c->at].end <= pos; c->at++)
        if (c->doc->blocks[c->at].kind != RAG_BLOCK_ITEM)
            c->list = c->at + 1;
    return c->at < c->doc->n_blocks ? &c->doc->blocks[c->at] : NULL;
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

static bool is_delimiter_row(rag_str row)
{
    for (size_t i = 0; i < row.len; i++)
        if (!strchr("|:- \t\r", row.ptr[i]))
            return false;
    return row.len > 0;
}

static bool has_digit(rag_str s)
{
    for (size_t pos = 0; pos < s.len;)
        if (rag_unicode_class(rag_utf8_next(s, &pos)) == RAG_CHAR_DIGIT)
            return true;
    return false;
}

static rag_str first_line(rag_str s)
{
    size_t newline = rag_str_find(s, RAG_STR("\n"), 0);
    return newline == SIZE_MAX ? s : rag_str_sub(s, 0, newline);
}

/* The header row of the table that a chunk is a later part of; empty when it is not.  The tables of HTML have no delimiter
 * row: there the first row counts when it holds no figures. */
static rag_str header_row(chunker *c, size_t start)
{
    const rag_block *b = block_at(c, start);
    if (!b || b->kind != RAG_BLOCK_TABLE || start <= b->start)
        return (rag_str){ 0 };
    rag_str table = rag_str_sub(c->doc->text, b->start, b->end), row = first_line(table);
    rag_str second = first_line(rag_str_sub(table, row.len + 1, table.len));
    bool is_header = start > b->start + row.len && (is_delimiter_row(second) || !has_digit(row));
    return is_header ? row : (rag_str){ 0 };
}

/* The sentence in front of a chunk that introduces the list, table or code that it begins with or in. */
static rag_str introduction(chunker *c, size_t start)
{
    const rag_block *b = block_at(c, start), *before;
    bool is_introduced = b && b->kind != RAG_BLOCK_PARAGRAPH && b->kind != RAG_BLOCK_HEADING && start >= b->start;
    size_t first = is_introduced && b->kind == RAG_BLOCK_ITEM ? c->list : c->at;
    if (!is_introduced || first == 0)
        return (rag_str){ 0 };
    before = &c->doc->blocks[first - 1];
    size_t lead = lead_of(c->doc->text, before->start, before->end, before->kind);
    return lead == SIZE_MAX ? (rag_str){ 0 } : rag_str_sub(c->doc->text, lead, before->end);
}

static void put_line(chunker *c, rag_buf *b, rag_str line)
{
    if (line.len == 0 || rag_embed_count(c->measure.embedder, line) > MAX_FRAME_TOKENS)
        return;
    rag_buf_put(b, line);
    rag_buf_putc(b, '\n');
}

static rag_str embed_text(chunker *c, size_t start, size_t end)
{
    rag_str body = rag_str_sub(c->doc->text, start, end);
    rag_buf b;
    rag_buf_init(&b, body.len + 32 * PARSE_MAX_HEADING);
    put_context(c, &b);
    size_t context = b.len, window = (size_t)rag_embed_max_tokens(c->measure.embedder);
    put_line(c, &b, introduction(c, start));
    put_line(c, &b, header_row(c, start));
    bool is_framed = b.len > context;
    rag_buf_put(&b, body);
    if (is_framed && (b.overflow || rag_embed_count(c->measure.embedder, rag_buf_str(&b)) + PREFIX_TOKENS > window)) {
        rag_buf_truncate(&b, context);
        b.overflow = false;
        rag_buf_put(&b, body);
    }
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
    k->embed_text = embed_text(c, start, end);
}

/* A place to cut text[start, end), which is too long by the exact count. */
static size_t middle(chunker *c, size_t start, size_t end)
{
    const rag_block *b = block_at(c, start);
    measure_piece(&c->second, c->doc->text, start, end, b ? b->kind : RAG_BLOCK_PARAGRAPH);
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
    c->lead = SIZE_MAX;
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

/* Notes in the open chunk whether its end, the block text[start, end), introduces what follows. */
static void note_lead(chunker *c, size_t start, size_t end, rag_block_kind kind)
{
    size_t before = c->lead, lead = lead_of(c->doc->text, start, end, kind);
    c->lead = SIZE_MAX;
    if (lead == SIZE_MAX)
        return;
    for (int i = 0; i < 2; i++, lead = before) /* with one in front of it, when both are short */
        if (lead != SIZE_MAX && lead >= c->start) {
            size_t tokens = rag_embed_count(c->measure.embedder, rag_str_sub(c->doc->text, lead, end));
            if (tokens < 2 * c->small) {
                c->lead = lead;
                c->lead_tokens = tokens;
            }
        }
}

/* Near the limit the exact count decides whether a block is whole. */
static size_t measure_block(chunker *c, size_t start, size_t end, rag_block_kind kind)
{
    measure_piece(&c->measure, c->doc->text, start, end, kind);
    size_t tokens = measure_tokens(&c->measure);
    bool is_near = tokens > c->limit && tokens <= c->max + c->max / 40;
    bool fits = is_near && rag_embed_count(c->measure.embedder, rag_str_sub(c->doc->text, start, end)) <= c->max;
    return fits ? c->limit : tokens;
}

/* Where the block begins together with the end of the open chunk, when that introduces it or would be too little by
 * itself; the rest of that chunk is done.  A block that is whole alone is not torn for it. */
static size_t take_lead(chunker *c, size_t start, size_t end, rag_block_kind kind, size_t tokens)
{
    bool is_small = c->tokens < c->small;
    size_t from = is_small ? c->start : c->lead, more = is_small ? c->tokens : c->lead_tokens;
    bool may_tear = tokens > c->limit || (is_small && kind == RAG_BLOCK_PARAGRAPH);
    if (!c->is_open || from == SIZE_MAX || end - from > 2 * MAX_PIECE || (more + tokens > c->limit && !may_tear))
        return start;
    if (from > c->start)
        emit(c, c->start, from);
    c->is_open = false;
    return from;
}

static void place(chunker *c, size_t start, size_t end, rag_block_kind kind, bool is_last)
{
    size_t tokens = measure_block(c, start, end, kind), from = start;
    rag_str block = rag_str_sub(c->doc->text, start, end);
    if (c->is_open && c->tokens + tokens <= room_for(c, block, tokens, is_last)) {
        c->end = end;
        c->tokens += tokens;
    } else {
        from = take_lead(c, start, end, kind, tokens);
        if (from < start)
            tokens = measure_block(c, from, end, kind);
        if (tokens <= c->limit)
            open_chunk(c, from, end, tokens);
        else
            place_parts(c, from);
    }
    note_lead(c, start, end, kind);
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

/* Where the list that begins at block i ends. */
static size_t list_end(const rag_parsed *doc, size_t i)
{
    while (i < doc->n_blocks && doc->blocks[i].kind == RAG_BLOCK_ITEM)
        i++;
    return i;
}

/* A list is placed as one block where it fits into a chunk, else item by item.  Returns the block behind. */
static size_t place_list(chunker *c, size_t i)
{
    const rag_block *b = c->doc->blocks;
    size_t end = list_end(c->doc, i);
    bool fits = b[end - 1].end - b[i].start <= MAX_PIECE &&
                measure_block(c, b[i].start, b[end - 1].end, RAG_BLOCK_ITEM) <= c->limit;
    if (fits)
        place(c, b[i].start, b[end - 1].end, RAG_BLOCK_ITEM, end == c->doc->n_blocks || b[end].kind == RAG_BLOCK_HEADING);
    for (; !fits && i < end; i++)
        place_block(c, i);
    return end;
}

static size_t place_blocks(chunker *c, size_t i)
{
    if (c->doc->blocks[i].kind == RAG_BLOCK_ITEM)
        return place_list(c, i);
    place_block(c, i);
    return i + 1;
}

rag_code rag_chunk_document(const rag_parsed *doc, const rag_embedder *embedder, const rag_chunker_options *opt,
                            rag_arena *arena, rag_chunk **out, size_t *n, rag_err *err)
{
    chunker c = { .doc = doc, .arena = arena, .line = 1, .lead = SIZE_MAX };
    c.target = opt && opt->target_tokens ? opt->target_tokens : RAG_CHUNK_TARGET;
    c.max = opt && opt->max_tokens ? opt->max_tokens : RAG_CHUNK_MAX;
    if (c.target > c.max)
        return rag_fail(err, RAG_CONFIG, "chunks of %zu tokens are over the maximum of %zu", c.target, c.max);
    c.limit = c.max - c.max / 40;
    c.target = c.target < c.limit ? c.target : c.limit;
    c.small = c.target / 5;
    measure_init(&c.measure, embedder);
    measure_init(&c.second, embedder);
    for (size_t i = 0; i < doc->n_blocks;) {
        const rag_block *b = &doc->blocks[i];
        if (b->kind == RAG_BLOCK_HEADING) {
            flush(&c);
            enter_section(&c, b);
        }
        if (b->kind != RAG_BLOCK_HEADING || is_lonely(doc, i))
            i = place_blocks(&c, i);
        else
            i++;
    }
    flush(&c);
    measure_free(&c.measure);
    measure_free(&c.second);
    *out = c.chunks;
    *n = c.n;
    return RAG_OK;
}
