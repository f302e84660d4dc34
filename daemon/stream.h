/* daemon/stream.h: server-sent events of one job.
 *
 * Nothing is sent before the first event, so that a request that fails early is answered with its status.
 * Above HTTP_STREAM_HIGH queued bytes events wait here; while nothing else is sent a comment line goes
 * out every 15 s.
 *
 * Threads: the loop's; stream_put_event is pure. */
#ifndef RAG_DAEMON_STREAM_H
#define RAG_DAEMON_STREAM_H

#include "daemon/http.h"

struct event_base;

typedef struct stream stream;

/* on_empty is called, later, when stream_close was and all bytes have been handed over. */
stream *stream_new(struct event_base *base, http_request *q, void (*on_empty)(void *context), void *context);
void stream_send(stream *s, rag_str bytes);
bool stream_has_begun(const stream *s);
/* No more events: on_empty follows, at once (true, without a call) or when the client has read enough. */
bool stream_close(stream *s);
bool stream_is_closed(const stream *s);
/* The client has left: what waits is dropped. */
void stream_abandon(stream *s);
void stream_free(stream *s); /* copes with NULL; leaves the request */

/* Appends one frame.  json is one line of valid JSON. */
void stream_put_event(rag_buf *out, const char *event, rag_str json);

#endif
