/* daemon/ragd.h: the daemon.
 *
 *   main ─> ragd_run ─> loop (libevent): doors, routes, signals, mailbox
 *                        ├─ ragd-model    embedder and decoder        (model.h)
 *                        ├─ ragd-keeper   the index and its refresh   (keeper.h)
 *                        └─ ragd-search…  one reader each             (worker.h)
 *
 * The room links neither embed nor llm: a program chooses them, or the fakes. */
#ifndef RAG_DAEMON_RAGD_H
#define RAG_DAEMON_RAGD_H

#include <stdbool.h>

#include "base/err.h"
#include "base/log.h"
#include "daemon/tuning.h"

/* Strings live as long as the configuration they came from; all are given ("" where unset). */
typedef struct ragd_options {
    const char *storage_dir;
    int keep_generations;
    int audit_max, audit_days; /* records of answers that are kept, and how long */
    int64_t conversation_ms; /* a conversation ends when it was not used for so long */
    int conversation_turns, conversations; /* that are kept */
    double title_weight, heading_weight; /* as in rag_index_options */
    const char *listen, *unix_path, *key_file; /* listen "off", unix_path "" */
    int unix_mode;
    bool is_insecure;      /* another address than loopback without keys */
    int connections;
    int header_timeout_ms, body_timeout_ms, idle_timeout_ms, stall_timeout_ms;
    size_t max_header_bytes, max_body_bytes;
    const char *embed_path, *decoder_path, *reranker_path, *prompts_dir, *prompt_style;
    const char *confidence_path; /* "": ANSWER_MODEL */
    int threads, slots, context;
    bool deterministic;
    int workers;
    const char *log_file;
    rag_level log_level;
    ragd_tuning tuning;
} ragd_options;

/* Reads the configuration again for HUP.  *out's strings must live until the next call that
 * succeeds and must not share with the ones before. */
typedef rag_code ragd_reload(void *context, ragd_options *out, rag_err *err);

/* Runs until TERM or INT; returns the exit code.  What went wrong is in the log. */
/* What would stop a start and can be seen without starting: doors, keys, embedder and reranker. */
rag_code ragd_check(const ragd_options *opt, rag_err *err);
int ragd_run(const ragd_options *opt, ragd_reload *reload, void *context);

#endif
