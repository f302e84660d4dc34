/* bench/bench_rerank: what a pair costs.
 *
 *     bench_rerank [RERANKER.gguf [THREADS]]
 *
 * Without a file (or with "-") it makes models of the shapes of well-known rerankers with random weights: their scores mean
 * nothing, their cost is that of the real ones but for the vocabulary, which is small (it costs memory, and a pair no time).
 * One line a model and length: a second's pairs, at least three; their median, their fastest, and the processor time of all
 * threads for each, which a busy machine changes less. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "embed/rerank.h"
#include "llm/llama_runtime.h"
#include "tests/reranker_maker.h"

enum { MAX_TIMES = 2000, LEAST = 3, POSITIONS = 512, WORDS = 2000 };

static const struct {
    const char *name;
    reranker_shape shape;
} shapes[] = {
    { "as MiniLM-L6, random weights, Q8_0",
      { .layers = 6, .hidden = 384, .heads = 12, .wide = 1536, .positions = POSITIONS, .words = WORDS,
        .type = GGML_TYPE_Q8_0, .random = true } },
    { "as MiniLM-L12, random weights, Q8_0",
      { .layers = 12, .hidden = 384, .heads = 12, .wide = 1536, .positions = POSITIONS, .words = WORDS,
        .type = GGML_TYPE_Q8_0, .random = true } },
    { "as bge-reranker-base, random weights, Q8_0",
      { .layers = 12, .hidden = 768, .heads = 12, .wide = 3072, .positions = POSITIONS, .words = WORDS,
        .type = GGML_TYPE_Q8_0, .random = true } },
    { "as bge-reranker-v2-m3, random weights, Q8_0",
      { .layers = 24, .hidden = 1024, .heads = 16, .wide = 4096, .positions = POSITIONS, .words = WORDS,
        .type = GGML_TYPE_Q8_0, .random = true } },
};

static const int lengths[] = { 64, 128, 320 };

/* A passage that makes a pair of at least `tokens`. */
static rag_code fill(rag_reranker *r, rag_str query, size_t tokens, rag_buf *out, rag_err *err)
{
    rag_code code;
    size_t n = 0;
    float score;
    for (int words = 0;;) {
        code = rag_rerank_score(r, query, rag_buf_str(out), 0, &score, &n, err);
        if (code != RAG_OK || n >= tokens)
            break;
        for (size_t missing = tokens - n; missing > 0; missing--, words++) /* a word is a token or more */
            rag_buf_putf(out, "w%d ", words * 37 % WORDS);
    }
    return code;
}

static double cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static rag_code measure(rag_reranker *r, const char *name, int length, rag_err *err)
{
    static double times[MAX_TIMES];
    const rag_str query = RAG_STR("w1 w2 w3 w4 w5 w6 w7 w8");
    rag_buf passage;
    size_t n = 0, tokens = 0;
    float score;
    rag_buf_init(&passage, RAG_MAX_TEXT);
    rag_code code = fill(r, query, (size_t)length, &passage, err);
    double end = rag_clock_ms() + 1000, cpu = cpu_ms();
    while (code == RAG_OK && n < MAX_TIMES && (n < LEAST || rag_clock_ms() < end)) {
        double start = rag_clock_ms();
        code = rag_rerank_score(r, query, rag_buf_str(&passage), 0, &score, &tokens, err);
        times[n++] = rag_clock_ms() - start;
    }
    cpu = cpu_ms() - cpu;
    rag_buf_free(&passage);
    qsort(times, n, sizeof *times, by_size);
    if (code == RAG_OK)
        printf("{\"model\":\"%s\",\"tokens\":%zu,\"pairs\":%zu,\"ms_per_pair\":%.1f,\"ms_fastest\":%.1f,"
               "\"cpu_ms_per_pair\":%.1f,\"buffers_mb\":%.1f}\n",
               name, tokens, n, times[n / 2], times[0], cpu / (double)n, (double)rag_rerank_memory(r) / (1024 * 1024));
    return code;
}

static int run(const char *path, const char *name, int threads)
{
    rag_reranker *r = NULL;
    rag_err err = { 0 };
    rag_code code = rag_rerank_open(&r, &(rag_rerank_options){ path, threads, 0 }, &err);
    for (size_t i = 0; code == RAG_OK && i < sizeof lengths / sizeof *lengths; i++)
        code = measure(r, name, lengths[i], &err);
    rag_rerank_close(r);
    if (code != RAG_OK)
        fprintf(stderr, "bench_rerank: %s\n", err.message);
    return code == RAG_OK ? 0 : 1;
}

static int run_made(int threads)
{
    char path[] = "/tmp/ragd-bench-rerank-XXXXXX";
    int fd = mkstemp(path), status = fd < 0;
    for (size_t i = 0; status == 0 && i < sizeof shapes / sizeof *shapes; i++) {
        reranker_make(path, &shapes[i].shape);
        status = run(path, shapes[i].name, threads);
    }
    if (fd >= 0) {
        close(fd);
        unlink(path);
    }
    return status;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    int threads = argc > 2 ? atoi(argv[2]) : 0;
    rag_llama_prepare(argv);
    if (argc > 3) {
        fprintf(stderr, "usage: bench_rerank [RERANKER.gguf [THREADS]]\n");
        return 2;
    }
    return argc > 1 && strcmp(argv[1], "-") != 0 ? run(argv[1], argv[1], threads) : run_made(threads);
}
