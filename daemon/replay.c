/* daemon/replay.c */
#include <math.h>
#include <string.h>

#include "daemon/audit.h"
#include "daemon/replay.h"
#include "daemon/reply.h"
#include "daemon/routes.h"
#include "daemon/state.h"

struct replay {
    rag_str id;
    rag_str record; /* its text: a tree would leak when the job ends on its way */
    bool decodes;
};

bool replay_decodes(const replay *r)
{
    return r->decodes;
}

static const cJSON *item(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static cJSON *parse(rag_str json)
{
    return cJSON_ParseWithLength(json.ptr, json.len);
}

static const char *text_of(const cJSON *object, const char *key)
{
    const char *text = cJSON_GetStringValue(item(object, key));
    return text ? text : "";
}

static const cJSON *first_of(const cJSON *object, const char *key)
{
    const cJSON *list = item(object, key);
    return cJSON_IsArray(list) ? list->child : NULL;
}

static double number_of(const cJSON *object, const char *key)
{
    const cJSON *n = item(object, key);
    return cJSON_IsNumber(n) ? n->valuedouble : 0;
}

/* ---- comparing -------------------------------------------------------------------- */

static void open_difference(json_writer *w, const char *what)
{
    json_bool(w, "equal", false);
    json_open(w, "difference", '{');
    json_cstr(w, "what", what);
}

static void put_token(json_writer *w, const char *key, bool exists, int id, rag_str text, double p)
{
    if (!exists) { /* the other one goes on */
        json_null(w, key);
        return;
    }
    json_open(w, key, '{');
    json_int(w, "id", id);
    json_str(w, "text", text);
    json_num(w, "p", p, 9);
    json_num(w, "logprob", p > 0 ? log(p) : NAN, 6);
    json_close(w, '}');
}

static void tell_token(json_writer *w, size_t position, const cJSON *was, const decoded_token *is)
{
    double p = number_of(was, "p"), q = is ? (double)is->token.probability : 0;
    open_difference(w, "token");
    json_int(w, "position", (int64_t)position);
    put_token(w, "recorded", was, (int)number_of(was, "id"), rag_str_of(text_of(was, "text")), p);
    put_token(w, "replayed", is, is ? is->token.id : 0, is ? is->text : (rag_str){ 0 }, q);
    if (p > 0 && q > 0)
        json_num(w, "logprob_gap", fabs(log(p) - log(q)), 6);
    else
        json_null(w, "logprob_gap");
    json_close(w, '}');
}

/* False with the difference written. */
static bool same_tokens(json_writer *w, const cJSON *record, const decoding *d)
{
    const cJSON *was = first_of(item(record, "decoder"), "tokens");
    for (size_t i = 0; was || i < d->n_tokens; i++) {
        const decoded_token *is = i < d->n_tokens ? &d->tokens[i] : NULL;
        if (!was || !is || (int)number_of(was, "id") != is->token.id ||
            !rag_str_eq(rag_str_of(text_of(was, "text")), is->text)) {
            tell_token(w, i, was, is);
            return false;
        }
        was = was->next;
    }
    return true;
}

static void put_citation(json_writer *w, const char *key, const cJSON *was)
{
    static const char *const numbers[] = { "n", "document_id", "start", "end", NULL };
    if (!was) {
        json_null(w, key);
        return;
    }
    json_open(w, key, '{');
    json_cstr(w, "document", text_of(was, "document"));
    for (size_t i = 0; numbers[i]; i++)
        json_int(w, numbers[i], (int64_t)number_of(was, numbers[i]));
    json_cstr(w, "quote", text_of(was, "quote"));
    json_close(w, '}');
}

static bool same_citation(const cJSON *was, const cJSON *is)
{
    static const char *const numbers[] = { "n", "document_id", "start", "end", NULL };
    bool same = was && is && strcmp(text_of(was, "quote"), text_of(is, "quote")) == 0;
    for (size_t i = 0; same && numbers[i]; i++)
        same = (int64_t)number_of(was, numbers[i]) == (int64_t)number_of(is, numbers[i]);
    return same;
}

static bool same_citations(json_writer *w, const cJSON *was, const cJSON *is)
{
    const cJSON *old = first_of(was, "citations"), *fresh = first_of(is, "citations");
    for (int64_t i = 0; old || fresh; i++) {
        if (!same_citation(old, fresh)) {
            open_difference(w, "citation");
            json_int(w, "position", i);
            put_citation(w, "recorded", old);
            put_citation(w, "replayed", fresh);
            json_close(w, '}');
            return false;
        }
        old = old->next;
        fresh = fresh->next;
    }
    return true;
}

static bool same_text(json_writer *w, const char *key, const cJSON *was, const cJSON *is)
{
    if (strcmp(text_of(was, key), text_of(is, key)) == 0)
        return true;
    open_difference(w, key);
    json_cstr(w, "recorded", text_of(was, key));
    json_cstr(w, "replayed", text_of(is, key));
    json_close(w, '}');
    return false;
}

static void compare(json_writer *w, const cJSON *record, const decoding *d, const cJSON *is)
{
    const cJSON *was = item(record, "response");
    if (same_tokens(w, record, d) && same_text(w, "outcome", was, is) && same_text(w, "mode", was, is) &&
        same_citations(w, was, is) && same_text(w, "answer", was, is))
        json_bool(w, "equal", true);
}

static void render(job *j, const ask *a, const cJSON *record, const cJSON *is)
{
    json_writer w;
    rag_str prompt = rag_str_of(text_of(item(record, "decoder"), "prompt"));
    rag_buf_clear(&j->body);
    json_begin(&w, &j->body);
    json_open(&w, NULL, '{');
    json_str(&w, "answer_id", a->replay->id);
    json_int(&w, "generation", rag_snapshot_generation(j->snapshot));
    compare(&w, record, &j->decode, is);
    json_cstr(&w, "mode", a->result.mode);
    json_int(&w, "tokens", (int64_t)j->decode.n_tokens);
    json_int(&w, "citations", (int64_t)a->result.n_citations);
    json_bool(&w, "same_prompt", rag_str_eq(prompt, j->decode.request.prompt));
    json_bool(&w, "deterministic", j->d->opt.deterministic && cJSON_IsTrue(item(item(record, "settings"), "deterministic")));
    json_close(&w, '}');
}

void replay_finish(job *j, const ask *a)
{
    if (atomic_load(&j->is_late)) {
        problem_set(&j->bad, 504, "out_of_time", NULL, "the time was over before the answer was made again");
    } else {
        ask_render(j, a, &j->body);
        cJSON *record = parse(a->replay->record), *is = parse(rag_buf_str(&j->body));
        render(j, a, record, is);
        cJSON_Delete(record);
        cJSON_Delete(is);
    }
    job_finish(j);
}

/* ---- setting out ------------------------------------------------------------------ */

static bool is_kept(job *j, int64_t generation)
{
    rag_generation *list;
    size_t n = 0;
    if (rag_index_generations(j->d->index, j->arena, &list, &n, NULL) != RAG_OK)
        return false;
    for (size_t i = 0; i < n; i++)
        if (list[i].number == generation)
            return true;
    return false;
}

static bool has_generation(job *j, int64_t generation)
{
    job_pin(j);
    long long now = (long long)rag_snapshot_generation(j->snapshot), then = (long long)generation;
    if (now == then)
        return true;
    if (is_kept(j, generation))
        return problem_set(&j->bad, 409, "generation_not_served", NULL,
                           "the answer is of generation %lld, and %lld is served: only that can be asked; activate %lld first",
                           then, now, then);
    return problem_set(&j->bad, 410, "generation_gone", NULL, "the answer is of generation %lld, which is gone", then);
}

static bool has_model(job *j, const cJSON *models, const char *key, const rag_sha256 *id)
{
    char hex[65];
    const char *was = text_of(item(models, key), "sha256");
    rag_sha256_hex(id, hex);
    return strcmp(was, hex) == 0 ||
           problem_set(&j->bad, 409, "model_changed", NULL, "the answer was made with the %s '%s' of SHA-256 %.16s…, now it is another",
                       key, text_of(item(models, key), "file"), was);
}

static bool has_models(job *j, const replay *r, const cJSON *record)
{
    model_facts facts;
    const cJSON *models = item(record, "models");
    model_get_facts(j->d->model, &facts);
    if (!has_model(j, models, "embedder", &facts.embedder_id))
        return false;
    if (r->decodes && facts.decoder_state == DECODER_LOADING)
        return problem_set(&j->bad, 503, "decoder_unavailable", NULL, "the decoder is still loading");
    return !r->decodes || has_model(j, models, "decoder", &facts.decoder_id);
}

static void set_int(const cJSON *settings, const char *key, int *out)
{
    if (cJSON_IsNumber(item(settings, key)))
        *out = item(settings, key)->valueint;
}

static void set_num(const cJSON *settings, const char *key, double *out)
{
    if (cJSON_IsNumber(item(settings, key)))
        *out = item(settings, key)->valuedouble;
}

static void restore(ragd_tuning *t, const cJSON *settings)
{
    static const char *const modes[] = { "auto", "generate", "extract", "span" };
    int fusion = (int)t->fusion;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (strcmp(text_of(settings, "mode"), modes[i]) == 0)
            t->mode = modes[i];
    set_int(settings, "passages", &t->passages);
    set_int(settings, "sentences", &t->sentences);
    set_num(settings, "refuse_below", &t->refuse_below);
    set_int(settings, "max_tokens", &t->max_tokens);
    set_int(settings, "candidates", &t->candidates);
    set_int(settings, "fusion", &fusion);
    set_num(settings, "text_weight", &t->text_weight);
    set_int(settings, "rrf_k", &t->rrf_k);
    set_num(settings, "document_share", &t->document_share);
    set_int(settings, "rerank", &t->rerank);
    t->fusion = (rag_fusion)fusion;
    t->audit = false;
}

/* The recorded request, without what is about the conversation and how the answer is sent. */
static cJSON *request_of(const cJSON *record)
{
    static const char *const without[] = { "conversation_id", "history", "stream", "explain", "deadline_ms", NULL };
    const char *resolved = text_of(record, "resolved");
    cJSON *request = cJSON_Duplicate(item(record, "request"), true);
    for (size_t i = 0; request && without[i]; i++)
        cJSON_DeleteItemFromObjectCaseSensitive(request, without[i]);
    if (request && *resolved)
        cJSON_ReplaceItemInObjectCaseSensitive(request, "question", cJSON_CreateString(resolved));
    return request;
}

static bool set_out(job *j, replay *r, const cJSON *record, ask *a)
{
    int64_t deadline_ms;
    if (!cJSON_IsObject(record))
        return problem_set(&j->bad, 500, "record_damaged", NULL, "the record of answer '%.*s' is damaged", RAG_STR_ARG(r->id));
    r->decodes = cJSON_IsObject(item(record, "decoder"));
    if (!has_generation(j, (int64_t)number_of(record, "generation")) || !has_models(j, r, record))
        return false;
    restore(&j->tuning, item(record, "settings"));
    cJSON *request = request_of(record);
    bool is_good = ask_read(j, request, a, &deadline_ms);
    cJSON_Delete(request);
    a->replay = r;
    return is_good;
}

static void step_load(job *j, rag_reader *reader)
{
    replay *r = j->state;
    rag_record found;
    cJSON *record = NULL;
    ask *a = j->state = rag_arena_alloc(j->arena, sizeof *a);
    (void)reader;
    if (audit_find(j, r->id, &found)) {
        r->record = found.audit;
        record = parse(found.audit);
        set_out(j, r, record, a);
    }
    cJSON_Delete(record);
    if (j->bad.status)
        job_finish(j);
    else
        ask_begin(j, a);
}

void route_replay(ragd *d, http_request *q, const rag_str *args)
{
    job *j = job_new(d, q, &d->asks);
    if (!j)
        return;
    replay *r = j->state = rag_arena_alloc(j->arena, sizeof *r);
    r->id = rag_arena_str(j->arena, args[0]);
    if (!route_empty_body(q, &j->bad)) {
        job_answer(j);
        return;
    }
    job_deadline(j, j->tuning.deadline_ms);
    job_work(j, step_load);
}
