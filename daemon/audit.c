/* daemon/audit.c */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "daemon/audit.h"
#include "daemon/reply.h"
#include "daemon/routes.h"
#include "daemon/state.h"

enum { MAX_ID = 64 };

struct audit {
    pthread_mutex_t mu;
    pthread_cond_t written;
    int64_t begun, ended;
};

audit *audit_new(void)
{
    audit *g = rag_calloc(1, sizeof *g);
    pthread_mutex_init(&g->mu, NULL);
    pthread_cond_init(&g->written, NULL);
    return g;
}

void audit_free(audit *g)
{
    if (!g)
        return;
    pthread_cond_destroy(&g->written);
    pthread_mutex_destroy(&g->mu);
    free(g);
}

static void begin(audit *g)
{
    pthread_mutex_lock(&g->mu);
    g->begun++;
    pthread_mutex_unlock(&g->mu);
}

static void end(audit *g)
{
    pthread_mutex_lock(&g->mu);
    g->ended++;
    pthread_cond_broadcast(&g->written);
    pthread_mutex_unlock(&g->mu);
}

/* Until as many records are written as had been begun.  Who writes waits for nobody, so this ends. */
static void wait_for_writers(audit *g)
{
    pthread_mutex_lock(&g->mu);
    for (int64_t begun = g->begun; g->ended < begun;)
        pthread_cond_wait(&g->written, &g->mu);
    pthread_mutex_unlock(&g->mu);
}

/* ---- writing ------------------------------------------------------------------------ */

static rag_str render(const audit_note *n, rag_buf *json)
{
    audit_render(n, false, json);
    if (json->overflow) {
        rag_buf_clear(json);
        audit_render(n, true, json);
    }
    return rag_buf_str(json);
}

static void write_down(rag_records *records, const audit_note *n)
{
    const ask *a = n->a;
    rag_buf json;
    rag_err err = { 0 };
    double start = rag_clock_ms();
    rag_buf_init(&json, AUDIT_BYTES);
    rag_record r = { .answer_id = rag_str_of(a->answer_id),
                     .conversation_id = rag_str_of(a->conversation_id),
                     .collection = a->search.filter.collection,
                     .generation = n->generation,
                     .question = a->question,
                     .resolved = audit_resolved(a),
                     .outcome = rag_str_of(a->result.refused ? "refused" : "answered"),
                     .mode = rag_str_of(a->result.mode),
                     .confidence = a->result.confidence,
                     .audit = render(n, &json) };
    if (json.overflow)
        rag_fail(&err, RAG_TOO_LARGE, "the record would be larger than %d bytes", AUDIT_BYTES);
    else
        rag_records_put(records, &r, &err);
    if (err.code != RAG_OK)
        rag_log(RAG_WARN, "request_id=%s answer %s is not written down: %s", n->request_id, a->answer_id, err.message);
    else
        rag_log(RAG_DEBUG, "request_id=%s answer %s is written down: %zu bytes in %.1f ms", n->request_id, a->answer_id,
                json.len, rag_clock_ms() - start);
    rag_buf_free(&json);
}

/* The loop frees the job as it comes back; what the record needs of it stays here. */
static void take(job *j, const ask *a, audit_note *n)
{
    *n = (audit_note){ .arena = j->arena,
                       .a = a,
                       .decode = j->decode,
                       .tuning = j->tuning,
                       .generation = rag_snapshot_generation(j->snapshot),
                       .is_deterministic = j->d->opt.deterministic,
                       .is_late = atomic_load(&j->is_late) };
    memcpy(n->request_id, j->request_id, sizeof n->request_id);
    n->response = rag_arena_str(j->arena, rag_buf_str(&j->body));
    j->arena = NULL;
    j->decode.text = (rag_buf){ 0 };
}

void audit_finish(job *j, const ask *a)
{
    ragd *d = j->d;
    audit_note n;
    if (!j->tuning.audit || !d->records || j->body.overflow) {
        job_finish(j);
        return;
    }
    take(j, a, &n);
    begin(d->audit);
    job_finish(j);
    model_get_facts(d->model, &n.facts);
    write_down(d->records, &n);
    end(d->audit);
    rag_buf_free(&n.decode.text);
    rag_arena_free(n.arena);
}

/* ---- reading ------------------------------------------------------------------------ */

rag_code audit_read(ragd *d, rag_str answer_id, rag_arena *arena, rag_record *out, rag_err *err)
{
    if (!d->records)
        return rag_fail(err, RAG_NOT_FOUND, "answers are not kept: the log says why");
    rag_code code = rag_records_get(d->records, answer_id, arena, out, err);
    if (code == RAG_NOT_FOUND) {
        wait_for_writers(d->audit);
        code = rag_records_get(d->records, answer_id, arena, out, err);
    }
    return code;
}

bool audit_find(job *j, rag_str answer_id, rag_record *out)
{
    rag_err err = { 0 };
    rag_code code = j->may_see_all ? audit_read(j->d, answer_id, j->arena, out, &err) : RAG_NOT_FOUND;
    if (code == RAG_OK)
        return true;
    if (code == RAG_NOT_FOUND)
        return problem_set(&j->bad, 404, "answer_not_found", NULL, "there is no record of answer '%.*s'",
                           RAG_STR_ARG(rag_str_sub(answer_id, 0, MAX_ID)));
    job_fail(j, &err, NULL);
    return false;
}

static void run_answer(job *j, rag_reader *r)
{
    rag_record record;
    (void)r;
    if (audit_find(j, *(const rag_str *)j->state, &record))
        rag_buf_put(&j->body, record.audit);
    job_finish(j);
}

void route_answer(ragd *d, http_request *q, const rag_str *args)
{
    job *j = job_new(d, q, &d->quick);
    if (!j)
        return;
    rag_str *id = j->state = rag_arena_alloc(j->arena, sizeof *id);
    *id = rag_arena_str(j->arena, args[0]);
    job_work(j, run_answer);
}
