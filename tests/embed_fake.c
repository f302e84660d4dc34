/* tests/embed_fake.c: embed/embed.h without a model.
 *
 * A text's vector is the normalised sum of one pseudo-random vector a token, drawn from the token's hash,
 * so texts that share words lie close together.  Tokens: ASCII-lower-cased words with a trivial
 * plural stem, one a character for Chinese, Japanese and Korean.  Words of three letters or less weigh little.
 *
 * A path that contains "missing" fails as a missing file does.  RAGD_FAKE_EMBED_DELAY_MS makes each
 * rag_embed_text take that long, RAGD_FAKE_EMBED_OPEN_MS rag_embed_open.  RAGD_FAKE_EMBED_ID
 * stands for another model. */
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/unicode.h"
#include "base/utf8.h"
#include "embed/embed.h"
#include "tests/trace.h"

enum { DIM = 384, WINDOW = 512, EXTRA_TOKENS = 4, MAX_WORD = 64 };

struct rag_embedder {
    rag_sha256 id;
    int max_tokens;
    long delay_ms;
    atomic_bool cancel;
};

static void open_slowly(void)
{
    const char *text = getenv("RAGD_FAKE_EMBED_OPEN_MS");
    long ms = text ? strtol(text, NULL, 10) : 0;
    nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

rag_code rag_embed_open(rag_embedder **out, const rag_embed_options *opt, rag_err *err)
{
    *out = NULL;
    if (opt->model_path && strstr(opt->model_path, "missing"))
        return rag_fail(err, RAG_CONFIG, "cannot open '%s': no such file", opt->model_path);
    open_slowly();
    rag_embedder *e = rag_calloc(1, sizeof *e);
    const char *delay = getenv("RAGD_FAKE_EMBED_DELAY_MS");
    const char *id = getenv("RAGD_FAKE_EMBED_ID");
    e->id = rag_sha256_of(rag_str_of(id ? id : "fake embedder"));
    e->max_tokens = opt->max_tokens > 0 && opt->max_tokens < WINDOW ? opt->max_tokens : WINDOW;
    e->delay_ms = delay ? strtol(delay, NULL, 10) : 0;
    *out = e;
    return RAG_OK;
}

void rag_embed_close(rag_embedder *e)
{
    free(e);
}

rag_code rag_embed_identify(const char *model_path, rag_sha256 *id, int *dim, rag_err *err)
{
    if (model_path && strstr(model_path, "missing"))
        return rag_fail(err, RAG_CONFIG, "cannot open '%s': no such file", model_path);
    *id = rag_sha256_of(RAG_STR("fake embedder"));
    *dim = DIM;
    return RAG_OK;
}

int rag_embed_dim(const rag_embedder *e)
{
    (void)e;
    return DIM;
}

int rag_embed_max_tokens(const rag_embedder *e)
{
    return e->max_tokens;
}

const rag_sha256 *rag_embed_model_id(const rag_embedder *e)
{
    return &e->id;
}

const char *rag_embed_model_name(const rag_embedder *e)
{
    (void)e;
    return "fake-embedder";
}

size_t rag_embed_memory(const rag_embedder *e)
{
    return sizeof *e;
}

static bool is_word(rag_char_class class)
{
    return class == RAG_CHAR_LETTER || class == RAG_CHAR_DIGIT;
}

/* The next token at or after *pos; *pos moves behind it. */
static bool next_token(rag_str text, size_t *pos, rag_span *out)
{
    while (*pos < text.len) {
        size_t start = *pos;
        rag_char_class class = rag_unicode_class(rag_utf8_next(text, pos));
        if (class == RAG_CHAR_OTHER)
            continue;
        while (is_word(class) && *pos < text.len) {
            size_t end = *pos;
            if (!is_word(rag_unicode_class(rag_utf8_next(text, &end))))
                break;
            *pos = end;
        }
        *out = (rag_span){ start, *pos };
        return true;
    }
    return false;
}

size_t rag_embed_offsets(const rag_embedder *e, rag_str text, uint32_t *ends, size_t max)
{
    (void)e;
    size_t pos = 0, n = 0;
    rag_span span;
    for (; next_token(text, &pos, &span); n++)
        if (n < max)
            ends[n] = (uint32_t)span.end;
    return n;
}

size_t rag_embed_count(const rag_embedder *e, rag_str text)
{
    rag_buf nfkc;
    rag_buf_init(&nfkc, RAG_MAX_TEXT);
    rag_unicode_nfkc(text, &nfkc);
    size_t n = rag_embed_offsets(e, rag_buf_str(&nfkc), NULL, 0);
    rag_buf_free(&nfkc);
    return n;
}

static uint64_t token_hash(rag_str token)
{
    char word[MAX_WORD];
    size_t n = token.len < sizeof word ? token.len : sizeof word;
    for (size_t i = 0; i < n; i++)
        word[i] = token.ptr[i] >= 'A' && token.ptr[i] <= 'Z' ? (char)(token.ptr[i] | 0x20) : token.ptr[i];
    if (n > 3 && word[n - 1] == 's' && word[n - 2] != 's')
        n--;
    return rag_xxh3((rag_str){ word, n }, 1);
}

static float token_weight(rag_str token)
{
    return token.len <= 3 && (unsigned char)token.ptr[0] < 0x80 && token.ptr[0] > '9' ? 0.2F : 1.0F;
}

static void add_token(float *out, rag_str token)
{
    uint64_t state = token_hash(token);
    float weight = token_weight(token);
    for (size_t i = 0; i < DIM; i++) {
        state = state * 6364136223846793005U + 1442695040888963407U;
        out[i] += weight * ((float)(state >> 40) / (float)(1U << 23) - 1.0F);
    }
}

static void normalise(float *v)
{
    double sum = 0;
    for (size_t i = 0; i < DIM; i++)
        sum += (double)v[i] * (double)v[i];
    for (size_t i = 0; i < DIM; i++)
        v[i] = (float)(v[i] / sqrt(sum));
}

static rag_code wait_or_cancel(rag_embedder *e, rag_err *err)
{
    for (long ms = 0; ms < e->delay_ms && !atomic_load(&e->cancel); ms++)
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    if (e->delay_ms > 0 && atomic_load(&e->cancel))
        return rag_fail(err, RAG_CANCELED, "embedding was canceled");
    return RAG_OK;
}

rag_code rag_embed_text(rag_embedder *e, rag_embed_role role, rag_str text, bool truncate, float *out,
                        size_t *tokens, rag_err *err)
{
    if (role == RAG_EMBED_QUERY)
        trace('e');
    size_t window = (size_t)(e->max_tokens > EXTRA_TOKENS ? e->max_tokens - EXTRA_TOKENS : 1);
    size_t pos = 0, n = 0;
    rag_span span;
    rag_buf nfkc;
    rag_buf_init(&nfkc, RAG_MAX_TEXT);
    atomic_store(&e->cancel, false);
    rag_unicode_nfkc(text, &nfkc);
    rag_str s = rag_buf_str(&nfkc);
    memset(out, 0, DIM * sizeof *out);
    out[0] = 0.01F; /* the bare prefix */
    for (; n < window && next_token(s, &pos, &span); n++)
        add_token(out, rag_str_sub(s, span.start, span.end));
    bool cut = n == window && next_token(s, &pos, &span);
    normalise(out);
    rag_buf_free(&nfkc);
    if (cut && !truncate)
        return rag_fail(err, RAG_TOO_LARGE, "text is longer than %d tokens", e->max_tokens);
    if (tokens)
        *tokens = n + EXTRA_TOKENS;
    return wait_or_cancel(e, err);
}

void rag_embed_cancel(rag_embedder *e)
{
    atomic_store(&e->cancel, true);
}
