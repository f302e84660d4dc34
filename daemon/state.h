/* daemon/state.h: the daemon itself, as its files share it.  Everything here is the loop's, but for
 * `mail`, `queue`, `model`, `audit`, `index` and `records`, which do not change once the threads run. */
#ifndef RAG_DAEMON_STATE_H
#define RAG_DAEMON_STATE_H

#include "daemon/answer_confidence.h"
#include "daemon/auth.h"
#include "daemon/keeper.h"
#include "daemon/model.h"
#include "daemon/queue.h"
#include "daemon/ragd.h"
#include "daemon/request.h"
#include "daemon/worker.h"

struct event_base;
struct audit;

typedef struct ragd_counters {
    int64_t requests, errors_4xx, errors_5xx, refused_full, canceled;
    int64_t asks, searches;
    int64_t reloads;
} ragd_counters;

struct ragd {
    ragd_options opt;
    answer_model confidence; /* does not change once the threads run */
    ragd_reload *reload;
    void *reload_context;
    struct event_base *base;
    http_server *http;
    mailbox *mail;
    job_queue *queue;
    model *model;
    struct audit *audit;
    keeper *keeper;
    rag_index *index; /* NULL until it is open */
    rag_records *records; /* likewise; it stays NULL when state.db cannot be had */
    worker **workers;
    int n_workers;
    auth_keys *keys;  /* NULL: TCP asks for none */
    int lock_fd;
    lane asks, quick;
    job *live;
    keeper_view view;
    ragd_counters count;
    rag_sha256 embedder_id;
    double started_ms;
    bool is_ready, is_announced, is_draining, is_aborting, is_stopping;
    double drained_ms;             /* since when nothing is on its way; 0 = something is */
    struct event *signals[3], *drain_alarm, *drain_tick;
    int exit_code;
};

/* HUP and POST /v1/reload: RAG_CONFIG keeps everything as it was, and is logged. */
rag_code ragd_reread(ragd *d, rag_err *err);

#endif
