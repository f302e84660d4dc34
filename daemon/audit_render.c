/* daemon/audit_render.c: the record of an answer as JSON. */
#include <string.h>

#include "base/file.h"
#include "base/sentence.h"
#include "daemon/audit.h"
#include "daemon/reply.h"

#ifndef RAGD_VERSION
#define RAGD_VERSION "0"
#endif

enum { PRECISION = 9 }; /* of probabilities: replay tells how far apart two are */

/* ---- what was asked, and by whom it was answered --------------------------------------- */

static void put_model(json_writer *w, const char *key, const char *file, const rag_sha256 *id)
{
    char hex[65];
    if (!*file) {
        json_null(w, key);
        return;
    }
    json_open(w, key, '{');
    json_cstr(w, "file", file);
    if (id) {
        rag_sha256_hex(id, hex);
        json_cstr(w, "sha256", hex);
    }
    json_close(w, '}');
}

static void put_models(json_writer *w, const model_facts *f)
{
    json_open(w, "models", '{');
    put_model(w, "embedder", f->embedder, &f->embedder_id);
    put_model(w, "decoder", f->decoder, &f->decoder_id);
    put_model(w, "reranker", f->reranker_ready ? f->reranker : "", NULL);
    json_close(w, '}');
}

/* What of the configuration may change the answer; replay sets it again. */
static void put_settings(json_writer *w, const audit_note *n)
{
    const ragd_tuning *t = &n->tuning;
    json_open(w, "settings", '{');
    json_cstr(w, "mode", t->mode);
    json_int(w, "passages", t->passages);
    json_int(w, "sentences", t->sentences);
    json_num(w, "refuse_below", t->refuse_below, PRECISION);
    json_int(w, "max_tokens", t->max_tokens);
    json_int(w, "candidates", t->candidates);
    json_int(w, "fusion", t->fusion);
    json_num(w, "text_weight", t->text_weight, PRECISION);
    json_int(w, "rrf_k", t->rrf_k);
    json_num(w, "document_share", t->document_share, PRECISION);
    json_int(w, "rerank", t->rerank);
    json_bool(w, "deterministic", n->is_deterministic);
    json_close(w, '}');
}

static void put_head(json_writer *w, const audit_note *n)
{
    static const char *const modes[] = { "auto", "generate", "extract", "span" };
    const ask *a = n->a;
    char time[32];
    rag_time_format(rag_clock_wall_ns(), time);
    json_int(w, "version", 1);
    json_cstr(w, "ragd", RAGD_VERSION);
    json_cstr(w, "answer_id", a->answer_id);
    json_cstr(w, "conversation_id", a->conversation_id);
    json_cstr(w, "request_id", n->request_id);
    json_cstr(w, "created", time);
    json_str(w, "question", a->question);
    if (audit_resolved(a).len > 0)
        json_str(w, "resolved", audit_resolved(a));
    else
        json_null(w, "resolved");
    json_str(w, "collection", a->search.filter.collection);
    json_int(w, "generation", n->generation);
    json_cstr(w, "mode_asked", modes[a->mode]);
    json_cstr(w, "mode", a->result.mode);
    json_bool(w, "late", n->is_late);
    json_raw(w, "request", a->request);
    put_settings(w, n);
    put_models(w, &n->facts);
}

/* ---- what was found ------------------------------------------------------------------- */

static void put_search(json_writer *w, const audit_note *n, bool is_brief)
{
    search shown = n->a->search;
    size_t most = is_brief ? AUDIT_FEW_CANDIDATES : AUDIT_CANDIDATES;
    json_open(w, "search", '{');
    json_int(w, "n_candidates", (int64_t)shown.found.n_candidates);
    if (shown.found.n_candidates > most)
        shown.found.n_candidates = most;
    render_explanation(w, &shown);
    render_findings(w, &shown.found);
    json_close(w, '}');
    json_open(w, "passages", '[');
    for (size_t i = 0; i < shown.found.n && !is_brief; i++)
        render_hit(w, &shown.found.hits[i], true);
    json_close(w, ']');
}

/* The marker that a sentence had in the prompt; 0: it was not in it. */
static int marker_of(const ask *a, size_t sentence)
{
    for (size_t i = 0; i < a->n_order; i++)
        if (a->order[i] == sentence)
            return (int)i + 1;
    return 0;
}

static void put_sentence(json_writer *w, const ask *a, size_t i)
{
    const answer_sentence *s = &a->evidence.sentences[i];
    const rag_hit *hit = &a->search.found.hits[s->hit];
    json_open(w, NULL, '{');
    json_int(w, "passage", hit->rank);
    json_str(w, "document", hit->document);
    json_int(w, "document_id", hit->document_id);
    json_int(w, "start", (int64_t)(hit->start + s->span.start));
    json_int(w, "end", (int64_t)(hit->start + s->span.end));
    json_str(w, "text", s->text);
    json_num(w, "overlap", s->overlap, 6);
    json_num(w, "cosine", s->cosine, 6);
    json_num(w, "score", s->score, 6);
    render_rank(w, "marker", marker_of(a, i));
    json_close(w, '}');
}

static void put_evidence(json_writer *w, const ask *a)
{
    json_open(w, "evidence", '[');
    for (size_t i = 0; i < a->evidence.n_sentences; i++)
        put_sentence(w, a, i);
    json_close(w, ']');
}

/* What the confidence was made from, before the decoder was asked; 0 tells nothing and is left out. */
static void put_confidence(json_writer *w, const ask *a)
{
    json_open(w, "confidence", '{');
    json_num(w, "value", a->result.confidence, 6);
    json_open(w, "features", '{');
    for (int i = 0; i < ANSWER_FEATURES; i++)
        if (a->evidence.features.value[i] != 0)
            json_num(w, answer_feature_name((answer_feature)i), a->evidence.features.value[i], 6);
    json_close(w, '}');
    json_close(w, '}');
}

/* ---- what the decoder did --------------------------------------------------------------- */

static void put_sampling(json_writer *w, const rag_llm_sampling *s)
{
    static const char *const methods[] = { "greedy", "sample" };
    json_open(w, "sampling", '{');
    json_cstr(w, "method", (size_t)s->method < sizeof methods / sizeof *methods ? methods[s->method] : "other");
    json_num(w, "temperature", s->temperature, 6);
    json_int(w, "top_k", s->top_k);
    json_num(w, "top_p", s->top_p, 6);
    json_num(w, "min_p", s->min_p, 6);
    json_num(w, "repeat_penalty", s->repeat_penalty, 6);
    json_int(w, "seed", s->seed);
    json_int(w, "max_tokens", s->max_tokens);
    json_close(w, '}');
}

static void put_tokens(json_writer *w, const decoding *d)
{
    json_open(w, "tokens", '[');
    for (size_t i = 0; i < d->n_tokens; i++) {
        json_open(w, NULL, '{');
        json_int(w, "id", d->tokens[i].token.id);
        json_str(w, "text", d->tokens[i].text);
        json_num(w, "p", d->tokens[i].token.probability, PRECISION);
        json_close(w, '}');
    }
    json_close(w, ']');
}

/* In mode span: each sentence in a prompt of its own, with and without the question, and the span that was best. */
static void put_readings(json_writer *w, const rag_llm_spans *spans)
{
    json_open(w, "readings", '[');
    for (size_t i = 0; i < spans->n_readings; i++) {
        json_open(w, NULL, '{');
        json_str(w, "prompt", spans->readings[i].prompt);
        json_str(w, "prior_prompt", spans->readings[i].prior_prompt);
        json_str(w, "evidence", spans->readings[i].evidence);
        json_num(w, "bonus", spans->readings[i].bonus, 6);
        json_close(w, '}');
    }
    json_close(w, ']');
}

static void put_span(json_writer *w, const ask *a, const rag_llm_spans *spans)
{
    const rag_llm_span *s = &a->span;
    if (!a->has_span || s->reading >= spans->n_readings) {
        json_null(w, "span");
        return;
    }
    json_open(w, "span", '{');
    json_int(w, "reading", (int64_t)s->reading);
    json_str(w, "text", rag_str_sub(spans->readings[s->reading].evidence, s->span.start, s->span.end));
    json_int(w, "tokens", (int64_t)s->tokens);
    json_num(w, "score", s->score, PRECISION);
    json_num(w, "logprob", s->logprob, PRECISION);
    json_num(w, "prior_logprob", s->prior_logprob, PRECISION);
    json_num(w, "echo", s->echo, 6);
    json_num(w, "probability", s->probability, PRECISION);
    json_close(w, '}');
}

static void put_decoder(json_writer *w, const audit_note *n)
{
    static const char *const finishes[] = { "stop", "length", "canceled", "error" };
    const decoding *d = &n->decode;
    if (!d->prompt) { /* nobody asked it */
        json_null(w, "decoder");
        return;
    }
    json_open(w, "decoder", '{');
    json_cstr(w, "status", rag_code_name(d->code));
    json_cstr(w, "error", d->code != RAG_OK ? d->err.message : NULL);
    json_cstr(w, "finish", d->code == RAG_OK ? finishes[d->done.finish] : NULL);
    json_str(w, "prompt", d->request.prompt);
    json_bool(w, "parse_special", d->request.parse_special);
    json_open(w, "stops", '[');
    for (size_t i = 0; i < d->request.n_stops; i++)
        json_str(w, NULL, d->request.stops[i]);
    json_close(w, ']');
    put_sampling(w, &d->request.sampling);
    json_str(w, "text", rag_buf_str(&d->text));
    put_tokens(w, d);
    if (d->request.spans) {
        put_readings(w, d->request.spans);
        put_span(w, n->a, d->request.spans);
    }
    json_num(w, "mean_logprob", d->done.mean_logprob, PRECISION);
    json_close(w, '}');
}

/* One sentence of what the decoder wrote, held against the evidence by itself. */
static void put_checked(json_writer *w, const audit_note *n, rag_str sentence)
{
    const ask *a = n->a;
    answer_result r = { 0 };
    bool stands = answer_check(&a->evidence, a->order, ask_allowed_support(a), sentence, ask_strictness(a), n->arena, &r);
    json_open(w, NULL, '{');
    json_str(w, "text", sentence);
    json_bool(w, "stands", stands);
    if (stands && r.n_citations > 0) {
        json_str(w, "quote", r.citations[0].quote);
        json_num(w, "confidence", r.confidence, 6);
    }
    json_close(w, '}');
}

static void put_check(json_writer *w, const audit_note *n)
{
    rag_str text = rag_buf_str(&n->decode.text);
    rag_span span;
    size_t pos = 0;
    json_open(w, "check", '{');
    json_bool(w, "taken", strcmp(n->a->result.mode, "extract") != 0);
    json_cstr(w, "strictness", ask_strictness(n->a) == ANSWER_VERBATIM ? "verbatim" : "supported");
    json_open(w, "sentences", '[');
    while (n->a->n_order > 0 && rag_sentence_next(text, &pos, &span))
        if (text.ptr[span.start] != '[') /* a marker belongs to what stands before it */
            put_checked(w, n, rag_str_sub(text, span.start, span.end));
    json_close(w, ']');
    json_close(w, '}');
}

void audit_render(const audit_note *n, bool is_brief, rag_buf *out)
{
    json_writer w;
    json_begin(&w, out);
    json_open(&w, NULL, '{');
    put_head(&w, n);
    put_search(&w, n, is_brief);
    put_evidence(&w, n->a);
    put_confidence(&w, n->a);
    put_decoder(&w, n);
    put_check(&w, n);
    json_raw(&w, "response", n->response);
    json_close(&w, '}');
}
