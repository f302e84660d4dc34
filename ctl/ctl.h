/* ctl/ctl.h: what every command of ragctl gets: the global options, the configuration, the daemon, the
 * knowledge base.  Each is opened on first use and closed by main.
 *
 * Threads: one. */
#ifndef RAG_CTL_CTL_H
#define RAG_CTL_CTL_H

#include <cjson/cJSON.h>

#include "conf/conf.h"
#include "ctl/args.h"
#include "ctl/client.h"
#include "index/index.h"

/* Exit codes, as docs/API.md fixes them. */
enum {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_UNREACHABLE = 3,
    EXIT_NOTHING = 4,
    EXIT_PARTIAL = 5,
    EXIT_DENIED = 6,
    EXIT_LOCKED = 75,
    EXIT_BAD_CONFIG = 78,
};

typedef struct ctl {
    const args *args;
    bool json;
    int64_t timeout_ms; /* 0 = none */
    rag_conf *conf;
    client *client;
    rag_buf key;
    rag_index *index;
    rag_reader *reader;
    rag_snapshot *snapshot;
} ctl;

rag_code ctl_open(ctl *c, const args *a, rag_err *err);
void ctl_close(ctl *c);

/* Prints "ragctl: sentence" on stderr and returns the exit code that belongs to it. */
int ctl_fail(const rag_err *err);
/* The same for what the user typed: EXIT_USAGE. */
int ctl_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* --socket or --url was given: ask the daemon even for what the store could tell. */
bool ctl_is_remote(const ctl *c);

/* --socket, else --url, else the configuration's unix.path, else its http.listen. */
rag_code ctl_client(ctl *c, client **out, rag_err *err);
/* A request whose reply must be a JSON object with status 2xx.  request may be NULL: a GET.  *raw (may be NULL) gets the
 * reply's bytes. Free *out with cJSON_Delete and *raw. */
rag_code ctl_request(ctl *c, const char *method, const char *path, const cJSON *request, cJSON **out, rag_buf *raw,
                     rag_err *err);

/* storage.dir, absolute. */
rag_code ctl_storage(ctl *c, const char **dir, rag_err *err);
/* The knowledge base in it; RAG_NOT_FOUND when there is none yet. */
rag_code ctl_index(ctl *c, rag_index **out, rag_err *err);
/* The same with a reader and the served generation's snapshot, in c. */
rag_code ctl_reader(ctl *c, rag_err *err);

#endif
