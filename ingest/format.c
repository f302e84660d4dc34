#include <string.h>
#include <strings.h>

#include "base/utf8.h"
#include "ingest/parse.h"

static const struct {
    const char *ending;
    rag_format format;
} endings[] = {
    { ".txt", RAG_FORMAT_TEXT },          { ".text", RAG_FORMAT_TEXT },
    { ".md", RAG_FORMAT_MARKDOWN },       { ".markdown", RAG_FORMAT_MARKDOWN },
    { ".mdown", RAG_FORMAT_MARKDOWN },    { ".html", RAG_FORMAT_HTML },
    { ".htm", RAG_FORMAT_HTML },          { ".xhtml", RAG_FORMAT_HTML },
};

rag_format rag_format_of(rag_str path)
{
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t n = strlen(endings[i].ending);
        if (path.len > n && strncasecmp(path.ptr + path.len - n, endings[i].ending, n) == 0)
            return endings[i].format;
    }
    return RAG_FORMAT_NONE;
}

/* ---- blocks ------------------------------------------------------------------------ */

rag_span parse_trim(rag_str text, size_t start, size_t end)
{
    rag_str s = rag_str_sub(text, 0, end);
    for (size_t next = start; start < end; start = next)
        if (!rag_unicode_is_space(rag_utf8_next(s, &next)))
            break;
    for (size_t before = end; end > start; end = before)
        if (!rag_unicode_is_space(rag_utf8_prev(s, &before)))
            break;
    return (rag_span){ start, end };
}

rag_str parse_clean(rag_arena *arena, rag_str s)
{
    rag_span all = parse_trim(s, 0, s.len);
    char *out = rag_arena_alloc(arena, all.end - all.start + 1);
    size_t n = 0;
    for (size_t pos = all.start; pos < all.end;) {
        size_t at = pos;
        if (!rag_unicode_is_space(rag_utf8_next(s, &pos))) {
            memcpy(out + n, s.ptr + at, pos - at);
            n += pos - at;
        } else if (n > 0 && out[n - 1] != ' ') {
            out[n++] = ' ';
        }
    }
    return (rag_str){ out, n };
}

static void grow(parse *p)
{
    size_t cap = p->cap ? p->cap * 2 : 16;
    rag_block *blocks = rag_arena_array(p->arena, cap, sizeof *blocks);
    if (p->doc->n_blocks)
        memcpy(blocks, p->doc->blocks, p->doc->n_blocks * sizeof *blocks);
    p->doc->blocks = blocks;
    p->cap = cap;
}

void parse_add(parse *p, rag_block_kind kind, int level, size_t start, size_t end, rag_str heading_text)
{
    rag_span span = parse_trim(p->doc->text, start, end);
    if (span.start == span.end)
        return;
    if (kind == RAG_BLOCK_HEADING && heading_text.len > PARSE_MAX_HEADING)
        kind = RAG_BLOCK_PARAGRAPH;
    if (p->doc->n_blocks == p->cap)
        grow(p);
    rag_block *b = &p->doc->blocks[p->doc->n_blocks++];
    *b = (rag_block){ .kind = kind, .start = span.start, .end = span.end };
    if (kind == RAG_BLOCK_HEADING) {
        b->level = level;
        b->heading_text = parse_clean(p->arena, heading_text);
    }
}

size_t parse_line_end(rag_str text, size_t pos)
{
    const char *newline = pos < text.len ? memchr(text.ptr + pos, '\n', text.len - pos) : NULL;
    return newline ? (size_t)(newline - text.ptr) + 1 : text.len;
}

/* ---- documents --------------------------------------------------------------------- */

static rag_str base_name(rag_str path)
{
    size_t start = path.len;
    while (start > 0 && path.ptr[start - 1] != '/')
        start--;
    return rag_str_sub(path, start, path.len);
}

/* The title that the document gives itself: front matter's, then the first level-1 heading. */
static rag_str own_title(const rag_parsed *doc)
{
    for (size_t i = 0; i < doc->n_blocks; i++) {
        const rag_block *b = &doc->blocks[i];
        if (b->kind == RAG_BLOCK_HEADING && b->level <= 1 && b->heading_text.len > 0)
            return b->heading_text;
    }
    return (rag_str){ 0 };
}

static void finish(parse *p, rag_str path, rag_str fallback)
{
    rag_parsed *doc = p->doc;
    doc->title = own_title(doc);
    if (doc->title.len == 0 && !rag_str_eq(fallback, base_name(path))) {
        rag_str clean = parse_clean(p->arena, fallback);
        doc->title = rag_str_trim(rag_str_sub(clean, 0, rag_utf8_floor(clean, PARSE_MAX_HEADING)));
    }
    doc->has_title = doc->title.len > 0;
    if (!doc->has_title)
        doc->title = rag_arena_str(p->arena, base_name(path));
    doc->lang = rag_unicode_lang(doc->text);
}

static rag_code check_bytes(rag_str bytes, rag_err *err)
{
    size_t bad = 0;
    const char *nul = bytes.len ? memchr(bytes.ptr, 0, bytes.len) : NULL;
    if (nul)
        return rag_fail(err, RAG_UNSUPPORTED, "not text: a NUL byte at offset %zu", (size_t)(nul - bytes.ptr));
    if (!rag_utf8_valid(bytes, &bad))
        return rag_fail(err, RAG_INVALID, "not valid UTF-8 at byte offset %zu", bad);
    return RAG_OK;
}

rag_code rag_parse(rag_format format, rag_str path, rag_str bytes, rag_arena *arena, rag_parsed *out, rag_err *err)
{
    *out = (rag_parsed){ .text = bytes };
    parse p = { .arena = arena, .doc = out };
    rag_str title = { 0 };
    rag_code code = check_bytes(bytes, err);
    if (code != RAG_OK)
        return code;
    switch (format) {
    case RAG_FORMAT_TEXT: parse_text(&p); break;
    case RAG_FORMAT_MARKDOWN: parse_markdown(&p); break;
    case RAG_FORMAT_HTML: code = parse_html(&p, bytes, &title, err); break;
    case RAG_FORMAT_NONE: return rag_fail(err, RAG_UNSUPPORTED, "unsupported type");
    }
    if (code == RAG_OK && format == RAG_FORMAT_HTML)
        parse_outline(&p);
    if (code == RAG_OK)
        finish(&p, path, title);
    return code;
}

void rag_parse_stored(rag_format format, rag_str path, rag_str text, rag_str title, rag_arena *arena, rag_parsed *out)
{
    *out = (rag_parsed){ .text = text };
    parse p = { .arena = arena, .doc = out };
    if (format == RAG_FORMAT_MARKDOWN)
        parse_markdown(&p);
    else if (format == RAG_FORMAT_HTML)
        parse_outline(&p);
    else
        parse_text(&p);
    finish(&p, path, format == RAG_FORMAT_HTML ? title : (rag_str){ 0 });
}
