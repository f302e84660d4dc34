/* bench/score.c: how good answers are, over a question set in the format of ../shared/data/README.md.
 *
 *   score questions SET.jsonl ask|search > batch.jsonl      lines for `ragctl ask|search --batch`
 *   score ask       SET.jsonl REPLIES.jsonl [DOCS]          figures of `ragctl ask --batch`
 *   score search    SET.jsonl REPLIES.jsonl                 figures of `ragctl search --batch`
 *   score refusals  SET.jsonl REPLIES.jsonl DOCS            who is refused, when DOCS holds only some of the set
 *
 * Inclusion: a gold answer stands in the answer text, both normalised: English as SQuAD does it (lower case, no
 * punctuation, no articles), Chinese letters and digits alone.  With DOCS, the folder that was ingested, every
 * quote is compared with the file's bytes.  `ragctl eval` will replace this. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/unicode.h"
#include "base/utf8.h"

typedef struct lines {
    cJSON **items;
    size_t n;
} lines;

static lines read_lines(const char *path)
{
    rag_buf bytes;
    rag_err err;
    rag_buf_init(&bytes, RAG_MAX_TEXT);
    if (rag_file_read(path, &bytes, &err) != RAG_OK) {
        fprintf(stderr, "score: %s\n", err.message);
        exit(1);
    }
    lines all = { 0 };
    for (char *line = strtok(bytes.ptr, "\n"); line; line = strtok(NULL, "\n")) {
        all.items = rag_realloc(all.items, (all.n + 1) * sizeof *all.items);
        all.items[all.n] = cJSON_Parse(line);
        if (!all.items[all.n++]) {
            fprintf(stderr, "score: '%s': line %zu is not JSON\n", path, all.n);
            exit(1);
        }
    }
    rag_buf_free(&bytes);
    return all;
}

static const char *text_of(const cJSON *object, const char *key)
{
    const char *s = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
    return s ? s : "";
}

static double number_of(const cJSON *object, const char *key)
{
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(n) ? n->valuedouble : 0;
}

static bool is_article(rag_str word)
{
    return rag_str_eq(word, RAG_STR("a")) || rag_str_eq(word, RAG_STR("an")) || rag_str_eq(word, RAG_STR("the"));
}

/* Words separated by one space in English; letters and digits without gaps in Chinese. */
static void normalise(const char *text, bool zh, rag_buf *out)
{
    rag_buf folded;
    rag_buf_init(&folded, RAG_MAX_TEXT);
    rag_buf_clear(out);
    rag_unicode_nfkc(rag_str_of(text), &folded);
    rag_str f = rag_buf_str(&folded);
    size_t word = 0;
    for (size_t pos = 0; pos <= f.len;) {
        size_t start = pos;
        uint32_t c = pos < f.len ? rag_utf8_next(f, &pos) : (pos++, ' ');
        bool is_text = rag_unicode_class(c) != RAG_CHAR_OTHER;
        if (is_text) {
            char lower = c >= 'A' && c <= 'Z' ? (char)(c + 32) : 0;
            if (lower)
                rag_buf_putc(out, lower);
            else
                rag_buf_put(out, rag_str_sub(f, start, pos));
            continue;
        }
        if (zh || !rag_unicode_is_space(c))
            continue;
        if (is_article((rag_str){ out->ptr + word, out->len - word }))
            rag_buf_truncate(out, word);
        if (out->len && out->ptr[out->len - 1] != ' ')
            rag_buf_putc(out, ' ');
        word = out->len;
    }
    while (out->len && out->ptr[out->len - 1] == ' ')
        rag_buf_truncate(out, out->len - 1);
    rag_buf_free(&folded);
}

static bool holds_gold(const cJSON *question, const char *text)
{
    bool zh = text_of(question, "lang")[0] == 'z', found = false;
    rag_buf hay, needle;
    rag_buf_init(&hay, RAG_MAX_TEXT);
    rag_buf_init(&needle, RAG_MAX_TEXT);
    normalise(text, zh, &hay);
    const cJSON *answer;
    cJSON_ArrayForEach(answer, cJSON_GetObjectItemCaseSensitive(question, "answers")) {
        normalise(answer->valuestring, zh, &needle);
        found |= needle.len && strstr(hay.ptr ? hay.ptr : "", needle.ptr);
    }
    rag_buf_free(&hay);
    rag_buf_free(&needle);
    return found;
}

static bool is_gold_document(const cJSON *question, const char *document)
{
    const cJSON *gold;
    cJSON_ArrayForEach(gold, cJSON_GetObjectItemCaseSensitive(question, "gold_docs"))
        if (!strcmp(gold->valuestring, document))
            return true;
    return false;
}

static bool overlaps_gold(const cJSON *question, const cJSON *citation)
{
    const cJSON *span;
    cJSON_ArrayForEach(span, cJSON_GetObjectItemCaseSensitive(question, "gold_spans")) {
        const cJSON *para = cJSON_GetObjectItemCaseSensitive(span, "para");
        double from = cJSON_GetArrayItem(para, 0)->valuedouble, to = cJSON_GetArrayItem(para, 1)->valuedouble;
        if (!strcmp(text_of(span, "doc"), text_of(citation, "document")) && number_of(citation, "start") < to &&
            number_of(citation, "end") > from)
            return true;
    }
    return false;
}

static const cJSON *reply_to(const lines *replies, const char *id)
{
    for (size_t i = 0; i < replies->n; i++)
        if (!strcmp(text_of(replies->items[i], "id"), id))
            return replies->items[i];
    return NULL;
}

static bool quote_is_in_file(const char *docs, const cJSON *citation)
{
    char *path = rag_path_join(docs, text_of(citation, "document"));
    rag_buf file;
    rag_buf_init(&file, RAG_MAX_TEXT);
    bool equal = rag_file_read(path, &file, NULL) == RAG_OK;
    rag_str at = rag_str_sub(rag_buf_str(&file), (size_t)number_of(citation, "start"), (size_t)number_of(citation, "end"));
    equal = equal && rag_str_eq(at, rag_str_of(text_of(citation, "quote")));
    rag_buf_free(&file);
    free(path);
    return equal;
}

static int print_batch(const lines *set, const char *kind)
{
    for (size_t i = 0; i < set->n; i++) {
        cJSON *line = cJSON_CreateObject();
        cJSON_AddStringToObject(line, "id", text_of(set->items[i], "id"));
        cJSON_AddStringToObject(line, strcmp(kind, "ask") ? "query" : "question", text_of(set->items[i], "question"));
        char *text = cJSON_PrintUnformatted(line);
        puts(text);
        free(text);
        cJSON_Delete(line);
    }
    return 0;
}

static int score_search(const lines *set, const lines *replies)
{
    int n = 0, document = 0, first = 0, five = 0, missing = 0;
    for (size_t i = 0; i < set->n; i++) {
        const cJSON *q = set->items[i], *reply = reply_to(replies, text_of(q, "id"));
        const cJSON *hit, *results = cJSON_GetObjectItemCaseSensitive(reply, "results");
        missing += !results;
        n++;
        int rank = 0;
        bool found = false;
        cJSON_ArrayForEach(hit, results) {
            if (++rank > 5)
                break;
            document += rank == 1 && is_gold_document(q, text_of(hit, "document"));
            bool has = holds_gold(q, text_of(hit, "text"));
            first += rank == 1 && has;
            found |= has;
        }
        five += found;
    }
    printf("questions %d  missing %d  document@1 %.3f  answer in first %.3f  in first five %.3f\n", n, missing,
           (double)document / n, (double)first / n, (double)five / n);
    return missing > 0;
}

static int score_ask(const lines *set, const lines *replies, const char *docs)
{
    int n = 0, included = 0, refused = 0, cited = 0, citations = 0, bad_quotes = 0, missing = 0;
    double length = 0;
    for (size_t i = 0; i < set->n; i++) {
        const cJSON *q = set->items[i], *reply = reply_to(replies, text_of(q, "id"));
        const char *answer = text_of(reply, "answer");
        if (cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(q, "answerable")))
            continue;
        n++;
        missing += !*answer;
        bool is_refused = !strcmp(text_of(reply, "outcome"), "refused");
        refused += is_refused;
        included += !is_refused && holds_gold(q, answer);
        length += (double)rag_utf8_count(rag_str_of(answer));
        bool overlaps = false;
        const cJSON *citation;
        cJSON_ArrayForEach(citation, cJSON_GetObjectItemCaseSensitive(reply, "citations")) {
            citations++;
            overlaps |= overlaps_gold(q, citation);
            bad_quotes += docs && !quote_is_in_file(docs, citation);
        }
        cited += overlaps;
    }
    printf("questions %d  missing %d  refused %d  inclusion %.3f  gold paragraph cited %.3f  citations %d  "
           "bad quotes %d%s  mean characters %.0f\n",
           n, missing, refused, (double)included / n, (double)cited / n, citations, bad_quotes,
           docs ? "" : " (not compared)", length / n);
    return missing > 0 || bad_quotes > 0;
}

static bool is_in(const char *docs, const cJSON *question)
{
    bool found = false;
    const cJSON *gold;
    cJSON_ArrayForEach(gold, cJSON_GetObjectItemCaseSensitive(question, "gold_docs")) {
        char *path = rag_path_join(docs, gold->valuestring), *real = rag_path_real(path);
        found |= real != NULL;
        free(real);
        free(path);
    }
    return found;
}

static int score_refusals(const lines *set, const lines *replies, const char *docs)
{
    int n[2] = { 0 }, refused[2] = { 0 };
    for (size_t i = 0; i < set->n; i++) {
        const cJSON *q = set->items[i];
        bool has = is_in(docs, q);
        n[has]++;
        refused[has] += !strcmp(text_of(reply_to(replies, text_of(q, "id")), "outcome"), "refused");
    }
    printf("without their article: %d questions, refused %.3f  with it: %d questions, refused %.3f\n", n[0],
           n[0] ? (double)refused[0] / n[0] : 0, n[1], n[1] ? (double)refused[1] / n[1] : 0);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 4 && !strcmp(argv[1], "questions")) {
        lines set = read_lines(argv[2]);
        return print_batch(&set, argv[3]);
    }
    if (argc >= 4 && (!strcmp(argv[1], "ask") || !strcmp(argv[1], "search"))) {
        lines set = read_lines(argv[2]), replies = read_lines(argv[3]);
        return !strcmp(argv[1], "ask") ? score_ask(&set, &replies, argc > 4 ? argv[4] : NULL)
                                       : score_search(&set, &replies);
    }
    if (argc == 5 && !strcmp(argv[1], "refusals")) {
        lines set = read_lines(argv[2]), replies = read_lines(argv[3]);
        return score_refusals(&set, &replies, argv[4]);
    }
    fputs("usage: score questions SET ask|search | score ask SET REPLIES [DOCS] | score search SET REPLIES | "
          "score refusals SET REPLIES DOCS\n", stderr);
    return 2;
}
