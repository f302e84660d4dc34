/* tests/ctl_fixture.h: a daemon of a few canned replies on a Unix socket, and a runner of the real ragctl.
 *
 * The server is a thread a connection, keep-alive, HTTP/1.1 with Content-Length.  What it answers to
 * POST /v1/ask and /v1/search depends on the question (or query):
 *
 *   wait N         200, but only once N requests have been seen since the start
 *   busy N         503 with Retry-After: 0 to its first N requests, then 200
 *   full           503 for ever
 *   status N       that status with an error object
 *   break          closes the connection without a reply
 *   garbage        200 with a body that is no JSON
 *   empty          a search without results
 *   explain        a search that explains itself, with long and wide names
 *   absent, 没有   a search some of whose strings are nowhere, and a word that was corrected
 *   refuse         an answer with outcome "refused"
 *   hostile        answer, quote and path full of control characters
 *   anything else  200; "model" is the request's body, word for word
 *
 * With "stream":true, `ask` answers in server-sent events; "shift" has deltas that the final answer contradicts,
 * "cut" ends without `done`, "fail" ends with `error`. */
#ifndef RAG_TESTS_CTL_FIXTURE_H
#define RAG_TESTS_CTL_FIXTURE_H

#include <stddef.h>

typedef struct fake_daemon fake_daemon;

fake_daemon *fake_daemon_start(void);
void fake_daemon_stop(fake_daemon *f);
const char *fake_daemon_socket(const fake_daemon *f);
const char *fake_daemon_folder(const fake_daemon *f);
int fake_daemon_requests(fake_daemon *f);
int fake_daemon_connections(fake_daemon *f);
/* The most requests that were under way at once. */
int fake_daemon_most_at_once(fake_daemon *f);
/* Request line and headers of the last request. */
const char *fake_daemon_last_head(fake_daemon *f);

typedef struct outcome {
    int exit_code; /* -1: killed by a signal */
    char *out, *err;
} outcome;

/* Runs build/bin/ragctl with the words, which end with NULL; `input` goes to its standard input. */
outcome ragctl_run(const char *input, const char *const *words);
#define RAGCTL(input, ...) ragctl_run(input, (const char *const[]){ __VA_ARGS__, NULL })
void outcome_free(outcome *o);

/* Runs a program in the same way; words[0] is its path. */
outcome program_run(const char *input, const char *const *words);

#endif
