#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/http_impl.h"

enum {
    OUTPUT_HIGH = 64 * 1024,  /* the next pipelined request waits above it */
    LINGER_MS = 2000,         /* for the client to read the reply and close */
    READS_PER_TURN = 16,      /* then the other connections have their turn */
};

static void set_timer(struct event *timer, int ms)
{
    struct timeval tv = { ms / 1000, ms % 1000 * 1000 };
    event_add(timer, &tv);
}

void conn_wake(http_conn *c)
{
    event_active(c->io, EV_WRITE, 1);
}

void conn_destroy(http_conn *c)
{
    http_request *q = c->request;
    http_server *s = c->server;
    TAILQ_REMOVE(&s->conns, c, link);
    *(c->is_surplus ? &s->n_surplus : &s->n_connections) -= 1;
    event_free(c->io);
    event_free(c->deadline);
    event_free(c->stall);
    evbuffer_free(c->in);
    evbuffer_free(c->out);
    close(c->fd);
    free(c);
    if (!q)
        return;
    q->conn = NULL;
    if (!q->is_handed)
        request_free(q);
    else if (q->on_leave)
        q->on_leave(q->on_leave_context);
}

/* Output. */

static void flush(http_conn *c)
{
    while (!c->is_gone && evbuffer_get_length(c->out) > 0) {
        int n = evbuffer_write(c->out, c->fd);
        if (n > 0)
            event_del(c->stall);
        else if (n < 0 && errno == EAGAIN)
            break;
        else
            c->is_gone = true;
    }
    if (evbuffer_get_length(c->out) > 0 && !event_pending(c->stall, EV_TIMEOUT, NULL))
        set_timer(c->stall, c->server->options.stall_timeout_ms);
}

static void on_stall(int fd, short what, void *arg)
{
    (void)fd, (void)what;
    conn_destroy(arg);
}

/* Replies. */

static void await_head(http_conn *c)
{
    c->state = CONN_HEAD;
    c->is_started = false;
    c->scan = (http_scan){ 0 };
}

void conn_reply_done(http_conn *c)
{
    event_del(c->deadline);
    if (c->keep_alive && !c->server->is_draining)
        await_head(c);
    else
        c->state = CONN_CLOSING;
    conn_wake(c);
}

static void refuse(http_conn *c, const http_fault *f)
{
    if (!c->request)
        c->request = request_new(c);
    c->keep_alive = false;
    http_reply_error(c->request, f->status, f->code, f->message, f->param, f->status == 503 ? 1 : 0);
}

static void hand_over(http_conn *c)
{
    http_server *s = c->server;
    http_request *q = c->request;
    event_del(c->deadline);
    c->state = CONN_BUSY;
    c->is_first = false;
    q->is_handed = true;
    TAILQ_INSERT_TAIL(&s->requests, q, link);
    s->n_in_flight++;
    s->options.on_request(s->options.context, q);
}

/* Input. */

static bool wants_input(const http_conn *c)
{
    if (c->at_eof || c->is_gone || c->is_blocked)
        return false;
    if (c->state == CONN_LINGER)
        return true;
    return (c->state == CONN_HEAD || c->state == CONN_BODY) && evbuffer_get_length(c->in) < c->server->input_high;
}

static void receive_once(http_conn *c)
{
    int n = evbuffer_read(c->in, c->fd, -1);
    if (n == 0)
        c->at_eof = true;
    else if (n < 0 && (errno == EAGAIN || errno == EINTR))
        c->readable = errno == EINTR;
    else if (n < 0)
        c->is_gone = true;
}

static void receive(http_conn *c)
{
    for (int i = 0; i < READS_PER_TURN && c->readable && wants_input(c); i++)
        receive_once(c);
}

static rag_str peek(http_conn *c)
{
    size_t len = evbuffer_get_length(c->in);
    return (rag_str){ (const char *)evbuffer_pullup(c->in, -1), len };
}

/* Empty lines before a request are forgiven (RFC 9112, 2.2). */
static void skip_blank_lines(http_conn *c)
{
    while (c->scan.at == 0 && rag_str_starts(peek(c), RAG_STR("\r\n")))
        evbuffer_drain(c->in, 2);
}

static http_progress take_head(http_conn *c, http_fault *fault)
{
    size_t max = c->server->options.max_header_bytes;
    rag_str bytes = peek(c);
    http_progress p = http_head_find(rag_str_sub(bytes, 0, max), &c->scan, fault);
    if (p == HTTP_MORE && bytes.len >= max) {
        if (c->scan.line)
            http_refuse(fault, 431, "headers_too_large", "the request's headers are too large");
        else
            http_refuse(fault, 414, "target_too_long", "the request's target is too long");
        return HTTP_BAD;
    }
    if (p != HTTP_READY)
        return p;
    http_request *q = c->request = request_new(c);
    rag_str head = rag_arena_str(q->arena, rag_str_sub(bytes, 0, c->scan.at));
    bool ok = http_head_parse(head, q->arena, &q->head, fault);
    evbuffer_drain(c->in, c->scan.at);
    return ok ? HTTP_READY : HTTP_BAD;
}

static bool body_is_announced(const http_head *h)
{
    return h->chunked || h->content_length > 0;
}

static http_progress begin_body(http_conn *c, http_fault *fault)
{
    const http_head *h = &c->request->head;
    c->keep_alive = h->keep_alive;
    if (h->content_length > c->server->options.max_body_bytes)
        return http_refuse(fault, 413, "body_too_large", "the body is too large"), HTTP_BAD;
    if (!body_is_announced(h))
        return HTTP_READY;
    if (h->expects_continue && evbuffer_get_length(c->in) == 0)
        evbuffer_add_printf(c->out, "HTTP/1.1 100 Continue\r\n\r\n");
    c->state = CONN_BODY;
    c->chunks = (http_chunks){ 0 };
    set_timer(c->deadline, c->server->options.body_timeout_ms);
    return HTTP_READY;
}

static http_progress read_head(http_conn *c, http_fault *fault)
{
    skip_blank_lines(c);
    if (evbuffer_get_length(c->in) == 0)
        return HTTP_MORE;
    if (!c->is_started && !c->is_first)
        set_timer(c->deadline, c->server->options.header_timeout_ms);
    c->is_started = true;
    http_progress p = take_head(c, fault);
    if (p == HTTP_READY)
        p = begin_body(c, fault);
    if (p == HTTP_READY && c->state == CONN_HEAD)
        hand_over(c);
    return p;
}

static http_progress take_counted(http_conn *c)
{
    http_request *q = c->request;
    rag_str bytes = peek(c);
    size_t left = (size_t)q->head.content_length - q->body.len;
    size_t n = bytes.len < left ? bytes.len : left;
    rag_buf_put(&q->body, rag_str_sub(bytes, 0, n));
    evbuffer_drain(c->in, n);
    return n == left ? HTTP_READY : HTTP_MORE;
}

static http_progress read_body(http_conn *c, http_fault *fault)
{
    http_request *q = c->request;
    http_progress p;
    size_t used;
    if (evbuffer_get_length(c->in) == 0)
        return HTTP_MORE;
    if (q->head.chunked) {
        p = http_chunks_read(&c->chunks, peek(c), &used, &q->body, fault);
        evbuffer_drain(c->in, used);
    } else {
        p = take_counted(c);
    }
    if (p == HTTP_READY)
        hand_over(c);
    return p;
}

static void end_of_input(http_conn *c)
{
    http_fault fault;
    bool in_middle = c->state == CONN_BODY || c->is_started;
    if (in_middle) {
        http_refuse(&fault, 400, "incomplete_request", "the request is incomplete");
        refuse(c, &fault);
    } else {
        c->state = CONN_CLOSING;
    }
}

/* Reads requests off the input as long as they are answered at once. */
static void process(http_conn *c)
{
    http_progress p = HTTP_READY;
    http_fault fault;
    c->is_blocked = false;
    while (p == HTTP_READY && !c->is_gone && (c->state == CONN_HEAD || c->state == CONN_BODY)) {
        c->is_blocked = evbuffer_get_length(c->out) > OUTPUT_HIGH;
        if (c->is_blocked)
            return;
        p = c->state == CONN_HEAD ? read_head(c, &fault) : read_body(c, &fault);
    }
    if (p == HTTP_BAD)
        refuse(c, &fault);
    else if (p == HTTP_MORE && c->at_eof)
        end_of_input(c);
}

/* Closing. */

static void linger(http_conn *c)
{
    shutdown(c->fd, SHUT_WR);
    c->state = CONN_LINGER;
    set_timer(c->deadline, LINGER_MS);
}

static bool has_left(const http_conn *c)
{
    struct pollfd p = { .fd = c->fd, .events = POLLRDHUP };
    return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

void conn_close_idle(http_conn *c)
{
    if (c->state != CONN_HEAD || c->is_started || c->request)
        return;
    c->keep_alive = false;
    c->state = CONN_CLOSING;
    conn_wake(c);
}

static void on_deadline(int fd, short what, void *arg)
{
    http_conn *c = arg;
    http_fault fault;
    (void)fd, (void)what;
    if (c->state == CONN_BODY || (c->state == CONN_HEAD && c->is_started)) {
        http_refuse(&fault, 408, "request_timeout", "the request took too long to arrive");
        refuse(c, &fault);
    } else {
        conn_destroy(c);
    }
}

/* Everything is answered and taken; the first request's deadline runs since accept. */
static bool is_idle(const http_conn *c)
{
    return c->state == CONN_HEAD && !c->is_started && !c->is_first && evbuffer_get_length(c->out) == 0;
}

/* One round: read once, work, write, and say what to wait for. */
static void conn_turn(http_conn *c, bool edge)
{
    receive(c);
    if (c->state == CONN_LINGER) {
        evbuffer_drain(c->in, evbuffer_get_length(c->in));
        c->is_gone = c->is_gone || c->at_eof;
    }
    bool was_busy = c->state == CONN_BUSY;
    do {
        process(c);
        flush(c);
    } while (c->is_blocked && evbuffer_get_length(c->out) <= OUTPUT_HIGH && !c->is_gone);
    if (c->state == CONN_BUSY && (edge || !was_busy))
        c->is_gone = c->is_gone || has_left(c);
    if (c->state == CONN_CLOSING && evbuffer_get_length(c->out) == 0)
        linger(c);
    if (c->is_gone) {
        conn_destroy(c);
        return;
    }
    if (c->readable && wants_input(c))
        conn_wake(c);
    if (is_idle(c) && !event_pending(c->deadline, EV_TIMEOUT, NULL))
        set_timer(c->deadline, c->server->options.idle_timeout_ms);
}

static void on_io(int fd, short what, void *arg)
{
    http_conn *c = arg;
    bool edge = what & (EV_READ | EV_CLOSED);
    (void)fd;
    if (edge)
        c->readable = true;
    conn_turn(c, edge);
}

/* A surplus connection is told so and closed; when even those are many, it is just closed. */
enum { MAX_SURPLUS = 64 };

static bool admit(http_server *s, bool *is_surplus)
{
    *is_surplus = s->n_connections >= s->options.max_connections;
    if (*is_surplus && s->n_surplus >= MAX_SURPLUS)
        return false;
    *(*is_surplus ? &s->n_surplus : &s->n_connections) += 1;
    return true;
}

static int64_t peer_of(int fd, bool is_local)
{
    struct ucred peer;
    socklen_t n = sizeof peer;
    return is_local && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0 ? (int64_t)peer.uid : -1;
}

void conn_open(http_server *s, int fd, bool is_local)
{
    static const int on = 1;
    bool is_surplus;
    if (!admit(s, &is_surplus)) {
        close(fd);
        return;
    }
    if (!is_local) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    }
    http_conn *c = rag_calloc(1, sizeof *c);
    c->server = s;
    c->fd = fd;
    c->is_local = is_local;
    c->uid = peer_of(fd, is_local);
    c->is_surplus = is_surplus;
    c->is_first = true;
    c->in = evbuffer_new();
    c->out = evbuffer_new();
    c->io = event_new(s->base, fd, EV_READ | EV_WRITE | EV_CLOSED | EV_ET | EV_PERSIST, on_io, c);
    c->deadline = event_new(s->base, -1, 0, on_deadline, c);
    c->stall = event_new(s->base, -1, 0, on_stall, c);
    TAILQ_INSERT_TAIL(&s->conns, c, link);
    event_add(c->io, NULL);
    set_timer(c->deadline, s->options.header_timeout_ms);
    if (is_surplus) {
        http_fault fault;
        http_refuse(&fault, 503, "too_many_connections", "too many connections");
        refuse(c, &fault);
    }
}
