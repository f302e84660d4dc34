#include "llm/llm.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "llm/llm_impl.h"
#include "llm/template_model.h"

enum {
    DEFAULT_CONTEXT = 2048,
    DEFAULT_SLICE = 256,
    DEFAULT_MAX_TOKENS = 128,
    MIN_SLICE_BESIDE_SLOTS = 16,
    MAX_ROLE_TOKEN = 64, /* bytes; what a user-defined token may have to be taken for markup */
};

/* Opening */

static int by_text(const void *left, const void *right)
{
    const control_token *a = left, *b = right;
    int order = memcmp(a->text, b->text, a->len < b->len ? a->len : b->len);
    return order ? order : (a->len > b->len) - (a->len < b->len);
}

/* Files often call the marks of turns, images and the like user-defined, and those are read as marks even in plain
 * text; they look like "<start_of_turn>" or "[INST]". */
static bool is_control(const rag_llm *m, llama_token token)
{
    enum llama_token_attr attr = llama_vocab_get_attr(m->llama.vocab, token);
    if (attr & (LLAMA_TOKEN_ATTR_CONTROL | LLAMA_TOKEN_ATTR_UNKNOWN))
        return true;
    rag_str text = rag_str_of(llama_vocab_get_text(m->llama.vocab, token));
    return (attr & LLAMA_TOKEN_ATTR_USER_DEFINED) && text.len > 2 && text.len <= MAX_ROLE_TOKEN &&
           ((text.ptr[0] == '<' && text.ptr[text.len - 1] == '>') ||
            (text.ptr[0] == '[' && text.ptr[text.len - 1] == ']'));
}

static void collect_controls(rag_llm *m)
{
    for (llama_token i = 0; i < m->n_vocab; i++)
        m->n_controls += is_control(m, i);
    m->controls = rag_calloc(m->n_controls + 1, sizeof *m->controls);
    m->n_controls = 0;
    for (llama_token i = 0; i < m->n_vocab; i++) {
        const char *text = is_control(m, i) ? llama_vocab_get_text(m->llama.vocab, i) : "";
        control_token control = { text, strlen(text) };
        if (control.len == 0)
            continue;
        m->controls[m->n_controls++] = control;
        if (control.len > m->longest_control)
            m->longest_control = control.len;
    }
    qsort(m->controls, m->n_controls, sizeof *m->controls, by_text);
}

static int at_least(int value, int least)
{
    return value > least ? value : least;
}

static void read_options(rag_llm *m, const rag_llm_options *opt)
{
    m->n_slots = at_least(opt->slots, 1);
    if (m->n_slots > LLM_MAX_SLOTS)
        m->n_slots = LLM_MAX_SLOTS;
    m->context_tokens = opt->context_tokens > 0 ? opt->context_tokens : DEFAULT_CONTEXT;
    m->slice_tokens = opt->slice_tokens > 0 ? opt->slice_tokens : DEFAULT_SLICE;
    m->slice_tokens = at_least(m->slice_tokens, m->n_slots + MIN_SLICE_BESIDE_SLOTS);
    m->is_deterministic = opt->deterministic;
    m->threads = opt->threads;
}

static rag_code start(rag_llm *m, int threads, rag_err *err)
{
    struct llama_context_params params = llama_context_default_params();
    params.n_ctx = (uint32_t)m->context_tokens * (uint32_t)m->n_slots;
    params.n_batch = params.n_ubatch = (uint32_t)m->slice_tokens;
    params.n_seq_max = (uint32_t)m->n_slots;
    params.n_outputs_max = (uint32_t)m->n_slots; /* 0 would make room for the logits of a whole batch */
    params.n_threads = params.n_threads_batch = rag_llama_threads(threads);
    params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_ENABLED;
    params.swa_full = true; /* a prompt's beginning is reused; a window would have dropped it */
    params.kv_unified = false;
    params.abort_callback = rag_llm_wants_abort;
    params.abort_callback_data = m;
    return rag_llama_model_start(&m->llama, params, err);
}

static rag_code open_model(rag_llm *m, const rag_llm_options *opt, rag_err *err)
{
    rag_code code = rag_llama_model_open(&m->llama, opt->model_path, NULL, err);
    if (code)
        return code;
    m->n_vocab = llama_vocab_n_tokens(m->llama.vocab);
    if (llama_model_has_encoder(m->llama.model) || !llama_model_has_decoder(m->llama.model) || m->n_vocab == 0)
        return rag_fail(err, RAG_CONFIG, "'%s' is not a decoder", opt->model_path);
    read_options(m, opt);
    code = start(m, opt->threads, err);
    if (code)
        return code;
    if (!llama_get_memory(m->llama.context))
        return rag_fail(err, RAG_CONFIG, "'%s' is not a decoder", opt->model_path);
    collect_controls(m);
    m->batch = llama_batch_init(m->slice_tokens, 0, 1);
    for (int i = 0; i < m->n_slots; i++) {
        m->seqs[i].id = i;
        m->seqs[i].kv = rag_calloc((size_t)m->context_tokens, sizeof(llama_token));
    }
    return RAG_OK;
}

rag_code rag_llm_open(rag_llm **out, const rag_llm_options *opt, rag_err *err)
{
    rag_llm *m = rag_calloc(1, sizeof *m);
    rag_code code = open_model(m, opt, err);
    *out = m;
    if (code) {
        rag_llm_close(m);
        *out = NULL;
    }
    return code;
}

void rag_llm_close(rag_llm *m)
{
    if (!m)
        return;
    m->is_closing = true;
    for (int i = 0; i < m->n_slots; i++) {
        if (m->seqs[i].is_running)
            rag_llm_finish_seq(&m->seqs[i], RAG_LLM_CANCELED, NULL);
        free(m->seqs[i].kv);
    }
    span_engine_close(m->spans);
    if (m->batch.token)
        llama_batch_free(m->batch);
    rag_llama_model_close(&m->llama);
    free(m->controls);
    free(m);
}

/* Getters */

const char *rag_llm_name(const rag_llm *m)
{
    return m->llama.name;
}

const rag_sha256 *rag_llm_model_id(const rag_llm *m)
{
    return &m->llama.id;
}

bool rag_llm_has_chat_template(const rag_llm *m)
{
    return llama_model_chat_template(m->llama.model, NULL) != NULL;
}

int rag_llm_context(const rag_llm *m)
{
    return m->context_tokens;
}

size_t rag_llm_kv_bytes(const rag_llm *m)
{
    return m->llama.memory.kv;
}

size_t rag_llm_buffer_bytes(const rag_llm *m)
{
    return m->llama.memory.buffers;
}

size_t rag_llm_count(const rag_llm *m, rag_str text)
{
    return rag_llama_tokenize(m->llama.vocab, text, false, false, NULL, 0);
}

rag_code rag_llm_model_chat(const rag_llm *m, const char *system, const char *user, rag_buf *out, rag_err *err)
{
    struct llama_chat_message messages[2];
    size_t n = 0;
    const char *chat_template = llama_model_chat_template(m->llama.model, NULL);
    if (!chat_template)
        return rag_fail(err, RAG_UNSUPPORTED, "model '%s' has no chat template", m->llama.name);
    if (*system)
        messages[n++] = (struct llama_chat_message){ "system", system };
    messages[n++] = (struct llama_chat_message){ "user", user };
    int32_t room = (int32_t)(strlen(system) + strlen(user)) + 1024;
    char *text = rag_alloc((size_t)room);
    int32_t len = llama_chat_apply_template(chat_template, messages, n, true, text, room);
    if (len > room) {
        text = rag_realloc(text, (size_t)len);
        len = llama_chat_apply_template(chat_template, messages, n, true, text, len);
    }
    if (len > 0)
        rag_buf_put(out, (rag_str){ text, (size_t)len });
    free(text);
    if (len <= 0)
        return rag_fail(err, RAG_UNSUPPORTED, "libllama does not know the chat template of model '%s'", m->llama.name);
    return RAG_OK;
}

/* Most texts' bytes start no control token at all, so the first byte is looked at alone. */
size_t rag_llm_model_control(const rag_llm *m, rag_str s)
{
    size_t lo = 0, hi = m->n_controls;
    while (lo < hi) {
        size_t middle = lo + (hi - lo) / 2;
        if (s.len > 0 && (unsigned char)m->controls[middle].text[0] < (unsigned char)s.ptr[0])
            lo = middle + 1;
        else
            hi = middle;
    }
    if (s.len == 0 || lo == m->n_controls || m->controls[lo].text[0] != s.ptr[0])
        return 0;
    for (size_t len = s.len < m->longest_control ? s.len : m->longest_control; len > 0; len--) {
        control_token key = { s.ptr, len };
        if (bsearch(&key, m->controls, m->n_controls, sizeof *m->controls, by_text))
            return len;
    }
    return 0;
}

/* Submitting */

int rag_llm_free_slots(const rag_llm *m)
{
    int n = 0;
    for (int i = 0; i < m->n_slots; i++)
        n += !m->seqs[i].is_running;
    return n;
}

bool rag_llm_busy(const rag_llm *m)
{
    return rag_llm_free_slots(m) < m->n_slots;
}

/* Tokens of prompt that s need not evaluate; the last one always is, for its logits. */
static size_t reusable(const rag_llm_seq *s, const llama_token *prompt, size_t n)
{
    size_t i = 0;
    while (i < s->n_kv && i + 1 < n && s->kv[i] == prompt[i])
        i++;
    return i;
}

static rag_llm_seq *choose_slot(rag_llm *m, const llama_token *prompt, size_t n)
{
    rag_llm_seq *best = NULL;
    size_t most = 0;
    for (int i = 0; i < m->n_slots; i++) {
        rag_llm_seq *s = &m->seqs[i];
        size_t shared = s->is_running ? 0 : reusable(s, prompt, n);
        if (!s->is_running && (!best || shared > most)) {
            best = s;
            most = shared;
        }
    }
    return best;
}

static size_t keep_prefix(rag_llm *m, rag_llm_seq *s, size_t n)
{
    llama_memory_t memory = llama_get_memory(m->llama.context);
    if (m->is_deterministic)
        n = 0;
    if (n == 0 || !llama_memory_seq_rm(memory, s->id, (llama_pos)n, -1)) {
        llama_memory_seq_rm(memory, s->id, -1, -1);
        n = 0;
    }
    s->n_kv = n;
    return n;
}

/* What the slot holds of an earlier prompt stays: spans are scored elsewhere. */
static rag_code submit_spans(rag_llm *m, const rag_llm_request *req, rag_llm_seq **out, rag_err *err)
{
    span_engine_options opt = { .threads = m->threads, .context_tokens = m->context_tokens,
                                .slice_tokens = m->slice_tokens, .forgets = m->is_deterministic,
                                .wants_abort = rag_llm_wants_span_abort, .context = m };
    span_job *job = NULL;
    rag_llm_seq *s = m->is_closing ? NULL : choose_slot(m, NULL, 0);
    rag_code code = s ? RAG_OK : rag_fail(err, RAG_FULL, "all %d decoder slots are taken", m->n_slots);
    if (!code && !m->spans)
        code = span_engine_open(&m->spans, &m->llama, &opt, err);
    if (!code)
        code = span_job_new(&job, m->spans, req, err);
    if (code)
        return code;
    *s = (rag_llm_seq){ .is_running = true,
                        .id = s->id,
                        .kv = s->kv,
                        .n_kv = s->n_kv,
                        .order = ++m->submitted,
                        .on_done = req->on_done,
                        .context = req->context,
                        .canceled = req->canceled,
                        .spans = job,
                        .submitted_ms = rag_clock_ms(),
                        .logits_index = -1 };
    *out = s;
    return RAG_OK;
}

static void start_request(rag_llm *m, rag_llm_seq *s, const rag_llm_request *req, llama_token *prompt, size_t n,
                          size_t max_tokens)
{
    size_t cached = keep_prefix(m, s, reusable(s, prompt, n));
    *s = (rag_llm_seq){
        .is_running = true,
        .id = s->id,
        .kv = s->kv,
        .n_kv = cached,
        .order = ++m->submitted,
        .on_piece = req->on_piece,
        .on_done = req->on_done,
        .context = req->context,
        .canceled = req->canceled,
        .prompt = prompt,
        .n_prompt = n,
        .max_tokens = max_tokens,
        .done = { .prompt_tokens = n, .cached_tokens = cached },
        .submitted_ms = rag_clock_ms(),
        .logits_index = -1,
    };
    sampler_init(&s->sampler, &req->sampling, m->n_vocab);
    output_init(&s->output, req->stops, req->n_stops);
}

static rag_code tokenize(const rag_llm *m, const rag_llm_request *req, size_t max_tokens, llama_token *out, size_t *n,
                         rag_err *err)
{
    size_t room = (size_t)m->context_tokens;
    *n = req->prompt.len > RAG_MAX_PROMPT
             ? SIZE_MAX
             : rag_llama_tokenize(m->llama.vocab, req->prompt, true, req->parse_special, out, room);
    if (*n == 0)
        return rag_fail(err, RAG_INVALID, "prompt is empty");
    if (*n > room || max_tokens > room - *n)
        return rag_fail(err, RAG_TOO_LARGE, "prompt of %zu bytes and %zu tokens for the answer exceed the context of %d",
                        req->prompt.len, max_tokens, m->context_tokens);
    return RAG_OK;
}

rag_code rag_llm_submit(rag_llm *m, const rag_llm_request *req, rag_llm_seq **out, rag_err *err)
{
    size_t n, max_tokens = req->sampling.max_tokens > 0 ? (size_t)req->sampling.max_tokens : DEFAULT_MAX_TOKENS;
    rag_llm_seq *s = NULL;
    if (out)
        *out = NULL;
    if (req->spans)
        return submit_spans(m, req, out ? out : &s, err);
    llama_token *prompt = rag_calloc((size_t)m->context_tokens, sizeof *prompt);
    rag_code code = tokenize(m, req, max_tokens, prompt, &n, err);
    if (!code && !m->is_closing)
        s = choose_slot(m, prompt, n);
    if (!code && !s)
        code = rag_fail(err, RAG_FULL, "all %d decoder slots are taken", m->n_slots);
    if (code) {
        free(prompt);
        return code;
    }
    start_request(m, s, req, prompt, n, max_tokens);
    if (out)
        *out = s;
    return RAG_OK;
}
