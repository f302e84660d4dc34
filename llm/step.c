#include <math.h>
#include <stdlib.h>

#include "base/file.h"
#include "llm/llama_runtime.h"
#include "llm/llm_impl.h"

static bool is_canceled(const rag_llm_seq *s)
{
    return s->canceled && atomic_load_explicit(s->canceled, memory_order_relaxed);
}

/* A canceled sequence stops the decode only when most of the work is its own: those that go with it lose that much. */
bool rag_llm_wants_abort(void *context)
{
    rag_llm *m = context;
    if (atomic_load_explicit(&m->interrupt, memory_order_relaxed))
        return true;
    for (int i = 0; i < m->n_slots; i++)
        if (2 * m->seqs[i].n_batched > (size_t)m->batch.n_tokens && is_canceled(&m->seqs[i]))
            return true;
    return false;
}

static rag_llm_seq *oldest_with_spans(rag_llm *m)
{
    rag_llm_seq *oldest = NULL;
    for (int i = 0; i < m->n_slots; i++) {
        rag_llm_seq *s = &m->seqs[i];
        if (s->is_running && s->spans && (!oldest || s->order < oldest->order))
            oldest = s;
    }
    return oldest;
}

bool rag_llm_wants_span_abort(void *context)
{
    rag_llm *m = context;
    const rag_llm_seq *s = oldest_with_spans(m);
    return atomic_load_explicit(&m->interrupt, memory_order_relaxed) || (s && is_canceled(s));
}

void rag_llm_finish_seq(rag_llm_seq *s, rag_llm_finish how, const rag_err *err)
{
    rag_llm_done done = s->done;
    done.finish = how;
    done.decode_ms = done.completion_tokens > 0 ? rag_clock_ms() - s->first_ms : 0;
    done.mean_logprob = done.completion_tokens > 0 ? s->logprob_sum / (double)done.completion_tokens : 0;
    if (err)
        done.err = *err;
    span_job_free(s->spans);
    s->spans = NULL;
    sampler_free(&s->sampler);
    output_free(&s->output);
    free(s->prompt);
    s->prompt = NULL;
    s->is_running = false;
    s->n_batched = 0;
    if (s->on_done)
        s->on_done(s->context, &done);
}

/* False when the reader has had enough. */
static bool hand_out(rag_llm_seq *s, bool is_final)
{
    rag_str piece = output_take(&s->output, is_final);
    if (piece.len == 0 || !s->on_piece)
        return true;
    return s->on_piece(s->context, piece, s->output.piece_tokens, s->output.n_piece_tokens);
}

static void end(rag_llm_seq *s, rag_llm_finish how)
{
    bool goes_on = hand_out(s, true);
    rag_llm_finish_seq(s, goes_on ? how : RAG_LLM_CANCELED, NULL);
}

static void take_token(rag_llm *m, rag_llm_seq *s, rag_llm_token token)
{
    char bytes[OUTPUT_MAX_TOKEN];
    if (s->done.completion_tokens == 0) {
        s->first_ms = rag_clock_ms();
        s->done.prefill_ms = s->first_ms - s->started_ms;
        s->done.first_token_ms = s->first_ms - s->submitted_ms;
    }
    if (llama_vocab_is_eog(m->llama.vocab, token.id)) {
        end(s, RAG_LLM_STOP);
        return;
    }
    int32_t n = llama_token_to_piece(m->llama.vocab, token.id, bytes, sizeof bytes, 0, false);
    s->next = token.id;
    s->done.completion_tokens++;
    s->logprob_sum += log(fmax((double)token.probability, 1e-30));
    output_push(&s->output, (rag_str){ bytes, n > 0 ? (size_t)n : 0 }, token);
    if (!hand_out(s, false))
        rag_llm_finish_seq(s, RAG_LLM_CANCELED, NULL);
    else if (s->output.is_stopped)
        rag_llm_finish_seq(s, RAG_LLM_STOP, NULL);
    else if (s->done.completion_tokens == s->max_tokens)
        end(s, RAG_LLM_LENGTH);
}

/* The batch */

static void add_token(rag_llm *m, rag_llm_seq *s, llama_token token, bool wants_logits)
{
    struct llama_batch *b = &m->batch;
    int i = b->n_tokens++;
    b->token[i] = token;
    b->pos[i] = (llama_pos)(s->n_kv + s->n_batched++);
    b->n_seq_id[i] = 1;
    b->seq_id[i][0] = s->id;
    b->logits[i] = wants_logits;
    if (wants_logits)
        s->logits_index = i;
}

static void add_prompt(rag_llm *m, rag_llm_seq *s)
{
    if (s->started_ms <= 0)
        s->started_ms = rag_clock_ms();
    for (size_t i = s->n_kv; i < s->n_prompt && m->batch.n_tokens < m->slice_tokens; i++)
        add_token(m, s, s->prompt[i], i + 1 == s->n_prompt);
}

static bool is_prefilling(const rag_llm_seq *s)
{
    return s->is_running && !s->spans && s->n_kv < s->n_prompt;
}

static bool is_writing(const rag_llm_seq *s)
{
    return s->is_running && !s->spans && s->n_kv >= s->n_prompt;
}

static rag_llm_seq *oldest_prefilling(rag_llm *m)
{
    rag_llm_seq *oldest = NULL;
    for (int i = 0; i < m->n_slots; i++) {
        rag_llm_seq *s = &m->seqs[i];
        if (is_prefilling(s) && s->n_batched == 0 && (!oldest || s->order < oldest->order))
            oldest = s;
    }
    return oldest;
}

static void clear_batch(rag_llm *m)
{
    m->batch.n_tokens = 0;
    for (int i = 0; i < m->n_slots; i++) {
        m->seqs[i].n_batched = 0;
        m->seqs[i].logits_index = -1;
    }
}

/* First the running answers, a token each, then prompts until the slice is full. */
static void fill_batch(rag_llm *m)
{
    rag_llm_seq *s;
    for (int i = 0; i < m->n_slots; i++)
        if (is_writing(&m->seqs[i]))
            add_token(m, &m->seqs[i], m->seqs[i].next, true);
    while (m->batch.n_tokens < m->slice_tokens && (s = oldest_prefilling(m)))
        add_prompt(m, s);
}

/* Decoding */

/* The context may hold part of the batch: it is as if the decode had never begun. */
static void roll_back(rag_llm *m)
{
    rag_err err;
    for (int i = 0; i < m->n_slots; i++) {
        rag_llm_seq *s = &m->seqs[i];
        if (s->n_batched == 0 || llama_memory_seq_rm(llama_get_memory(m->llama.context), s->id, (llama_pos)s->n_kv, -1))
            continue;
        llama_memory_seq_rm(llama_get_memory(m->llama.context), s->id, -1, -1);
        s->n_kv = 0;
        rag_fail(&err, RAG_IO, "cannot go on after an interrupted decode");
        rag_llm_finish_seq(s, RAG_LLM_ERROR, &err);
    }
}

static void fail_batch(rag_llm *m, int status)
{
    rag_err err;
    bool was_in[LLM_MAX_SLOTS];
    rag_fail(&err, RAG_IO, "cannot decode %d tokens: libllama returned %d", m->batch.n_tokens, status);
    roll_back(m);
    for (int i = 0; i < m->n_slots; i++)
        was_in[i] = m->seqs[i].is_running && m->seqs[i].n_batched > 0;
    for (int i = 0; i < m->n_slots; i++)
        if (was_in[i])
            rag_llm_finish_seq(&m->seqs[i], RAG_LLM_ERROR, &err);
}

static void commit(rag_llm *m)
{
    for (int i = 0; i < m->batch.n_tokens; i++) {
        rag_llm_seq *s = &m->seqs[m->batch.seq_id[i][0]];
        s->kv[s->n_kv++] = m->batch.token[i];
    }
}

/* Callbacks may submit to slots that become free, so what to sample is settled before the first of them. */
static void sample(rag_llm *m)
{
    rag_llm_token tokens[LLM_MAX_SLOTS];
    bool has_token[LLM_MAX_SLOTS];
    for (int i = 0; i < m->n_slots; i++) {
        rag_llm_seq *s = &m->seqs[i];
        has_token[i] = s->n_batched > 0 && s->logits_index >= 0;
        if (has_token[i])
            tokens[i] = sampler_pick(&s->sampler, m->llama.context, s->logits_index);
    }
    for (int i = 0; i < m->n_slots; i++)
        if (has_token[i])
            take_token(m, &m->seqs[i], tokens[i]);
}

static bool log_as_detail(void *context, rag_str line)
{
    (void)context;
    (void)line;
    return true;
}

static void decode(rag_llm *m)
{
    if (m->batch.n_tokens == 0)
        return;
    rag_llama_listen(log_as_detail, NULL); /* it calls a cancel an error */
    int status = llama_decode(m->llama.context, m->batch);
    rag_llama_listen(NULL, NULL);
    if (status == 2) {
        roll_back(m);
    } else if (status) {
        fail_batch(m, status);
    } else {
        commit(m);
        sample(m);
    }
}

static void drop_canceled(rag_llm *m)
{
    for (int i = 0; i < m->n_slots; i++)
        if (m->seqs[i].is_running && is_canceled(&m->seqs[i]))
            rag_llm_finish_seq(&m->seqs[i], RAG_LLM_CANCELED, NULL);
}

/* One sequence a batch, so that its numbers do not depend on who runs beside it. */
static void step_alone(rag_llm *m, rag_llm_seq *s)
{
    clear_batch(m);
    if (is_prefilling(s))
        add_prompt(m, s);
    else if (is_writing(s))
        add_token(m, s, s->next, true);
    decode(m);
}

/* Spans */

static void note_counts(rag_llm_seq *s)
{
    span_counts counts = span_job_counts(s->spans);
    s->done.prompt_tokens = counts.prompt_tokens;
    s->done.cached_tokens = counts.cached_tokens;
    s->done.completion_tokens = counts.nodes;
    if (!counts.has_prompt || s->first_ms > 0)
        return;
    s->first_ms = rag_clock_ms();
    s->done.prefill_ms = s->first_ms - s->started_ms;
    s->done.first_token_ms = s->first_ms - s->submitted_ms;
}

static void step_spans(rag_llm *m)
{
    rag_err err;
    rag_llm_seq *s = oldest_with_spans(m);
    if (!s)
        return;
    if (s->started_ms <= 0)
        s->started_ms = rag_clock_ms();
    span_state state = span_job_step(s->spans, &err);
    note_counts(s);
    if (state == SPAN_DONE)
        span_job_report(s->spans, s->context);
    if (state != SPAN_RUNS)
        rag_llm_finish_seq(s, state == SPAN_DONE ? RAG_LLM_STOP : RAG_LLM_ERROR, state == SPAN_DONE ? NULL : &err);
}

void rag_llm_step(rag_llm *m)
{
    atomic_store(&m->interrupt, false);
    drop_canceled(m);
    if (m->is_deterministic) {
        for (int i = 0; i < m->n_slots; i++)
            step_alone(m, &m->seqs[i]);
    } else {
        clear_batch(m);
        fill_batch(m);
        decode(m);
    }
    step_spans(m);
}

void rag_llm_interrupt(rag_llm *m)
{
    atomic_store(&m->interrupt, true);
}
