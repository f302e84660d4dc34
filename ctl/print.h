/* ctl/print.h: the daemon's replies as text for people.  The shapes of `ask` and `search` are fixed: scripts
 * and quickstart read them.
 *
 * Text of documents and models never reaches the terminal raw: control characters, direction overrides and
 * invalid bytes are written as \xHH or \u{HHHH}; line breaks as the caller says. */
#ifndef RAG_CTL_PRINT_H
#define RAG_CTL_PRINT_H

#include <stdio.h>

#include <cjson/cJSON.h>

#include "base/str.h"

/* Between the lines of a text of several; no line of it can pass for one of ours. */
#define PRINT_INDENT "\n   "

/* line_break replaces every line break, tabs become a space. */
void print_text(FILE *out, rag_str text, const char *line_break);

void print_question(FILE *out, const char *question); /* "Q: …" */
void print_answer(FILE *out, const cJSON *response);  /* "A: …" */
void print_citations(FILE *out, const cJSON *response); /* `[1] returns.md:12 "…"` lines */
/* The results; in front of them, in the language of the query, which of its strings are nowhere and which of its words were
 * corrected.  When the reply explains itself, that and the table of candidates follow instead (print_explain.c). */
void print_search(FILE *out, const cJSON *response, const char *query);
void print_search_notes(FILE *out, const cJSON *response, const char *query);
void print_search_explanation(FILE *out, const cJSON *response);
void print_document(FILE *out, const cJSON *document);      /* one line */
void print_document_full(FILE *out, const cJSON *document); /* "key  value" lines */
void print_generation(FILE *out, const cJSON *generation);
void print_status(FILE *out, const cJSON *status);

/* The reply's own bytes without the white space between them, and `end`. */
void print_json(FILE *out, rag_str json, const char *end);

#endif
