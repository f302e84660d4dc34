/* bench_retrieval STORAGE_DIR EMBEDDER.gguf QUESTIONS.jsonl...: what each half of the search and their fusion find.
 *
 * For each question: is the gold document's path that of the first hit, does a gold answer stand in the first hit's
 * text, does one stand in one of the first five; nDCG@10 by document; and the time of a search without embedding. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/unicode.h"
#include "embed/embed.h"
#include "index/index.h"

enum { MODES = 3, TOP = 10, FIRST = 5, MAX_QUESTIONS_FILE = 64 * 1024 * 1024 };

typedef struct tally {
    double document_first, answer_first, answer_in_five, ndcg, ms;
    double slowest_ms;
} tally;

typedef struct bench {
    rag_index *index;
    rag_snapshot *snapshot;
    rag_reader *reader;
    rag_embedder *embedder;
    tally tallies[MODES];
    int n, with_answer;
} bench;

static const char *const mode_names[MODES] = { "hybrid", "vector", "text" };
static const rag_search_mode modes[MODES] = { RAG_SEARCH_HYBRID, RAG_SEARCH_VECTOR, RAG_SEARCH_TEXT };

static void demand(rag_code code, const rag_err *err)
{
    if (code == RAG_OK)
        return;
    fprintf(stderr, "%s\n", err->message);
    exit(1);
}

static bool holds(rag_str passage, const char *answer)
{
    rag_buf a, b;
    rag_buf_init(&a, RAG_MAX_TEXT);
    rag_buf_init(&b, RAG_MAX_TEXT);
    rag_unicode_fold(passage, &a);
    rag_unicode_fold(rag_str_of(answer), &b);
    bool found = b.len > 0 && rag_str_find(rag_buf_str(&a), rag_buf_str(&b), 0) != SIZE_MAX;
    rag_buf_free(&a);
    rag_buf_free(&b);
    return found;
}

static bool holds_any(rag_str passage, const cJSON *answers)
{
    const cJSON *a;
    cJSON_ArrayForEach(a, answers)
        if (cJSON_IsString(a) && holds(passage, a->valuestring))
            return true;
    return false;
}

static bool is_gold(rag_str document, const cJSON *gold)
{
    const cJSON *g;
    cJSON_ArrayForEach(g, gold)
        if (cJSON_IsString(g) && rag_str_eq(document, rag_str_of(g->valuestring)))
            return true;
    return false;
}

/* Each gold document counts once, at its first hit. */
static double ndcg(const rag_hit *hits, size_t n, const cJSON *gold)
{
    double gain = 0, ideal = 0;
    int rank = 0;
    for (size_t i = 0; i < n; i++) {
        bool repeated = false;
        for (size_t k = 0; k < i; k++)
            repeated = repeated || rag_str_eq(hits[i].document, hits[k].document);
        if (repeated)
            continue;
        rank++;
        if (rank <= TOP && is_gold(hits[i].document, gold))
            gain += 1 / log2(rank + 1);
    }
    for (int i = 0; i < cJSON_GetArraySize(gold) && i < TOP; i++)
        ideal += 1 / log2(i + 2);
    return ideal > 0 ? gain / ideal : 0;
}

static void search(bench *b, int mode, const char *question, const float *vector, const cJSON *gold,
                   const cJSON *answers)
{
    rag_arena *arena = rag_arena_new();
    rag_err err;
    rag_results found;
    rag_search q = { .query = rag_str_of(question), .vector = vector, .mode = modes[mode], .top_k = 30,
                     .filter = { .all_groups = true } };
    double begun = rag_clock_ms();
    demand(rag_reader_search(b->reader, b->snapshot, &q, arena, &found, &err), &err);
    double ms = rag_clock_ms() - begun;
    const rag_hit *hits = found.hits;
    size_t n = found.n;
    tally *t = &b->tallies[mode];
    t->ms += ms;
    t->slowest_ms = ms > t->slowest_ms ? ms : t->slowest_ms;
    t->document_first += n > 0 && is_gold(hits[0].document, gold);
    t->answer_first += n > 0 && holds_any(hits[0].text, answers);
    t->ndcg += ndcg(hits, n, gold);
    bool holds = false;
    for (size_t i = 0; i < n && i < FIRST; i++)
        holds = holds || holds_any(hits[i].text, answers);
    t->answer_in_five += holds;
    if (mode == 0 && getenv("BENCH_MISSES") && (n == 0 || !is_gold(hits[0].document, gold) || !holds))
        printf("miss %s: got %.*s (v%d t%d) found %d\n", question, RAG_STR_ARG(n ? hits[0].document : RAG_STR("")),
               n ? hits[0].vector_rank : 0, n ? hits[0].text_rank : 0, holds);
    rag_arena_free(arena);
}

static void ask(bench *b, const cJSON *line)
{
    const cJSON *question = cJSON_GetObjectItemCaseSensitive(line, "question");
    const cJSON *gold = cJSON_GetObjectItemCaseSensitive(line, "gold_docs");
    const cJSON *answers = cJSON_GetObjectItemCaseSensitive(line, "answers");
    rag_err err;
    float *vector = rag_alloc((size_t)rag_embed_dim(b->embedder) * sizeof *vector);
    if (!cJSON_IsString(question) || cJSON_GetArraySize(gold) == 0) {
        free(vector);
        return;
    }
    demand(rag_embed_text(b->embedder, RAG_EMBED_QUERY, rag_str_of(question->valuestring), true, vector, NULL, &err),
           &err);
    for (int mode = 0; mode < MODES; mode++)
        search(b, mode, question->valuestring, vector, gold, answers);
    b->n++;
    b->with_answer += cJSON_GetArraySize(answers) > 0;
    free(vector);
}

static void ask_file(bench *b, const char *file)
{
    rag_buf text;
    rag_err err;
    rag_buf_init(&text, MAX_QUESTIONS_FILE);
    demand(rag_file_read(file, &text, &err), &err);
    for (char *line = text.ptr, *next; line && *line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        cJSON *object = cJSON_Parse(line);
        if (object)
            ask(b, object);
        cJSON_Delete(object);
    }
    rag_buf_free(&text);
}

static void report(const bench *b)
{
    double n = b->n ? b->n : 1, m = b->with_answer ? b->with_answer : 1;
    printf("%d questions, %lld chunks\n", b->n, (long long)rag_snapshot_chunks(b->snapshot));
    printf("%-8s %8s %8s %8s %8s %8s %8s\n", "", "doc@1", "ans@1", "ans@5", "nDCG@10", "ms", "max ms");
    for (int i = 0; i < MODES; i++) {
        const tally *t = &b->tallies[i];
        printf("%-8s %8.4f %8.4f %8.4f %8.4f %8.2f %8.2f\n", mode_names[i], t->document_first / n,
               t->answer_first / m, t->answer_in_five / m, t->ndcg / n, t->ms / n, t->slowest_ms);
    }
}

int main(int argc, char **argv)
{
    bench b = { 0 };
    rag_err err;
    if (argc < 4) {
        fprintf(stderr, "usage: bench_retrieval STORAGE_DIR EMBEDDER.gguf QUESTIONS.jsonl...\n");
        return 2;
    }
    rag_index_options opt = { .dir = argv[1] };
    rag_embed_options embed = { .model_path = argv[2], .threads = 2 };
    demand(rag_index_open(&b.index, &opt, &err), &err);
    demand(rag_index_refresh(b.index, NULL, &err), &err);
    demand(rag_reader_open(&b.reader, b.index, &err), &err);
    demand(rag_embed_open(&b.embedder, &embed, &err), &err);
    b.snapshot = rag_index_acquire(b.index);
    for (int i = 3; i < argc; i++)
        ask_file(&b, argv[i]);
    report(&b);
    rag_embed_close(b.embedder);
    rag_reader_close(b.reader);
    rag_snapshot_release(b.snapshot);
    rag_index_close(b.index);
    return 0;
}
