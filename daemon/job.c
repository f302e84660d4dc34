/* daemon/job.c: the life of a job, and its five moves. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "daemon/reply.h"
#include "daemon/state.h"
#include "daemon/stream.h"
#include "daemon/timer.h"

/* ---- the loop's --------------------------------------------------------------------- */

static void link_live(ragd *d, job *j)
{
    j->live_next = d->live;
    if (d->live)
        d->live->live_prev = j;
    d->live = j;
}

static void unlink_live(ragd *d, job *j)
{
    if (j->live_prev)
        j->live_prev->live_next = j->live_next;
    else
        d->live = j->live_next;
    if (j->live_next)
        j->live_next->live_prev = j->live_prev;
}

static void free_job(job *j)
{
    unlink_live(j->d, j);
    j->lane->active--;
    if (j->alarm)
        event_free(j->alarm);
    stream_free(j->stream);
    rag_buf_free(&j->body);
    rag_buf_free(&j->decode.text);
    rag_arena_free(j->arena);
    free(j);
}

static void end_stream(void *context)
{
    job *j = context;
    http_stream_end(j->q);
    free_job(j);
}

static void fail_stream(job *j, const problem *p)
{
    rag_buf json, frame;
    rag_buf_init(&json, RAG_MAX_REPLY);
    rag_buf_init(&frame, RAG_MAX_REPLY);
    render_problem(&json, p, j->request_id);
    stream_put_event(&frame, "error", rag_buf_str(&json));
    stream_send(j->stream, rag_buf_str(&frame));
    rag_buf_free(&frame);
    rag_buf_free(&json);
}

static void check_body(job *j)
{
    if (j->body.overflow)
        problem_set(&j->bad, 413, "reply_too_large", NULL, "the reply would be larger than %zu bytes", j->body.max);
}

static void answer_stream(job *j)
{
    if (j->bad.status)
        fail_stream(j, &j->bad);
    if (stream_close(j->stream))
        end_stream(j);
}

static void answer_whole(job *j)
{
    if (j->bad.status) {
        reply_problem(j->d, j->q, &j->bad);
    } else {
        if (strcmp(j->content_type, "application/json") == 0)
            rag_buf_putc(&j->body, '\n');
        reply_count(j->d, 200);
        http_reply(j->q, 200, j->content_type, rag_buf_str(&j->body), NULL);
    }
    free_job(j);
}

void job_answer(job *j)
{
    check_body(j);
    if (!j->q)
        free_job(j);
    else if (j->stream && (stream_has_begun(j->stream) || !j->bad.status))
        answer_stream(j);
    else
        answer_whole(j);
}

static void deliver_done(letter *l)
{
    job_answer((job *)((char *)l - offsetof(job, done)));
}

static void give_up(job *j)
{
    atomic_store(&j->canceled, true);
    atomic_store(&j->is_late, true);
    model_wake(j->d->model);
}

static void on_leave(void *context)
{
    job *j = context;
    j->d->count.canceled++;
    if (j->stream)
        stream_abandon(j->stream);
    give_up(j);
}

static const problem *why_not(const ragd *d, const lane *way, problem *p)
{
    *p = (problem){ .retry_after_s = 1 };
    if (d->is_draining)
        problem_set(p, 503, "shutting_down", NULL, "the daemon is shutting down");
    else if (way->active >= way->limit)
        problem_set(p, 503, "queue_full", NULL, "%d requests are on their way already", way->active);
    return p->status ? p : NULL;
}

static void name_caller(const ragd *d, http_request *q, char *out, size_t size)
{
    if (http_request_uid(q) >= 0)
        snprintf(out, size, "uid:%lld", (long long)http_request_uid(q));
    else if (d->keys)
        auth_name(http_request_header(q, "Authorization"), out, size);
    else
        snprintf(out, size, "tcp");
}

job *job_new(ragd *d, http_request *q, lane *way)
{
    problem p;
    if (why_not(d, way, &p)) {
        d->count.refused_full++;
        reply_problem(d, q, &p);
        return NULL;
    }
    job *j = rag_calloc(1, sizeof *j);
    *j = (job){ .d = d,
                .q = q,
                .lane = way,
                .arena = rag_arena_new(),
                .tuning = d->opt.tuning,
                .may_see_all = http_request_is_local(q) || d->keys,
                .accepted_ms = rag_clock_ms(),
                .content_type = "application/json",
                .done.deliver = deliver_done };
    strncpy(j->request_id, http_request_id(q), sizeof j->request_id - 1);
    name_caller(d, q, j->caller, sizeof j->caller);
    rag_buf_init(&j->body, RAG_MAX_REPLY);
    way->active++;
    link_live(d, j);
    http_request_on_leave(q, on_leave, j);
    return j;
}

void job_stream(job *j)
{
    j->stream = stream_new(j->d->base, j->q, end_stream, j);
}

static void on_alarm(evutil_socket_t fd, short what, void *context)
{
    job *j = context;
    (void)fd;
    (void)what;
    atomic_store(&j->is_late, true);
    model_wake(j->d->model);
}

void job_deadline(job *j, int64_t ms)
{
    j->deadline_ms = j->accepted_ms + (double)ms;
    j->alarm = evtimer_new(j->d->base, on_alarm, j);
    timer_arm(j->alarm, ms);
}

void job_abort(job *j)
{
    problem p = { .retry_after_s = 1 };
    give_up(j);
    if (j->stream && stream_is_closed(j->stream)) {
        end_stream(j);
        return;
    }
    if (!j->q)
        return;
    problem_set(&p, 503, "shutting_down", NULL, "the daemon is shutting down");
    if (j->stream && stream_has_begun(j->stream)) {
        fail_stream(j, &p);
        http_stream_end(j->q);
    } else {
        reply_problem(j->d, j->q, &p);
    }
    j->q = NULL;
}

/* ---- the owner's -------------------------------------------------------------------- */

void job_work(job *j, job_step *step)
{
    j->step = step;
    queue_push(j->d->queue, j);
}

void job_embed(job *j, rag_embed_role role, const rag_str *texts, size_t n, size_t max_tokens, job_step *then)
{
    embedding *e = &j->embed;
    double ms = e->ms;
    rag_str counted = e->counted;
    *e = (embedding){ .role = role, .texts = texts, .n = n, .max_tokens = max_tokens, .counted = counted, .ms = ms };
    e->vectors = rag_arena_array(j->arena, n > 0 ? n : 1, sizeof *e->vectors);
    j->step = then;
    model_embed(j->d->model, j);
}

void job_rerank(job *j, job_step *then)
{
    j->step = then;
    model_rerank(j->d->model, j);
}

void job_decode(job *j, job_step *then)
{
    j->step = then;
    model_decode(j->d->model, j);
}

void job_finish(job *j)
{
    rag_snapshot_release(j->snapshot);
    j->snapshot = NULL;
    mailbox_post(j->d->mail, &j->done);
}

void job_pin(job *j)
{
    if (!j->snapshot)
        j->snapshot = rag_index_acquire(j->d->index);
}

bool job_repin(job *j, rag_code code)
{
    if (code != RAG_BUSY || j->is_repinned || rag_index_refresh(j->d->index, NULL, NULL) != RAG_OK)
        return false;
    j->is_repinned = true;
    rag_snapshot_release(j->snapshot);
    j->snapshot = rag_index_acquire(j->d->index);
    return true;
}

void job_fail(job *j, const rag_err *err, const char *param)
{
    static const struct {
        rag_code code;
        int status;
        const char *name;
    } known[] = {
        { RAG_NOT_FOUND, 404, "not_found" },    { RAG_INVALID, 400, "invalid_value" },
        { RAG_TOO_LARGE, 413, "too_large" },    { RAG_UNSUPPORTED, 501, "unsupported" },
        { RAG_DENIED, 403, "denied" },          { RAG_FULL, 507, "storage_full" },
        { RAG_DEADLINE, 504, "out_of_time" },   { RAG_CANCELED, 503, "canceled" },
        { RAG_BUSY, 503, "busy" },
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].code == err->code) {
            problem_set(&j->bad, known[i].status, known[i].name, param, "%s", err->message);
            return;
        }
    rag_log(RAG_ERROR, "request_id=%s %s", j->request_id, err->message);
    problem_set(&j->bad, 500, "internal_error", NULL, "the daemon failed; its log says why under this request_id");
}

typedef struct frame {
    letter l;
    job *j;
    rag_buf bytes;
} frame;

static void deliver_frame(letter *l)
{
    frame *f = (frame *)l;
    if (f->j->q && f->j->stream)
        stream_send(f->j->stream, rag_buf_str(&f->bytes));
    rag_buf_free(&f->bytes);
    free(f);
}

void job_event(job *j, const char *event, rag_str json)
{
    frame *f = rag_calloc(1, sizeof *f);
    *f = (frame){ .l.deliver = deliver_frame, .j = j };
    rag_buf_init(&f->bytes, RAG_MAX_REPLY);
    stream_put_event(&f->bytes, event, json);
    mailbox_post(j->d->mail, &f->l);
}
