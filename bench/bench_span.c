/* bench_span DECODER.gguf PROMPTS_DIR SET_DIR [option=value]...: how well a copied span answers.
 *
 * Evidence is the sentence of the question's document that holds the gold answer, or, with kb=STORAGE_DIR
 * embedder=FILE, the best sentences that the daemon would choose from that knowledge base.
 *
 *   sentences=2   of them, each a reading; with kb: the best ones, else up to the gold one
 *   weight=2      of a chosen sentence's score in that of its spans
 *   first=0 n=100 questions, of those in questions.small.jsonl with an answer
 *   lambda= alpha= gamma= nodes=  of the search; lambda=-1: without the prior pass
 *   print=1       a line for each question; 2: and one for each span that was found
 *
 * EM and F1 as SQuAD has them (English), over characters (Chinese); the time from submit to done; the AUROC of some
 * measures of confidence for "F1 >= 0.5". */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/sentence.h"
#include "base/unicode.h"
#include "base/utf8.h"
#include "daemon/answer.h"
#include "embed/embed.h"
#include "llm/llm.h"

enum { MAX_QUESTIONS = 4096, MAX_WORDS = 512, MEASURES = 5 };

static const char *const measure_names[MEASURES] = { "score", "margin", "logprob", "probability", "mean logprob" };

typedef struct outcome {
    double f1, em, ms, cpu_ms, prefill_ms, measures[MEASURES];
    size_t nodes;
} outcome;

typedef struct bench {
    rag_llm *llm;
    rag_llm_template *templates[2];
    rag_index *index;
    rag_snapshot *snapshot;
    rag_reader *reader;
    rag_embedder *embedder;
    const char *set;
    int sentences, first, n, nodes, print;
    double lambda, alpha, gamma, weight;
    outcome *outcomes;
    size_t n_outcomes;
} bench;

typedef struct found {
    rag_llm_span spans[RAG_LLM_MAX_SPANS];
    size_t n;
    double margin;
    rag_llm_done done;
} found;

static void demand(rag_code code, const rag_err *err)
{
    if (code == RAG_OK)
        return;
    fprintf(stderr, "%s\n", err->message);
    exit(1);
}

/* Normalised words (English) or characters (Chinese). */

typedef struct words {
    rag_buf text;
    rag_str items[MAX_WORDS];
    size_t n;
} words;

static bool is_article(rag_str w)
{
    return rag_str_eq(w, RAG_STR("a")) || rag_str_eq(w, RAG_STR("an")) || rag_str_eq(w, RAG_STR("the"));
}

static void add_word(words *w, rag_str word, bool zh)
{
    if (word.len > 0 && w->n < MAX_WORDS && (zh || !is_article(word)))
        w->items[w->n++] = word;
}

static void split(words *w, rag_str s, bool zh)
{
    rag_buf nfkc;
    rag_buf_init(&nfkc, RAG_MAX_TEXT);
    rag_buf_init(&w->text, RAG_MAX_TEXT);
    rag_unicode_nfkc(s, &nfkc);
    rag_str f = rag_buf_str(&nfkc);
    for (size_t pos = 0; pos < f.len;) {
        char bytes[4];
        uint32_t c = rag_utf8_next(f, &pos);
        if (rag_unicode_class(c) != RAG_CHAR_OTHER)
            rag_buf_put(&w->text, (rag_str){ bytes, rag_utf8_encode(rag_unicode_lower(c), bytes) });
        else if (rag_unicode_is_space(c) && !zh)
            rag_buf_putc(&w->text, ' ');
    }
    rag_buf_free(&nfkc);
    rag_str t = rag_buf_str(&w->text);
    w->n = 0;
    for (size_t pos = 0, start = 0; pos < t.len;) {
        bool is_space = rag_utf8_next(t, &pos) == ' ';
        if (zh || is_space || pos == t.len) {
            add_word(w, rag_str_sub(t, start, is_space ? pos - 1 : pos), zh);
            start = pos;
        }
    }
}

static double f1_of(const words *a, const words *b, double *em)
{
    bool used[MAX_WORDS] = { false };
    size_t common = 0;
    *em = a->n == b->n;
    for (size_t i = 0; i < a->n && i < b->n; i++)
        *em = *em > 0 && rag_str_eq(a->items[i], b->items[i]);
    for (size_t i = 0; i < a->n; i++)
        for (size_t k = 0; k < b->n; k++)
            if (!used[k] && rag_str_eq(a->items[i], b->items[k])) {
                used[k] = true;
                common++;
                break;
            }
    return a->n + b->n > 0 ? 2.0 * (double)common / (double)(a->n + b->n) : 1;
}

static void compare(rag_str answer, const cJSON *golds, bool zh, outcome *o)
{
    static words a, b;
    const cJSON *gold;
    split(&a, answer, zh);
    cJSON_ArrayForEach(gold, golds) {
        double em = 0;
        split(&b, rag_str_of(gold->valuestring), zh);
        o->f1 = fmax(o->f1, f1_of(&a, &b, &em));
        o->em = fmax(o->em, em);
        rag_buf_free(&b.text);
    }
    rag_buf_free(&a.text);
}

/* Evidence */

static const char *text_of(const cJSON *o, const char *key)
{
    const char *s = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, key));
    return s ? s : "";
}

static size_t number_at(const cJSON *o, const char *key, int i)
{
    const cJSON *n = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(o, key), i);
    return cJSON_IsNumber(n) ? (size_t)n->valuedouble : 0;
}

static size_t gold_evidence(const bench *b, const cJSON *question, rag_arena *arena, rag_llm_reading *out)
{
    const cJSON *gold = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(question, "gold_spans"), 0);
    char *path = rag_arena_printf(arena, "%s/docs/%s", b->set, text_of(gold, "doc"));
    rag_buf file;
    rag_err err;
    rag_buf_init(&file, RAG_MAX_TEXT);
    demand(rag_file_read(path, &file, &err), &err);
    rag_str para = rag_arena_str(arena, rag_str_sub(rag_buf_str(&file), number_at(gold, "para", 0),
                                                    number_at(gold, "para", 1)));
    size_t answer = number_at(gold, "ans", 0) - number_at(gold, "para", 0), pos = 0, n = 0;
    rag_buf_free(&file);
    for (rag_span s; rag_sentence_next(para, &pos, &s);) {
        if ((int)n == b->sentences)
            memmove(out, out + 1, --n * sizeof *out);
        out[n++] = (rag_llm_reading){ .evidence = rag_str_sub(para, s.start, s.end) };
        if (answer < s.end)
            break;
    }
    return n;
}

static void embed_sentences(const bench *b, answer_evidence *ev, rag_str question, rag_arena *arena)
{
    int dim = rag_embed_dim(b->embedder);
    float *q = rag_arena_array(arena, (size_t)dim, sizeof *q);
    float **vectors = rag_arena_array(arena, ev->n_sentences + 1, sizeof *vectors);
    rag_err err;
    demand(rag_embed_text(b->embedder, RAG_EMBED_QUERY, question, true, q, NULL, &err), &err);
    for (size_t i = 0; i < ev->n_sentences; i++) {
        vectors[i] = rag_arena_array(arena, (size_t)dim, sizeof **vectors);
        demand(rag_embed_text(b->embedder, RAG_EMBED_PASSAGE, ev->sentences[i].embed_text, true, vectors[i], NULL,
                              &err), &err);
    }
    answer_rank(ev, q, vectors, dim);
}

static size_t chosen_evidence(const bench *b, rag_str question, rag_arena *arena, rag_llm_reading *out)
{
    float *vector = rag_arena_array(arena, (size_t)rag_embed_dim(b->embedder), sizeof *vector);
    answer_evidence *ev = rag_arena_alloc(arena, sizeof *ev);
    rag_results *hits = rag_arena_alloc(arena, sizeof *hits);
    size_t n = 0;
    rag_err err;
    demand(rag_embed_text(b->embedder, RAG_EMBED_QUERY, question, true, vector, NULL, &err), &err);
    rag_search q = { .query = question, .vector = vector, .mode = RAG_SEARCH_HYBRID, .top_k = 5,
                     .filter = { .all_groups = true } };
    demand(rag_reader_search(b->reader, b->snapshot, &q, arena, hits, &err), &err);
    for (size_t i = 0; i < hits->n; i++)
        hits->hits[i].rerank_score = NAN;
    demand(answer_collect(b->reader, question, hits->hits, hits->n, arena, ev, &err), &err);
    embed_sentences(b, ev, question, arena);
    for (; n < ev->n_sentences && (int)n < b->sentences; n++)
        out[n] = (rag_llm_reading){ .evidence = ev->sentences[n].text,
                                    .bonus = b->weight * ev->sentences[n].score };
    return n;
}

/* Asking */

static void on_spans(void *context, const rag_llm_span *spans, size_t n, double margin)
{
    found *f = context;
    memcpy(f->spans, spans, n * sizeof *spans);
    f->n = n;
    f->margin = margin;
}

static void on_done(void *context, const rag_llm_done *done)
{
    ((found *)context)->done = *done;
}

static rag_str without_breaks(rag_str s, rag_arena *arena)
{
    char *text = rag_arena_cstr(arena, s);
    for (size_t i = 0; i < s.len; i++)
        text[i] = (char)(text[i] == '\n' ? ' ' : text[i]);
    return (rag_str){ text, s.len };
}

static void ask(const bench *b, rag_str question, bool zh, rag_llm_reading *readings, size_t n, rag_arena *arena,
                found *f)
{
    rag_llm_prompt with = { 0 }, without;
    rag_err err;
    for (size_t i = 0; i < n; i++) {
        rag_llm_var vars[] = { { "question", question }, { "passages", without_breaks(readings[i].evidence, arena) } };
        demand(rag_llm_template_render(b->llm, b->templates[zh], vars, 2, arena, &with, &err), &err);
        vars[0].value = (rag_str){ 0 };
        demand(rag_llm_template_render(b->llm, b->templates[zh], vars, 2, arena, &without, &err), &err);
        readings[i].prompt = with.text;
        readings[i].prior_prompt = b->lambda < 0 ? (rag_str){ 0 } : without.text;
    }
    rag_llm_spans spans = { .readings = readings, .n_readings = n, .question = question, .lambda = b->lambda,
                            .alpha = b->alpha, .gamma = b->gamma, .max_nodes = b->nodes, .on_spans = on_spans };
    rag_llm_request req = { .parse_special = with.parse_special, .prefix_bytes = with.prefix_bytes, .spans = &spans,
                            .on_done = on_done, .context = f };
    demand(rag_llm_submit(b->llm, &req, NULL, &err), &err);
    while (rag_llm_busy(b->llm))
        rag_llm_step(b->llm);
}

static void put(bench *b, const cJSON *question, const found *f, const rag_llm_reading *readings, double ms, double cpu_ms)
{
    outcome o = { .ms = ms, .cpu_ms = cpu_ms, .prefill_ms = f->done.prefill_ms, .nodes = f->done.completion_tokens };
    rag_str answer = { 0 };
    if (f->n > 0) {
        const rag_llm_span *s = &f->spans[0];
        answer = rag_str_sub(readings[s->reading].evidence, s->span.start, s->span.end);
        double measures[MEASURES] = { s->score, f->margin, s->logprob, s->probability,
                                      s->logprob / (double)(s->tokens + 1) };
        memcpy(o.measures, measures, sizeof measures);
    }
    compare(answer, cJSON_GetObjectItemCaseSensitive(question, "answers"), text_of(question, "lang")[0] == 'z', &o);
    b->outcomes[b->n_outcomes++] = o;
    if (b->print)
        printf("%.2f %5.0f ms %2zu nodes  score %.2f margin %.2f logprob %.2f p %.2f  %s | %.*s | %s\n", o.f1, ms,
               o.nodes, o.measures[0], o.measures[1], o.measures[2], o.measures[3], text_of(question, "question"),
               RAG_STR_ARG(answer), cJSON_GetArrayItem(cJSON_GetObjectItem(question, "answers"), 0)->valuestring);
}

static double cpu_ms(void)
{
    return (double)clock() * 1000 / CLOCKS_PER_SEC;
}

static void print_spans(const found *f, const rag_llm_reading *readings)
{
    for (size_t i = 0; i < f->n; i++) {
        const rag_llm_span *s = &f->spans[i];
        printf("    %.2f (%.2f, %.2f, %zu tokens, echo %.2f, bonus %.2f) %.*s\n", s->score, s->logprob,
               s->prior_logprob, s->tokens, s->echo, readings[s->reading].bonus,
               RAG_STR_ARG(rag_str_sub(readings[s->reading].evidence, s->span.start, s->span.end)));
    }
}

static void ask_line(bench *b, const cJSON *question)
{
    rag_arena *arena = rag_arena_new();
    rag_llm_reading readings[RAG_LLM_MAX_READINGS];
    rag_str text = rag_str_of(text_of(question, "question"));
    found f = { 0 };
    size_t n = b->index ? chosen_evidence(b, text, arena, readings) : gold_evidence(b, question, arena, readings);
    double begun = rag_clock_ms(), begun_cpu = cpu_ms();
    if (n > 0)
        ask(b, text, text_of(question, "lang")[0] == 'z', readings, n, arena, &f);
    put(b, question, &f, readings, rag_clock_ms() - begun, cpu_ms() - begun_cpu);
    if (b->print > 1)
        print_spans(&f, readings);
    rag_arena_free(arena);
}

static void ask_all(bench *b)
{
    rag_buf file;
    rag_err err;
    int seen = 0;
    char *path = rag_path_join(b->set, "questions.small.jsonl");
    rag_buf_init(&file, RAG_MAX_TEXT);
    demand(rag_file_read(path, &file, &err), &err);
    for (char *line = file.ptr, *next; line && *line && (int)b->n_outcomes < b->n; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        cJSON *q = cJSON_Parse(line);
        if (cJSON_GetArraySize(cJSON_GetObjectItem(q, "answers")) && cJSON_GetArraySize(cJSON_GetObjectItem(q, "gold_spans")) &&
            seen++ >= b->first)
            ask_line(b, q);
        cJSON_Delete(q);
    }
    free(path);
    rag_buf_free(&file);
}

/* Figures */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(const bench *b, double q)
{
    double *ms = rag_calloc(b->n_outcomes, sizeof *ms);
    for (size_t i = 0; i < b->n_outcomes; i++)
        ms[i] = b->outcomes[i].ms;
    qsort(ms, b->n_outcomes, sizeof *ms, by_value);
    double value = ms[(size_t)(q * (double)(b->n_outcomes - 1))];
    free(ms);
    return value;
}

static double auroc(const bench *b, int measure)
{
    double won = 0, pairs = 0;
    for (size_t i = 0; i < b->n_outcomes; i++)
        for (size_t k = 0; k < b->n_outcomes; k++) {
            const outcome *good = &b->outcomes[i], *bad = &b->outcomes[k];
            if (good->f1 < 0.5 || bad->f1 >= 0.5)
                continue;
            double d = good->measures[measure] - bad->measures[measure];
            pairs++;
            won += d > 0 ? 1 : d < 0 ? 0 : 0.5;
        }
    return pairs > 0 ? won / pairs : 0;
}

static void report(const bench *b)
{
    double em = 0, f1 = 0, nodes = 0, prefill = 0, cpu = 0, n = (double)b->n_outcomes;
    for (size_t i = 0; i < b->n_outcomes; i++) {
        em += b->outcomes[i].em;
        f1 += b->outcomes[i].f1;
        cpu += b->outcomes[i].cpu_ms;
        nodes += (double)b->outcomes[i].nodes;
        prefill += b->outcomes[i].prefill_ms;
    }
    if (b->n_outcomes == 0)
        return;
    printf("%zu questions: EM %.3f F1 %.3f; ms p50 %.0f p90 %.0f (prompts %.0f), CPU %.0f; %.1f nodes; AUROC", b->n_outcomes,
           em / n, f1 / n, quantile(b, 0.5), quantile(b, 0.9), prefill / n, cpu / n, nodes / n);
    for (int i = 0; i < MEASURES; i++)
        printf(" %s %.3f", measure_names[i], auroc(b, i));
    printf("\n");
}

/* Starting */

static const char *option(int argc, char **argv, const char *name, const char *fallback)
{
    size_t len = strlen(name);
    for (int i = 4; i < argc; i++)
        if (strncmp(argv[i], name, len) == 0 && argv[i][len] == '=')
            return argv[i] + len + 1;
    return fallback;
}

static void open_kb(bench *b, const char *dir, const char *embedder)
{
    rag_err err;
    rag_index_options opt = { .dir = dir };
    rag_embed_options embed = { .model_path = embedder, .threads = 2 };
    demand(rag_index_open(&b->index, &opt, &err), &err);
    demand(rag_index_refresh(b->index, NULL, &err), &err);
    demand(rag_reader_open(&b->reader, b->index, &err), &err);
    demand(rag_embed_open(&b->embedder, &embed, &err), &err);
    b->snapshot = rag_index_acquire(b->index);
}

static void open_llm(bench *b, const char *model, const char *prompts)
{
    static const char *const names[] = { "span.en.txt", "span.zh.txt" };
    rag_err err;
    rag_llm_options opt = { .model_path = model, .threads = 2 };
    demand(rag_llm_open(&b->llm, &opt, &err), &err);
    for (int i = 0; i < 2; i++) {
        char *path = rag_path_join(prompts, names[i]);
        demand(rag_llm_template_load(&b->templates[i], path, &err), &err);
        free(path);
    }
}

static void close_all(bench *b)
{
    for (int i = 0; i < 2; i++)
        rag_llm_template_free(b->templates[i]);
    rag_llm_close(b->llm);
    if (b->index) {
        rag_embed_close(b->embedder);
        rag_reader_close(b->reader);
        rag_snapshot_release(b->snapshot);
        rag_index_close(b->index);
    }
    free(b->outcomes);
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: bench_span DECODER.gguf PROMPTS_DIR SET_DIR [option=value]...\n");
        return 2;
    }
    bench b = { .set = argv[3],
                .sentences = atoi(option(argc, argv, "sentences", "2")),
                .first = atoi(option(argc, argv, "first", "0")),
                .n = atoi(option(argc, argv, "n", "100")),
                .nodes = atoi(option(argc, argv, "nodes", "0")),
                .print = atoi(option(argc, argv, "print", "0")),
                .lambda = atof(option(argc, argv, "lambda", "0")),
                .alpha = atof(option(argc, argv, "alpha", "0")),
                .gamma = atof(option(argc, argv, "gamma", "0")),
                .weight = atof(option(argc, argv, "weight", "2")) };
    const char *kb = option(argc, argv, "kb", NULL);
    if (b.sentences < 1 || b.sentences > RAG_LLM_MAX_READINGS)
        b.sentences = RAG_LLM_MAX_READINGS;
    b.n = b.n < MAX_QUESTIONS ? b.n : MAX_QUESTIONS;
    b.outcomes = rag_calloc(MAX_QUESTIONS, sizeof *b.outcomes);
    open_llm(&b, argv[1], argv[2]);
    if (kb)
        open_kb(&b, kb, option(argc, argv, "embedder", "models/multilingual-e5-small-q4_0.gguf"));
    ask_all(&b);
    report(&b);
    close_all(&b);
    return 0;
}
