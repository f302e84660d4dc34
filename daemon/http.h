/* daemon/http.h: HTTP/1.1 over TCP and a Unix socket.
 *
 * All that is odd about clients is in http*.c and nowhere else: leaving early, pipelining, flooding,
 * not reading, crawling, crowds, bytes that two parsers read differently.  The rest of the daemon sees
 * whole, strictly checked requests and three ways to answer one.  What is refused before (400, 408, 413, 414, 417,
 * 431, 501, 503) is answered here with the same error object, and the connection is closed.
 *
 * Threads: everything here on the loop's thread.
 *
 * Life of an http_request: handed to on_request once; owned by the daemon from then on until it
 * calls exactly one of http_reply or http_stream_end (also after on_leave, when both just free it).
 * The slices in it live as long. */
#ifndef RAG_DAEMON_HTTP_H
#define RAG_DAEMON_HTTP_H

#include "base/err.h"
#include "base/str.h"

struct event_base;

typedef struct http_server http_server;
typedef struct http_request http_request;

typedef enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_DELETE, HTTP_OPTIONS, HTTP_PATCH, HTTP_OTHER } http_method;

/* Zeros become the values named behind each. */
typedef struct http_options {
    const char *listen;       /* "127.0.0.1:8765", "[::1]:0", or "off" */
    const char *unix_path;    /* or "" / "off" */
    int unix_mode;            /* 0660 */
    size_t max_header_bytes;  /* 16 KiB: 431 above, 414 if the request line alone is longer */
    size_t max_body_bytes;    /* 1 MiB: 413 above */
    int max_connections;      /* 256, both doors together: above it a connection gets 503 and is closed */
    int header_timeout_ms;    /* 10 s, absolute, from accept or a later request's first byte to the end of the headers:
                                 408, or close when nothing came */
    int body_timeout_ms;      /* 30 s, absolute, for the body: 408 */
    int idle_timeout_ms;      /* 60 s, between requests of a kept-alive connection */
    int stall_timeout_ms;     /* 10 s: output that does not move for so long: the client is dropped */
    void (*on_request)(void *context, http_request *q);
    void *context;
} http_options;

/* Binds both doors.  A stale socket file (nobody listens) is replaced, a live one is RAG_BUSY. */
rag_code http_server_open(http_server **out, struct event_base *base, const http_options *opt, rag_err *err);
/* The TCP port in use (also when 0 was asked for), or 0. */
int http_server_port(const http_server *s);
int http_server_connections(const http_server *s);
/* Requests that were handed out and not yet answered. */
int http_server_in_flight(const http_server *s);
/* Stops accepting and closes idle connections; running requests go on. Removes the socket file. */
void http_server_drain(http_server *s);
/* Closes what is left. */
void http_server_close(http_server *s);

http_method http_request_method(const http_request *q);
const char *http_request_id(const http_request *q);   /* "r-" and 16 hex digits; also sent as X-Request-Id */
rag_str http_request_path(const http_request *q);     /* percent-decoded, without the query string */
bool http_request_is_local(const http_request *q);    /* came by the Unix socket */
int64_t http_request_uid(const http_request *q);      /* of the process at its other end; -1: not known */
/* A query parameter, percent-decoded; false when absent. Twice the same name: the request was refused before. */
bool http_request_param(const http_request *q, const char *name, rag_str *out);
/* Names of the parameters, to refuse unknown ones; NULL behind the last. */
const char *http_request_param_name(const http_request *q, size_t i);
rag_str http_request_header(const http_request *q, const char *name); /* empty when absent */
rag_str http_request_body(const http_request *q);

/* Called at once when the client leaves before the answer is complete (FIN, RST or stall); by this call itself
 * if it has left already. The request must still be finished. A client that only shuts down its writing half counts as
 * gone too: until something is written that looks the same. */
void http_request_on_leave(http_request *q, void (*on_leave)(void *context), void *context);

typedef struct http_header {
    const char *name, *value;
} http_header;

/* Sends a whole reply and frees q. HEAD sends no body. Headers end with a NULL name; NULL = none.
 * Every reply has Content-Type, Content-Length, X-Request-Id, X-Content-Type-Options: nosniff and Cache-Control: no-store
 * unless given. */
void http_reply(http_request *q, int status, const char *content_type, rag_str body, const http_header *headers);
/* {"error":{"type","code","message","param","request_id"}} with the status; param may be NULL.
 * retry_after_s > 0 adds Retry-After. */
void http_reply_error(http_request *q, int status, const char *code, const char *message, const char *param,
                      int retry_after_s);
/* Appends that object alone: for the event of a stream that fails, and for errors with headers of their own. */
void http_error_object(rag_buf *out, int status, const char *code, const char *message, const char *param,
                       const char *request_id);

/* Chunked streaming (close-delimited for HTTP/1.0). */
void http_stream_begin(http_request *q, int status, const char *content_type);
/* Queues bytes; what is queued in one round of the loop leaves in one write.  False when the client has left, or is
 * dropped because the backlog was above four times HTTP_STREAM_HIGH. */
bool http_stream_send(http_request *q, rag_str bytes);
/* Bytes queued and not yet taken by the kernel: producers pause above HTTP_STREAM_HIGH. */
size_t http_stream_backlog(const http_request *q);
/* Finishes the stream and frees q. */
void http_stream_end(http_request *q);

enum { HTTP_STREAM_HIGH = 256 * 1024 };

#endif
