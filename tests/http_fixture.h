/* tests/http_fixture.h: a server of daemon/http.h on a loop thread, and raw clients.
 *
 * Paths of the little daemon behind it:
 *   others    answers at once with "METHOD path|body|name=value;…"
 *   /later    the same from a timer
 *   /hold     keeps the request until fixture_release; leaving is counted
 *   /stream   streams 'x' until the client leaves, pausing above HTTP_STREAM_HIGH
 *   /count    streams "1 " … "100 "
 *   /big      a reply of BIG bytes
 *   /wide     a reply of WIDE bytes
 *   /error    an error with awkward text
 *   /headers  a reply with headers of its own, one of them not sendable
 *   /empty    204
 *   /silent   ends its stream without having begun one */
#ifndef RAGD_TESTS_HTTP_FIXTURE_H
#define RAGD_TESTS_HTTP_FIXTURE_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"
#include "daemon/http.h"

enum { BIG = 4 * 1024 * 1024, WIDE = 100 * 1000, MAX_HELD = 8 };

typedef struct holder {
    struct fixture *f;
    int slot;
} holder;

typedef struct fixture {
    struct event_base *base;
    struct event *call;
    pthread_t thread;
    http_server *server;
    char folder[64], path[108];
    http_request *held[MAX_HELD];
    holder holders[MAX_HELD];
    http_request *stream;
    struct event *producer;
    atomic_int seen, leaves; /* requests handed out; clients that left */
    atomic_size_t streamed, most_backlog;
    void (*function)(struct fixture *f, void *arg);
    void *arg;
    int wake[2], done[2];
} fixture;

/* Small limits and generous times. */
http_options fixture_options(void);
/* Starts on 127.0.0.1:0 and on a socket in a temporary folder. */
fixture *fixture_start(http_options options);
void fixture_stop(fixture *f);
/* Runs function on the loop and waits for it. */
void fixture_call(fixture *f, void (*function)(fixture *f, void *arg), void *arg);
int fixture_connections(fixture *f);
int fixture_in_flight(fixture *f);
/* Answers held request i with 200 "held". */
void fixture_release(fixture *f, int i);

int dial(const fixture *f);
int dial_unix(const fixture *f);
void send_bytes(int fd, const void *bytes, size_t n);
void send_text(int fd, const char *text);
/* Closes with RST (TCP). */
void reset(int fd);
/* Waits up to 20 s. */
void wait_for_int(atomic_int *value, int expected);
bool wait_for_connections(fixture *f, int expected);

typedef struct reply {
    int status;       /* 0: the connection closed without one */
    rag_buf head, body;
} reply;

/* Reads one reply; head_only for the answer to HEAD. Chunks are joined. */
void read_reply(int fd, reply *r, bool head_only);
void reply_free(reply *r);
/* The value of a header, or NULL; valid until the next call. */
const char *reply_header(const reply *r, const char *name);
bool closed_by_server(int fd);
/* Sends, reads one reply, checks its status and, when body is not NULL, its body; leaves the connection open. */
void expect(int fd, const char *request, int status, const char *body);
/* The reply is an error object of that type, with the id of its header. */
void check_error(const reply *r, const char *type, const char *code);

#endif
