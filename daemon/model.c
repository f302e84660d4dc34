/* daemon/model.c */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "daemon/model_impl.h"
#include "daemon/rerank.h"
#include "daemon/thread.h"

/* Sentences embedded, and pairs scored, between two steps of running answers: about 0.1 s on two cores. */
enum { SENTENCES_A_TURN = 4, PAIRS_A_TURN = 2, MIN_PASSAGE_BYTES = 128 };

/* ---- questions, pairs, sentences ------------------------------------------------------- */

static void hand_on(model *m, job *j)
{
    queue_push(m->opt.workers, j);
}

static bool check_length(model *m, job *j, rag_str text)
{
    rag_str counted = j->embed.counted.len > 0 ? j->embed.counted : text;
    size_t n = j->embed.max_tokens > 0 ? rag_embed_count(m->embedder, counted) : 0;
    if (n > j->embed.max_tokens)
        return problem_set(&j->bad, 413, "question_too_long", "question", "the question has %zu tokens, %zu are allowed",
                           n, j->embed.max_tokens);
    return true;
}

static void embed_one(model *m, job *j)
{
    embedding *e = &j->embed;
    rag_str text = e->texts[e->next];
    rag_err err = { 0 };
    double start = rag_clock_ms();
    e->dim = rag_embed_dim(m->embedder);
    float *vector = rag_arena_array(j->arena, (size_t)e->dim, sizeof *vector);
    if (rag_embed_text(m->embedder, e->role, text, true, vector, NULL, &err) == RAG_OK)
        e->vectors[e->next] = vector;
    else if (e->role == RAG_EMBED_QUERY)
        job_fail(j, &err, NULL);
    e->ms += rag_clock_ms() - start;
}

/* One text further; true when the job may go on. */
static bool embed_next(model *m, job *j)
{
    embedding *e = &j->embed;
    if (!m->embedder)
        problem_set(&j->bad, 503, "not_ready", NULL, "there is no embedder");
    if (j->started_ms <= 0)
        j->started_ms = rag_clock_ms();
    if (atomic_load(&j->is_late) || j->bad.status || e->next == e->n || !check_length(m, j, e->texts[e->next]))
        return true;
    embed_one(m, j);
    return ++e->next == e->n;
}

static job *pop(model *m, job_list *list)
{
    pthread_mutex_lock(&m->mu);
    job *j = job_list_pop(list);
    pthread_mutex_unlock(&m->mu);
    return j;
}

static void put_back(model *m, job_list *list, job_list *front)
{
    pthread_mutex_lock(&m->mu);
    job_list_prepend(list, front);
    pthread_mutex_unlock(&m->mu);
}

static void embed_questions(model *m)
{
    for (job *j; (j = pop(m, &m->questions));) {
        while (!embed_next(m, j))
            ;
        hand_on(m, j);
    }
}

static void enter(model *m, job_list *list, job *j)
{
    pthread_mutex_lock(&m->mu);
    job_list_push(list, j);
    pthread_cond_signal(&m->work);
    pthread_mutex_unlock(&m->mu);
}

/* In turns, so that each search has its share of the time; and a question never waits for more than one pair. */
static void score_pairs(model *m)
{
    job *j;
    for (int i = 0; i < PAIRS_A_TURN && (j = pop(m, &m->pairs)); i++) {
        if (rerank_next(j, m->reranker))
            hand_on(m, j);
        else
            enter(m, &m->pairs, j);
        embed_questions(m);
    }
}

static void embed_sentences(model *m)
{
    job_list rest;
    job *j = pop(m, &m->sentences);
    for (int i = 0; j && i < SENTENCES_A_TURN; i++)
        if (embed_next(m, j)) {
            hand_on(m, j);
            j = pop(m, &m->sentences);
        }
    job_list_init(&rest);
    if (j)
        job_list_push(&rest, j);
    put_back(m, &m->sentences, &rest);
}

/* ---- answers ------------------------------------------------------------------------ */

static void keep_tokens(job *j, rag_str piece, const rag_llm_token *tokens, size_t n)
{
    decoding *d = &j->decode;
    if (d->n_tokens + n > d->max_tokens) {
        d->max_tokens = 2 * (d->n_tokens + n) + 62;
        decoded_token *wider = rag_arena_array(j->arena, d->max_tokens, sizeof *wider);
        for (size_t i = 0; i < d->n_tokens; i++)
            wider[i] = d->tokens[i];
        d->tokens = wider;
    }
    for (size_t i = 0; i < n; i++)
        d->tokens[d->n_tokens++] = (decoded_token){ tokens[i], i == 0 ? rag_arena_str(j->arena, piece) : (rag_str){ 0 } };
}

static bool on_piece(void *context, rag_str piece, const rag_llm_token *tokens, size_t n)
{
    job *j = context;
    keep_tokens(j, piece, tokens, n);
    if (j->decode.first_piece_ms <= 0)
        j->decode.first_piece_ms = rag_clock_ms();
    j->decode.piece(j, piece);
    return !atomic_load(&j->is_late);
}

static void on_done(void *context, const rag_llm_done *done)
{
    job *j = context;
    j->decode.code = done->finish == RAG_LLM_ERROR ? done->err.code : RAG_OK;
    j->decode.err = done->err;
    j->decode.done = *done;
    job_work(j, j->step);
}

/* The first spans make a context of their own. */
static void note_memory(model *m)
{
    pthread_mutex_lock(&m->mu);
    model_note_memory(m, m->own);
    pthread_mutex_unlock(&m->mu);
}

static rag_code submit(model *m, job *j)
{
    decoding *d = &j->decode;
    rag_code code = RAG_TOO_LARGE;
    for (size_t bytes = d->max_prompt_bytes; code == RAG_TOO_LARGE && bytes >= MIN_PASSAGE_BYTES; bytes /= 2) {
        rag_llm_request req = { 0 };
        rag_llm_seq *seq;
        code = d->prompt(j, m->own, d->is_span ? m->span_templates : m->templates, bytes, &req, &d->err);
        req.on_piece = on_piece;
        req.on_done = on_done;
        req.context = j;
        req.canceled = &j->is_late;
        if (code == RAG_OK)
            code = rag_llm_submit(m->own, &req, &seq, &d->err);
        d->request = req;
    }
    if (d->is_span)
        note_memory(m);
    return code;
}

static void refuse(model *m, job *j, rag_code code, const char *why)
{
    j->decode.code = rag_fail(&j->decode.err, code, "%s", why);
    hand_on(m, j);
}

/* True when j stays in line. */
static bool admit(model *m, job *j, decoder_state state)
{
    if (atomic_load(&j->is_late)) {
        refuse(m, j, RAG_DEADLINE, "no time was left for the decoder");
    } else if (state == DECODER_NONE || state == DECODER_FAILED) {
        refuse(m, j, RAG_UNSUPPORTED, "there is no decoder");
    } else if (!m->own || rag_llm_free_slots(m->own) == 0) {
        return true;
    } else {
        rag_code code = submit(m, j);
        if (code == RAG_FULL)
            return true;
        if (code != RAG_OK) {
            j->decode.code = code;
            hand_on(m, j);
        }
    }
    return false;
}

static void admit_prompts(model *m)
{
    job_list staying;
    job_list_init(&staying);
    decoder_state state = model_decoder_state(m);
    for (job *j; (j = pop(m, &m->prompts));)
        if (admit(m, j, state))
            job_list_push(&staying, j);
    put_back(m, &m->prompts, &staying);
}

/* ---- the thread --------------------------------------------------------------------- */

static bool prompts_can_move(const model *m)
{
    if (m->prompts.head && m->facts.decoder_state != DECODER_LOADING && (!m->own || rag_llm_free_slots(m->own) > 0))
        return true;
    for (const job *j = m->prompts.head; j; j = j->next)
        if (atomic_load(&j->is_late))
            return true;
    return false;
}

static bool has_work(const model *m)
{
    return m->questions.head || m->pairs.head || m->sentences.head || prompts_can_move(m) || (m->own && rag_llm_busy(m->own));
}

static bool wait_for_work(model *m)
{
    pthread_mutex_lock(&m->mu);
    m->own = m->llm;
    while (!m->is_stopping && !has_work(m)) {
        pthread_cond_wait(&m->work, &m->mu);
        m->own = m->llm;
    }
    bool go_on = !m->is_stopping;
    pthread_mutex_unlock(&m->mu);
    return go_on;
}

static void count_running(model *m)
{
    atomic_store(&m->running, m->opt.slots - rag_llm_free_slots(m->own));
}

static void step(model *m)
{
    if (!m->own || !rag_llm_busy(m->own))
        return;
    count_running(m);
    rag_llm_step(m->own);
    count_running(m);
}

static void *run(void *context)
{
    model *m = context;
    model_start(m);
    while (wait_for_work(m)) {
        embed_questions(m);
        score_pairs(m);
        embed_sentences(m);
        admit_prompts(m);
        step(m);
    }
    return NULL;
}

static void name_reranker(model *m)
{
    const char *slash = strrchr(m->opt.reranker_path, '/');
    snprintf(m->facts.reranker, sizeof m->facts.reranker, "%s", slash ? slash + 1 : m->opt.reranker_path);
}

rag_code model_open(model **out, const model_options *opt, rag_err *err)
{
    model *m = rag_calloc(1, sizeof *m);
    bool has_decoder = *opt->decoder_path != '\0';
    m->opt = *opt;
    pthread_mutex_init(&m->mu, NULL);
    pthread_cond_init(&m->work, NULL);
    job_list_init(&m->questions);
    job_list_init(&m->pairs);
    job_list_init(&m->sentences);
    job_list_init(&m->prompts);
    name_reranker(m);
    m->facts.slots = has_decoder ? opt->slots : 0;
    m->facts.decoder_state = has_decoder ? DECODER_LOADING : DECODER_NONE;
    atomic_store(&m->decoder, m->facts.decoder_state);
    rag_code code = thread_start(&m->thread, "ragd-model", run, m, err);
    if (code != RAG_OK) {
        free(m);
        return code;
    }
    *out = m;
    return RAG_OK;
}

void model_close(model *m)
{
    if (!m)
        return;
    pthread_mutex_lock(&m->mu);
    m->is_stopping = true;
    pthread_cond_signal(&m->work);
    pthread_mutex_unlock(&m->mu);
    pthread_join(m->thread, NULL);
    if (m->has_loader)
        pthread_join(m->loader, NULL);
    rag_llm_close(m->llm);
    rag_rerank_close(m->reranker);
    rag_embed_close(m->embedder);
    for (int i = 0; i < 2; i++) {
        rag_llm_template_free(m->templates[i]);
        rag_llm_template_free(m->span_templates[i]);
    }
    pthread_cond_destroy(&m->work);
    pthread_mutex_destroy(&m->mu);
    free(m);
}

void model_embed(model *m, job *j)
{
    enter(m, j->embed.role == RAG_EMBED_QUERY ? &m->questions : &m->sentences, j);
}

void model_rerank(model *m, job *j)
{
    enter(m, &m->pairs, j);
}

void model_decode(model *m, job *j)
{
    enter(m, &m->prompts, j);
}

void model_wake(model *m)
{
    pthread_mutex_lock(&m->mu);
    pthread_cond_signal(&m->work);
    pthread_mutex_unlock(&m->mu);
}

void model_get_facts(model *m, model_facts *out)
{
    pthread_mutex_lock(&m->mu);
    *out = m->facts;
    pthread_mutex_unlock(&m->mu);
}

bool model_has_reranker(const model *m)
{
    return atomic_load(&m->has_reranker);
}

decoder_state model_decoder_state(const model *m)
{
    return (decoder_state)atomic_load(&m->decoder);
}

void model_get_load(model *m, int *running, int *waiting)
{
    pthread_mutex_lock(&m->mu);
    *waiting = (int)m->prompts.n;
    pthread_mutex_unlock(&m->mu);
    *running = atomic_load(&m->running);
}

const char *decoder_state_name(decoder_state s)
{
    static const char *const names[] = { "none", "loading", "ready", "failed" };
    return names[s];
}
