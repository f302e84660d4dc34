/* tests/daemon_fixture.h: the real daemon, linked with the fakes, in a process of its own.
 *
 * A world is a temporary folder: docs/ to ingest from, data/ the store, ragd.sock, log, ragd.conf.  Ingest runs in
 * the test's process with the fake embedder. */
#ifndef RAG_TESTS_DAEMON_FIXTURE_H
#define RAG_TESTS_DAEMON_FIXTURE_H

#include <cjson/cJSON.h>
#include <sys/types.h>

#include "tests/http_fixture.h"

typedef struct world {
    char folder[64];
    char socket[108];
    pid_t pid;  /* 0: no daemon runs */
    int port;   /* TCP, read from what the daemon printed */
} world;

world *world_new(void);
/* Stops a running daemon and deletes the folder. */
void world_free(world *w);
char *world_path(const world *w, const char *name); /* to be freed */

/* Writes docs/<name>, or deletes it when text is NULL. */
void world_write(world *w, const char *name, const char *text);
/* Mirrors docs/ into the collection; returns the generation. */
int64_t world_ingest(world *w, const char *collection, const char *groups);
/* The same for another folder of the world. */
int64_t world_ingest_folder(world *w, const char *folder, const char *collection, const char *groups);
/* A knowledge base of a few English and Chinese documents. */
void world_fill(world *w);

/* Starts ragd-fake with the words (`--set`, "a.b=c", …; NULL ends them) and does not wait. */
void world_spawn(world *w, const char *const *words);
/* The same, and waits until it is ready. */
void world_start(world *w, const char *const *words);
#define START(w, ...) world_start(w, (const char *const[]){ __VA_ARGS__ __VA_OPT__(,) NULL })
/* Sends a signal, waits for the end; returns the exit code, -1 when a signal killed it. */
int world_stop(world *w, int signal_number);
int world_wait(world *w);
/* Runs ragd-fake to its end; returns the exit code. What it wrote is added to log. */
int world_run(world *w, const char *const *words);
#define RUN(w, ...) world_run(w, (const char *const[]){ __VA_ARGS__ __VA_OPT__(,) NULL })
bool world_log_has(const world *w, const char *text);
/* Waits up to 20 s until log has text. */
bool world_log_gets(const world *w, const char *text);

int world_dial(const world *w);      /* the Unix socket */
int world_dial_tcp(const world *w);
/* A request on a connection of its own; method and path, body NULL for none. */
int world_call(const world *w, const char *method, const char *path, const char *body, reply *r);
/* The same over TCP with extra header lines ("" for none). */
int world_call_tcp(const world *w, const char *method, const char *path, const char *headers, const char *body,
                   reply *r);
/* 200 and its JSON. */
cJSON *world_json(const world *w, const char *method, const char *path, const char *body);
cJSON *world_ask(const world *w, const char *question, const char *more); /* more: ",\"mode\":\"extract\"" */
cJSON *world_search(const world *w, const char *query, const char *more);

const char *json_text(const cJSON *object, const char *key); /* fails when it is no string */
double json_value(const cJSON *object, const char *key);
cJSON *json_item(const cJSON *object, const char *key);

/* One server-sent event. */
typedef struct sse_event {
    char *name;
    cJSON *data; /* NULL for a comment */
} sse_event;

/* Takes a stream apart; every frame must be valid. */
size_t sse_parse(rag_str stream, sse_event *out, size_t max);
void sse_free(sse_event *events, size_t n);

#endif
