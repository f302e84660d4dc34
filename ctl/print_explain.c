/* What a search says of itself: a table of candidates, 100 columns wide, and sentences. */
#include <stdlib.h>
#include <string.h>

#include "base/unicode.h"
#include "base/utf8.h"
#include "ctl/json.h"
#include "ctl/print.h"

enum {
    COLUMNS = 100,
    FATE_COLUMNS = 13,
    PASSAGE_COLUMNS = 28,
    MAX_BELOW = 20, /* candidates that came to nothing; --json has them all */
};

/* ---- cells -------------------------------------------------------------------------- */

static size_t width_of(rag_str s)
{
    size_t width = 0;
    for (size_t at = 0; at < s.len;)
        width += (size_t)rag_unicode_width(rag_utf8_next(s, &at));
    return width;
}

/* Bytes of s that take at most `columns`. */
static size_t fit(rag_str s, size_t columns)
{
    size_t width = 0, at = 0;
    while (at < s.len) {
        size_t next = at;
        width += (size_t)rag_unicode_width(rag_utf8_next(s, &next));
        if (width > columns)
            break;
        at = next;
    }
    return at;
}

/* The same from the end: the offset from which on s fits. */
static size_t fit_end(rag_str s, size_t columns)
{
    size_t width = 0, at = s.len;
    while (at > 0) {
        size_t before = at;
        width += (size_t)rag_unicode_width(rag_utf8_prev(s, &before));
        if (width > columns)
            break;
        at = before;
    }
    return at;
}

static void fill(FILE *out, size_t columns)
{
    while (columns-- > 0)
        fputc(' ', out);
}

/* As the terminal may show it; to be freed. */
static char *harmless(rag_str text)
{
    char *shown = NULL;
    size_t n;
    FILE *out = open_memstream(&shown, &n);
    print_text(out, text, " ");
    fclose(out);
    return shown;
}

/* ---- one candidate ------------------------------------------------------------------ */

static void print_fate(FILE *out, const cJSON *c)
{
    char text[64];
    int64_t result = json_int(c, "result", 0);
    snprintf(text, sizeof text, result ? "%s %lld" : "%s", json_string(c, "fate"), (long long)result);
    fprintf(out, "%-*s", FATE_COLUMNS, text);
}

static void print_number(FILE *out, const cJSON *c, const char *key, int columns, int decimals)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(c, key);
    if (cJSON_IsNumber(value))
        fprintf(out, " %*.*f", columns, decimals, value->valuedouble);
    else
        fprintf(out, " %*s", columns, "-");
}

/* "…/long/path.md #17": what stands at the end of a path tells it apart. */
static void print_passage(FILE *out, const cJSON *c)
{
    char chunk[32];
    char *path = harmless(rag_str_of(json_string(c, "document")));
    rag_str shown = rag_str_of(path);
    snprintf(chunk, sizeof chunk, " #%lld", (long long)json_int(c, "chunk_id", 0));
    size_t room = PASSAGE_COLUMNS - strlen(chunk), width = width_of(shown);
    if (width > room) {
        fputs("\u2026", out);
        shown = rag_str_sub(shown, fit_end(shown, room - 1), shown.len);
        width = 1 + width_of(shown);
    }
    fwrite(shown.ptr, 1, shown.len, out);
    fputs(chunk, out);
    fill(out, room - width);
    free(path);
}

static void print_terms(FILE *out, const cJSON *c, size_t columns)
{
    rag_buf terms;
    const cJSON *term;
    rag_buf_init(&terms, RAG_MAX_QUERY);
    cJSON_ArrayForEach(term, cJSON_GetObjectItemCaseSensitive(c, "terms"))
        rag_buf_putf(&terms, "%s%s", terms.len ? ", " : "", cJSON_IsString(term) ? term->valuestring : "");
    char *text = harmless(rag_buf_str(&terms));
    rag_str shown = rag_str_of(text);
    bool is_cut = width_of(shown) > columns;
    size_t n = is_cut ? fit(shown, columns - 1) : shown.len;
    fwrite(shown.ptr, 1, n, out);
    fputs(is_cut ? "\u2026" : "", out);
    free(text);
    rag_buf_free(&terms);
}

static void print_candidate(FILE *out, const cJSON *c, bool reranks)
{
    print_fate(out, c);
    print_number(out, c, "fused_score", 8, 4);
    if (reranks)
        print_number(out, c, "rerank_score", 8, 3);
    print_number(out, c, "vector_rank", 5, 0);
    print_number(out, c, "vector_score", 7, 4);
    print_number(out, c, "text_rank", 5, 0);
    print_number(out, c, "text_score", 7, 3);
    fputs("  ", out);
    print_passage(out, c);
    fputs("  ", out);
    print_terms(out, c, (size_t)(COLUMNS - FATE_COLUMNS - PASSAGE_COLUMNS - (reranks ? 50 : 41)));
    fputc('\n', out);
}

/* ---- all of them -------------------------------------------------------------------- */

static bool any_reranked(const cJSON *candidates)
{
    const cJSON *c;
    cJSON_ArrayForEach(c, candidates)
        if (cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(c, "rerank_score")))
            return true;
    return false;
}

static void print_summary(FILE *out, const cJSON *explain, int candidates)
{
    char *filter = json_line(cJSON_GetObjectItemCaseSensitive(explain, "filter"));
    char *shown = harmless(rag_str_of(filter));
    fprintf(out, "\n%d candidates of %lld visible passages, fusion %s\nfilter %s\n\n", candidates,
            (long long)json_int(explain, "visible", 0),
            json_string(cJSON_GetObjectItemCaseSensitive(explain, "fusion"), "method"), shown);
    free(shown);
    free(filter);
}

void print_search_explanation(FILE *out, const cJSON *response)
{
    const cJSON *explain = cJSON_GetObjectItemCaseSensitive(response, "explain"), *c;
    const cJSON *candidates = cJSON_GetObjectItemCaseSensitive(explain, "candidates");
    bool reranks = any_reranked(candidates);
    int below = 0;
    print_summary(out, explain, cJSON_GetArraySize(candidates));
    fprintf(out, "%-*s%9s%s%14s%14s  %-*s  terms\n", FATE_COLUMNS, "became", "fused", reranks ? " reranked" : "", "vector",
            "text", PASSAGE_COLUMNS, "passage");
    cJSON_ArrayForEach(c, candidates)
        if (strcmp(json_string(c, "fate"), "below") || ++below <= MAX_BELOW)
            print_candidate(out, c, reranks);
    if (below > MAX_BELOW)
        fprintf(out, "%d more came below; --json has them all\n", below - MAX_BELOW);
}

/* ---- sentences ---------------------------------------------------------------------- */

static void print_sentence(FILE *out, const char *format, const char *a, const char *b)
{
    char *first = harmless(rag_str_of(a)), *second = harmless(rag_str_of(b));
    const char *words[] = { first, second };
    for (size_t n = 0; *format; format++)
        if (*format == '%' && n < 2)
            fputs(words[n++], out);
        else
            fputc(*format, out);
    fputc('\n', out);
    free(first);
    free(second);
}

void print_search_notes(FILE *out, const cJSON *response, const char *query)
{
    bool is_chinese = rag_unicode_lang(rag_str_of(query)) == RAG_LANG_ZH;
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(response, "absent"))
        print_sentence(out, is_chinese ? "文档中没有“%”。" : "“%” is not in the documents.",
                       cJSON_IsString(item) ? item->valuestring : "", "");
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(response, "corrections"))
        print_sentence(out, is_chinese ? "文档中没有“%”，已改查“%”。" : "“%” is not in the documents: “%” was looked for.",
                       json_string(item, "from"), json_string(item, "to"));
}
