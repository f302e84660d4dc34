/* HTML through gumbo into a Markdown-like text, which parse_outline then cuts into blocks.
 *
 * The tree is walked by its parent links, so that its depth costs no stack.  Inline text gathers in `line` with
 * white space collapsed; a block element on either side flushes it. */
#include <gumbo.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/utf8.h"
#include "ingest/parse.h"

enum { MAX_LISTS = 16, MAX_INDENT = 3, MAX_OPEN = 100000 };

typedef struct html {
    rag_buf out, line;
    rag_str title;
    rag_arena *arena;
    int heading;             /* level of the heading we are in */
    int pre;                 /* depth of <pre> */
    int lists;               /* depth of lists */
    int ordinals[MAX_LISTS]; /* of the next item; 0 = bullets */
    bool marker;             /* the next flush begins a list item */
    const GumboNode *table;  /* the table whose rows are made into lines */
    bool has_cell;           /* the row has one already */
    int group, last_group;   /* lists and tables: lines of one group have no blank line between them */
    int n_groups;
} html;

/* ---- output ------------------------------------------------------------------------ */

static void put_separator(html *h, int group)
{
    if (h->out.len > 0)
        rag_buf_puts(&h->out, group != 0 && group == h->last_group ? "\n" : "\n\n");
    h->last_group = group;
}

static void put_indent(html *h, int depth)
{
    for (int i = 0; i < depth && i < MAX_INDENT; i++)
        rag_buf_puts(&h->out, "  ");
}

static void put_marker(html *h)
{
    int *ordinal = &h->ordinals[h->lists <= MAX_LISTS ? h->lists - 1 : MAX_LISTS - 1];
    put_indent(h, h->lists - 1);
    if (*ordinal > 0)
        rag_buf_putf(&h->out, "%d. ", (*ordinal)++);
    else
        rag_buf_puts(&h->out, "- ");
    h->marker = false;
}

static void put_heading(html *h, rag_str text)
{
    put_separator(h, 0);
    for (int i = 0; i < h->heading; i++)
        rag_buf_putc(&h->out, '#');
    rag_buf_putc(&h->out, ' ');
    rag_buf_put(&h->out, rag_str_ends(text, RAG_STR("¶")) ? rag_str_sub(text, 0, text.len - strlen("¶")) : text);
}

static void put_code(html *h, rag_str text)
{
    put_separator(h, h->lists > 0 ? h->group : 0);
    for (size_t start = 0, end; start < text.len; start = end) {
        end = parse_line_end(text, start);
        rag_str line = rag_str_sub(text, start, end);
        if (rag_str_trim(line).len > 0)
            rag_buf_puts(&h->out, "    ");
        rag_buf_put(&h->out, line);
    }
}

static void put_block(html *h, rag_str text)
{
    put_separator(h, h->lists > 0 || h->table ? h->group : 0);
    if (h->marker)
        put_marker(h);
    else
        put_indent(h, h->lists);
    rag_buf_put(&h->out, text);
}

static rag_str trim_code(rag_str s)
{
    while (s.len > 0 && (s.ptr[s.len - 1] == '\n' || s.ptr[s.len - 1] == ' '))
        s.len--;
    while (s.len > 0 && s.ptr[0] == '\n')
        s = rag_str_sub(s, 1, s.len);
    return s;
}

static void flush(html *h)
{
    rag_str raw = rag_buf_str(&h->line), text = rag_str_trim(raw);
    if (text.len > 0) {
        if (h->heading > 0)
            put_heading(h, text);
        else if (h->pre > 0 && !h->table)
            put_code(h, trim_code(raw));
        else
            put_block(h, text);
    }
    h->out.overflow |= h->line.overflow;
    rag_buf_clear(&h->line);
}

/* ---- inline text ------------------------------------------------------------------- */

static bool after_space(const html *h)
{
    char last = h->line.len ? h->line.ptr[h->line.len - 1] : '\n';
    return last == ' ' || last == '\n';
}

static void put_space(html *h)
{
    if (!after_space(h))
        rag_buf_putc(&h->line, ' ');
}

static void put_break(html *h)
{
    if (h->heading > 0 || h->table) {
        put_space(h);
        return;
    }
    if (h->line.len > 0 && h->line.ptr[h->line.len - 1] == ' ')
        rag_buf_truncate(&h->line, h->line.len - 1);
    rag_buf_putc(&h->line, '\n');
}

static bool is_space(uint32_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || c == 0xa0;
}

/* gumbo writes a reference far beyond Unicode ("&#x99999999;") as bytes that are no character: they come here as U+FFFD. */
static void put_char(rag_buf *b, uint32_t c)
{
    char bytes[4];
    rag_buf_put(b, (rag_str){ bytes, rag_utf8_encode(c, bytes) });
}

static void put_text(html *h, rag_str s)
{
    bool keep = h->pre > 0 && !h->table && h->heading == 0;
    for (size_t pos = 0; pos < s.len;) {
        uint32_t c = rag_utf8_next(s, &pos);
        if (keep && (c == '\n' || c == '\t' || c == ' '))
            rag_buf_putc(&h->line, (char)c);
        else if (is_space(c))
            put_space(h);
        else if (c >= 0x20 && c != 0x7f)
            put_char(&h->line, c);
    }
}

/* ---- elements ---------------------------------------------------------------------- */

static int heading_of(GumboTag tag)
{
    switch (tag) {
    case GUMBO_TAG_H1: return 1;
    case GUMBO_TAG_H2: return 2;
    case GUMBO_TAG_H3: return 3;
    case GUMBO_TAG_H4: return 4;
    case GUMBO_TAG_H5: return 5;
    case GUMBO_TAG_H6: return 6;
    default: return 0;
    }
}

static bool is_skipped(GumboTag tag)
{
    switch (tag) {
    case GUMBO_TAG_SCRIPT: case GUMBO_TAG_STYLE: case GUMBO_TAG_TEMPLATE: case GUMBO_TAG_NAV:
    case GUMBO_TAG_NOSCRIPT: case GUMBO_TAG_IFRAME: case GUMBO_TAG_OBJECT: case GUMBO_TAG_SVG:
    case GUMBO_TAG_CANVAS: case GUMBO_TAG_AUDIO: case GUMBO_TAG_VIDEO: case GUMBO_TAG_SELECT:
    case GUMBO_TAG_TEXTAREA: case GUMBO_TAG_BUTTON: case GUMBO_TAG_TITLE: return true;
    default: return false;
    }
}

static bool is_block(GumboTag tag)
{
    switch (tag) {
    case GUMBO_TAG_HTML: case GUMBO_TAG_BODY: case GUMBO_TAG_P: case GUMBO_TAG_DIV: case GUMBO_TAG_SECTION:
    case GUMBO_TAG_ARTICLE: case GUMBO_TAG_MAIN: case GUMBO_TAG_HEADER: case GUMBO_TAG_FOOTER:
    case GUMBO_TAG_ASIDE: case GUMBO_TAG_BLOCKQUOTE: case GUMBO_TAG_FIGURE: case GUMBO_TAG_FIGCAPTION:
    case GUMBO_TAG_ADDRESS: case GUMBO_TAG_DETAILS: case GUMBO_TAG_SUMMARY: case GUMBO_TAG_FIELDSET:
    case GUMBO_TAG_FORM: case GUMBO_TAG_LEGEND: case GUMBO_TAG_HR: case GUMBO_TAG_DL: case GUMBO_TAG_DT:
    case GUMBO_TAG_DD: case GUMBO_TAG_CENTER: case GUMBO_TAG_UL: case GUMBO_TAG_OL: case GUMBO_TAG_MENU:
    case GUMBO_TAG_LI: case GUMBO_TAG_PRE: case GUMBO_TAG_TABLE: case GUMBO_TAG_CAPTION: case GUMBO_TAG_THEAD:
    case GUMBO_TAG_TBODY: case GUMBO_TAG_TFOOT: case GUMBO_TAG_TR: case GUMBO_TAG_TD: case GUMBO_TAG_TH:
        return true;
    default: return heading_of(tag) > 0;
    }
}

static bool is_list(GumboTag tag)
{
    return tag == GUMBO_TAG_UL || tag == GUMBO_TAG_OL || tag == GUMBO_TAG_MENU;
}

static bool is_element(const GumboNode *node)
{
    return node->type == GUMBO_NODE_ELEMENT || node->type == GUMBO_NODE_TEMPLATE;
}

static const GumboNode *first_child(const GumboNode *node)
{
    if (!is_element(node) || node->v.element.children.length == 0)
        return NULL;
    return node->v.element.children.data[0];
}

static const GumboNode *next_sibling(const GumboNode *node)
{
    if (!node->parent || !is_element(node->parent))
        return NULL;
    const GumboVector *all = &node->parent->v.element.children;
    size_t next = node->index_within_parent + 1;
    return next < all->length ? all->data[next] : NULL;
}

/* The node behind `node` and all that is in it, inside root. */
static const GumboNode *next_outside(const GumboNode *node, const GumboNode *root)
{
    while (node != root) {
        const GumboNode *next = next_sibling(node);
        if (next)
            return next;
        node = node->parent;
    }
    return NULL;
}

/* Pages were laid out in tables once: one that holds a table, a heading or a list is no table of data. */
static bool is_layout(const GumboNode *table)
{
    const GumboNode *node = first_child(table);
    while (node) {
        if (is_element(node)) {
            GumboTag tag = node->v.element.tag;
            if (tag == GUMBO_TAG_TABLE || is_list(tag) || heading_of(tag) > 0)
                return true;
        }
        const GumboNode *child = first_child(node);
        node = child ? child : next_outside(node, table);
    }
    return false;
}

/* Where a block begins or ends; inside a cell that is just a space. */
static void boundary(html *h, GumboTag tag)
{
    bool flushes = tag == GUMBO_TAG_TR || tag == GUMBO_TAG_TABLE || tag == GUMBO_TAG_CAPTION;
    if (!h->table || flushes)
        flush(h);
    else
        put_space(h);
}

static void enter_table(html *h, const GumboNode *node)
{
    if (h->table || is_layout(node))
        return;
    h->table = node;
    h->group = ++h->n_groups;
    h->has_cell = false;
}

static void enter_list(html *h, GumboTag tag)
{
    if (h->lists == 0)
        h->group = ++h->n_groups;
    h->lists++;
    if (h->lists <= MAX_LISTS)
        h->ordinals[h->lists - 1] = tag == GUMBO_TAG_OL;
}

static void enter_cell(html *h)
{
    if (h->table && h->has_cell) {
        put_space(h);
        rag_buf_puts(&h->line, "| ");
    }
    h->has_cell = true;
}

static void take_title(html *h, const GumboNode *node)
{
    const GumboNode *child = first_child(node);
    if (h->title.len > 0 || !child || child->type != GUMBO_NODE_TEXT)
        return;
    rag_str text = rag_str_of(child->v.text.text);
    rag_buf valid;
    rag_buf_init(&valid, RAG_MAX_TEXT);
    for (size_t pos = 0; pos < text.len;)
        put_char(&valid, rag_utf8_next(text, &pos));
    h->title = parse_clean(h->arena, rag_buf_str(&valid));
    rag_buf_free(&valid);
}

/* False when what is inside is left out. */
static bool enter(html *h, const GumboNode *node)
{
    GumboTag tag = node->v.element.tag;
    if (tag == GUMBO_TAG_TITLE)
        take_title(h, node);
    if (is_skipped(tag) || gumbo_get_attribute(&node->v.element.attributes, "hidden"))
        return false;
    if (is_block(tag))
        boundary(h, tag);
    switch (tag) {
    case GUMBO_TAG_BR: put_break(h); break;
    case GUMBO_TAG_TABLE: enter_table(h, node); break;
    case GUMBO_TAG_TR: h->has_cell = false; break;
    case GUMBO_TAG_TD: case GUMBO_TAG_TH: enter_cell(h); break;
    case GUMBO_TAG_PRE: h->pre++; break;
    case GUMBO_TAG_LI: h->marker = h->lists > 0; break;
    default: break;
    }
    if (is_list(tag))
        enter_list(h, tag);
    if (heading_of(tag) > 0 && !h->table)
        h->heading = heading_of(tag);
    return true;
}

static void leave(html *h, const GumboNode *node)
{
    GumboTag tag = node->v.element.tag;
    if (is_block(tag))
        boundary(h, tag);
    if (tag == GUMBO_TAG_PRE)
        h->pre--;
    if (tag == GUMBO_TAG_LI)
        h->marker = false;
    if (is_list(tag))
        h->lists--;
    if (node == h->table)
        h->table = NULL;
    if (heading_of(tag) > 0)
        h->heading = 0;
}

static void visit_text(html *h, const GumboNode *node)
{
    switch (node->type) {
    case GUMBO_NODE_TEXT: case GUMBO_NODE_CDATA: case GUMBO_NODE_WHITESPACE:
        put_text(h, rag_str_of(node->v.text.text));
        break;
    default: break;
    }
}

static void walk(html *h, const GumboNode *root)
{
    const GumboNode *node = root;
    while (node) {
        const GumboNode *child = NULL;
        bool inside = is_element(node) && enter(h, node);
        if (inside)
            child = first_child(node);
        if (child) {
            node = child;
            continue;
        }
        if (inside)
            leave(h, node);
        else
            visit_text(h, node);
        while (node != root && !next_sibling(node)) {
            node = node->parent;
            leave(h, node);
        }
        node = node == root ? NULL : next_sibling(node);
    }
    flush(h);
}

/* ---- a bound for gumbo ------------------------------------------------------------- */

/* Elements without an end tag, or whose end tag may be left out. */
static bool is_closed_by_itself(rag_str name)
{
    static const char *const names[] = { "area", "base", "br", "col", "dd", "dt", "embed", "hr", "img", "input", "li",
                                         "link", "meta", "option", "p", "param", "source", "tbody", "td", "tfoot",
                                         "th", "thead", "tr", "track", "wbr" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (name.len == strlen(names[i]) && strncasecmp(name.ptr, names[i], name.len) == 0)
            return true;
    return false;
}

static bool is_letter(char c)
{
    return (unsigned char)((c | 0x20) - 'a') < 26;
}

static rag_str tag_name(rag_str s, size_t start)
{
    size_t end = start;
    while (end < s.len && (is_letter(s.ptr[end]) || (s.ptr[end] >= '0' && s.ptr[end] <= '9')))
        end++;
    return rag_str_sub(s, start, end);
}

/* gumbo's time grows with the square of the depth: 3 s for 50,000 open <div>, 12 s for as many lists.  A page with more is not
 * parsed; pages that people wrote stay below a hundred. */
static bool is_too_deep(rag_str s)
{
    size_t open = 0, end = 0; /* of the tag, or of a later one */
    for (size_t at = 0; (at = rag_str_find(s, RAG_STR("<"), at)) != SIZE_MAX && open <= MAX_OPEN; at++) {
        bool closes = at + 1 < s.len && s.ptr[at + 1] == '/';
        rag_str name = tag_name(s, at + 1 + closes);
        if (name.len == 0 || !is_letter(name.ptr[0]) || is_closed_by_itself(name))
            continue;
        if (end <= at)
            end = rag_str_find(s, RAG_STR(">"), at);
        if (closes)
            open -= open > 0;
        else if (end == SIZE_MAX || s.ptr[end - 1] != '/')
            open++;
    }
    return open > MAX_OPEN;
}

rag_code parse_html(parse *p, rag_str source, rag_str *title, rag_err *err)
{
    html h = { .arena = p->arena };
    if (is_too_deep(source))
        return rag_fail(err, RAG_TOO_LARGE, "more than %d elements are open inside each other", MAX_OPEN);
    GumboOptions options = kGumboDefaultOptions;
    options.max_errors = 0;
    rag_buf_init(&h.out, RAG_MAX_TEXT);
    rag_buf_init(&h.line, RAG_MAX_TEXT);
    if (rag_str_starts(source, RAG_STR("\xef\xbb\xbf")))
        source = rag_str_sub(source, 3, source.len);
    GumboOutput *tree = gumbo_parse_with_options(&options, source.ptr ? source.ptr : "", source.len);
    walk(&h, tree->root);
    gumbo_destroy_output(&options, tree);
    if (h.out.len > 0)
        rag_buf_putc(&h.out, '\n');
    p->doc->text = rag_arena_str(p->arena, rag_buf_str(&h.out));
    *title = h.title;
    bool overflow = h.out.overflow;
    rag_buf_free(&h.out);
    rag_buf_free(&h.line);
    return overflow ? rag_fail(err, RAG_TOO_LARGE, "the extracted text is over %d bytes", RAG_MAX_TEXT) : RAG_OK;
}
