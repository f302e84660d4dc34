/* ctl/document.h: documents, from the daemon or from storage.dir itself, in the one shape of
 * GET /v1/documents.
 *
 * Threads: one. */
#ifndef RAG_CTL_DOCUMENT_H
#define RAG_CTL_DOCUMENT_H

#include "ctl/ctl.h"

/* Documents of a collection ("*": of all) with id > after, by id, as {"generation":…,"documents":[…]}.  An array without any ends the list. */
rag_code document_page(ctl *c, const char *collection, int64_t after, cJSON **out, rag_err *err);

/* The document named by its path in the collection or by its id; RAG_NOT_FOUND. */
rag_code document_find(ctl *c, const char *collection, rag_str name, cJSON **out, rag_err *err);

int64_t document_id(const cJSON *document);

/* Hands bytes [start, end) of the stored text to `take`, in pieces when they come from the daemon. SIZE_MAX as end
 * means to the last byte.  RAG_CANCELED when take returned false. */
rag_code document_text(ctl *c, int64_t id, size_t start, size_t end, bool (*take)(void *context, rag_str bytes),
                       void *context, rag_err *err);

#endif
