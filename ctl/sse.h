/* ctl/sse.h: server-sent events (WHATWG HTML, section 9.2) from bytes in any pieces.
 *
 * Threads: one at a time. */
#ifndef RAG_CTL_SSE_H
#define RAG_CTL_SSE_H

#include "base/str.h"

/* name is "message" when the event has none; both live until the call returns.  False stops. */
typedef bool sse_event(void *context, rag_str name, rag_str data);

typedef struct sse {
    rag_buf line, name, data;
    bool has_data, after_cr;
    sse_event *on_event;
    void *context;
} sse;

void sse_init(sse *s, sse_event *on_event, void *context);
void sse_free(sse *s);
/* False when on_event said so, or when an event is larger than RAG_MAX_REPLY. */
bool sse_feed(sse *s, rag_str bytes);

#endif
