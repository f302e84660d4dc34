/* ingest/parse.h: what the parsers share.  Private to the room. */
#ifndef RAG_INGEST_PARSE_H
#define RAG_INGEST_PARSE_H

#include "ingest/ingest.h"

/* A longer heading is taken for a paragraph; a longer title is cut. */
enum { PARSE_MAX_HEADING = 512 };

/* A document on its way: `doc->text` is set, blocks are appended in order. */
typedef struct parse {
    rag_arena *arena;
    rag_parsed *doc;
    size_t cap;
} parse;

/* Adds the block trimmed of white space; nothing when nothing is left.  `start` may not lie before the end of the block
 * added last.  A heading's text is cleaned: trimmed, white space collapsed, copied. */
void parse_add(parse *p, rag_block_kind kind, int level, size_t start, size_t end, rag_str heading_text);

/* text[start, end) without white space (Unicode's, and U+FEFF) at both ends. */
rag_span parse_trim(rag_str text, size_t start, size_t end);
/* Collapses runs of white space to one space and trims; in the arena. */
rag_str parse_clean(rag_arena *arena, rag_str s);

/* Offset behind the line that `pos` lies in. */
size_t parse_line_end(rag_str text, size_t pos);

/* Plain text: paragraphs between blank lines, list items; "# title" on the first line is a heading. */
void parse_text(parse *p);
/* The stored text of HTML: headings, items, tables and code too. */
void parse_outline(parse *p);
void parse_markdown(parse *p);
/* Extracts `html` into p->doc->text, and its <title>, if any, into *title. */
rag_code parse_html(parse *p, rag_str html, rag_str *title, rag_err *err);

#endif
