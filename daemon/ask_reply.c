/* daemon/ask_reply.c: the response object of /v1/ask and its events. */
#include <string.h>

#include "base/file.h"
#include "daemon/ask.h"
#include "daemon/reply.h"
#include "daemon/state.h"

static void render_citation(json_writer *w, const ask *a, const answer_citation *c)
{
    const rag_hit *hit = &a->search.found.hits[c->hit];
    json_open(w, NULL, '{');
    json_int(w, "n", c->n);
    render_origin(w, hit);
    json_int(w, "line_start", (int64_t)c->line_start);
    json_int(w, "line_end", (int64_t)c->line_end);
    json_int(w, "start", (int64_t)c->start);
    json_int(w, "end", (int64_t)c->end);
    json_str(w, "quote", c->quote);
    json_bool(w, "verified", true); /* what could not be read back is not here */
    json_num(w, "score", c->score, 4);
    if (hit->url.len > 0)
        json_str(w, "url", hit->url);
    json_close(w, '}');
}

static void render_citations(json_writer *w, const ask *a, const answer_result *r)
{
    json_open(w, "citations", '[');
    for (size_t i = 0; i < r->n_citations; i++)
        render_citation(w, a, &r->citations[i]);
    json_close(w, ']');
}

static void render_passages(json_writer *w, const char *key, const ask *a)
{
    json_open(w, key, '[');
    for (size_t i = 0; i < a->search.found.n; i++)
        render_hit(w, &a->search.found.hits[i], a->explain);
    json_close(w, ']');
}

static bool is_decoded(const ask *a)
{
    return strcmp(a->result.mode, "extract") != 0;
}

static void render_model(json_writer *w, const job *j, const ask *a)
{
    model_facts facts;
    model_get_facts(j->d->model, &facts);
    json_cstr(w, "model", is_decoded(a) ? facts.decoder : facts.embedder);
}

static void render_usage(json_writer *w, const rag_llm_done *done)
{
    json_open(w, "usage", '{');
    json_int(w, "prompt_tokens", (int64_t)done->prompt_tokens);
    json_int(w, "cached_tokens", (int64_t)done->cached_tokens);
    json_int(w, "completion_tokens", (int64_t)done->completion_tokens);
    json_close(w, '}');
}

static void render_timings(json_writer *w, const job *j, const ask *a)
{
    const decoding *d = &j->decode;
    double first = is_decoded(a) && d->first_piece_ms > 0 ? d->first_piece_ms : a->extracted_ms;
    json_open(w, "timings_ms", '{');
    json_num(w, "queue", j->started_ms - j->accepted_ms, 1);
    json_num(w, "embed", j->embed.ms, 1);
    json_num(w, "search", a->search.ms, 1);
    if (j->rerank.n > 0)
        json_num(w, "rerank", j->rerank.ms, 1);
    json_num(w, "prefill", d->done.prefill_ms, 1);
    json_num(w, "decode", d->done.decode_ms, 1);
    json_num(w, "first_token", first - j->accepted_ms, 1);
    json_num(w, "total", rag_clock_ms() - j->accepted_ms, 1);
    json_close(w, '}');
}

/* What the confidence was made from; 0 tells nothing and is left out. */
static void render_features(json_writer *w, const answer_features *f)
{
    json_open(w, "features", '{');
    for (int i = 0; i < ANSWER_FEATURES; i++)
        if (f->value[i] != 0)
            json_num(w, answer_feature_name((answer_feature)i), f->value[i], 4);
    json_close(w, '}');
}

void ask_render(job *j, const ask *a, rag_buf *out)
{
    const answer_result *r = &a->result;
    json_writer w;
    json_begin(&w, out);
    json_open(&w, NULL, '{');
    json_cstr(&w, "answer_id", a->answer_id);
    json_cstr(&w, "conversation_id", a->conversation_id);
    if (ask_is_resolved(a))
        json_str(&w, "resolved_question", a->search.query);
    json_cstr(&w, "outcome", r->refused ? "refused" : "answered");
    json_cstr(&w, "mode", r->mode);
    json_str(&w, "answer", r->answer);
    json_num(&w, "confidence", r->confidence, 4);
    json_bool(&w, "needs_review", !r->refused && r->confidence < j->tuning.review_below);
    if (a->degraded)
        json_cstr(&w, "degraded", a->degraded);
    render_citations(&w, a, r);
    render_findings(&w, &a->search.found);
    json_int(&w, "generation", rag_snapshot_generation(j->snapshot));
    render_model(&w, j, a);
    render_usage(&w, &j->decode.done);
    render_timings(&w, j, a);
    if (a->explain) {
        json_open(&w, "explain", '{');
        json_cstr(&w, "followup", followup_cue_name(a->followup.cue));
        render_passages(&w, "passages", a);
        render_explanation(&w, &a->search);
        render_features(&w, &a->evidence.features);
        json_close(&w, '}');
    }
    json_close(&w, '}');
}

static void begin_event(json_writer *w, rag_buf *out)
{
    rag_buf_init(out, RAG_MAX_REPLY);
    json_begin(w, out);
    json_open(w, NULL, '{');
}

static void end_event(json_writer *w, job *j, const char *event)
{
    json_close(w, '}');
    job_event(j, event, rag_buf_str(w->out));
    rag_buf_free(w->out);
}

void ask_tell_start(job *j, const ask *a)
{
    rag_buf out;
    json_writer w;
    begin_event(&w, &out);
    json_cstr(&w, "answer_id", a->answer_id);
    json_cstr(&w, "conversation_id", a->conversation_id);
    if (ask_is_resolved(a))
        json_str(&w, "resolved_question", a->search.query);
    json_cstr(&w, "request_id", j->request_id);
    json_int(&w, "generation", rag_snapshot_generation(j->snapshot));
    end_event(&w, j, "meta");
    begin_event(&w, &out);
    render_passages(&w, "sources", a);
    end_event(&w, j, "sources");
}

void ask_tell_draft(job *j, const ask *a)
{
    rag_buf out;
    json_writer w;
    begin_event(&w, &out);
    json_str(&w, "text", a->extract.answer);
    render_citations(&w, a, &a->extract);
    end_event(&w, j, "draft");
}

void ask_tell_delta(job *j, rag_str text)
{
    rag_buf out;
    json_writer w;
    begin_event(&w, &out);
    json_str(&w, "text", text);
    end_event(&w, j, "delta");
}

void ask_tell_end(job *j, const ask *a, rag_str response)
{
    rag_buf out;
    json_writer w;
    for (size_t i = 0; i < a->result.n_citations; i++) {
        rag_buf_init(&out, RAG_MAX_REPLY);
        json_begin(&w, &out);
        render_citation(&w, a, &a->result.citations[i]);
        job_event(j, "citation", rag_buf_str(&out));
        rag_buf_free(&out);
    }
    job_event(j, "done", response);
}
