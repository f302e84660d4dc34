/* daemon/ask.c: POST /v1/ask, step by step. */
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "daemon/ask.h"
#include "daemon/audit.h"
#include "daemon/replay.h"
#include "daemon/reply.h"
#include "daemon/routes.h"
#include "daemon/state.h"

/* Prompts that wait for each slot before `auto` goes without the decoder. */
enum { MAX_WAITING = 2 };

static bool no_decoder(job *j, const char *why)
{
    return problem_set(&j->bad, 503, "decoder_unavailable", "mode", "%s", why);
}

/* ---- quotes ------------------------------------------------------------------------- */

static bool stands_in_store(job *j, rag_reader *r, const ask *a, const answer_citation *c)
{
    rag_buf stored;
    rag_buf_init(&stored, RAG_MAX_REPLY);
    rag_code code = rag_reader_text(r, j->snapshot, a->search.found.hits[c->hit].document_id, c->start, c->end, &stored, NULL);
    bool is_there = code == RAG_OK && rag_str_eq(rag_buf_str(&stored), c->quote);
    rag_buf_free(&stored);
    return is_there;
}

/* Drops the citations that cannot be read back; true when all could. */
static bool read_back(job *j, rag_reader *r, const ask *a, answer_result *result)
{
    size_t kept = 0, n = result->n_citations;
    for (size_t i = 0; i < n; i++)
        if (stands_in_store(j, r, a, &result->citations[i]))
            result->citations[kept++] = result->citations[i];
    result->n_citations = kept;
    if (kept < n)
        rag_log(RAG_WARN, "request_id=%s %zu of %zu quotes are not in the store any more", j->request_id, n - kept, n);
    return kept == n;
}

static void refuse(const ask *a, answer_result *result)
{
    result->refused = true;
    result->answer = answer_refusal(a->evidence.lang);
}

/* ---- the end ------------------------------------------------------------------------ */

static void finish(job *j, ask *a)
{
    if (a->replay) {
        replay_finish(j, a);
        return;
    }
    ask_render(j, a, &j->body);
    ask_remember(j, a); /* before the last event: the next question may come at once */
    if (a->is_stream) {
        if (a->sent.len == 0)
            ask_tell_delta(j, a->result.answer);
        else if (rag_str_starts(a->result.answer, a->sent) && a->result.answer.len > a->sent.len)
            ask_tell_delta(j, rag_str_sub(a->result.answer, a->sent.len, a->result.answer.len));
        ask_tell_end(j, a, rag_buf_str(&j->body));
    }
    audit_finish(j, a);
}

static rag_str generated_text(const job *j)
{
    rag_str text = rag_buf_str(&j->decode.text);
    size_t whole = j->decode.done.finish == RAG_LLM_LENGTH ? ask_whole_sentences(text) : 0;
    return whole > 0 ? rag_str_sub(text, 0, whole) : text; /* a sentence that was cut off is not said */
}

/* True when what the decoder wrote is the answer. */
static bool take_generated(job *j, rag_reader *r, ask *a)
{
    answer_result result = { 0 };
    if (j->decode.code != RAG_OK || atomic_load(&j->is_late))
        return false;
    if (!answer_check(&a->evidence, a->order, ask_allowed_support(a), generated_text(j), ask_strictness(a), j->arena,
                      &result) ||
        result.confidence < j->tuning.refuse_below)
        return false;
    a->result = result;
    return read_back(j, r, a, &a->result);
}

static bool take_span(job *j, rag_reader *r, ask *a)
{
    return ask_take_span(j, a, &a->result) && read_back(j, r, a, &a->result);
}

static void step_choose(job *j, rag_reader *r)
{
    ask *a = j->state;
    if (a->mode == ASK_SPAN ? !take_span(j, r, a) : !take_generated(j, r, a))
        a->result = a->extract;
    if (atomic_load(&j->is_late))
        a->degraded = "deadline";
    else if (j->decode.code != RAG_OK)
        a->degraded = "decoder_failed";
    if (j->decode.code != RAG_OK)
        rag_log(RAG_INFO, "request_id=%s the extract is the answer: %s", j->request_id, j->decode.err.message);
    if (j->decode.code == RAG_UNSUPPORTED && a->mode == ASK_GENERATE) {
        no_decoder(j, j->decode.err.message);
        job_finish(j);
    } else {
        finish(j, a);
    }
}

/* Why an answer goes without the decoder; NULL: it need not.  `auto` does not wait for it, `span` does. */
static const char *decoder_trouble(const job *j, const ask *a)
{
    static const char *const states[] = { [DECODER_NONE] = "decoder_absent",
                                          [DECODER_LOADING] = "decoder_loading",
                                          [DECODER_READY] = NULL,
                                          [DECODER_FAILED] = "decoder_failed" };
    int running, waiting;
    decoder_state state = model_decoder_state(j->d->model);
    if (a->mode == ASK_SPAN)
        return state == DECODER_LOADING ? NULL : states[state];
    model_get_load(j->d->model, &running, &waiting);
    if (state == DECODER_READY && waiting >= MAX_WAITING * j->d->opt.slots)
        return "decoder_overloaded";
    return states[state];
}

static bool wants_decoder(job *j, ask *a)
{
    if ((a->mode == ASK_AUTO || a->mode == ASK_SPAN) && !a->replay) /* which waits, as the first time */
        a->degraded = decoder_trouble(j, a);
    if (atomic_load(&j->is_late))
        a->degraded = "deadline";
    if (a->extract.refused || a->degraded || (a->replay && !replay_decodes(a->replay)))
        return false;
    return a->mode != ASK_EXTRACT;
}

static void step_extract(job *j, rag_reader *r)
{
    ask *a = j->state;
    float **vectors = j->embed.role == RAG_EMBED_PASSAGE
                          ? j->embed.vectors
                          : rag_arena_array(j->arena, a->evidence.n_sentences + 1, sizeof *vectors);
    answer_rank(&a->evidence, a->question_vector, vectors, a->dim);
    answer_extract(&a->evidence, j->tuning.sentences, j->arena, &a->extract);
    bool is_whole = read_back(j, r, a, &a->extract);
    if (!a->extract.refused && (!is_whole || a->extract.confidence < j->tuning.refuse_below))
        refuse(a, &a->extract);
    a->extracted_ms = rag_clock_ms();
    if (a->is_stream && a->mode == ASK_AUTO)
        ask_tell_draft(j, a);
    if (wants_decoder(j, a)) {
        if (a->mode == ASK_SPAN)
            ask_prepare_span(j);
        else
            ask_prepare_decoding(j);
        job_decode(j, step_choose);
    } else {
        a->result = a->extract;
        finish(j, a);
    }
}

static void embed_sentences(job *j, const ask *a)
{
    size_t n = a->evidence.n_promising;
    rag_str *texts = rag_arena_array(j->arena, n, sizeof *texts);
    for (size_t i = 0; i < n; i++)
        texts[i] = a->evidence.sentences[i].embed_text;
    job_embed(j, RAG_EMBED_PASSAGE, texts, n, 0, step_extract);
}

static void step_collect(job *j, rag_reader *r)
{
    ask *a = j->state;
    rag_err err = { 0 };
    if (a->is_stream)
        ask_tell_start(j, a);
    if (answer_collect(r, a->search.query, a->search.found.hits, a->search.found.n, j->arena, &a->evidence, &err) != RAG_OK) {
        job_fail(j, &err, NULL);
        job_finish(j);
        return;
    }
    a->evidence.model = &j->d->confidence;
    a->evidence.text_ceiling = a->search.found.text_ceiling;
    if (a->question_vector && a->evidence.n_sentences > 0)
        embed_sentences(j, a);
    else
        step_extract(j, r);
}

static void step_search(job *j, rag_reader *r)
{
    ask *a = j->state;
    a->question_vector = j->embed.vectors[0];
    a->dim = j->embed.dim;
    search_run(j, r, &a->search, step_collect);
}

void ask_begin(job *j, ask *a)
{
    j->embed.counted = a->question;
    job_embed(j, RAG_EMBED_QUERY, &a->search.query, 1, j->tuning.question_tokens, step_search);
}

static void step_recall(job *j, rag_reader *r)
{
    ask *a = j->state;
    (void)r;
    if (ask_recall(j, a))
        ask_begin(j, a);
    else
        job_finish(j);
}

/* ---- the route ---------------------------------------------------------------------- */

static bool has_decoder_for(job *j, const ask *a)
{
    model_facts facts;
    decoder_state state = model_decoder_state(j->d->model);
    if (a->mode != ASK_GENERATE || (state != DECODER_NONE && state != DECODER_FAILED))
        return true;
    model_get_facts(j->d->model, &facts);
    return no_decoder(j, *facts.decoder_error ? facts.decoder_error : "no decoder is configured");
}

void route_ask(ragd *d, http_request *q, const rag_str *args)
{
    cJSON *json = NULL;
    int64_t deadline_ms;
    job *j = job_new(d, q, &d->asks);
    (void)args;
    if (!j)
        return;
    d->count.asks++;
    ask *a = j->state = rag_arena_alloc(j->arena, sizeof *a);
    a->request = rag_arena_str(j->arena, http_request_body(q));
    bool is_good = route_body(q, &json, &j->bad) && ask_read(j, json, a, &deadline_ms) && has_decoder_for(j, a);
    cJSON_Delete(json);
    if (!is_good) {
        job_answer(j);
        return;
    }
    job_deadline(j, deadline_ms);
    if (a->is_stream)
        job_stream(j);
    if (a->is_continued && j->tuning.remembers)
        job_work(j, step_recall);
    else
        ask_begin(j, a);
}
