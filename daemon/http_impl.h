/* daemon/http_impl.h: the HTTP layer's insides: server, connection, request.
 *
 *     accept ─> HEAD ─> BODY ─> BUSY (the daemon has the request) ─> HEAD …
 *                 └──────┴───────┴─> CLOSING (output drains) ─> LINGER (until the client closes) ─> gone
 *
 * A connection is one edge-triggered event and two evbuffers.  All its work is done in
 * conn_turn, called by the event; whatever happens elsewhere only changes state and
 * wakes it, so callbacks never nest and small writes of one turn leave together.
 *
 * While BUSY nothing is read: what a flooding client sends stays in the kernel.  Its leaving still raises an
 * edge, and poll(2) then tells FIN and RST from data.  (A level-triggered event that does not read spins on RST,
 * because libevent reports that as readable and never as EV_CLOSED.)
 *
 * A client that shuts down its writing half while BUSY counts as gone: that cannot be told from a
 * close before writing. */
#ifndef RAG_DAEMON_HTTP_IMPL_H
#define RAG_DAEMON_HTTP_IMPL_H

#include <sys/queue.h>

#include "daemon/http.h"
#include "daemon/http_head.h"

struct evbuffer;
struct evconnlistener;
struct event;
typedef struct http_conn http_conn;

typedef enum conn_state { CONN_HEAD, CONN_BODY, CONN_BUSY, CONN_CLOSING, CONN_LINGER } conn_state;

struct http_conn {
    TAILQ_ENTRY(http_conn) link;
    http_server *server;
    int fd;
    bool is_local;
    int64_t uid;          /* of the peer on the Unix socket; -1 = not known */
    bool is_surplus;      /* above max_connections: gets its 503 */
    struct event *io, *deadline, *stall;
    struct evbuffer *in, *out;
    conn_state state;
    bool readable;        /* the kernel may have input */
    bool is_blocked;      /* the next request waits until output drains */
    bool is_started;      /* a byte of the next request was seen */
    bool is_first;        /* no request was read yet: the head's deadline runs since accept */
    bool keep_alive;
    bool at_eof, is_gone;
    http_scan scan;
    http_chunks chunks;
    http_request *request; /* being read, or BUSY */
};

struct http_request {
    TAILQ_ENTRY(http_request) link;
    http_server *server;  /* NULL once it is closed */
    http_conn *conn;      /* NULL once the client has left */
    rag_arena *arena;
    http_head head;
    rag_buf body;
    char id[20];
    bool is_local;
    int64_t uid;
    bool is_handed;       /* on_request has it */
    bool is_streaming, is_chunked;
    void (*on_leave)(void *context);
    void *on_leave_context;
};

TAILQ_HEAD(conn_list, http_conn);
TAILQ_HEAD(request_list, http_request);

struct http_server {
    struct event_base *base;
    http_options options;
    struct evconnlistener *tcp, *local;
    struct event *pause;  /* ends an accept pause */
    char *unix_path;
    uint64_t unix_dev, unix_ino;
    int port;
    int n_connections, n_surplus, n_in_flight;
    bool is_draining;
    size_t input_high;    /* bytes read ahead of the parser */
    struct conn_list conns;
    struct request_list requests; /* handed out */
};

/* Takes a socket over. */
void conn_open(http_server *s, int fd, bool is_local);
/* Has conn_turn called in this round of the loop. */
void conn_wake(http_conn *c);
/* The reply is in the output: next request, or close. */
void conn_reply_done(http_conn *c);
/* Frees it at once and tells the request's owner. */
void conn_destroy(http_conn *c);
/* Closes it if it waits for a request (draining). */
void conn_close_idle(http_conn *c);

http_request *request_new(http_conn *c);
void request_free(http_request *q);

/* Listeners: http_listen.c. */
rag_code listen_tcp(http_server *s, rag_err *err);
rag_code listen_unix(http_server *s, rag_err *err);
void listen_close(http_server *s); /* both doors; removes the socket file */

#endif
