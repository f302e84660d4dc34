/* bench/bench_encode: a bare loop of one-sequence encodes, the most that ingest could reach.
 *
 *     bench_encode MODEL FILE [THREADS]
 *
 * FILE holds texts separated by NUL bytes, or one a line when there is none.  Tokenising is not
 * timed; threads and flash attention are those of embed/embed.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "llm/llama_model.h"
#include "llm/llama_runtime.h"

typedef struct text {
    llama_token *tokens;
    size_t n;
} text;

typedef struct bench {
    rag_llama_model llama;
    int window;
    text *texts;
    size_t n_texts, n_tokens;
} bench;

static rag_code start(bench *b, const char *path, int threads, rag_err *err)
{
    rag_code code = rag_llama_model_open(&b->llama, path, NULL, err);
    if (code)
        return code;
    b->window = llama_model_n_ctx_train(b->llama.model);
    struct llama_context_params params = llama_context_default_params();
    params.n_ctx = params.n_batch = params.n_ubatch = (uint32_t)b->window;
    params.n_threads = params.n_threads_batch = rag_llama_threads(threads);
    params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_ENABLED;
    params.embeddings = true;
    return rag_llama_model_start(&b->llama, params, err);
}

static void add(bench *b, rag_str s)
{
    text t = { .tokens = rag_calloc((size_t)b->window, sizeof *t.tokens) };
    size_t n;
    /* A text over the window is halved until it fits. */
    for (; (n = rag_llama_tokenize(b->llama.vocab, s, true, false, t.tokens, (size_t)b->window)) >
           (size_t)b->window;
         s.len /= 2)
        ;
    t.n = n;
    b->texts = rag_realloc(b->texts, (b->n_texts + 1) * sizeof *b->texts);
    b->texts[b->n_texts++] = t;
    b->n_tokens += n;
}

static void read_texts(bench *b, rag_str all)
{
    char separator = memchr(all.ptr, '\0', all.len) ? '\0' : '\n';
    while (all.len > 0) {
        size_t end = rag_str_find(all, (rag_str){ &separator, 1 }, 0);
        rag_str one = rag_str_sub(all, 0, end);
        if (one.len > 0)
            add(b, one);
        all = rag_str_sub(all, end == SIZE_MAX ? all.len : end + 1, all.len);
    }
}

static bool encode(bench *b, const text *t)
{
    return llama_encode(b->llama.context, llama_batch_get_one(t->tokens, (int32_t)t->n)) == 0 &&
           llama_get_embeddings_seq(b->llama.context, 0);
}

static bool encode_longest(bench *b)
{
    size_t longest = 0;
    for (size_t i = 0; i < b->n_texts; i++)
        if (b->texts[i].n > b->texts[longest].n)
            longest = i;
    return encode(b, &b->texts[longest]);
}

static int measure(bench *b)
{
    /* libllama allocates its output buffer for the longest encode so far. */
    if (b->n_texts == 0 || !encode_longest(b)) {
        fprintf(stderr, "nothing to encode, or cannot\n");
        return 1;
    }
    double start_ms = rag_clock_ms();
    for (size_t i = 0; i < b->n_texts; i++)
        if (!encode(b, &b->texts[i]))
            return 1;
    double seconds = (rag_clock_ms() - start_ms) / 1000;
    printf("{\"texts\":%zu,\"tokens\":%zu,\"seconds\":%.3f,\"tokens_per_second\":%.1f}\n", b->n_texts, b->n_tokens,
           seconds, (double)b->n_tokens / seconds);
    return 0;
}

int main(int argc, char **argv)
{
    bench b = { 0 };
    rag_buf file;
    rag_err err = { 0 };
    int status = 1;
    rag_llama_prepare(argv);
    rag_buf_init(&file, RAG_MAX_TEXT);
    if (argc < 3) {
        fprintf(stderr, "usage: bench_encode MODEL FILE [THREADS]\n");
        return 2;
    }
    if (start(&b, argv[1], argc > 3 ? atoi(argv[3]) : 0, &err) || rag_file_read(argv[2], &file, &err)) {
        fprintf(stderr, "bench_encode: %s\n", err.message);
        goto out;
    }
    read_texts(&b, rag_buf_str(&file));
    status = measure(&b);
out:
    for (size_t i = 0; i < b.n_texts; i++)
        free(b.texts[i].tokens);
    free(b.texts);
    rag_llama_model_close(&b.llama);
    rag_buf_free(&file);
    return status;
}
