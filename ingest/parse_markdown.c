/* Markdown through cmark-gfm, which knows the lines of every node.
 *
 * Blocks are whole lines.  Its end lines are wrong here and there (lists, fences at the end of the file) and reference
 * definitions have no node, so that a block ends at the latest where the next begins, and what no
 * node claims becomes a paragraph. */
#include <cmark-gfm-core-extensions.h>
#include <cmark-gfm.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "ingest/parse.h"

typedef struct markdown {
    parse *p;
    size_t *lines;     /* offsets of the lines' starts, and of the end */
    size_t n_lines;
    size_t done;       /* everything before is in blocks */
} markdown;

/* ---- lines ------------------------------------------------------------------------- */

/* cmark ends lines at \n, \r and \r\n. */
static size_t next_line(rag_str text, size_t pos)
{
    while (pos < text.len && text.ptr[pos] != '\n' && text.ptr[pos] != '\r')
        pos++;
    if (pos + 1 < text.len && text.ptr[pos] == '\r' && text.ptr[pos + 1] == '\n')
        pos++;
    return pos < text.len ? pos + 1 : pos;
}

static void find_lines(markdown *m, size_t from)
{
    rag_str text = m->p->doc->text;
    size_t n = 0;
    for (size_t pos = from; pos < text.len; pos = next_line(text, pos))
        n++;
    m->lines = rag_arena_array(m->p->arena, n + 1, sizeof *m->lines);
    for (size_t pos = from; pos < text.len; pos = next_line(text, pos))
        m->lines[m->n_lines++] = pos;
    m->lines[m->n_lines] = text.len;
}

static size_t line_start(const markdown *m, int line)
{
    size_t i = line > 0 ? (size_t)line - 1 : 0;
    return m->lines[i < m->n_lines ? i : m->n_lines];
}

/* ---- front matter ------------------------------------------------------------------ */

static rag_str yaml_value(rag_str line, size_t key_length)
{
    rag_str value = rag_str_trim(rag_str_sub(line, key_length, line.len));
    if (value.len >= 2 && (value.ptr[0] == '"' || value.ptr[0] == '\'') && value.ptr[value.len - 1] == value.ptr[0])
        value = rag_str_sub(value, 1, value.len - 1);
    return value;
}

/* A block between --- lines at the very top: a heading of level 0 that holds its title.  Returns the offset behind it. */
static size_t front_matter(parse *p)
{
    rag_str text = p->doc->text, title = { 0 };
    size_t start = rag_str_starts(text, RAG_STR("\xef\xbb\xbf")) ? 3 : 0;
    size_t pos = next_line(text, start);
    if (!rag_str_eq(rag_str_trim(rag_str_sub(text, start, pos)), RAG_STR("---")))
        return 0;
    while (pos < text.len) {
        size_t end = next_line(text, pos);
        rag_str line = rag_str_sub(text, pos, end), bare = rag_str_trim(line);
        if (rag_str_eq(bare, RAG_STR("---")) || rag_str_eq(bare, RAG_STR("..."))) {
            parse_add(p, RAG_BLOCK_HEADING, 0, start, end, title);
            return end;
        }
        if (title.len == 0 && rag_str_starts(line, RAG_STR("title:")))
            title = yaml_value(line, strlen("title:"));
        pos = end;
    }
    return 0;
}

/* ---- headings ---------------------------------------------------------------------- */

static void put_inline(rag_buf *b, cmark_node *node)
{
    switch (cmark_node_get_type(node)) {
    case CMARK_NODE_SOFTBREAK:
    case CMARK_NODE_LINEBREAK: rag_buf_putc(b, ' '); break;
    case CMARK_NODE_HTML_INLINE: break;
    default: {
        const char *literal = cmark_node_get_literal(node);
        if (literal)
            rag_buf_puts(b, literal);
    }
    }
}

/* "Shipping {#shipping}" names an anchor. */
static rag_str without_anchor(rag_str s)
{
    s = rag_str_trim(s);
    size_t open = rag_str_find(s, RAG_STR("{#"), 0);
    return open != SIZE_MAX && open > 0 && s.ptr[s.len - 1] == '}' ? rag_str_sub(s, 0, open) : s;
}

static void add_heading(markdown *m, cmark_node *node, size_t start, size_t end)
{
    rag_buf b;
    rag_buf_init(&b, PARSE_MAX_HEADING * 2);
    cmark_iter *it = cmark_iter_new(node);
    for (cmark_event_type event; (event = cmark_iter_next(it)) != CMARK_EVENT_DONE;)
        if (event == CMARK_EVENT_ENTER)
            put_inline(&b, cmark_iter_get_node(it));
    cmark_iter_free(it);
    bool whole = !b.overflow;
    rag_str text = without_anchor(rag_buf_str(&b));
    parse_add(m->p, whole ? RAG_BLOCK_HEADING : RAG_BLOCK_PARAGRAPH, cmark_node_get_heading_level(node), start, end,
              text);
    rag_buf_free(&b);
}

/* ---- blocks ------------------------------------------------------------------------ */

static rag_block_kind kind_of(cmark_node *node)
{
    switch (cmark_node_get_type(node)) {
    case CMARK_NODE_ITEM: return RAG_BLOCK_ITEM;
    case CMARK_NODE_CODE_BLOCK: return RAG_BLOCK_CODE;
    case CMARK_NODE_BLOCK_QUOTE: return RAG_BLOCK_QUOTE;
    default: return strcmp(cmark_node_get_type_string(node), "table") == 0 ? RAG_BLOCK_TABLE : RAG_BLOCK_PARAGRAPH;
    }
}

static cmark_node *first_leaf(cmark_node *node)
{
    bool is_list = node && cmark_node_get_type(node) == CMARK_NODE_LIST;
    return is_list && cmark_node_first_child(node) ? cmark_node_first_child(node) : node;
}

/* Top-level nodes and the items of top-level lists, in order. */
static cmark_node *next_leaf(cmark_node *node)
{
    if (cmark_node_get_type(node) == CMARK_NODE_ITEM) {
        if (cmark_node_next(node))
            return cmark_node_next(node);
        node = cmark_node_parent(node);
    }
    return first_leaf(cmark_node_next(node));
}

/* Remarks to the writer, or to a linter: no reader sees them. */
static bool is_comment(const markdown *m, cmark_node *node, size_t start, size_t end)
{
    rag_str s = rag_str_trim(rag_str_sub(m->p->doc->text, start, end));
    return cmark_node_get_type(node) == CMARK_NODE_HTML_BLOCK && rag_str_starts(s, RAG_STR("<!--")) &&
           rag_str_find(s, RAG_STR("-->"), 0) == s.len - 3;
}

static void add_node(markdown *m, cmark_node *node, size_t limit)
{
    size_t start = line_start(m, cmark_node_get_start_line(node));
    size_t end = line_start(m, cmark_node_get_end_line(node) + 1);
    if (start < m->done)
        start = m->done;
    bool is_short = cmark_node_get_type(node) == CMARK_NODE_HTML_BLOCK; /* cmark leaves its last line out */
    if (end > limit || is_short)
        end = limit;
    if (end <= start)
        return;
    parse_add(m->p, RAG_BLOCK_PARAGRAPH, 0, m->done, start, (rag_str){ 0 });
    if (cmark_node_get_type(node) == CMARK_NODE_HEADING)
        add_heading(m, node, start, end);
    else if (!is_comment(m, node, start, end))
        parse_add(m->p, kind_of(node), 0, start, end, (rag_str){ 0 });
    m->done = end;
}

static void add_nodes(markdown *m, cmark_node *document)
{
    size_t all = m->p->doc->text.len;
    cmark_node *node = first_leaf(cmark_node_first_child(document));
    while (node) {
        cmark_node *next = next_leaf(node);
        size_t limit = next ? line_start(m, cmark_node_get_start_line(next)) : all;
        add_node(m, node, limit);
        node = next;
    }
    parse_add(m->p, RAG_BLOCK_PARAGRAPH, 0, m->done, all, (rag_str){ 0 });
}

static cmark_node *parse_document(rag_str text)
{
    static pthread_once_t registered = PTHREAD_ONCE_INIT;
    pthread_once(&registered, cmark_gfm_core_extensions_ensure_registered);
    cmark_parser *parser = cmark_parser_new(CMARK_OPT_DEFAULT);
    cmark_parser_attach_syntax_extension(parser, cmark_find_syntax_extension("table"));
    if (text.len > 0)
        cmark_parser_feed(parser, text.ptr, text.len);
    cmark_node *document = cmark_parser_finish(parser);
    cmark_parser_free(parser);
    return document;
}

void parse_markdown(parse *p)
{
    rag_str text = p->doc->text;
    markdown m = { .p = p };
    m.done = front_matter(p);
    find_lines(&m, m.done);
    cmark_node *document = parse_document(rag_str_sub(text, m.done, text.len));
    add_nodes(&m, document);
    cmark_node_free(document);
}
