/* daemon/stream.c */
#include <stdlib.h>

#include "base/file.h"
#include "daemon/stream.h"
#include "daemon/timer.h"

enum { COMMENT_MS = 15000, RETRY_MS = 20, MAX_WAITING = 8 * 1024 * 1024 };

struct stream {
    http_request *q;
    struct event *tick;
    void (*on_empty)(void *context);
    void *context;
    rag_buf waiting;
    bool has_begun, is_closed, is_abandoned;
};

static void arm(stream *s)
{
    timer_arm(s->tick, s->waiting.len > 0 || s->is_closed ? RETRY_MS : COMMENT_MS);
}

static void begin(stream *s)
{
    if (!s->has_begun)
        http_stream_begin(s->q, 200, "text/event-stream");
    s->has_begun = true;
}

static void flush(stream *s)
{
    if (s->is_abandoned) {
        rag_buf_clear(&s->waiting);
    } else if (s->waiting.len > 0 && http_stream_backlog(s->q) <= HTTP_STREAM_HIGH) {
        http_stream_send(s->q, rag_buf_str(&s->waiting));
        rag_buf_clear(&s->waiting);
    }
}

static void on_tick(evutil_socket_t fd, short what, void *context)
{
    stream *s = context;
    (void)fd;
    (void)what;
    if (s->waiting.len == 0 && !s->is_closed) {
        begin(s);
        http_stream_send(s->q, RAG_STR(":\n\n"));
    }
    flush(s);
    if (s->is_closed && s->waiting.len == 0)
        s->on_empty(s->context);
    else
        arm(s);
}

stream *stream_new(struct event_base *base, http_request *q, void (*on_empty)(void *context), void *context)
{
    stream *s = rag_calloc(1, sizeof *s);
    *s = (stream){ .q = q, .on_empty = on_empty, .context = context };
    s->tick = evtimer_new(base, on_tick, s);
    rag_buf_init(&s->waiting, MAX_WAITING);
    arm(s);
    return s;
}

void stream_send(stream *s, rag_str bytes)
{
    begin(s);
    rag_buf_put(&s->waiting, bytes);
    flush(s);
    arm(s);
}

bool stream_has_begun(const stream *s)
{
    return s->has_begun;
}

bool stream_close(stream *s)
{
    s->is_closed = true;
    flush(s);
    if (s->waiting.len == 0)
        return true;
    arm(s);
    return false;
}

bool stream_is_closed(const stream *s)
{
    return s->is_closed;
}

void stream_abandon(stream *s)
{
    s->is_abandoned = true;
    if (s->is_closed)
        timer_arm(s->tick, 0);
}

void stream_free(stream *s)
{
    if (!s)
        return;
    event_free(s->tick);
    rag_buf_free(&s->waiting);
    free(s);
}

void stream_put_event(rag_buf *out, const char *event, rag_str json)
{
    rag_buf_putf(out, "event: %s\ndata: ", event);
    rag_buf_put(out, json);
    rag_buf_puts(out, "\n\n");
}
