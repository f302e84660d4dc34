/* daemon/worker.c */
#include <stdlib.h>

#include "base/file.h"
#include "daemon/thread.h"
#include "daemon/worker.h"

struct worker {
    worker_options opt;
    pthread_t thread;
};

typedef struct failure {
    letter l;
    worker_options opt; /* the worker may be gone when this is read */
    rag_err err;
} failure;

static void deliver_failure(letter *l)
{
    failure *f = (failure *)l;
    f->opt.on_failed(f->opt.context, &f->err);
    free(f);
}

static void run_step(job *j, rag_reader *r)
{
    if (j->started_ms <= 0)
        j->started_ms = rag_clock_ms();
    if (atomic_load(&j->canceled) || j->bad.status)
        job_finish(j);
    else
        j->step(j, r);
}

static void *run(void *context)
{
    worker *w = context;
    rag_reader *r = NULL;
    failure *f = rag_calloc(1, sizeof *f);
    *f = (failure){ .l.deliver = deliver_failure, .opt = w->opt };
    if (rag_reader_open(&r, w->opt.index, &f->err) != RAG_OK) {
        mailbox_post(w->opt.mail, &f->l);
        return NULL;
    }
    free(f);
    for (job *j; (j = queue_pop(w->opt.queue));)
        run_step(j, r);
    rag_reader_close(r);
    return NULL;
}

rag_code worker_open(worker **out, const worker_options *opt, rag_err *err)
{
    worker *w = rag_calloc(1, sizeof *w);
    w->opt = *opt;
    rag_code code = thread_start(&w->thread, "ragd-search", run, w, err);
    if (code == RAG_OK)
        *out = w;
    else
        free(w);
    return code;
}

void worker_close(worker *w)
{
    if (!w)
        return;
    pthread_join(w->thread, NULL);
    free(w);
}
