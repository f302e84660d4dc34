#include "daemon/http_impl.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/digest.h"

enum { MIN_INPUT_HIGH = 64 * 1024 };

static void set_default(int *value, int fallback)
{
    if (*value == 0)
        *value = fallback;
}

static void set_defaults(http_options *o)
{
    if (o->max_header_bytes == 0)
        o->max_header_bytes = 16 * 1024;
    if (o->max_body_bytes == 0)
        o->max_body_bytes = 1024 * 1024;
    set_default(&o->unix_mode, 0660);
    set_default(&o->max_connections, 256);
    set_default(&o->header_timeout_ms, 10 * 1000);
    set_default(&o->body_timeout_ms, 30 * 1000);
    set_default(&o->idle_timeout_ms, 60 * 1000);
    set_default(&o->stall_timeout_ms, 10 * 1000);
}

static rag_code check_loop(struct event_base *base, rag_err *err)
{
    int needed = EV_FEATURE_ET | EV_FEATURE_EARLY_CLOSE;
    if ((event_base_get_features(base) & needed) == needed)
        return RAG_OK;
    return rag_fail(err, RAG_UNSUPPORTED, "cannot serve HTTP with libevent's method '%s': it must be epoll",
                    event_base_get_method(base));
}

rag_code http_server_open(http_server **out, struct event_base *base, const http_options *opt, rag_err *err)
{
    http_server *s = rag_calloc(1, sizeof *s);
    signal(SIGPIPE, SIG_IGN);
    s->base = base;
    s->options = *opt;
    set_defaults(&s->options);
    s->input_high = s->options.max_header_bytes + MIN_INPUT_HIGH;
    TAILQ_INIT(&s->conns);
    TAILQ_INIT(&s->requests);
    rag_code rc = check_loop(base, err);
    if (rc == RAG_OK)
        rc = listen_tcp(s, err);
    if (rc == RAG_OK)
        rc = listen_unix(s, err);
    if (rc != RAG_OK) {
        http_server_close(s);
        s = NULL;
    }
    *out = s;
    return rc;
}

int http_server_port(const http_server *s)
{
    return s->port;
}

int http_server_connections(const http_server *s)
{
    return s->n_connections;
}

int http_server_in_flight(const http_server *s)
{
    return s->n_in_flight;
}

void http_server_drain(http_server *s)
{
    s->is_draining = true;
    listen_close(s);
    for (http_conn *c = TAILQ_FIRST(&s->conns), *next; c; c = next) {
        next = TAILQ_NEXT(c, link);
        conn_close_idle(c);
    }
}

void http_server_close(http_server *s)
{
    if (!s)
        return;
    listen_close(s);
    while (!TAILQ_EMPTY(&s->conns))
        conn_destroy(TAILQ_FIRST(&s->conns));
    http_request *q;
    TAILQ_FOREACH(q, &s->requests, link)
        q->server = NULL;
    free(s);
}

http_request *request_new(http_conn *c)
{
    http_request *q = rag_calloc(1, sizeof *q);
    uint64_t random;
    rag_random(&random, sizeof random);
    snprintf(q->id, sizeof q->id, "r-%016llx", (unsigned long long)random);
    q->server = c->server;
    q->conn = c;
    q->is_local = c->is_local;
    q->uid = c->uid;
    q->arena = rag_arena_new();
    q->head = (http_head){ .method = HTTP_OTHER, .minor = 1 };
    rag_buf_init(&q->body, c->server->options.max_body_bytes);
    return q;
}

void request_free(http_request *q)
{
    if (q->server && q->is_handed) {
        TAILQ_REMOVE(&q->server->requests, q, link);
        q->server->n_in_flight--;
    }
    if (q->conn)
        q->conn->request = NULL;
    rag_buf_free(&q->body);
    rag_arena_free(q->arena);
    free(q);
}

http_method http_request_method(const http_request *q)
{
    return q->head.method;
}

const char *http_request_id(const http_request *q)
{
    return q->id;
}

rag_str http_request_path(const http_request *q)
{
    return q->head.path;
}

bool http_request_is_local(const http_request *q)
{
    return q->is_local;
}

int64_t http_request_uid(const http_request *q)
{
    return q->uid;
}

bool http_request_param(const http_request *q, const char *name, rag_str *out)
{
    for (size_t i = 0; i < q->head.n_params; i++)
        if (rag_str_eq(q->head.params[i].name, rag_str_of(name))) {
            *out = q->head.params[i].value;
            return true;
        }
    return false;
}

const char *http_request_param_name(const http_request *q, size_t i)
{
    return i < q->head.n_params ? q->head.params[i].name.ptr : NULL;
}

rag_str http_request_header(const http_request *q, const char *name)
{
    const http_field *f = http_head_field(&q->head, name);
    return f ? f->value : (rag_str){ 0 };
}

rag_str http_request_body(const http_request *q)
{
    return rag_buf_str(&q->body);
}

void http_request_on_leave(http_request *q, void (*on_leave)(void *context), void *context)
{
    q->on_leave = on_leave;
    q->on_leave_context = context;
    if (!q->conn && on_leave)
        on_leave(context);
}
