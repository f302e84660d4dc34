/* Plain text, and the stored text of HTML, line by line. */
#include <string.h>

#include "base/utf8.h"
#include "ingest/parse.h"

enum { CODE_INDENT = 4, MAX_LABEL_DIGITS = 3 };

typedef struct open_block {
    rag_block_kind kind;
    size_t start, end;
    bool is_open;
} open_block;

static void close_block(parse *p, open_block *b)
{
    if (b->is_open)
        parse_add(p, b->kind, 0, b->start, b->end, (rag_str){ 0 });
    b->is_open = false;
}

static bool is_blank(rag_str line)
{
    for (size_t pos = 0; pos < line.len;)
        if (!rag_unicode_is_space(rag_utf8_next(line, &pos)))
            return false;
    return true;
}

static size_t indent_of(rag_str line)
{
    size_t n = 0;
    while (n < line.len && line.ptr[n] == ' ')
        n++;
    return n;
}

/* "- x", "* x", "+ x", "• x", "12. x", "3) x" */
static bool is_item(rag_str line)
{
    rag_str s = rag_str_sub(line, indent_of(line), line.len);
    size_t n = 0;
    if (rag_str_starts(s, RAG_STR("•")))
        return true;
    while (n < s.len && n < MAX_LABEL_DIGITS && s.ptr[n] >= '0' && s.ptr[n] <= '9')
        n++;
    if (n > 0 ? !(n < s.len && (s.ptr[n] == '.' || s.ptr[n] == ')'))
              : !(s.len > 0 && (s.ptr[0] == '-' || s.ptr[0] == '*' || s.ptr[0] == '+')))
        return false;
    return n + 1 < s.len && s.ptr[n + 1] == ' ';
}

/* Level of "### x", 0 for any other line. */
static int heading_level(rag_str line)
{
    size_t n = 0;
    while (n < line.len && n < 7 && line.ptr[n] == '#')
        n++;
    return n >= 1 && n <= 6 && n + 1 < line.len && line.ptr[n] == ' ' ? (int)n : 0;
}

static void add_heading(parse *p, size_t start, size_t end, int level)
{
    parse_add(p, RAG_BLOCK_HEADING, level, start, end, rag_str_sub(p->doc->text, start + (size_t)level, end));
}

static void extend(parse *p, open_block *b, rag_block_kind kind, bool begins, size_t start, size_t end)
{
    if (begins)
        close_block(p, b);
    if (!b->is_open)
        *b = (open_block){ .kind = kind, .start = start, .is_open = true };
    b->end = end;
}

void parse_text(parse *p)
{
    rag_str text = p->doc->text;
    open_block b = { 0 };
    size_t start = rag_str_starts(text, RAG_STR("\xef\xbb\xbf")) ? 3 : 0;
    size_t first_end = parse_line_end(text, start);
    if (heading_level(rag_str_sub(text, start, first_end)) == 1) {
        add_heading(p, start, first_end, 1);
        start = first_end;
    }
    for (size_t end; start < text.len; start = end) {
        end = parse_line_end(text, start);
        rag_str line = rag_str_sub(text, start, end);
        bool item = is_item(line);
        if (is_blank(line))
            close_block(p, &b);
        else
            extend(p, &b, item ? RAG_BLOCK_ITEM : RAG_BLOCK_PARAGRAPH, item, start, end);
    }
    close_block(p, &b);
}

/* What a line that is not blank begins, when it follows a blank line or an item. */
static rag_block_kind kind_of(rag_str line)
{
    if (is_item(line))
        return RAG_BLOCK_ITEM;
    if (indent_of(line) >= CODE_INDENT)
        return RAG_BLOCK_CODE;
    if (rag_str_find(line, RAG_STR(" | "), 0) != SIZE_MAX)
        return RAG_BLOCK_TABLE;
    return RAG_BLOCK_PARAGRAPH;
}

void parse_outline(parse *p)
{
    rag_str text = p->doc->text;
    open_block b = { 0 };
    for (size_t start = 0, end; start < text.len; start = end) {
        end = parse_line_end(text, start);
        rag_str line = rag_str_sub(text, start, end);
        int level = b.is_open ? 0 : heading_level(line);
        if (is_blank(line)) {
            close_block(p, &b);
        } else if (level > 0) {
            add_heading(p, start, end, level);
        } else {
            rag_block_kind kind = kind_of(line);
            bool begins = b.is_open && b.kind != RAG_BLOCK_CODE && kind == RAG_BLOCK_ITEM;
            extend(p, &b, kind, begins, start, end);
        }
    }
    close_block(p, &b);
}
