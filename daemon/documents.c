/* daemon/documents.c: what is in, and the stored text. */
#include "daemon/reply.h"
#include "daemon/routes.h"
#include "daemon/state.h"

enum { DEFAULT_LIMIT = 100, MAX_LIMIT = 1000 };

typedef struct listing {
    rag_str collection;
    int64_t after, limit;
    int64_t document, start, end;
} listing;

static void render_list(job *j, const listing *l, const rag_document *docs, size_t n)
{
    json_writer w;
    json_begin(&w, &j->body);
    json_open(&w, NULL, '{');
    json_int(&w, "generation", rag_snapshot_generation(j->snapshot));
    json_open(&w, "documents", '[');
    for (size_t i = 0; i < n && i < (size_t)l->limit; i++)
        render_document(&w, &docs[i]);
    json_close(&w, ']');
    if (n > (size_t)l->limit)
        json_int(&w, "next", docs[l->limit - 1].id);
    else
        json_null(&w, "next");
    json_close(&w, '}');
}

static void run_list(job *j, rag_reader *r)
{
    const listing *l = j->state;
    rag_err err = { 0 };
    rag_document *docs;
    size_t n;
    rag_filter filter = { .collection = l->collection, .all_groups = j->may_see_all };
    rag_code code;
    job_pin(j);
    /* One more than asked for says whether there is a next page. */
    do
        code = rag_reader_documents(r, j->snapshot, &filter, l->after, (size_t)l->limit + 1, j->arena, &docs, &n, &err);
    while (job_repin(j, code));
    if (code == RAG_OK)
        render_list(j, l, docs, n);
    else if (code == RAG_NOT_FOUND)
        problem_set(&j->bad, 404, "collection_not_found", "collection", "%s", err.message);
    else
        job_fail(j, &err, NULL);
    job_finish(j);
}

/* Whoever may not see a document is told that there is none. */
static bool find(job *j, rag_reader *r, rag_document *doc)
{
    const listing *l = j->state;
    rag_err err = { 0 };
    rag_code code;
    job_pin(j);
    do
        code = rag_reader_document(r, j->snapshot, l->document, j->arena, doc, &err);
    while (job_repin(j, code));
    if (code == RAG_OK && (j->may_see_all || doc->groups.len == 0))
        return true;
    if (code == RAG_OK || code == RAG_NOT_FOUND)
        return problem_set(&j->bad, 404, "document_not_found", NULL, "there is no document %lld in generation %lld",
                           (long long)l->document, (long long)rag_snapshot_generation(j->snapshot));
    job_fail(j, &err, NULL);
    return false;
}

static void run_document(job *j, rag_reader *r)
{
    rag_document doc;
    json_writer w;
    json_begin(&w, &j->body);
    if (find(j, r, &doc))
        render_document(&w, &doc);
    job_finish(j);
}

static void run_text(job *j, rag_reader *r)
{
    const listing *l = j->state;
    rag_err err = { 0 };
    rag_document doc;
    if (find(j, r, &doc)) {
        size_t end = l->end < 0 ? SIZE_MAX : (size_t)l->end;
        rag_code code = rag_reader_text(r, j->snapshot, l->document, (size_t)l->start, end, &j->body, &err);
        if (code == RAG_INVALID)
            problem_set(&j->bad, 400, "invalid_range", "start", "%s", err.message);
        else if (code != RAG_OK)
            job_fail(j, &err, NULL);
    }
    j->content_type = "text/plain; charset=utf-8";
    job_finish(j);
}

static job *begin(ragd *d, http_request *q, listing **l)
{
    job *j = job_new(d, q, &d->quick);
    if (!j)
        return NULL;
    *l = j->state = rag_arena_alloc(j->arena, sizeof **l);
    (*l)->end = -1;
    return j;
}

static void go(job *j, bool is_good, job_step *step)
{
    if (is_good)
        job_work(j, step);
    else
        job_answer(j);
}

void route_documents(ragd *d, http_request *q, const rag_str *args)
{
    listing *l;
    rag_str collection = RAG_STR("*");
    job *j = begin(d, q, &l);
    (void)args;
    if (!j)
        return;
    l->limit = DEFAULT_LIMIT;
    http_request_param(q, "collection", &collection);
    l->collection = rag_arena_str(j->arena, collection);
    go(j,
       route_param_number(q, "limit", 1, MAX_LIMIT, &l->limit, &j->bad) &&
           route_param_number(q, "after", 0, INT64_MAX, &l->after, &j->bad),
       run_list);
}

static bool read_id(const rag_str *args, listing *l, problem *p)
{
    return route_number(args[0], "id", 0, INT64_MAX, &l->document, p);
}

void route_document(ragd *d, http_request *q, const rag_str *args)
{
    listing *l;
    job *j = begin(d, q, &l);
    if (j)
        go(j, read_id(args, l, &j->bad), run_document);
}

void route_document_text(ragd *d, http_request *q, const rag_str *args)
{
    listing *l;
    job *j = begin(d, q, &l);
    if (j)
        go(j,
           read_id(args, l, &j->bad) && route_param_number(q, "start", 0, INT64_MAX, &l->start, &j->bad) &&
               route_param_number(q, "end", 0, INT64_MAX, &l->end, &j->bad),
           run_text);
}
