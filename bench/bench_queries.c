/* bench_queries STORAGE_DIR EMBEDDER.gguf FILE...: how long searches take, of queries that mean harm and of real ones.
 *
 * A FILE is a JSON array of strings (the Big List of Naughty Strings), or an object a line with "question".  Made-up hostile
 * queries come first.  For each group: number, errors, percentiles of the search without embedding, in wall and in CPU time of
 * the thread, and the five slowest.  An error ends with exit code 1. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/utf8.h"
#include "embed/embed.h"
#include "index/index.h"

enum { SLOWEST = 5, SHOWN = 60, MAX_FILE = 64 * 1024 * 1024, MANY = 100000 };

typedef struct timing {
    char *query;
    double wall_ms, cpu_ms;
} timing;

typedef struct bench {
    rag_index *index;
    rag_snapshot *snapshot;
    rag_reader *reader;
    rag_embedder *embedder;
    timing *timings;
    size_t n, errors;
} bench;

static void demand(rag_code code, const rag_err *err)
{
    if (code == RAG_OK)
        return;
    fprintf(stderr, "%s\n", err->message);
    exit(1);
}

static double cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void remember(bench *b, rag_str query, double wall_ms, double cpu)
{
    b->timings = rag_realloc(b->timings, (b->n + 1) * sizeof *b->timings);
    b->timings[b->n++] = (timing){ rag_strndup(rag_str_sub(query, 0, rag_utf8_floor(query, SHOWN))), wall_ms, cpu };
}

static void ask(bench *b, rag_str query, bool embed)
{
    rag_err err;
    rag_results found;
    rag_arena *arena = rag_arena_new();
    float *vector = rag_calloc((size_t)rag_embed_dim(b->embedder), sizeof *vector);
    vector[0] = 1;
    if (embed)
        demand(rag_embed_text(b->embedder, RAG_EMBED_QUERY, query, true, vector, NULL, &err), &err);
    rag_search q = { .query = query, .vector = vector, .filter = { .all_groups = true } };
    double wall = rag_clock_ms(), cpu = cpu_ms();
    rag_code code = rag_reader_search(b->reader, b->snapshot, &q, arena, &found, &err);
    remember(b, query, rag_clock_ms() - wall, cpu_ms() - cpu);
    if (code != RAG_OK && code != RAG_INVALID) {
        fprintf(stderr, "'%.*s': %s\n", SHOWN, b->timings[b->n - 1].query, err.message);
        b->errors++;
    }
    free(vector);
    rag_arena_free(arena);
}

/* ---- groups -------------------------------------------------------------------------------- */

static void ask_repeated(bench *b, const char *part, int times, const char *numbered)
{
    rag_buf text;
    rag_buf_init(&text, MAX_FILE);
    for (int i = 0; i < times; i++) {
        rag_buf_puts(&text, part);
        if (numbered)
            rag_buf_putf(&text, "%d%s", i, numbered);
    }
    ask(b, rag_buf_str(&text), false);
    rag_buf_free(&text);
}

static void ask_hostile(bench *b)
{
    static const char *const queries[] = {
        "", " ", "a", "e", "1", "%", "\"", "\"\"", "的", "囧", "\"a\"", "\"the\"", "\"of the\"", "\"in\" \"of\" \"and\"", "\"e\"", "\".\"", "\",\"", "\"的\"",
        "\"-\" \"(\" \")\"", "\"the\" \".\"", "AND OR NOT NEAR", "NEAR(a b, 5)", "title:a*", "a* b* c*", "(((((((", "the of and to in a is",
        "patients cells study results expression protein effect treatment disease human mice levels",
        "abcdefgh bcdefghi cdefghij defghijk efghijkl fghijklm", "E-4012 x_y gen-itgc Wi-Fi 6E IPv6 3.5 a/b c:d 1,000 p53 CD4 IL-2 TGF-b", "\xf0\x9f\x98\x80",
    };
    static const char *const long_parts[][2] = { { "word", " " }, { "the ", NULL }, { "cell ", NULL }, { "\"the\" ", NULL }, { "patien", " " },
                                                 { "x-", " " }, { "\"of ", "\" " }, { "的", NULL }, { "細胞", NULL }, { "\"", NULL }, { "a\"", NULL },
                                                 { "protien", "x " }, { "e\xcc\x81", NULL }, { "\xef\xb7\xba", NULL } };
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++)
        ask(b, rag_str_of(queries[i]), false);
    for (size_t i = 0; i < sizeof long_parts / sizeof *long_parts; i++)
        ask_repeated(b, long_parts[i][0], MANY, long_parts[i][1]);
}

static void ask_array(bench *b, const cJSON *array)
{
    const cJSON *s;
    cJSON_ArrayForEach(s, array) {
        if (!cJSON_IsString(s) || !rag_utf8_valid(rag_str_of(s->valuestring), NULL))
            continue;
        char *quoted = rag_alloc(strlen(s->valuestring) + 3);
        sprintf(quoted, "\"%s\"", s->valuestring);
        ask(b, rag_str_of(s->valuestring), false);
        ask(b, rag_str_of(quoted), false);
        free(quoted);
    }
}

static void ask_lines(bench *b, char *text)
{
    for (char *line = text, *next; line && *line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        cJSON *object = cJSON_Parse(line);
        const cJSON *question = cJSON_GetObjectItemCaseSensitive(object, "question");
        if (cJSON_IsString(question))
            ask(b, rag_str_of(question->valuestring), true);
        cJSON_Delete(object);
    }
}

static void ask_file(bench *b, const char *file)
{
    rag_buf text;
    rag_err err;
    rag_buf_init(&text, MAX_FILE);
    demand(rag_file_read(file, &text, &err), &err);
    cJSON *array = text.len > 0 && text.ptr[0] == '[' ? cJSON_Parse(text.ptr) : NULL;
    if (array)
        ask_array(b, array);
    else if (text.ptr)
        ask_lines(b, text.ptr);
    cJSON_Delete(array);
    rag_buf_free(&text);
}

/* ---- report --------------------------------------------------------------------------------- */

static int by_wall(const void *a, const void *b)
{
    double x = ((const timing *)a)->wall_ms, y = ((const timing *)b)->wall_ms;
    return (x < y) - (x > y);
}

static int by_cpu(const void *a, const void *b)
{
    double x = ((const timing *)a)->cpu_ms, y = ((const timing *)b)->cpu_ms;
    return (x < y) - (x > y);
}

static void report(bench *b, const char *name)
{
    size_t n = b->n;
    if (n == 0)
        return;
    qsort(b->timings, n, sizeof *b->timings, by_wall);
    double wall_50 = b->timings[n / 2].wall_ms, wall_99 = b->timings[n / 100].wall_ms;
    qsort(b->timings, n, sizeof *b->timings, by_cpu);
    printf("%s: %zu queries, %zu errors; wall p50 %.2f p99 %.2f ms; CPU p50 %.2f p99 %.2f ms; slowest by CPU:\n", name, n, b->errors,
           wall_50, wall_99, b->timings[n / 2].cpu_ms, b->timings[n / 100].cpu_ms);
    for (size_t i = 0; i < n && i < SLOWEST; i++)
        printf("  %8.2f ms CPU %8.2f ms  %s\n", b->timings[i].cpu_ms, b->timings[i].wall_ms, b->timings[i].query);
    for (size_t i = 0; i < n; i++)
        free(b->timings[i].query);
    b->n = 0;
}

int main(int argc, char **argv)
{
    bench b = { 0 };
    rag_err err;
    if (argc < 3) {
        fprintf(stderr, "usage: bench_queries STORAGE_DIR EMBEDDER.gguf [FILE]...\n");
        return 2;
    }
    rag_index_options opt = { .dir = argv[1] };
    rag_embed_options embed = { .model_path = argv[2], .threads = 2 };
    demand(rag_index_open(&b.index, &opt, &err), &err);
    demand(rag_index_refresh(b.index, NULL, &err), &err);
    demand(rag_reader_open(&b.reader, b.index, &err), &err);
    demand(rag_embed_open(&b.embedder, &embed, &err), &err);
    b.snapshot = rag_index_acquire(b.index);
    printf("%lld chunks\n", (long long)rag_snapshot_chunks(b.snapshot));
    ask_hostile(&b);
    report(&b, "made-up");
    for (int i = 3; i < argc; i++) {
        ask_file(&b, argv[i]);
        report(&b, argv[i]);
    }
    free(b.timings);
    rag_embed_close(b.embedder);
    rag_reader_close(b.reader);
    rag_snapshot_release(b.snapshot);
    rag_index_close(b.index);
    return b.errors > 0;
}
