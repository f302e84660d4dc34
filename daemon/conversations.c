/* daemon/conversations.c: GET and DELETE /v1/conversations/{id}. */
#include "base/file.h"
#include "daemon/reply.h"
#include "daemon/routes.h"
#include "daemon/state.h"

static void render_time(json_writer *w, const char *key, int64_t ns)
{
    char time[32];
    rag_time_format(ns, time);
    json_cstr(w, key, time);
}

static void render_turn(json_writer *w, const rag_turn *t)
{
    json_open(w, NULL, '{');
    json_int(w, "turn", t->ordinal);
    json_str(w, "question", t->question);
    if (t->resolved.len > 0)
        json_str(w, "resolved_question", t->resolved);
    json_str(w, "answer", t->answer);
    json_str(w, "answer_id", t->answer_id);
    json_open(w, "documents", '[');
    for (size_t i = 0; i < t->n_documents; i++)
        json_int(w, NULL, t->documents[i]);
    json_close(w, ']');
    json_close(w, '}');
}

static void render(job *j, const rag_conversation *c)
{
    json_writer w;
    json_begin(&w, &j->body);
    json_open(&w, NULL, '{');
    json_str(&w, "conversation_id", c->id);
    render_time(&w, "created", c->created_ns);
    render_time(&w, "used", c->used_ns);
    json_open(&w, "turns", '[');
    for (size_t i = 0; i < c->n; i++)
        render_turn(&w, &c->turns[i]);
    json_close(&w, ']');
    json_close(&w, '}');
}

/* Whose it is, is not told to others. */
static void fail(job *j, rag_code code, const rag_err *err)
{
    if (code == RAG_NOT_FOUND || code == RAG_DENIED)
        problem_set(&j->bad, 404, "conversation_not_found", "id", "there is no such conversation");
    else
        job_fail(j, err, "id");
}

static rag_code none(rag_err *err)
{
    return rag_fail(err, RAG_NOT_FOUND, "there is no state.db");
}

static void step_read(job *j, rag_reader *r)
{
    const rag_str *id = j->state;
    rag_conversation c;
    rag_err err = { 0 };
    rag_records *records = j->d->records;
    (void)r;
    rag_code code = records ? rag_turns_read(records, *id, rag_str_of(j->caller), 0, j->arena, &c, &err) : none(&err);
    if (code == RAG_OK)
        render(j, &c);
    else
        fail(j, code, &err);
    job_finish(j);
}

static void render_deleted(job *j, rag_str id)
{
    json_writer w;
    json_begin(&w, &j->body);
    json_open(&w, NULL, '{');
    json_str(&w, "conversation_id", id);
    json_bool(&w, "deleted", true);
    json_close(&w, '}');
}

static void step_forget(job *j, rag_reader *r)
{
    const rag_str *id = j->state;
    rag_err err = { 0 };
    rag_records *records = j->d->records;
    (void)r;
    rag_code code = records ? rag_turns_forget(records, *id, rag_str_of(j->caller), &err) : none(&err);
    if (code == RAG_OK)
        render_deleted(j, *id);
    else
        fail(j, code, &err);
    job_finish(j);
}

static void run(ragd *d, http_request *q, rag_str id, job_step *step)
{
    job *j = job_new(d, q, &d->quick);
    if (!j)
        return;
    rag_str *kept = j->state = rag_arena_alloc(j->arena, sizeof *kept);
    *kept = rag_arena_str(j->arena, id);
    job_work(j, step);
}

void route_conversation(ragd *d, http_request *q, const rag_str *args)
{
    run(d, q, args[0], step_read);
}

void route_forget(ragd *d, http_request *q, const rag_str *args)
{
    run(d, q, args[0], step_forget);
}
