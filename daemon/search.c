/* daemon/search.c: POST /v1/search. */
#include "base/file.h"
#include "base/unicode.h"
#include "base/utf8.h"
#include "daemon/json.h"
#include "daemon/reply.h"
#include "daemon/rerank.h"
#include "daemon/routes.h"
#include "daemon/search.h"
#include "daemon/state.h"

bool search_has_text(rag_str s)
{
    for (size_t at = 0; at < s.len;)
        if (!rag_unicode_is_space(rag_utf8_next(s, &at)))
            return true;
    return false;
}

static void fail(job *j, const rag_err *err)
{
    if (err->code == RAG_NOT_FOUND)
        problem_set(&j->bad, 404, "collection_not_found", "collection", "%s", err->message);
    else
        job_fail(j, err, NULL);
}

static rag_search plan_of(const job *j, const search *s)
{
    const float *vector = j->embed.n > 0 ? j->embed.vectors[0] : NULL;
    return (rag_search){ .query = s->query,
                         .vector = vector,
                         .mode = vector ? s->mode : RAG_SEARCH_TEXT,
                         .top_k = s->top_k,
                         .candidates = j->tuning.candidates,
                         .fusion = j->tuning.fusion,
                         .text_weight = j->tuning.text_weight,
                         .rrf_k = j->tuning.rrf_k,
                         .document_share = j->tuning.document_share,
                         .pool = rerank_pool(j, s->top_k),
                         .explain = s->explain,
                         .filter = s->filter };
}

static rag_code look(job *j, rag_reader *r, search *s, rag_err *err)
{
    rag_code code;
    double start = rag_clock_ms();
    job_pin(j);
    do
        code = rag_reader_search(r, j->snapshot, &s->plan, j->arena, &s->found, err);
    while (job_repin(j, code));
    s->ms += rag_clock_ms() - start;
    return code;
}

static void go_on(job *j, rag_reader *r, search *s, rag_code code, const rag_err *err)
{
    if (code == RAG_OK) {
        s->then(j, r);
    } else {
        fail(j, err);
        job_finish(j);
    }
}

static void step_arrange(job *j, rag_reader *r)
{
    search *s = j->rerank.search;
    rag_err err = { 0 };
    double start = rag_clock_ms();
    rerank_apply(j, &s->found);
    rag_code code = rag_reader_arrange(r, j->snapshot, &s->plan, j->arena, &s->found, &err);
    s->ms += rag_clock_ms() - start;
    if (job_repin(j, code)) { /* the hits are gone: what there is now, as it is */
        s->plan.pool = 0;
        code = look(j, r, s, &err);
    }
    go_on(j, r, s, code, &err);
}

void search_run(job *j, rag_reader *r, search *s, job_step *then)
{
    rag_err err = { 0 };
    s->then = then;
    s->plan = plan_of(j, s);
    rag_code code = look(j, r, s, &err);
    if (code == RAG_OK && s->plan.pool > 0 && s->found.n > 0)
        rerank_begin(j, s, step_arrange);
    else
        go_on(j, r, s, code, &err);
}

/* ---- the route ---------------------------------------------------------------------- */

typedef struct search_request {
    search search;
} search_request;

static void render(job *j, const search_request *s)
{
    json_writer w;
    double now = rag_clock_ms();
    json_begin(&w, &j->body);
    json_open(&w, NULL, '{');
    json_int(&w, "generation", rag_snapshot_generation(j->snapshot));
    json_open(&w, "results", '[');
    for (size_t i = 0; i < s->search.found.n; i++)
        render_hit(&w, &s->search.found.hits[i], s->search.explain);
    json_close(&w, ']');
    render_findings(&w, &s->search.found);
    if (s->search.explain) {
        json_open(&w, "explain", '{');
        render_explanation(&w, &s->search);
        json_close(&w, '}');
    }
    json_open(&w, "timings_ms", '{');
    json_num(&w, "queue", j->started_ms - j->accepted_ms, 1);
    json_num(&w, "embed", j->embed.ms, 1);
    json_num(&w, "search", s->search.ms, 1);
    if (j->rerank.n > 0)
        json_num(&w, "rerank", j->rerank.ms, 1);
    json_num(&w, "total", now - j->accepted_ms, 1);
    json_close(&w, '}');
    json_close(&w, '}');
}

static void step_render(job *j, rag_reader *r)
{
    (void)r;
    render(j, j->state);
    job_finish(j);
}

static void run(job *j, rag_reader *r)
{
    search_request *s = j->state;
    search_run(j, r, &s->search, step_render);
}

static bool read_request(job *j, const cJSON *json, search_request *s)
{
    static const char *const keys[] = { "query", "collection", "filter", "top_k", "mode", "explain", NULL };
    static const char *const modes[] = { "hybrid", "vector", "text", NULL };
    fields f;
    int mode = RAG_SEARCH_HYBRID;
    int64_t top_k = j->tuning.top_k;
    rag_str query = { 0 };
    if (!fields_open(&f, json, "", keys, &j->bad) || !fields_require(&f, "query") ||
        !fields_str(&f, "query", RAG_MAX_QUERY, "query_too_long", &query) ||
        !search_read_filter(j, &f, &s->search.filter) || !fields_int(&f, "top_k", 1, 100, &top_k) ||
        !fields_choice(&f, "mode", modes, &mode) || !fields_bool(&f, "explain", &s->search.explain))
        return false;
    if (!search_has_text(query))
        return problem_set(&j->bad, 400, "empty_query", "query", "'query' is empty");
    s->search.query = rag_arena_str(j->arena, query);
    s->search.top_k = (int)top_k;
    s->search.mode = (rag_search_mode)mode;
    return true;
}

void route_search(ragd *d, http_request *q, const rag_str *args)
{
    cJSON *json = NULL;
    job *j = job_new(d, q, &d->quick);
    (void)args;
    if (!j)
        return;
    d->count.searches++;
    search_request *s = j->state = rag_arena_alloc(j->arena, sizeof *s);
    bool is_good = route_body(q, &json, &j->bad) && read_request(j, json, s);
    cJSON_Delete(json);
    if (!is_good)
        job_answer(j);
    else if (s->search.mode == RAG_SEARCH_TEXT)
        job_work(j, run);
    else
        job_embed(j, RAG_EMBED_QUERY, &s->search.query, 1, 0, run);
}
