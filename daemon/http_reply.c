#include <event2/buffer.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/log.h"
#include "base/utf8.h"
#include "daemon/http_impl.h"

static const char *reason(int status)
{
    static const struct {
        int status;
        const char *text;
    } known[] = { { 200, "OK" },
                  { 201, "Created" },
                  { 202, "Accepted" },
                  { 204, "No Content" },
                  { 304, "Not Modified" },
                  { 400, "Bad Request" },
                  { 401, "Unauthorized" },
                  { 403, "Forbidden" },
                  { 404, "Not Found" },
                  { 405, "Method Not Allowed" },
                  { 406, "Not Acceptable" },
                  { 408, "Request Timeout" },
                  { 409, "Conflict" },
                  { 410, "Gone" },
                  { 413, "Content Too Large" },
                  { 414, "URI Too Long" },
                  { 415, "Unsupported Media Type" },
                  { 417, "Expectation Failed" },
                  { 422, "Unprocessable Content" },
                  { 429, "Too Many Requests" },
                  { 431, "Request Header Fields Too Large" },
                  { 500, "Internal Server Error" },
                  { 501, "Not Implemented" },
                  { 503, "Service Unavailable" },
                  { 504, "Gateway Timeout" },
                  { 507, "Insufficient Storage" } };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].status == status)
            return known[i].text;
    return "Unknown";
}

static bool is_given(const http_header *headers, const char *name)
{
    for (; headers && headers->name; headers++)
        if (!strcasecmp(headers->name, name))
            return true;
    return false;
}

static void put_header(struct evbuffer *out, const char *name, const char *value)
{
    if (!http_text_valid(rag_str_of(value))) {
        rag_log(RAG_ERROR, "header '%s' was not sent: its value holds a control character", name);
        return;
    }
    evbuffer_add_printf(out, "%s: %s\r\n", name, value);
}

static void put_headers(http_request *q, const char *content_type, const http_header *headers)
{
    const http_header defaults[] = { { "Content-Type", content_type },
                                     { "X-Request-Id", q->id },
                                     { "X-Content-Type-Options", "nosniff" },
                                     { "Cache-Control", "no-store" } };
    struct evbuffer *out = q->conn->out;
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++)
        if (defaults[i].value && !is_given(headers, defaults[i].name))
            put_header(out, defaults[i].name, defaults[i].value);
    for (; headers && headers->name; headers++)
        put_header(out, headers->name, headers->value);
}

static void put_date(struct evbuffer *out)
{
    char text[64];
    struct tm tm;
    time_t now = time(NULL);
    gmtime_r(&now, &tm);
    strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &tm); /* the daemon stays in the C locale */
    evbuffer_add_printf(out, "Date: %s\r\n", text);
}

/* Status line and headers, but for the body's length and the blank line. */
static void put_head(http_request *q, int status, const char *content_type, const http_header *headers)
{
    http_conn *c = q->conn;
    if (c->server->is_draining)
        c->keep_alive = false;
    evbuffer_add_printf(c->out, "HTTP/1.1 %d %s\r\n", status, reason(status));
    put_date(c->out);
    put_headers(q, content_type, headers);
    if (!c->keep_alive)
        evbuffer_add_printf(c->out, "Connection: close\r\n");
    else if (q->head.minor == 0)
        evbuffer_add_printf(c->out, "Connection: keep-alive\r\n");
}

void http_reply(http_request *q, int status, const char *content_type, rag_str body, const http_header *headers)
{
    http_conn *c = q->conn;
    if (c) {
        bool has_body = status != 204 && status != 304;
        put_head(q, status, has_body ? content_type : NULL, headers);
        if (has_body)
            evbuffer_add_printf(c->out, "Content-Length: %zu\r\n", body.len);
        evbuffer_add(c->out, "\r\n", 2);
        if (has_body && q->head.method != HTTP_HEAD)
            evbuffer_add(c->out, body.ptr, body.len);
    }
    request_free(q);
    if (c)
        conn_reply_done(c);
}

/* Errors. */

static const char *error_type(int status)
{
    switch (status) {
    case 401: return "authentication_error";
    case 403: return "permission_error";
    case 404: return "not_found_error";
    case 429: return "rate_limit_error";
    case 503: return "overloaded_error";
    default: return status >= 500 ? "server_error" : "invalid_request_error";
    }
}

/* A JSON string; invalid UTF-8 becomes U+FFFD. */
static void put_json(rag_buf *out, const char *text)
{
    rag_str s = rag_str_of(text);
    rag_buf_putc(out, '"');
    for (size_t pos = 0; pos < s.len;) {
        char bytes[4];
        uint32_t ch = rag_utf8_next(s, &pos);
        if (ch < 0x20 || ch == 0x7f)
            rag_buf_putf(out, "\\u%04x", (unsigned)ch);
        else if (ch == '"' || ch == '\\')
            rag_buf_putf(out, "\\%c", (int)ch);
        else
            rag_buf_put(out, (rag_str){ bytes, rag_utf8_encode(ch, bytes) });
    }
    rag_buf_putc(out, '"');
}

void http_error_object(rag_buf *out, int status, const char *code, const char *message, const char *param,
                       const char *request_id)
{
    rag_buf_putf(out, "{\"error\":{\"type\":\"%s\",\"code\":", error_type(status));
    put_json(out, code);
    rag_buf_puts(out, ",\"message\":");
    put_json(out, message);
    rag_buf_puts(out, ",\"param\":");
    if (param)
        put_json(out, param);
    else
        rag_buf_puts(out, "null");
    rag_buf_putf(out, ",\"request_id\":\"%s\"}}", request_id);
}

void http_reply_error(http_request *q, int status, const char *code, const char *message, const char *param,
                      int retry_after_s)
{
    char seconds[16];
    http_header headers[3] = { { NULL, NULL } };
    size_t n = 0;
    rag_buf body;
    rag_buf_init(&body, RAG_MAX_REPLY);
    http_error_object(&body, status, code, message, param, q->id);
    rag_buf_putc(&body, '\n');
    if (retry_after_s > 0) {
        snprintf(seconds, sizeof seconds, "%d", retry_after_s);
        headers[n++] = (http_header){ "Retry-After", seconds };
    }
    if (status == 401)
        headers[n++] = (http_header){ "WWW-Authenticate", "Bearer" };
    http_reply(q, status, "application/json", rag_buf_str(&body), headers);
    rag_buf_free(&body);
}

/* Streams. */

void http_stream_begin(http_request *q, int status, const char *content_type)
{
    http_conn *c = q->conn;
    q->is_streaming = true;
    q->is_chunked = q->head.minor >= 1;
    if (!c)
        return;
    if (!q->is_chunked)
        c->keep_alive = false;
    put_head(q, status, content_type, NULL);
    evbuffer_add_printf(c->out, "%s\r\n", q->is_chunked ? "Transfer-Encoding: chunked\r\n" : "");
    conn_wake(c);
}

bool http_stream_send(http_request *q, rag_str bytes)
{
    http_conn *c = q->conn;
    if (!c || c->is_gone)
        return false;
    if (q->head.method == HTTP_HEAD || !bytes.len)
        return true;
    if (evbuffer_get_length(c->out) > 4 * (size_t)HTTP_STREAM_HIGH) { /* the producer does not pause */
        c->is_gone = true;
        conn_wake(c);
        return false;
    }
    if (q->is_chunked)
        evbuffer_add_printf(c->out, "%zx\r\n", bytes.len);
    evbuffer_add(c->out, bytes.ptr, bytes.len);
    if (q->is_chunked)
        evbuffer_add(c->out, "\r\n", 2);
    conn_wake(c);
    return true;
}

size_t http_stream_backlog(const http_request *q)
{
    return q->conn ? evbuffer_get_length(q->conn->out) : 0;
}

void http_stream_end(http_request *q)
{
    http_conn *c = q->conn;
    if (c && !q->is_streaming) {
        http_reply_error(q, 500, "no_reply", "the request ended without a reply", NULL, 0);
        return;
    }
    if (c && q->is_chunked && q->head.method != HTTP_HEAD)
        evbuffer_add(c->out, "0\r\n\r\n", 5);
    request_free(q);
    if (c)
        conn_reply_done(c);
}
