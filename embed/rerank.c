#include "embed/rerank.h"

#include <errno.h>
#include <ggml.h>
#include <gguf.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/utf8.h"
#include "llm/llama_model.h"
#include "llm/llama_runtime.h"

enum {
    DEFAULT_WINDOW = 512,
    MIN_WINDOW = 16,
    BYTES_A_TOKEN = 32, /* of longer text than this a token of the window, only the beginning is looked at */
    SPECIAL_TOKENS = 4, /* around a pair, at most */
};

struct rag_reranker {
    rag_llama_model llama;
    const char *template; /* NULL: special tokens */
    int window;
    llama_token *tokens; /* room for window */
    size_t n_tokens;
    double deadline_ms;
    atomic_bool cancel;
};

/* ---- the file ----------------------------------------------------------------------- */

/* One output, or one a label; a single matrix as wide as the model is a pooler, not a head. */
static bool has_rank_head(struct ggml_context *tensors)
{
    const struct ggml_tensor *out = ggml_get_tensor(tensors, "cls.output.weight");
    const struct ggml_tensor *alone = ggml_get_tensor(tensors, "cls.weight");
    return out || (alone && alone->ne[1] == 1);
}

static rag_code check_readable(const char *path, rag_err *err)
{
    FILE *file = fopen(path, "re");
    if (file) {
        fclose(file);
        return RAG_OK;
    }
    rag_fail_errno(err, RAG_CONFIG, errno, "cannot open '%s'", path);
    if (err)
        err->code = RAG_CONFIG;
    return RAG_CONFIG;
}

rag_code rag_rerank_check(const char *model_path, rag_err *err)
{
    struct ggml_context *tensors = NULL;
    struct gguf_init_params params = { .no_alloc = true, .ctx = &tensors };
    rag_code code = rag_llama_start(err); /* whose log goes where ours goes */
    if (code == RAG_OK)
        code = check_readable(model_path, err);
    if (code != RAG_OK)
        return code;
    struct gguf_context *gguf = gguf_init_from_file(model_path, params);
    bool is_good = tensors && has_rank_head(tensors);
    gguf_free(gguf);
    ggml_free(tensors);
    return is_good ? RAG_OK : rag_fail(err, RAG_CONFIG, "'%s' is not a reranker: it has no rank head", model_path);
}

/* ---- opening ------------------------------------------------------------------------ */

static bool on_abort(void *context)
{
    const rag_reranker *r = context;
    return atomic_load_explicit(&r->cancel, memory_order_relaxed) ||
           (r->deadline_ms > 0 && rag_clock_ms() >= r->deadline_ms);
}

/* 0, or why not: see llama_decode. */
static int compute(rag_reranker *r)
{
    llama_memory_t memory = llama_get_memory(r->llama.context); /* NULL for an encoder */
    if (memory)
        llama_memory_clear(memory, true);
    return llama_decode(r->llama.context, llama_batch_get_one(r->tokens, (int32_t)r->n_tokens));
}

static bool swallow(void *context, rag_str line)
{
    (void)context;
    (void)line;
    return true;
}

static int compute_silently(rag_reranker *r)
{
    rag_llama_listen(swallow, NULL); /* it calls a cancel an error */
    int status = compute(r);
    rag_llama_listen(NULL, NULL);
    return status;
}

static rag_code start(rag_reranker *r, const rag_rerank_options *opt, rag_err *err)
{
    struct llama_context_params params = llama_context_default_params();
    params.n_ctx = params.n_batch = params.n_ubatch = (uint32_t)r->window;
    params.n_seq_max = 1;
    params.n_threads = params.n_threads_batch = rag_llama_threads(opt->threads);
    params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_ENABLED;
    params.pooling_type = LLAMA_POOLING_TYPE_RANK; /* files converted from encoders often leave it out */
    params.embeddings = true;
    params.abort_callback = on_abort;
    params.abort_callback_data = r;
    return rag_llama_model_start(&r->llama, params, err);
}

/* See rag_llama_release_logits. */
static void release_unused_logits(rag_reranker *r)
{
    if (llama_get_memory(r->llama.context))
        return;
    memset(r->tokens, 0, (size_t)r->window * sizeof *r->tokens);
    r->n_tokens = (size_t)r->window;
    atomic_store(&r->cancel, true);
    compute_silently(r);
    rag_llama_release_logits(&r->llama, r->n_tokens);
    atomic_store(&r->cancel, false);
}

static bool ranks(const rag_reranker *r)
{
    const char *label = llama_model_cls_label(r->llama.model, 0);
    return llama_model_n_cls_out(r->llama.model) == 1 || (label && strcmp(label, "yes") == 0);
}

static rag_code open_model(rag_reranker *r, const rag_rerank_options *opt, rag_err *err)
{
    rag_code code = rag_rerank_check(opt->model_path, err);
    if (code == RAG_OK)
        code = rag_llama_model_open(&r->llama, opt->model_path, NULL, err);
    if (code != RAG_OK)
        return code;
    if (!ranks(r))
        return rag_fail(err, RAG_CONFIG, "'%s' is a classifier of %u labels, not a reranker", opt->model_path,
                        llama_model_n_cls_out(r->llama.model));
    int positions = llama_model_n_ctx_train(r->llama.model), wanted = opt->max_tokens > 0 ? opt->max_tokens : DEFAULT_WINDOW;
    r->window = wanted < positions ? wanted : positions;
    if (r->window < MIN_WINDOW)
        return rag_fail(err, RAG_CONFIG, "the reranker's window of %d tokens is too small", r->window);
    r->template = llama_model_chat_template(r->llama.model, "rerank");
    r->tokens = rag_calloc((size_t)r->window, sizeof *r->tokens);
    code = start(r, opt, err);
    if (code == RAG_OK)
        release_unused_logits(r);
    return code;
}

rag_code rag_rerank_open(rag_reranker **out, const rag_rerank_options *opt, rag_err *err)
{
    rag_reranker *r = rag_calloc(1, sizeof *r);
    rag_code code = open_model(r, opt, err);
    *out = r;
    if (code != RAG_OK) {
        rag_rerank_close(r);
        *out = NULL;
    }
    return code;
}

void rag_rerank_close(rag_reranker *r)
{
    if (!r)
        return;
    rag_llama_model_close(&r->llama);
    free(r->tokens);
    free(r);
}

const char *rag_rerank_name(const rag_reranker *r)
{
    return r->llama.name;
}

int rag_rerank_max_tokens(const rag_reranker *r)
{
    return r->window;
}

size_t rag_rerank_memory(const rag_reranker *r)
{
    return r->llama.memory.kv + r->llama.memory.buffers;
}

/* ---- a pair with special tokens ----------------------------------------------------- */

static rag_str head_of(rag_str text, size_t bytes)
{
    return rag_str_sub(text, 0, rag_utf8_floor(text, bytes < text.len ? bytes : text.len));
}

static void put_token(rag_reranker *r, bool is_wanted, llama_token token)
{
    if (is_wanted && token != LLAMA_TOKEN_NULL)
        r->tokens[r->n_tokens++] = token;
}

/* As much of text's beginning as has room; returns that part. */
static rag_str put_text(rag_reranker *r, rag_str text, size_t room)
{
    size_t n;
    while ((n = rag_llama_tokenize(r->llama.vocab, text, false, false, r->tokens + r->n_tokens, room)) > room &&
           text.len > 0)
        text = head_of(text, (size_t)((double)text.len * (double)room / (double)n));
    r->n_tokens += n <= room ? n : 0;
    return text;
}

static void put_pair(rag_reranker *r, rag_str query, rag_str passage)
{
    const struct llama_vocab *vocab = r->llama.vocab;
    llama_token sep = llama_vocab_sep(vocab), eos = llama_vocab_eos(vocab);
    bool add_eos = llama_vocab_get_add_eos(vocab);
    size_t window = (size_t)r->window;
    if (eos == LLAMA_TOKEN_NULL)
        eos = sep;
    put_token(r, llama_vocab_get_add_bos(vocab), llama_vocab_bos(vocab));
    put_text(r, query, window / 2 - SPECIAL_TOKENS);
    put_token(r, add_eos, eos);
    put_token(r, llama_vocab_get_add_sep(vocab), sep);
    put_text(r, passage, window - r->n_tokens - 1);
    put_token(r, add_eos, eos);
}

/* ---- a pair in the file's template -------------------------------------------------- */

/* What looks like a mark of the template is broken up, so that a passage cannot write one. */
static void put_plain(rag_buf *b, rag_str text)
{
    for (size_t at = 0; at < text.len;) {
        size_t mark = rag_str_find(text, RAG_STR("<|"), at);
        size_t end = mark == SIZE_MAX ? text.len : mark + 1;
        rag_buf_put(b, rag_str_sub(text, at, end));
        if (mark != SIZE_MAX)
            rag_buf_putc(b, ' ');
        at = end;
    }
}

static void render(const char *template, rag_str query, rag_str passage, rag_buf *out)
{
    const struct {
        rag_str name, value;
    } parts[] = { { RAG_STR("{query}"), query }, { RAG_STR("{document}"), passage } };
    rag_str rest = rag_str_of(template);
    while (rest.len > 0) {
        size_t i = 0, n = sizeof parts / sizeof *parts;
        while (i < n && !rag_str_starts(rest, parts[i].name))
            i++;
        if (i < n)
            put_plain(out, parts[i].value);
        else
            rag_buf_putc(out, rest.ptr[0]);
        rest = rag_str_sub(rest, i < n ? parts[i].name.len : 1, rest.len);
    }
}

static size_t fill_template(rag_reranker *r, rag_str query, rag_str passage)
{
    rag_buf text;
    rag_buf_init(&text, RAG_MAX_PROMPT);
    render(r->template, query, passage, &text);
    size_t n = rag_llama_tokenize(r->llama.vocab, rag_buf_str(&text), false, true, r->tokens, (size_t)r->window);
    rag_buf_free(&text);
    return n;
}

/* The template is tokenised as a whole, since tokens may span its parts; so the passage is cut by trying. */
static rag_code put_template(rag_reranker *r, rag_str query, rag_str passage, rag_err *err)
{
    size_t window = (size_t)r->window, n;
    query = put_text(r, query, window / 2);
    while ((n = fill_template(r, query, passage)) > window && passage.len > 0) {
        size_t in_proportion = (size_t)((double)passage.len * (double)window / (double)n);
        size_t surely_less = passage.len - passage.len / 16 - 1;
        passage = head_of(passage, in_proportion < surely_less ? in_proportion : surely_less);
    }
    if (n > window)
        return rag_fail(err, RAG_TOO_LARGE, "the reranker's window of %d tokens has no room for its template", r->window);
    r->n_tokens = n;
    return RAG_OK;
}

/* ---- scoring ------------------------------------------------------------------------ */

static rag_code run(rag_reranker *r, float *score, rag_err *err)
{
    int status = compute_silently(r);
    const float *v = status ? NULL : llama_get_embeddings_seq(r->llama.context, 0);
    if (status == 2 && atomic_load(&r->cancel))
        return rag_fail(err, RAG_CANCELED, "reranking was canceled");
    if (status == 2)
        return rag_fail(err, RAG_DEADLINE, "no time was left for the reranker");
    if (!v || !isfinite(v[0]))
        return rag_fail(err, RAG_IO, "cannot score a pair of %zu tokens: libllama returned %d", r->n_tokens, status);
    *score = v[0];
    return RAG_OK;
}

rag_code rag_rerank_score(rag_reranker *r, rag_str query, rag_str passage, double deadline_ms, float *score,
                          size_t *tokens, rag_err *err)
{
    size_t most = (size_t)r->window * BYTES_A_TOKEN;
    rag_code code = RAG_OK;
    atomic_store(&r->cancel, false);
    r->deadline_ms = deadline_ms;
    r->n_tokens = 0;
    if (r->template)
        code = put_template(r, head_of(query, most), head_of(passage, most), err);
    else
        put_pair(r, head_of(query, most), head_of(passage, most));
    if (code == RAG_OK)
        code = run(r, score, err);
    if (tokens)
        *tokens = code == RAG_OK ? r->n_tokens : 0;
    return code;
}

void rag_rerank_cancel(rag_reranker *r)
{
    atomic_store(&r->cancel, true);
}
