/* ctl/eval_docs.h: the documents of a question set, read from its docs/ folder as they are asked for.
 *
 * Texts are kept until the end.  Names with "..", absolute names and what is no regular file are not there.
 *
 * Threads: one. */
#ifndef RAG_CTL_EVAL_DOCS_H
#define RAG_CTL_EVAL_DOCS_H

#include "base/str.h"

typedef struct eval_docs eval_docs;

/* dir NULL: nothing is there. */
eval_docs *eval_docs_open(const char *dir);
void eval_docs_close(eval_docs *d); /* copes with NULL */

/* The file's bytes. */
bool eval_docs_text(eval_docs *d, const char *name, rag_str *out);
/* Whether ragd stores such a file byte for byte: text and Markdown, by its name. */
bool eval_docs_is_plain(const char *name);

/* Where a sentence stands in the document.  Compared are letters and digits alone, so that line breaks, Markdown's
 * markup and the targets of its links do not matter.  The first place counts. */
bool eval_docs_locate(eval_docs *d, const char *name, rag_str sentence, rag_span *out);

#endif
