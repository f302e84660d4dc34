#include "embed/embed.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/unicode.h"
#include "embed/tokenizer.h"
#include "llm/llama_model.h"
#include "llm/llama_runtime.h"

enum { MIN_WINDOW = 16 };

struct rag_embedder {
    rag_llama_model llama;
    tokenizer tokenizer;
    int dim, max_tokens;
    const char *query_prefix, *passage_prefix;
    llama_token *tokens; /* room for max_tokens */
    atomic_bool cancel;
};

/* Opening */

static void read_meta(const rag_embedder *e, const char *key, char out[128])
{
    if (llama_model_meta_val_str(e->llama.model, key, out, 128) < 0)
        out[0] = '\0';
}

/* E5 was trained with these words in front; other models are taken to want none. */
static void choose_prefixes(rag_embedder *e)
{
    char name[128], base[128];
    read_meta(e, "general.name", name);
    read_meta(e, "general.basename", base);
    bool is_e5 = strcasestr(name, "e5") || strcasestr(base, "e5");
    e->query_prefix = is_e5 ? "query: " : "";
    e->passage_prefix = is_e5 ? "passage: " : "";
}

/* An embedding model's file says how its tokens are pooled; RANK is a cross-encoder's. */
static bool is_embedding_model(const rag_embedder *e)
{
    char architecture[128], key[256], pooling[128];
    read_meta(e, "general.architecture", architecture);
    snprintf(key, sizeof key, "%s.pooling_type", architecture);
    read_meta(e, key, pooling);
    int type = atoi(pooling);
    return type == LLAMA_POOLING_TYPE_MEAN || type == LLAMA_POOLING_TYPE_CLS || type == LLAMA_POOLING_TYPE_LAST;
}

static bool on_abort(void *context)
{
    rag_embedder *e = context;
    return atomic_load_explicit(&e->cancel, memory_order_relaxed);
}

static rag_code start(rag_embedder *e, const rag_embed_options *opt, rag_err *err)
{
    struct llama_context_params params = llama_context_default_params();
    params.n_ctx = params.n_batch = params.n_ubatch = (uint32_t)e->max_tokens;
    params.n_seq_max = 1;
    params.n_threads = params.n_threads_batch = rag_llama_threads(opt->threads);
    params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_ENABLED;
    params.embeddings = true;
    params.abort_callback = on_abort;
    params.abort_callback_data = e;
    return rag_llama_model_start(&e->llama, params, err);
}

static int encode(rag_embedder *e, size_t n)
{
    return llama_encode(e->llama.context, llama_batch_get_one(e->tokens, (int32_t)n));
}

static bool swallow(void *context, rag_str line)
{
    (void)context;
    (void)line;
    return true;
}

/* See rag_llama_release_logits. */
static void release_unused_logits(rag_embedder *e)
{
    for (int i = 0; i < e->max_tokens; i++)
        e->tokens[i] = 0;
    atomic_store(&e->cancel, true);
    rag_llama_listen(swallow, NULL);
    encode(e, (size_t)e->max_tokens);
    rag_llama_listen(NULL, NULL);
    rag_llama_release_logits(&e->llama, (size_t)e->max_tokens);
}

/* With unigram.h the runtime needs no words, only their number. */
static rag_code load(rag_embedder *e, const char *path, rag_err *err)
{
    struct llama_model_kv_override overrides[3] = {
        { .tag = LLAMA_KV_OVERRIDE_TYPE_STR, .key = "tokenizer.ggml.model", .val_str = "none" },
        { .tag = LLAMA_KV_OVERRIDE_TYPE_INT },
    };
    rag_code code = unigram_open(&e->tokenizer.unigram, path, err);
    if (code)
        return code;
    const unigram *u = e->tokenizer.unigram;
    if (u) {
        snprintf(overrides[1].key, sizeof overrides[1].key, "%s.vocab_size", u->architecture);
        overrides[1].val_i64 = u->n_tokens;
    }
    code = rag_llama_model_open(&e->llama, path, u ? overrides : NULL, err);
    e->tokenizer.vocab = e->llama.vocab;
    return code;
}

static rag_code open_model(rag_embedder *e, const rag_embed_options *opt, rag_err *err)
{
    rag_code code = load(e, opt->model_path, err);
    if (code)
        return code;
    if (!is_embedding_model(e))
        return rag_fail(err, RAG_CONFIG, "'%s' is not an embedding model", opt->model_path);
    int positions = llama_model_n_ctx_train(e->llama.model);
    e->max_tokens = opt->max_tokens > 0 && opt->max_tokens < positions ? opt->max_tokens : positions;
    if (e->max_tokens < MIN_WINDOW)
        return rag_fail(err, RAG_CONFIG, "the embedder's window of %d tokens is too small", e->max_tokens);
    e->dim = llama_model_n_embd_out(e->llama.model);
    e->tokens = rag_calloc((size_t)e->max_tokens, sizeof *e->tokens);
    choose_prefixes(e);
    code = start(e, opt, err);
    if (!code)
        release_unused_logits(e);
    return code;
}

rag_code rag_embed_open(rag_embedder **out, const rag_embed_options *opt, rag_err *err)
{
    rag_embedder *e = rag_calloc(1, sizeof *e);
    rag_code code = open_model(e, opt, err);
    *out = e;
    if (code) {
        rag_embed_close(e);
        *out = NULL;
    }
    return code;
}

void rag_embed_close(rag_embedder *e)
{
    if (!e)
        return;
    rag_llama_model_close(&e->llama);
    unigram_close(e->tokenizer.unigram);
    free(e->tokens);
    free(e);
}

int rag_embed_dim(const rag_embedder *e)
{
    return e->dim;
}

int rag_embed_max_tokens(const rag_embedder *e)
{
    return e->max_tokens;
}

const rag_sha256 *rag_embed_model_id(const rag_embedder *e)
{
    return &e->llama.id;
}

const char *rag_embed_model_name(const rag_embedder *e)
{
    return e->llama.name;
}

size_t rag_embed_memory(const rag_embedder *e)
{
    return e->llama.memory.kv + e->llama.memory.buffers;
}

size_t rag_embed_count(const rag_embedder *e, rag_str text)
{
    rag_buf nfkc;
    rag_buf_init(&nfkc, RAG_MAX_TEXT);
    rag_unicode_nfkc(text, &nfkc);
    size_t n = tokenizer_count(&e->tokenizer, rag_buf_str(&nfkc));
    rag_buf_free(&nfkc);
    return n;
}

size_t rag_embed_offsets(const rag_embedder *e, rag_str text, uint32_t *ends, size_t max)
{
    return tokenizer_offsets(&e->tokenizer, text, ends, max);
}

/* Embedding */

static rag_code prepare(rag_embedder *e, rag_str text, bool truncate, size_t *n, rag_err *err)
{
    size_t window = (size_t)e->max_tokens, count = tokenizer_fill(&e->tokenizer, text, e->tokens, window);
    *n = count < window ? count : window;
    if (count > window && !truncate)
        return rag_fail(err, RAG_TOO_LARGE, "text of %zu tokens is longer than the embedder's window of %d", count,
                        e->max_tokens);
    if (count == 0)
        return rag_fail(err, RAG_TOO_LARGE, "text of %zu bytes is too long to embed", text.len);
    return RAG_OK;
}

static void normalise(const float *v, size_t dim, float *out)
{
    double sum = 0;
    for (size_t i = 0; i < dim; i++)
        sum += (double)v[i] * (double)v[i];
    double scale = sum > 0 ? 1 / sqrt(sum) : 0;
    for (size_t i = 0; i < dim; i++)
        out[i] = (float)((double)v[i] * scale);
}

static rag_code run(rag_embedder *e, size_t n, float *out, rag_err *err)
{
    rag_llama_listen(swallow, NULL); /* it calls a cancel an error */
    int status = encode(e, n);
    rag_llama_listen(NULL, NULL);
    const float *v = status ? NULL : llama_get_embeddings_seq(e->llama.context, 0);
    if (status == 2)
        return rag_fail(err, RAG_CANCELED, "embedding was canceled");
    if (!v)
        return rag_fail(err, RAG_IO, "cannot embed %zu tokens: libllama returned %d", n, status);
    normalise(v, (size_t)e->dim, out);
    return RAG_OK;
}

rag_code rag_embed_text(rag_embedder *e, rag_embed_role role, rag_str text, bool truncate, float *out,
                        size_t *tokens, rag_err *err)
{
    rag_buf s;
    size_t n = 0;
    atomic_store(&e->cancel, false);
    rag_buf_init(&s, RAG_MAX_TEXT);
    rag_buf_puts(&s, role == RAG_EMBED_QUERY ? e->query_prefix : e->passage_prefix);
    rag_unicode_nfkc(text, &s);
    rag_code code = prepare(e, rag_buf_str(&s), truncate, &n, err);
    if (!code)
        code = run(e, n, out, err);
    if (tokens)
        *tokens = code ? 0 : n;
    rag_buf_free(&s);
    return code;
}

void rag_embed_cancel(rag_embedder *e)
{
    atomic_store(&e->cancel, true);
}
