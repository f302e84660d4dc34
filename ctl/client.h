/* ctl/client.h: HTTP/1.1 to the daemon, over its Unix socket or TCP.  libcurl lives here.
 *
 * A client keeps its connection between calls.  A pool runs several requests at once.
 * Proxies of the environment are never used and redirects never followed.
 *
 * Errors: RAG_UNREACHABLE when no connection could be made, RAG_DENIED when the system
 * forbids it, RAG_DEADLINE after timeout_ms, RAG_IO when the connection broke.  A reply with any
 * HTTP status is RAG_OK here; client_check turns it into an error.
 *
 * Threads: one at a time. */
#ifndef RAG_CTL_CLIENT_H
#define RAG_CTL_CLIENT_H

#include "base/err.h"
#include "base/str.h"

typedef struct client client;
typedef struct client_pool client_pool;

typedef struct client_options {
    const char *socket_path; /* or NULL */
    const char *url;         /* "http://host:port", used when there is no socket_path */
    rag_str key;             /* bearer key, or empty */
    int64_t timeout_ms;      /* of a whole request; 0 = none */
} client_options;

typedef struct client_reply {
    int status;
    double retry_after_s; /* -1 when the reply does not say */
    rag_buf body;
} client_reply;

rag_code client_open(client **out, const client_options *opt, rag_err *err);
void client_close(client *c); /* copes with NULL */
/* The socket's path or the URL, for messages. */
const char *client_address(const client *c);

/* An empty body makes a GET unless `method` says otherwise.  Free reply->body. */
rag_code client_call(client *c, const char *method, const char *path, rag_str body, client_reply *reply,
                     rag_err *err);
/* The same, handing the bytes of a 2xx reply to `take` as they come; reply->body stays empty then.  `take`
 * returns false to stop: RAG_CANCELED. */
rag_code client_stream(client *c, const char *method, const char *path, rag_str body,
                       bool (*take)(void *context, rag_str bytes), void *context, client_reply *reply, rag_err *err);

/* RAG_OK for 2xx; else the server's own sentence as an error: RAG_INVALID for 400 and 422, RAG_DENIED for
 * 401 and 403, RAG_NOT_FOUND for 404, RAG_TOO_LARGE for 413, RAG_FULL for 503, RAG_IO for others; RAG_CONFIG when its
 * code is "bad_configuration". */
rag_code client_check(const client_reply *reply, rag_err *err);

typedef void client_done(void *context, size_t slot, rag_code code, const client_reply *reply, const rag_err *err);

/* Up to `slots` requests at once to c's daemon.  c must outlive it. */
rag_code client_pool_open(client_pool **out, client *c, size_t slots, client_done *done, void *context, rag_err *err);
void client_pool_close(client_pool *p); /* drops what is under way; copes with NULL */
/* Starts a POST in a slot that is free; body must live until `done` was called for it. */
rag_code client_pool_start(client_pool *p, size_t slot, const char *path, rag_str body, rag_err *err);
/* Moves all requests on and calls `done` for those that ended. */
void client_pool_step(client_pool *p);
/* Waits at most timeout_ms (-1: no limit) until there is something to do; *readable says whether fd (-1: none) is. */
void client_pool_wait(client_pool *p, int timeout_ms, int fd, bool *readable);

/* Appends s percent-encoded, for a path segment or a query value. */
void client_escape(rag_buf *out, rag_str s);

#endif
