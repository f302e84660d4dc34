/* tests/llm_fake.c: llm/llm.h without a model.
 *
 * The answer quotes its source: the first sentence of the prompt's last passage [1], then " [1]", one
 * word or one Chinese character a step.  Without a passage it is "I do not know."
 *
 * Asked for spans, it finds the first three words (or characters) of each reading's evidence, the
 * scores being -1, -2, ….
 *
 * A path that contains "missing" fails as a missing file does; one that contains "chat" has a chat
 * template (ChatML).  RAGD_FAKE_LLM_DELAY_MS makes each step of a running sequence take that long,
 * RAGD_FAKE_LLM_OPEN_MS rag_llm_open. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/sentence.h"
#include "base/unicode.h"
#include "base/utf8.h"
#include "llm/llm.h"
#include "llm/span_text.h"
#include "llm/template_model.h"

enum { MAX_SLOTS = 64, MAX_STOPS = 8 };
static const float PROBABILITY = 0.9F;

struct rag_llm_seq {
    bool running;
    rag_llm_request req;
    char *answer; /* NULL until the first step has read the prompt */
    rag_str rest;
    rag_llm_done done;
    double submitted_ms, started_ms;
    void (*on_spans)(void *context, const rag_llm_span *spans, size_t n, double margin); /* or NULL: text */
    rag_llm_span spans[RAG_LLM_MAX_SPANS];
    size_t n_spans;
};

struct rag_llm {
    rag_sha256 id;
    bool chat;
    int slots, context;
    long delay_ms;
    atomic_bool interrupt;
    size_t span_bytes; /* as if the first spans made a context of their own */
    rag_llm_seq seqs[MAX_SLOTS];
};

static void open_slowly(void)
{
    const char *text = getenv("RAGD_FAKE_LLM_OPEN_MS");
    long ms = text ? strtol(text, NULL, 10) : 0;
    nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

rag_code rag_llm_open(rag_llm **out, const rag_llm_options *opt, rag_err *err)
{
    *out = NULL;
    const char *path = opt->model_path ? opt->model_path : "";
    if (strstr(path, "missing"))
        return rag_fail(err, RAG_CONFIG, "cannot open '%s': no such file", path);
    open_slowly();
    rag_llm *m = rag_calloc(1, sizeof *m);
    const char *delay = getenv("RAGD_FAKE_LLM_DELAY_MS");
    m->id = rag_sha256_of(RAG_STR("fake decoder"));
    m->chat = strstr(path, "chat") != NULL;
    m->slots = opt->slots < 1 ? 1 : opt->slots < MAX_SLOTS ? opt->slots : MAX_SLOTS;
    m->context = opt->context_tokens > 0 ? opt->context_tokens : 2048;
    m->delay_ms = delay ? strtol(delay, NULL, 10) : 0;
    *out = m;
    return RAG_OK;
}

/* The slot is free before on_done runs, so that it may submit the next request. */
static void finish(rag_llm_seq *s, rag_llm_finish how)
{
    rag_llm_seq old = *s;
    *s = (rag_llm_seq){ 0 };
    old.done.finish = how;
    old.done.decode_ms = old.started_ms > 0 ? rag_clock_ms() - old.started_ms : 0;
    old.done.mean_logprob = old.done.completion_tokens > 0 ? log((double)PROBABILITY) : 0;
    if (old.req.on_done)
        old.req.on_done(old.req.context, &old.done);
    for (size_t i = 0; i < old.req.n_stops; i++)
        free((char *)old.req.stops[i].ptr);
    free((rag_str *)old.req.stops);
    free((char *)old.req.prompt.ptr);
    free(old.answer);
}

void rag_llm_close(rag_llm *m)
{
    if (!m)
        return;
    for (int i = 0; i < m->slots; i++)
        if (m->seqs[i].running)
            finish(&m->seqs[i], RAG_LLM_CANCELED);
    free(m);
}

const char *rag_llm_name(const rag_llm *m)
{
    (void)m;
    return "fake-decoder";
}

const rag_sha256 *rag_llm_model_id(const rag_llm *m)
{
    return &m->id;
}

bool rag_llm_has_chat_template(const rag_llm *m)
{
    return m->chat;
}

int rag_llm_context(const rag_llm *m)
{
    return m->context;
}

size_t rag_llm_kv_bytes(const rag_llm *m)
{
    (void)m;
    return 0;
}

size_t rag_llm_buffer_bytes(const rag_llm *m)
{
    return sizeof *m + m->span_bytes;
}

/* Bytes of the token at s.ptr (s.len > 0): white space, then a word or one other character. */
static size_t token_length(rag_str s)
{
    size_t pos = 0, end;
    while (pos < s.len && (s.ptr[pos] == ' ' || s.ptr[pos] == '\n'))
        pos++;
    if (pos == s.len)
        return pos;
    rag_char_class class = rag_unicode_class(rag_utf8_next(s, &pos));
    while ((class == RAG_CHAR_LETTER || class == RAG_CHAR_DIGIT) && pos < s.len) {
        end = pos;
        class = rag_unicode_class(rag_utf8_next(s, &end));
        if (class == RAG_CHAR_LETTER || class == RAG_CHAR_DIGIT)
            pos = end;
    }
    return pos;
}

size_t rag_llm_count(const rag_llm *m, rag_str text)
{
    (void)m;
    size_t n = 0;
    for (size_t pos = 0; pos < text.len; n++)
        pos += token_length(rag_str_sub(text, pos, text.len));
    return n;
}

/* The line behind the last "[1] " that starts a line, without the marker. */
static rag_str last_passage(rag_str prompt)
{
    size_t at = SIZE_MAX, pos = 0, end;
    while ((pos = rag_str_find(prompt, RAG_STR("[1] "), pos)) != SIZE_MAX) {
        if (pos == 0 || prompt.ptr[pos - 1] == '\n')
            at = pos + 4;
        pos += 4;
    }
    if (at == SIZE_MAX)
        return (rag_str){ 0 };
    end = rag_str_find(prompt, RAG_STR("\n"), at);
    return rag_str_trim(rag_str_sub(prompt, at, end == SIZE_MAX ? prompt.len : end));
}

static char *compose(rag_str prompt)
{
    rag_str passage = last_passage(prompt);
    size_t pos = 0;
    rag_span span;
    rag_buf b;
    rag_buf_init(&b, RAG_MAX_PROMPT);
    if (rag_sentence_next(passage, &pos, &span)) {
        rag_buf_put(&b, rag_str_sub(passage, span.start, span.end));
        rag_buf_puts(&b, " [1]");
    } else {
        rag_buf_puts(&b, "I do not know.");
    }
    return rag_buf_detach(&b);
}

static void begin(rag_llm_seq *s)
{
    s->started_ms = rag_clock_ms();
    s->answer = compose(s->req.prompt);
    s->rest = rag_str_of(s->answer);
    for (size_t i = 0; i < s->req.n_stops; i++) {
        size_t at = rag_str_find(s->rest, s->req.stops[i], 0);
        if (at != SIZE_MAX)
            s->rest.len = at;
    }
    s->done.first_token_ms = s->started_ms - s->submitted_ms;
}

static void emit(rag_llm_seq *s)
{
    rag_str piece = rag_str_sub(s->rest, 0, token_length(s->rest));
    rag_llm_token token = { .id = (int)(rag_xxh3(piece, 0) & 0xFFFF), .probability = PROBABILITY };
    s->rest = rag_str_sub(s->rest, piece.len, s->rest.len);
    s->done.completion_tokens++;
    if (s->req.on_piece && !s->req.on_piece(s->req.context, piece, &token, 1))
        finish(s, RAG_LLM_CANCELED);
}

/* Spans */

static bool find_span(rag_str evidence, rag_span *out)
{
    enum { ENDS = 3 };
    span_start start;
    size_t end;
    if (span_starts(evidence, &start, 1) == 0)
        return false;
    *out = (rag_span){ start.at, start.at };
    for (int i = 0; i < ENDS && (end = span_next_end(evidence, &start, out->end)) > 0; i++)
        out->end = end;
    return out->end > out->start;
}

static void find_spans(rag_llm_seq *s, const rag_llm_spans *query)
{
    s->on_spans = query->on_spans;
    for (size_t i = 0; i < query->n_readings && s->n_spans < RAG_LLM_MAX_SPANS; i++) {
        double score = -1 - (double)s->n_spans;
        rag_llm_span *span = &s->spans[s->n_spans];
        *span = (rag_llm_span){ .reading = i, .tokens = 3, .score = score, .logprob = 2 * score,
                                .prior_logprob = 0, .probability = pow(0.5, -score) };
        s->n_spans += find_span(query->readings[i].evidence, &span->span);
    }
}

static void finish_spans(rag_llm_seq *s)
{
    s->done.completion_tokens = 3 * s->n_spans;
    s->on_spans(s->req.context, s->spans, s->n_spans, s->n_spans > 1 ? 1 : RAG_LLM_NO_RIVAL);
    finish(s, RAG_LLM_STOP);
}

static bool is_canceled(const rag_llm_seq *s)
{
    return s->req.canceled && atomic_load(s->req.canceled);
}

static void advance(rag_llm_seq *s)
{
    int max_tokens = s->req.sampling.max_tokens > 0 ? s->req.sampling.max_tokens : 128;
    if (is_canceled(s))
        finish(s, RAG_LLM_CANCELED);
    else if (!s->answer)
        begin(s);
    else if (s->on_spans)
        finish_spans(s);
    else if (s->rest.len == 0)
        finish(s, RAG_LLM_STOP);
    else if (s->done.completion_tokens >= (size_t)max_tokens)
        finish(s, RAG_LLM_LENGTH);
    else
        emit(s);
}

/* A decode stops early when what it is for is not wanted any more. */
static bool wants_abort(const rag_llm *m)
{
    if (atomic_load(&m->interrupt))
        return true;
    for (int i = 0; i < m->slots; i++)
        if (m->seqs[i].running && is_canceled(&m->seqs[i]))
            return true;
    return false;
}

static rag_llm_seq *free_slot(rag_llm *m)
{
    for (int i = 0; i < m->slots; i++)
        if (!m->seqs[i].running)
            return &m->seqs[i];
    return NULL;
}

rag_code rag_llm_submit(rag_llm *m, const rag_llm_request *req, rag_llm_seq **out, rag_err *err)
{
    int max_tokens = req->sampling.max_tokens > 0 ? req->sampling.max_tokens : 128;
    size_t n = rag_llm_count(m, req->prompt) + 1;
    rag_llm_seq *s = free_slot(m);
    if (out)
        *out = NULL;
    if (n + (size_t)max_tokens > (size_t)m->context)
        return rag_fail(err, RAG_TOO_LARGE, "prompt of %zu tokens and %d for the answer exceed the context of %d", n,
                        max_tokens, m->context);
    if (!s)
        return rag_fail(err, RAG_FULL, "all %d decoder slots are taken", m->slots);
    *s = (rag_llm_seq){ .running = true, .req = *req, .submitted_ms = rag_clock_ms() };
    s->req.prompt = (rag_str){ rag_strndup(req->prompt), req->prompt.len };
    s->req.n_stops = req->n_stops < MAX_STOPS ? req->n_stops : MAX_STOPS;
    rag_str *stops = rag_calloc(MAX_STOPS, sizeof *stops);
    for (size_t i = 0; i < s->req.n_stops; i++)
        stops[i] = (rag_str){ rag_strndup(req->stops[i]), req->stops[i].len };
    s->req.stops = stops;
    s->req.spans = NULL;
    if (req->spans) {
        m->span_bytes = 4096;
        find_spans(s, req->spans);
    }
    s->done.prompt_tokens = n;
    if (out)
        *out = s;
    return RAG_OK;
}

int rag_llm_free_slots(const rag_llm *m)
{
    int n = 0;
    for (int i = 0; i < m->slots; i++)
        n += !m->seqs[i].running;
    return n;
}

bool rag_llm_busy(const rag_llm *m)
{
    return rag_llm_free_slots(m) < m->slots;
}

void rag_llm_step(rag_llm *m)
{
    bool was_running[MAX_SLOTS];
    for (long ms = 0; rag_llm_busy(m) && ms < m->delay_ms && !wants_abort(m); ms++)
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    atomic_store(&m->interrupt, false);
    for (int i = 0; i < m->slots; i++)
        was_running[i] = m->seqs[i].running;
    for (int i = 0; i < m->slots; i++)
        if (was_running[i] && m->seqs[i].running)
            advance(&m->seqs[i]);
}

void rag_llm_interrupt(rag_llm *m)
{
    atomic_store(&m->interrupt, true);
}

rag_code rag_llm_model_chat(const rag_llm *m, const char *system, const char *user, rag_buf *out, rag_err *err)
{
    if (!m->chat)
        return rag_fail(err, RAG_UNSUPPORTED, "the decoder has no chat template");
    if (*system)
        rag_buf_putf(out, "<|im_start|>system\n%s<|im_end|>\n", system);
    rag_buf_putf(out, "<|im_start|>user\n%s<|im_end|>\n<|im_start|>assistant\n", user);
    return RAG_OK;
}

size_t rag_llm_model_control(const rag_llm *m, rag_str s)
{
    static const char *const controls[] = { "<|im_start|>", "<|im_end|>", "<eos>" };
    (void)m;
    for (size_t i = 0; i < sizeof controls / sizeof *controls; i++)
        if (rag_str_starts(s, rag_str_of(controls[i])))
            return strlen(controls[i]);
    return 0;
}
