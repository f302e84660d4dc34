/* ctl/eval_daemon.h: a ragd of our own over a data directory, for the time of one run.
 *
 * It listens on a Unix socket in a temporary folder that only we can enter, with TCP off, and logs into that folder.  It gets
 * SIGTERM when we end, however we end.
 *
 * Threads: one. */
#ifndef RAG_CTL_EVAL_DAEMON_H
#define RAG_CTL_EVAL_DAEMON_H

#include <sys/types.h>

#include "ctl/client.h"

typedef struct eval_daemon {
    pid_t pid;    /* 0: none runs */
    char *folder; /* socket and log */
    char *socket, *log;
} eval_daemon;

typedef struct eval_daemon_options {
    const char *program; /* NULL: the ragd beside this program */
    const char *dir;     /* storage.dir; must hold a knowledge base */
    const char *config;  /* -c, or NULL */
    const char *const *sets; /* further --set */
    size_t n_sets;
    bool wait_for_decoder;
    int64_t timeout_ms;  /* until it is ready; 0: none */
} eval_daemon_options;

/* Starts it and waits until it is ready.  RAG_NOT_FOUND when dir holds no knowledge base; what ragd said last when it ends
 * before it is ready, RAG_CONFIG if it found its configuration bad.  *stop: as with eval_run_all.
 * To be stopped in either case. */
rag_code eval_daemon_start(eval_daemon *out, const eval_daemon_options *opt, const volatile int *stop, rag_err *err);

/* Ends it, waits, and deletes the folder.  Copes with one that is not there. */
void eval_daemon_stop(eval_daemon *d);

#endif
