/* bench_followup STORAGE_DIR EMBEDDER.gguf QUESTIONS.jsonl [-v]: what resolving follow-up questions does for the search.
 *
 * Takes the questions that have gold documents, with their `history`, and resolves each user turn in order, as a daemon would.
 * nDCG@10 by document, each document once:
 *   alone   the last turn by itself
 *   resolv  the resolved question
 *   text    the resolved question's words, the last turn's vector
 *   +w      the resolved question, w times the vector of the turn before added to its vector
 *   >c      the same with 0.4, but only for questions that stand alone and whose cosine with the turn before is at least c
 * Even and odd questions apart: the rules were made looking at the even ones.  Last, the questions that stand alone, asked
 * behind a conversation of another domain: a change of topic must cost nothing. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "daemon/followup.h"
#include "embed/embed.h"
#include "index/index.h"

enum {
    TOP = 10,
    WEIGHTS = 5,
    VARIANTS = 3 + 2 * WEIGHTS,
    MAX_TURNS = 64,
    MAX_QUESTIONS = 20000,
    MAX_FILE = 64 * 1024 * 1024,
};

static const double weights[WEIGHTS] = { 0.1, 0.2, 0.3, 0.5, 0.8 };
static const double gates[WEIGHTS] = { 0.78, 0.80, 0.82, 0.84, 0.86 };
static const double gated_weight = 0.4;

typedef struct tally {
    double ndcg[VARIANTS];
    int n, changed;
} tally;

typedef struct bench {
    rag_index *index;
    rag_snapshot *snapshot;
    rag_reader *reader;
    rag_embedder *embedder;
    bool verbose;
} bench;

typedef struct conversation {
    followup_turn turns[MAX_TURNS];
    size_t n;
} conversation;

static void demand(rag_code code, const rag_err *err)
{
    if (code == RAG_OK)
        return;
    fprintf(stderr, "%s\n", err->message);
    exit(1);
}

static const char *text_of(const cJSON *object, const char *key)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsString(v) ? v->valuestring : "";
}

/* ---- one search --------------------------------------------------------------------------- */

static bool is_gold(rag_str document, const cJSON *gold)
{
    const cJSON *g;
    cJSON_ArrayForEach(g, gold)
        if (cJSON_IsString(g) && rag_str_eq(document, rag_str_of(g->valuestring)))
            return true;
    return false;
}

/* Each document counts once, at its first hit. */
static double ndcg(const rag_results *r, const cJSON *gold)
{
    double gain = 0, ideal = 0;
    int rank = 0;
    for (size_t i = 0; i < r->n; i++) {
        bool repeated = false;
        for (size_t k = 0; k < i; k++)
            repeated = repeated || rag_str_eq(r->hits[i].document, r->hits[k].document);
        rank += !repeated;
        if (!repeated && is_gold(r->hits[i].document, gold))
            gain += 1 / log2(rank + 1);
    }
    for (int i = 0; i < cJSON_GetArraySize(gold) && i < TOP; i++)
        ideal += 1 / log2(i + 2);
    return ideal > 0 ? gain / ideal : 0;
}

static double search(bench *b, rag_str query, const float *vector, const cJSON *gold)
{
    rag_arena *arena = rag_arena_new();
    rag_err err;
    rag_results found;
    rag_search q = { .query = query, .vector = vector, .top_k = TOP, .filter = { .all_groups = true } };
    demand(rag_reader_search(b->reader, b->snapshot, &q, arena, &found, &err), &err);
    double value = ndcg(&found, gold);
    rag_arena_free(arena);
    return value;
}

static void embed(bench *b, rag_str text, float *out)
{
    rag_err err;
    demand(rag_embed_text(b->embedder, RAG_EMBED_QUERY, text, true, out, NULL, &err), &err);
}

static double dot(const float *a, const float *b, int dim)
{
    double sum = 0;
    for (int i = 0; i < dim; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

/* out = (own + weight · earlier) / its length */
static void mix(const float *own, const float *earlier, double weight, float *out, int dim)
{
    double sum = 0;
    for (int i = 0; i < dim; i++) {
        out[i] = own[i] + (float)weight * earlier[i];
        sum += (double)out[i] * out[i];
    }
    for (int i = 0; i < dim; i++)
        out[i] = (float)(out[i] / sqrt(sum));
}

/* ---- one question --------------------------------------------------------------------------- */

static void read_history(const cJSON *history, conversation *c, rag_arena *arena)
{
    const cJSON *h;
    cJSON_ArrayForEach(h, history) {
        rag_str said = rag_str_of(text_of(h, "text"));
        bool is_user = strcmp(text_of(h, "role"), "user") == 0;
        if (!is_user && c->n > 0)
            c->turns[c->n - 1].answer = said;
        if (!is_user || c->n == MAX_TURNS)
            continue;
        followup f = followup_resolve(c->turns, c->n, said, arena);
        c->turns[c->n++] = (followup_turn){ .question = said,
                                            .resolved = f.cue == FOLLOWUP_NONE ? (rag_str){ 0 } : f.question };
    }
}

static void measure(bench *b, const conversation *c, rag_str question, const followup *f, const cJSON *gold,
                    double out[VARIANTS])
{
    int dim = rag_embed_dim(b->embedder);
    float *v = rag_calloc(4 * (size_t)dim, sizeof *v);
    float *alone = v, *resolved = v + dim, *earlier = v + 2 * dim, *mixed = v + 3 * dim;
    embed(b, question, alone);
    embed(b, f->question, resolved);
    out[0] = search(b, question, alone, gold);
    out[1] = search(b, f->question, resolved, gold);
    if (c->n)
        embed(b, c->turns[c->n - 1].question, earlier);
    out[2] = search(b, f->question, alone, gold);
    for (int w = 0; w < WEIGHTS; w++) {
        mix(resolved, earlier, weights[w], mixed, dim);
        out[3 + w] = search(b, f->question, mixed, gold);
        mix(resolved, earlier, gated_weight, mixed, dim);
        bool gated = c->n == 0 || f->cue != FOLLOWUP_NONE || dot(alone, earlier, dim) < gates[w];
        out[3 + WEIGHTS + w] = gated ? out[1] : search(b, f->question, mixed, gold);
    }
    free(v);
}

static void count(tally *t, const double values[VARIANTS], bool changed)
{
    for (int i = 0; i < VARIANTS; i++)
        t->ndcg[i] += values[i];
    t->n++;
    t->changed += changed;
}

static void print(const char *name, const tally *t)
{
    double n = t->n ? t->n : 1;
    printf("%-26s %4d %7d", name, t->n, t->changed);
    for (int i = 0; i < VARIANTS; i++)
        printf(" %7.4f", t->ndcg[i] / n);
    printf("  %+.4f\n", (t->ndcg[1] - t->ndcg[0]) / n);
}

static void print_head(void)
{
    printf("%-26s %4s %7s %7s %7s %7s", "", "n", "changed", "alone", "resolv", "text");
    for (int k = 0; k < 2; k++)
        for (int w = 0; w < WEIGHTS; w++)
            printf(k ? "   >%.2f" : "    +%.1f", k ? gates[w] : weights[w]);
    printf("  gain\n");
}

/* ---- the set ---------------------------------------------------------------------------------- */

enum { ALL, EVEN, ODD, HISTORY, ANSWERABLE, PARTIAL, UNDERSPECIFIED, CHANGED, UNCHANGED, SWITCHED, GROUPS };

static void ask(bench *b, const cJSON *line, int number, tally t[GROUPS])
{
    double values[VARIANTS];
    rag_arena *arena = rag_arena_new();
    conversation *c = rag_arena_alloc(arena, sizeof *c);
    const cJSON *gold = cJSON_GetObjectItemCaseSensitive(line, "gold_docs");
    rag_str question = rag_str_of(text_of(line, "question"));
    const char *type = text_of(line, "type");
    read_history(cJSON_GetObjectItemCaseSensitive(line, "history"), c, arena);
    followup f = followup_resolve(c->turns, c->n, question, arena);
    bool changed = f.cue != FOLLOWUP_NONE;
    measure(b, c, question, &f, gold, values);
    count(&t[ALL], values, changed);
    count(&t[number % 2 ? ODD : EVEN], values, changed);
    if (c->n > 0) {
        count(&t[HISTORY], values, changed);
        count(&t[strcmp(type, "ANSWERABLE") == 0 ? ANSWERABLE : strcmp(type, "PARTIAL") == 0 ? PARTIAL : UNDERSPECIFIED],
              values, changed);
        count(&t[changed ? CHANGED : UNCHANGED], values, changed);
    }
    if (b->verbose && c->n > 0 && number % 2 == 0)
        printf("%3d %.3f %.3f %.3f %s\n      < %.*s\n      > %.*s\n", number, values[0], values[1], values[5],
               followup_cue_name(f.cue), RAG_STR_ARG(c->turns[c->n - 1].question), RAG_STR_ARG(f.question));
    rag_arena_free(arena);
}

/* A question that stands alone, behind somebody else's of another domain. */
static void ask_switched(bench *b, const cJSON *line, const cJSON *other, tally *t)
{
    double values[VARIANTS];
    rag_arena *arena = rag_arena_new();
    conversation *c = rag_arena_alloc(arena, sizeof *c);
    rag_str question = rag_str_of(text_of(line, "question"));
    read_history(cJSON_GetObjectItemCaseSensitive(other, "history"), c, arena);
    followup f = followup_resolve(c->turns, c->n, question, arena);
    measure(b, c, question, &f, cJSON_GetObjectItemCaseSensitive(line, "gold_docs"), values);
    count(t, values, f.cue != FOLLOWUP_NONE);
    if (b->verbose && f.cue != FOLLOWUP_NONE)
        printf("switched: %s: %.*s\n", followup_cue_name(f.cue), RAG_STR_ARG(f.question));
    rag_arena_free(arena);
}

static int read_set(const char *file, cJSON **out)
{
    rag_buf text;
    rag_err err;
    int n = 0;
    rag_buf_init(&text, MAX_FILE);
    demand(rag_file_read(file, &text, &err), &err);
    for (char *line = text.ptr, *next; line && *line && n < MAX_QUESTIONS; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        cJSON *object = cJSON_Parse(line);
        if (cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(object, "gold_docs")) > 0)
            out[n++] = object;
        else
            cJSON_Delete(object);
    }
    rag_buf_free(&text);
    return n;
}

static bool has_history(const cJSON *line)
{
    return cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(line, "history")) > 0;
}

/* With its own history. */
static bool stands_alone(const cJSON *line)
{
    rag_arena *arena = rag_arena_new();
    conversation *c = rag_arena_alloc(arena, sizeof *c);
    read_history(cJSON_GetObjectItemCaseSensitive(line, "history"), c, arena);
    followup f = followup_resolve(c->turns, c->n, rag_str_of(text_of(line, "question")), arena);
    bool alone = f.cue == FOLLOWUP_NONE;
    rag_arena_free(arena);
    return alone;
}

static void ask_all(bench *b, cJSON **set, int n, tally t[GROUPS])
{
    for (int i = 0; i < n; i++)
        ask(b, set[i], i, t);
    for (int i = 0, other = 0; i < n; i++) {
        if (strcmp(text_of(set[i], "type"), "UNDERSPECIFIED") == 0 || !stands_alone(set[i]))
            continue;
        for (int tries = 0; tries < n; tries++) {
            other = (other + 1) % n;
            if (has_history(set[other]) && strcmp(text_of(set[i], "domain"), text_of(set[other], "domain")) != 0)
                break;
        }
        ask_switched(b, set[i], set[other], &t[SWITCHED]);
    }
}

int main(int argc, char **argv)
{
    bench b = { 0 };
    rag_err err;
    static const char *const names[GROUPS] = { "all", "even", "odd", "with history", "  answerable", "  partial",
                                               "  underspecified", "  changed by the rules", "  left as it was",
                                               "after another topic" };
    tally t[GROUPS] = { 0 };
    if (argc < 4) {
        fprintf(stderr, "usage: bench_followup STORAGE_DIR EMBEDDER.gguf QUESTIONS.jsonl [-v]\n");
        return 2;
    }
    b.verbose = argc > 4 && strcmp(argv[4], "-v") == 0;
    rag_index_options opt = { .dir = argv[1] };
    rag_embed_options embed_options = { .model_path = argv[2], .threads = 2 };
    demand(rag_index_open(&b.index, &opt, &err), &err);
    demand(rag_index_refresh(b.index, NULL, &err), &err);
    demand(rag_reader_open(&b.reader, b.index, &err), &err);
    demand(rag_embed_open(&b.embedder, &embed_options, &err), &err);
    b.snapshot = rag_index_acquire(b.index);
    cJSON **set = rag_calloc(MAX_QUESTIONS, sizeof(cJSON *));
    int n = read_set(argv[3], set);
    ask_all(&b, set, n, t);
    print_head();
    for (int i = 0; i < GROUPS; i++)
        print(names[i], &t[i]);
    for (int i = 0; i < n; i++)
        cJSON_Delete(set[i]);
    free(set);
    rag_embed_close(b.embedder);
    rag_reader_close(b.reader);
    rag_snapshot_release(b.snapshot);
    rag_index_close(b.index);
    return 0;
}
