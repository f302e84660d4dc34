#include "tests/http_fixture.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* The daemon. */

static void describe(http_request *q, rag_buf *out)
{
    static const char *const names[] = { "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "OTHER" };
    rag_str path = http_request_path(q), body = http_request_body(q), value;
    const char *name;
    rag_buf_putf(out, "%s %.*s|%.*s|", names[http_request_method(q)], RAG_STR_ARG(path), RAG_STR_ARG(body));
    for (size_t i = 0; (name = http_request_param_name(q, i)); i++)
        if (http_request_param(q, name, &value))
            rag_buf_putf(out, "%s=%.*s;", name, RAG_STR_ARG(value));
    if (http_request_header(q, "x-show-host").len)
        rag_buf_putf(out, "host=%.*s", RAG_STR_ARG(http_request_header(q, "HOST")));
    if (http_request_header(q, "x-show-door").len)
        rag_buf_puts(out, http_request_is_local(q) ? "local" : "tcp");
}

static void echo(http_request *q)
{
    rag_buf text;
    rag_buf_init(&text, RAG_MAX_REPLY);
    describe(q, &text);
    http_reply(q, 200, "text/plain", rag_buf_str(&text), NULL);
    rag_buf_free(&text);
}

static void on_later(int fd, short what, void *arg)
{
    (void)fd, (void)what;
    echo(arg);
}

static void on_held_left(void *arg)
{
    holder *h = arg;
    http_request *q = h->f->held[h->slot];
    h->f->held[h->slot] = NULL;
    http_reply(q, 200, "text/plain", RAG_STR("too late"), NULL);
    atomic_fetch_add(&h->f->leaves, 1);
}

static void hold(fixture *f, http_request *q)
{
    int i = 0;
    while (f->held[i])
        i++;
    f->held[i] = q;
    f->holders[i] = (holder){ f, i };
    http_request_on_leave(q, on_held_left, &f->holders[i]);
}

static void on_stream_left(void *arg)
{
    fixture *f = arg;
    event_del(f->producer);
    http_stream_end(f->stream);
    f->stream = NULL;
    atomic_fetch_add(&f->leaves, 1);
}

static void on_produce(int fd, short what, void *arg)
{
    static char block[16 * 1024];
    fixture *f = arg;
    (void)fd, (void)what;
    memset(block, 'x', sizeof block);
    size_t backlog = http_stream_backlog(f->stream);
    if (backlog > atomic_load(&f->most_backlog))
        atomic_store(&f->most_backlog, backlog);
    if (backlog <= HTTP_STREAM_HIGH && http_stream_send(f->stream, (rag_str){ block, sizeof block }))
        atomic_fetch_add(&f->streamed, sizeof block);
}

static void stream(fixture *f, http_request *q)
{
    struct timeval tick = { 0, 1000 };
    f->stream = q;
    http_request_on_leave(q, on_stream_left, f);
    http_stream_begin(q, 200, "text/event-stream");
    event_add(f->producer, &tick);
}

static void count(http_request *q)
{
    char text[16];
    http_stream_begin(q, 200, "text/plain");
    for (int i = 1; i <= 100; i++) {
        snprintf(text, sizeof text, "%d ", i);
        http_stream_send(q, rag_str_of(text));
    }
    http_stream_end(q);
}

static void reply_bytes(http_request *q, size_t n)
{
    char *body = malloc(n);
    memset(body, 'b', n);
    http_reply(q, 200, "text/plain", (rag_str){ body, n }, NULL);
    free(body);
}

static void reply_headers(http_request *q)
{
    const http_header headers[] = { { "cache-control", "max-age=60" },
                                    { "X-Bad", "a\r\nSet-Cookie: b" },
                                    { "X-Good", "\xe4\xbd\xa0" },
                                    { NULL, NULL } };
    http_reply(q, 200, "text/plain", RAG_STR("ok"), headers);
}

static void on_request(void *context, http_request *q)
{
    fixture *f = context;
    rag_str path = http_request_path(q);
    struct timeval soon = { 0, 1000 };
    atomic_fetch_add(&f->seen, 1);
    if (rag_str_eq(path, RAG_STR("/later")))
        event_base_once(f->base, -1, EV_TIMEOUT, on_later, q, &soon);
    else if (rag_str_eq(path, RAG_STR("/hold")))
        hold(f, q);
    else if (rag_str_eq(path, RAG_STR("/stream")))
        stream(f, q);
    else if (rag_str_eq(path, RAG_STR("/count")))
        count(q);
    else if (rag_str_eq(path, RAG_STR("/big")))
        reply_bytes(q, BIG);
    else if (rag_str_eq(path, RAG_STR("/wide")))
        reply_bytes(q, WIDE);
    else if (rag_str_eq(path, RAG_STR("/error")))
        http_reply_error(q, 503, "queue_full", "a \"b\" \\ \n\x01 \xe4\xbd\xa0 \xff", "x\ty", 7);
    else if (rag_str_eq(path, RAG_STR("/headers")))
        reply_headers(q);
    else if (rag_str_eq(path, RAG_STR("/empty")))
        http_reply(q, 204, "text/plain", RAG_STR(""), NULL);
    else if (rag_str_eq(path, RAG_STR("/silent")))
        http_stream_end(q);
    else
        echo(q);
}

/* The loop. */

static void on_call(int fd, short what, void *arg)
{
    fixture *f = arg;
    char byte;
    (void)what;
    if (read(fd, &byte, 1) != 1)
        return;
    f->function(f, f->arg);
    (void)!write(f->done[1], "", 1);
}

static void *run_loop(void *arg)
{
    fixture *f = arg;
    event_base_loop(f->base, EVLOOP_NO_EXIT_ON_EMPTY);
    return NULL;
}

http_options fixture_options(void)
{
    return (http_options){ .listen = "127.0.0.1:0",
                           .unix_mode = 0660,
                           .max_header_bytes = 4096,
                           .max_body_bytes = 100000,
                           .max_connections = 64,
                           .header_timeout_ms = 60000,
                           .body_timeout_ms = 60000,
                           .idle_timeout_ms = 60000,
                           .stall_timeout_ms = 60000 };
}

fixture *fixture_start(http_options options)
{
    fixture *f = calloc(1, sizeof *f);
    rag_err err = { 0 };
    strcpy(f->folder, "/tmp/ragd-http-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof f->path, "%s/run/s.sock", f->folder);
    f->base = event_base_new();
    f->producer = event_new(f->base, -1, EV_PERSIST, on_produce, f);
    assert_int_equal(pipe(f->wake), 0);
    assert_int_equal(pipe(f->done), 0);
    f->call = event_new(f->base, f->wake[0], EV_READ | EV_PERSIST, on_call, f);
    event_add(f->call, NULL);
    options.on_request = on_request;
    options.context = f;
    options.unix_path = f->path;
    if (http_server_open(&f->server, f->base, &options, &err) != RAG_OK)
        fail_msg("%s", err.message);
    assert_int_equal(pthread_create(&f->thread, NULL, run_loop, f), 0);
    return f;
}

void fixture_call(fixture *f, void (*function)(fixture *f, void *arg), void *arg)
{
    char byte;
    f->function = function;
    f->arg = arg;
    assert_int_equal(write(f->wake[1], "", 1), 1);
    assert_int_equal(read(f->done[0], &byte, 1), 1);
}

static void close_server(fixture *f, void *arg)
{
    (void)arg;
    http_server_close(f->server);
    event_base_loopbreak(f->base);
}

void fixture_stop(fixture *f)
{
    char run[80];
    fixture_call(f, close_server, NULL);
    pthread_join(f->thread, NULL);
    event_free(f->call);
    event_free(f->producer);
    event_base_free(f->base);
    for (int i = 0; i < 2; i++) {
        close(f->wake[i]);
        close(f->done[i]);
    }
    snprintf(run, sizeof run, "%s/run", f->folder);
    assert_int_equal(rmdir(run), 0); /* the socket file is gone */
    assert_int_equal(rmdir(f->folder), 0);
    free(f);
}

static void read_connections(fixture *f, void *arg)
{
    *(int *)arg = http_server_connections(f->server);
}

static void read_in_flight(fixture *f, void *arg)
{
    *(int *)arg = http_server_in_flight(f->server);
}

int fixture_connections(fixture *f)
{
    int n;
    fixture_call(f, read_connections, &n);
    return n;
}

int fixture_in_flight(fixture *f)
{
    int n;
    fixture_call(f, read_in_flight, &n);
    return n;
}

static void release(fixture *f, void *arg)
{
    int i = *(int *)arg;
    http_request *q = f->held[i];
    f->held[i] = NULL;
    http_reply(q, 200, "text/plain", RAG_STR("held"), NULL);
}

void fixture_release(fixture *f, int i)
{
    fixture_call(f, release, &i);
}

/* Clients. */

static void set_patience(int fd)
{
    struct timeval tv = { 20, 0 };
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
}

int dial(const fixture *f)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)http_server_port(f->server)) };
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    set_patience(fd);
    return fd;
}

int dial_unix(const fixture *f)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    strcpy(a.sun_path, f->path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    set_patience(fd);
    return fd;
}

void send_bytes(int fd, const void *bytes, size_t n)
{
    const char *p = bytes;
    while (n) {
        ssize_t k = send(fd, p, n, MSG_NOSIGNAL);
        if (k <= 0)
            return; /* the server has closed: its reply says why */
        p += k;
        n -= (size_t)k;
    }
}

void send_text(int fd, const char *text)
{
    send_bytes(fd, text, strlen(text));
}

void reset(int fd)
{
    struct linger l = { 1, 0 };
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
    close(fd);
}

void wait_for_int(atomic_int *value, int expected)
{
    for (int i = 0; i < 20000 && atomic_load(value) != expected; i++)
        usleep(1000);
    assert_int_equal(atomic_load(value), expected);
}

bool wait_for_connections(fixture *f, int expected)
{
    for (int i = 0; i < 20000; i++) {
        if (fixture_connections(f) == expected)
            return true;
        usleep(1000);
    }
    return false;
}

static bool read_until(int fd, rag_buf *b, const char *end)
{
    char c;
    while (!rag_str_ends(rag_buf_str(b), rag_str_of(end))) {
        if (recv(fd, &c, 1, 0) != 1)
            return false;
        rag_buf_putc(b, c);
    }
    return true;
}

static bool read_exactly(int fd, rag_buf *b, size_t n)
{
    char block[4096];
    while (n) {
        ssize_t k = recv(fd, block, n < sizeof block ? n : sizeof block, 0);
        if (k <= 0)
            return false;
        rag_buf_put(b, (rag_str){ block, (size_t)k });
        n -= (size_t)k;
    }
    return true;
}

static void read_chunks(int fd, rag_buf *body)
{
    for (;;) {
        rag_buf line;
        rag_buf_init(&line, 64);
        bool ok = read_until(fd, &line, "\r\n");
        size_t n = strtoul(line.len ? line.ptr : "0", NULL, 16);
        rag_buf_clear(&line);
        ok = ok && read_exactly(fd, body, n) && read_until(fd, &line, "\r\n");
        rag_buf_free(&line);
        assert_true(ok);
        if (!n)
            return;
    }
}

void read_reply(int fd, reply *r, bool head_only)
{
    rag_buf_init(&r->head, 65536);
    rag_buf_init(&r->body, RAG_MAX_REPLY);
    r->status = 0;
    if (!read_until(fd, &r->head, "\r\n\r\n")) {
        assert_int_equal(r->head.len, 0);
        return;
    }
    assert_int_equal(sscanf(r->head.ptr, "HTTP/1.1 %d ", &r->status), 1);
    const char *length = reply_header(r, "Content-Length");
    if (head_only || r->status == 100 || r->status == 204)
        return;
    if (reply_header(r, "Transfer-Encoding"))
        read_chunks(fd, &r->body);
    else
        assert_true(read_exactly(fd, &r->body, length ? strtoul(length, NULL, 10) : SIZE_MAX) == (length != NULL));
}

void reply_free(reply *r)
{
    rag_buf_free(&r->head);
    rag_buf_free(&r->body);
}

const char *reply_header(const reply *r, const char *name)
{
    static _Thread_local char value[256];
    size_t n = strlen(name);
    for (const char *line = strstr(r->head.ptr, "\r\n"); line && line[2]; line = strstr(line + 2, "\r\n"))
        if (!strncasecmp(line + 2, name, n) && line[2 + n] == ':') {
            snprintf(value, sizeof value, "%.*s", (int)strcspn(line + n + 4, "\r"), line + n + 4);
            return value;
        }
    return NULL;
}

bool closed_by_server(int fd)
{
    char c;
    ssize_t n = recv(fd, &c, 1, 0);
    return n == 0 || (n < 0 && errno == ECONNRESET);
}

void expect(int fd, const char *request, int status, const char *body)
{
    reply r;
    send_text(fd, request);
    read_reply(fd, &r, !strncmp(request, "HEAD", 4));
    assert_int_equal(r.status, status);
    if (body)
        assert_string_equal(r.body.ptr ? r.body.ptr : "", body);
    reply_free(&r);
}

static const char *text_of(const cJSON *object, const char *key)
{
    const char *s = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
    assert_non_null(s);
    return s;
}

void check_error(const reply *r, const char *type, const char *code)
{
    assert_string_equal(reply_header(r, "Content-Type"), "application/json");
    cJSON *root = cJSON_Parse(r->body.ptr);
    assert_non_null(root);
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(root, "error");
    assert_string_equal(text_of(error, "type"), type);
    if (code)
        assert_string_equal(text_of(error, "code"), code);
    assert_true(strlen(text_of(error, "message")) > 0);
    assert_true(cJSON_HasObjectItem(error, "param"));
    assert_string_equal(text_of(error, "request_id"), reply_header(r, "X-Request-Id"));
    cJSON_Delete(root);
}
