/* daemon/keeper.c */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/log.h"
#include "daemon/keeper.h"
#include "daemon/thread.h"

enum { REFRESH_MS = 250, PRUNE_MS = 60 * 1000 };

struct keeper {
    keeper_options opt;
    pthread_t thread;
    pthread_mutex_t mu;
    pthread_cond_t stop;
    bool is_stopping; /* under mu */
    rag_index *index; /* the thread's, until it is joined */
    rag_records *records;
    double prune_ms; /* rag_clock_ms: when to look what of it is over the bounds */
    keeper_view last;
    char last_error[sizeof((rag_err *)0)->message];
};

typedef struct news {
    letter l;
    keeper_options opt; /* the keeper may be gone when this is read */
    rag_index *index;
    bool is_opening;
    rag_err err;
    keeper_view view;
} news;

static void deliver(letter *l)
{
    news *n = (news *)l;
    const keeper_options *opt = &n->opt;
    if (n->is_opening)
        opt->on_open(opt->context, n->index, n->index ? NULL : &n->err);
    if (n->index)
        opt->on_view(opt->context, &n->view);
    free(n);
}

static int64_t served(rag_index *ix)
{
    rag_snapshot *s = rag_index_acquire(ix);
    int64_t generation = rag_snapshot_generation(s);
    rag_snapshot_release(s);
    return generation;
}

static keeper_view look(rag_index *ix)
{
    rag_snapshot *s = rag_index_acquire(ix);
    keeper_view v = { .generation = rag_snapshot_generation(s),
                      .documents = rag_snapshot_documents(s),
                      .chunks = rag_snapshot_chunks(s),
                      .bytes = rag_snapshot_bytes(s) };
    rag_snapshot_release(s);
    return v;
}

static void tell(keeper *k, bool is_opening, const rag_err *err)
{
    news *n = rag_calloc(1, sizeof *n);
    *n = (news){ .l.deliver = deliver, .opt = k->opt, .index = k->index, .is_opening = is_opening, .err = *err };
    if (k->index)
        n->view = k->last = look(k->index);
    mailbox_post(k->opt.mail, &n->l);
}

/* No answer needs it. */
static void open_records(keeper *k)
{
    rag_err err = { 0 };
    rag_code code = rag_records_open(&k->records, &k->opt.records, &err);
    if (code == RAG_CORRUPT) {
        rag_log(RAG_WARN, "%s; it is kept as state.db.damaged, and a new one begun", err.message);
        code = rag_records_set_aside(k->opt.records.dir, &err);
        if (code == RAG_OK)
            code = rag_records_open(&k->records, &k->opt.records, &err);
    }
    if (code != RAG_OK)
        rag_log(RAG_ERROR, "answers and conversations are not kept: %s", err.message);
}

static void open_index(keeper *k)
{
    rag_err err = { 0 };
    rag_code code = rag_index_open(&k->index, &k->opt.index, &err);
    if (code == RAG_OK)
        code = rag_index_refresh(k->index, NULL, &err);
    if (code != RAG_OK) {
        rag_index_close(k->index);
        k->index = NULL;
    } else {
        open_records(k);
    }
    tell(k, true, &err);
}

/* The same trouble every 250 ms is told once. */
static void complain(keeper *k, const rag_err *err)
{
    if (strcmp(err->message, k->last_error) != 0)
        rag_log(RAG_ERROR, "generation %lld stays: %s", (long long)k->last.generation, err->message);
    memcpy(k->last_error, err->message, sizeof k->last_error);
}

static void refresh(keeper *k)
{
    rag_err err = { 0 };
    if (rag_index_refresh(k->index, NULL, &err) != RAG_OK) {
        complain(k, &err);
        return;
    }
    k->last_error[0] = '\0';
    if (served(k->index) == k->last.generation)
        return;
    tell(k, false, &err);
    rag_log(RAG_INFO, "serving generation %lld: %lld documents, %lld chunks", (long long)k->last.generation,
            (long long)k->last.documents, (long long)k->last.chunks);
}

static void prune(keeper *k)
{
    bool more = false;
    if (!k->records || rag_clock_ms() < k->prune_ms)
        return;
    rag_records_prune(k->records, &more, NULL); /* what is wrong with it, who writes is told */
    k->prune_ms = rag_clock_ms() + (more ? 0 : PRUNE_MS);
}

/* False when it is time to stop. */
static bool pause_for_next(keeper *k)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += REFRESH_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_mutex_lock(&k->mu);
    int waited = 0;
    while (!k->is_stopping && waited != ETIMEDOUT)
        waited = pthread_cond_timedwait(&k->stop, &k->mu, &until);
    bool go_on = !k->is_stopping;
    pthread_mutex_unlock(&k->mu);
    return go_on;
}

static void *run(void *context)
{
    keeper *k = context;
    open_index(k);
    while (k->index && pause_for_next(k)) {
        refresh(k);
        prune(k);
    }
    return NULL;
}

rag_code keeper_open(keeper **out, const keeper_options *opt, rag_err *err)
{
    keeper *k = rag_calloc(1, sizeof *k);
    k->opt = *opt;
    pthread_mutex_init(&k->mu, NULL);
    pthread_condattr_t monotonic; /* the wall clock may jump */
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&k->stop, &monotonic);
    pthread_condattr_destroy(&monotonic);
    rag_code code = thread_start(&k->thread, "ragd-keeper", run, k, err);
    if (code == RAG_OK)
        *out = k;
    else
        free(k);
    return code;
}

rag_records *keeper_records(const keeper *k)
{
    return k->records;
}

void keeper_close(keeper *k)
{
    if (!k)
        return;
    pthread_mutex_lock(&k->mu);
    k->is_stopping = true;
    pthread_cond_signal(&k->stop);
    pthread_mutex_unlock(&k->mu);
    pthread_join(k->thread, NULL);
    rag_records_close(k->records);
    rag_index_close(k->index);
    pthread_cond_destroy(&k->stop);
    pthread_mutex_destroy(&k->mu);
    free(k);
}
