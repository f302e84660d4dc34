/* daemon/generations.c: versions of the knowledge base, its verification and its backup. */
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "daemon/reply.h"
#include "daemon/routes.h"
#include "daemon/state.h"

enum { MAX_PROBLEMS = 1000, MAX_PATH_BYTES = 4096 };

static void render_generation(json_writer *w, const rag_generation *g)
{
    char time[32];
    rag_time_format(g->published_ns, time);
    json_open(w, NULL, '{');
    json_int(w, "generation", g->number);
    json_cstr(w, "published", time);
    json_bool(w, "active", g->active);
    json_int(w, "documents", g->documents);
    json_int(w, "chunks", g->chunks);
    json_int(w, "documents_added", g->documents_added);
    json_int(w, "documents_updated", g->documents_updated);
    json_int(w, "documents_removed", g->documents_removed);
    json_close(w, '}');
}

static void render_list(job *j, const rag_generation *list, size_t n)
{
    json_writer w;
    json_begin(&w, &j->body);
    json_open(&w, NULL, '{');
    json_open(&w, "generations", '[');
    for (size_t i = 0; i < n; i++)
        render_generation(&w, &list[i]);
    json_close(&w, ']');
    json_int(&w, "active", rag_snapshot_generation(j->snapshot));
    json_bool(&w, "pinned", n > 0 && list[0].number != rag_snapshot_generation(j->snapshot));
    json_close(&w, '}');
}

static void run_list(job *j, rag_reader *r)
{
    rag_err err = { 0 };
    rag_generation *list;
    size_t n;
    (void)r;
    job_pin(j);
    if (rag_index_generations(j->d->index, j->arena, &list, &n, &err) == RAG_OK)
        render_list(j, list, n);
    else
        job_fail(j, &err, NULL);
    job_finish(j);
}

void route_generations(ragd *d, http_request *q, const rag_str *args)
{
    job *j = job_new(d, q, &d->quick);
    (void)args;
    if (j)
        job_work(j, run_list);
}

/* ---- activate ----------------------------------------------------------------------- */

static void render_active(job *j)
{
    json_writer w;
    j->snapshot = rag_index_acquire(j->d->index);
    json_begin(&w, &j->body);
    json_open(&w, NULL, '{');
    json_int(&w, "active", rag_snapshot_generation(j->snapshot));
    json_bool(&w, "pinned", *(int64_t *)j->state > 0);
    json_close(&w, '}');
}

static void run_activate(job *j, rag_reader *r)
{
    rag_err err = { 0 };
    int64_t number = *(int64_t *)j->state;
    (void)r;
    rag_code code = rag_index_activate(j->d->index, number, &err);
    if (code == RAG_OK)
        code = rag_index_refresh(j->d->index, NULL, &err);
    if (code == RAG_OK)
        render_active(j);
    else if (code == RAG_NOT_FOUND)
        problem_set(&j->bad, 404, "generation_not_found", NULL, "%s", err.message);
    else
        job_fail(j, &err, NULL);
    job_finish(j);
}

void route_activate(ragd *d, http_request *q, const rag_str *args)
{
    job *j = job_new(d, q, &d->quick);
    if (!j)
        return;
    int64_t *number = j->state = rag_arena_alloc(j->arena, sizeof *number);
    bool is_latest = rag_str_eq(args[0], RAG_STR("latest"));
    if (route_empty_body(q, &j->bad) &&
        (is_latest || route_number(args[0], "generation", 1, INT64_MAX, number, &j->bad)))
        job_work(j, run_activate);
    else
        job_answer(j);
}

/* ---- verify ------------------------------------------------------------------------- */

typedef struct findings {
    json_writer w;
    int64_t n;
} findings;

static void on_problem(void *context, const char *sentence)
{
    findings *f = context;
    if (f->n++ < MAX_PROBLEMS)
        json_cstr(&f->w, NULL, sentence);
}

static void run_verify(job *j, rag_reader *r)
{
    rag_err err = { 0 };
    findings f = { 0 };
    int64_t n = 0;
    (void)r;
    json_begin(&f.w, &j->body);
    json_open(&f.w, NULL, '{');
    json_open(&f.w, "problems", '[');
    rag_code code = rag_index_verify(j->d->index, on_problem, &f, &n, &err);
    if (code == RAG_CORRUPT)
        on_problem(&f, err.message);
    else if (code != RAG_OK)
        job_fail(j, &err, NULL);
    json_close(&f.w, ']');
    json_bool(&f.w, "ok", f.n == 0 && n == 0);
    json_close(&f.w, '}');
    job_finish(j);
}

void route_verify(ragd *d, http_request *q, const rag_str *args)
{
    job *j = job_new(d, q, &d->quick);
    (void)args;
    if (!j)
        return;
    if (route_empty_body(q, &j->bad))
        job_work(j, run_verify);
    else
        job_answer(j);
}

/* ---- backup ------------------------------------------------------------------------- */

static void run_backup(job *j, rag_reader *r)
{
    rag_err err = { 0 };
    json_writer w;
    (void)r;
    if (rag_index_backup(j->d->index, j->state, &err) != RAG_OK)
        job_fail(j, &err, "file");
    json_begin(&w, &j->body);
    json_open(&w, NULL, '{');
    json_cstr(&w, "file", j->state);
    json_close(&w, '}');
    job_finish(j);
}

static bool read_file_name(job *j, const cJSON *json)
{
    static const char *const keys[] = { "file", NULL };
    fields f;
    rag_str file = { 0 };
    if (!fields_open(&f, json, "", keys, &j->bad) || !fields_require(&f, "file") ||
        !fields_str(&f, "file", MAX_PATH_BYTES, "file_too_long", &file))
        return false;
    if (file.len == 0 || file.ptr[0] != '/')
        return problem_set(&j->bad, 400, "invalid_value", "file", "'file' must be an absolute path");
    j->state = rag_arena_cstr(j->arena, file);
    return true;
}

/* Whoever reaches the Unix socket is this machine's administrator; TCP writes no files. */
void route_backup(ragd *d, http_request *q, const rag_str *args)
{
    cJSON *json = NULL;
    job *j = job_new(d, q, &d->quick);
    (void)args;
    if (!j)
        return;
    bool is_good = http_request_is_local(q) ||
                   problem_set(&j->bad, 403, "local_only", NULL, "backups are made over the Unix socket only");
    is_good = is_good && route_body(q, &json, &j->bad) && read_file_name(j, json);
    cJSON_Delete(json);
    if (is_good)
        job_work(j, run_backup);
    else
        job_answer(j);
}
