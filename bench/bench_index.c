/* bench_index FOLDER ROWS QUESTIONS.jsonl: what the index costs without a model.
 *
 * Fills a fresh store with ROWS passages of about 1,000 bytes from the files of FOLDER, with random vectors, then
 * measures writing, the tokenizer, opening, refreshing, searching and verifying. */
#include <cjson/cJSON.h>
#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/utf8.h"
#include "index/index.h"

enum { DIM = 384, PASSAGE = 1000, MAX_CHUNKS = 4000, MAX_FILE = 16 << 20, MAX_QUESTIONS = 2000 };

static rag_err err;
static rag_writer *writer;
static int64_t source;
static long rows, wanted;
static size_t bytes;
static rag_buf text;

static void demand(rag_code code)
{
    if (code == RAG_OK)
        return;
    fprintf(stderr, "%s\n", err.message);
    exit(1);
}

static void random_vector(float out[DIM])
{
    double norm = 0;
    for (int i = 0; i < DIM; i++) {
        out[i] = (float)(drand48() - 0.5);
        norm += (double)out[i] * out[i];
    }
    for (int i = 0; i < DIM; i++)
        out[i] = (float)(out[i] / sqrt(norm));
}

static size_t split(rag_str s, rag_chunk_in *chunks)
{
    size_t n = 0;
    for (size_t at = 0; at < s.len && n < MAX_CHUNKS && rows < wanted; rows++) {
        size_t end = rag_utf8_floor(s, at + PASSAGE < s.len ? at + PASSAGE : s.len);
        float vector[DIM];
        chunks[n] = (rag_chunk_in){ .start = at, .end = end, .line_start = 1, .line_end = 1, .tokens = 256 };
        rag_random(&chunks[n].embedding, sizeof chunks[n].embedding);
        random_vector(vector);
        demand(rag_writer_add_embedding(writer, &chunks[n++].embedding, vector, &err));
        at = end;
    }
    return n;
}

static int on_file(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    static rag_chunk_in chunks[MAX_CHUNKS];
    (void)st, (void)ftw;
    int64_t id;
    if (kind != FTW_F || rows >= wanted || rag_file_read(path, &text, NULL) != RAG_OK || text.len == 0 ||
        !rag_utf8_valid(rag_buf_str(&text), NULL))
        return 0;
    rag_document_in doc = { .source_id = source, .path = rag_str_of(path), .title = rag_str_of(path),
                            .text = rag_buf_str(&text), .chunks = chunks };
    doc.n_chunks = split(doc.text, chunks);
    bytes += text.len;
    demand(rag_writer_put(writer, &doc, &id, &err));
    return 0;
}

static void time_tokenizer(void)
{
    rag_arena *arena = rag_arena_new();
    rag_term *terms;
    size_t n, seen = 0, done = 0;
    double begun = rag_clock_ms();
    while (done < 20 << 20 && text.len) {
        rag_str piece = rag_str_sub(rag_buf_str(&text), 0, rag_utf8_floor(rag_buf_str(&text), 1 << 16));
        demand(rag_terms(piece, arena, &terms, &n));
        seen += n;
        done += piece.len;
        rag_arena_reset(arena);
    }
    printf("tokenizer       %8.1f MB/s (rag_terms, %zu tokens)\n", (double)done / 1e3 / (rag_clock_ms() - begun), seen);
    rag_arena_free(arena);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void time_searches(rag_index *ix, const char *file, rag_search_mode mode, const char *name)
{
    static double times[MAX_QUESTIONS];
    rag_arena *arena = rag_arena_new();
    rag_reader *r;
    rag_snapshot *s = rag_index_acquire(ix);
    size_t n = 0;
    rag_results found;
    demand(rag_file_read(file, &text, &err));
    demand(rag_reader_open(&r, ix, &err));
    for (char *line = text.ptr, *next; line && *line && n < MAX_QUESTIONS; line = next) {
        float vector[DIM];
        if ((next = strchr(line, '\n')))
            *next++ = '\0';
        cJSON *object = cJSON_Parse(line);
        const cJSON *question = cJSON_GetObjectItemCaseSensitive(object, "question");
        random_vector(vector);
        rag_search q = { .query = rag_str_of(question ? question->valuestring : ""), .vector = vector, .mode = mode,
                         .filter = { .all_groups = true } };
        double begun = rag_clock_ms();
        demand(rag_reader_search(r, s, &q, arena, &found, &err));
        times[n++] = rag_clock_ms() - begun;
        rag_arena_reset(arena);
        cJSON_Delete(object);
    }
    qsort(times, n, sizeof *times, by_size);
    if (n)
        printf("search %-8s %8.2f ms p50, %.2f p99, %.2f max (%zu questions)\n", name, times[n / 2], times[n * 99 / 100],
               times[n - 1], n);
    rag_reader_close(r);
    rag_snapshot_release(s);
    rag_arena_free(arena);
}

int main(int argc, char **argv)
{
    char dir[] = "/tmp/ragd-bench-XXXXXX", command[64];
    rag_index *ix;
    rag_published published;
    int64_t problems;
    if (argc != 4 || !mkdtemp(dir)) {
        fprintf(stderr, "usage: bench_index FOLDER ROWS QUESTIONS.jsonl\n");
        return 2;
    }
    wanted = atol(argv[2]);
    rag_buf_init(&text, MAX_FILE);
    rag_index_options opt = { .dir = dir, .create = true };
    rag_writer_options run = { .model = rag_sha256_of(RAG_STR("m")), .dim = DIM };
    rag_source folder = { .root = RAG_STR("/") };
    demand(rag_index_open(&ix, &opt, &err));
    demand(rag_writer_begin(&writer, ix, &run, &err));
    demand(rag_writer_source(writer, &folder, &source, &err));
    double begun = rag_clock_ms();
    nftw(argv[1], on_file, 32, FTW_PHYS);
    printf("put             %8.0f ms (%ld passages, %.1f MB)\n", rag_clock_ms() - begun, rows, (double)bytes / 1e6);
    begun = rag_clock_ms();
    demand(rag_writer_publish(writer, &published, &err));
    rag_writer_end(writer);
    printf("publish         %8.0f ms\n", rag_clock_ms() - begun);
    time_tokenizer();
    begun = rag_clock_ms();
    demand(rag_index_refresh(ix, NULL, &err));
    printf("first refresh   %8.0f ms\n", rag_clock_ms() - begun);
    time_searches(ix, argv[3], RAG_SEARCH_HYBRID, "hybrid");
    time_searches(ix, argv[3], RAG_SEARCH_TEXT, "text");
    time_searches(ix, argv[3], RAG_SEARCH_VECTOR, "vector");
    begun = rag_clock_ms();
    demand(rag_index_verify(ix, NULL, NULL, &problems, &err));
    printf("verify          %8.0f ms, %lld problems\n", rag_clock_ms() - begun, (long long)problems);
    rag_index_close(ix);
    snprintf(command, sizeof command, "du -sh %s && rm -r %s", dir, dir);
    return system(command);
}
