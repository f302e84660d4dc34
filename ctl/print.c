#include "ctl/print.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "ctl/json.h"

enum { SNIPPET_CHARACTERS = 200 };

static bool is_line_break(uint32_t c)
{
    return c == '\n' || c == '\r' || c == '\f' || c == '\v' || c == 0x85 || c == 0x2028 || c == 0x2029;
}

/* Characters that make a terminal show something else than what is there. */
static bool is_treacherous(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) ||
           c == 0x200e || c == 0x200f || c == 0x061c || (c >= 0xe0000 && c <= 0xe007f);
}

static void print_character(FILE *out, rag_str text, size_t start, size_t end, uint32_t c)
{
    bool is_invalid = c == 0xfffd && end - start == 1;
    if (is_invalid || (is_treacherous(c) && c < 0x100))
        fprintf(out, "\\x%02x", is_invalid ? (unsigned char)text.ptr[start] : (unsigned)c);
    else if (is_treacherous(c))
        fprintf(out, "\\u{%04x}", (unsigned)c);
    else
        fwrite(text.ptr + start, 1, end - start, out);
}

void print_text(FILE *out, rag_str text, const char *line_break)
{
    for (size_t at = 0; at < text.len;) {
        size_t start = at;
        uint32_t c = rag_utf8_next(text, &at);
        if (c == '\r' && at < text.len && text.ptr[at] == '\n')
            at++;
        if (is_line_break(c))
            fputs(line_break, out);
        else if (c == '\t')
            fputc(' ', out);
        else
            print_character(out, text, start, at, c);
    }
}

static void print_string(FILE *out, const char *text, const char *line_break)
{
    print_text(out, rag_str_of(text), line_break);
}

void print_question(FILE *out, const char *question)
{
    fputs("Q: ", out);
    print_string(out, question, PRINT_INDENT);
    fputc('\n', out);
}

void print_answer(FILE *out, const cJSON *response)
{
    fputs("A: ", out);
    print_string(out, json_string(response, "answer"), PRINT_INDENT);
    fputc('\n', out);
}

void print_citations(FILE *out, const cJSON *response)
{
    const cJSON *citation;
    cJSON_ArrayForEach(citation, cJSON_GetObjectItemCaseSensitive(response, "citations"))
    {
        fprintf(out, "[%lld] ", (long long)json_int(citation, "n", 0));
        print_string(out, json_string(citation, "document"), " ");
        fprintf(out, ":%lld \"", (long long)json_int(citation, "line_start", 0));
        print_string(out, json_string(citation, "quote"), " ");
        fputs("\"\n", out);
    }
}

/* "Returns › Shop › Returns", without the parts that are absent. */
static void print_place(FILE *out, const cJSON *result)
{
    const char *title = json_string(result, "title"), *between = "";
    const cJSON *headings = cJSON_GetObjectItemCaseSensitive(result, "heading"), *heading;
    if (*title) {
        print_string(out, title, " ");
        between = " \u203a ";
    }
    cJSON_ArrayForEach(heading, headings)
    {
        const char *text = cJSON_GetStringValue(heading);
        if (!text || (heading == headings->child && !strcmp(text, title)))
            continue;
        fputs(between, out);
        print_string(out, text, " ");
        between = " \u203a ";
    }
}

static rag_str first_characters(rag_str text, size_t count)
{
    size_t at = 0;
    while (at < text.len && count--)
        rag_utf8_next(text, &at);
    return rag_str_sub(text, 0, at);
}

static void print_result(FILE *out, const cJSON *result)
{
    fprintf(out, "%lld. ", (long long)json_int(result, "rank", 0));
    print_string(out, json_string(result, "document"), " ");
    fprintf(out, ":%lld-%lld (", (long long)json_int(result, "line_start", 0),
            (long long)json_int(result, "line_end", 0));
    print_place(out, result);
    fprintf(out, ") %.4f\n", json_number(result, "score", 0));
    rag_str text = rag_str_trim(rag_str_of(json_string(result, "text")));
    rag_str snippet = first_characters(text, SNIPPET_CHARACTERS);
    fputs("   ", out);
    print_text(out, snippet, " ");
    fputs(snippet.len < text.len ? "\u2026\n" : "\n", out);
}

void print_search(FILE *out, const cJSON *response, const char *query)
{
    const cJSON *result;
    bool explains = cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(response, "explain"));
    if (!explains)
        print_search_notes(out, response, query);
    cJSON_ArrayForEach(result, cJSON_GetObjectItemCaseSensitive(response, "results"))
        print_result(out, result);
    if (explains) {
        print_search_explanation(out, response);
        print_search_notes(out, response, query);
    }
}

void print_document(FILE *out, const cJSON *document)
{
    fprintf(out, "%6lld %10lld bytes %5lld chunks  ", (long long)json_int(document, "id", 0),
            (long long)json_int(document, "bytes", 0), (long long)json_int(document, "chunks", 0));
    const char *collection = json_string(document, "collection");
    if (*collection && strcmp(collection, "default")) {
        print_string(out, collection, " ");
        fputs(": ", out);
    }
    print_string(out, json_string(document, "path"), " ");
    if (*json_string(document, "title")) {
        fputs("  (", out);
        print_string(out, json_string(document, "title"), " ");
        fputc(')', out);
    }
    fputc('\n', out);
}

static void print_value(FILE *out, const cJSON *value)
{
    if (cJSON_IsString(value)) {
        print_string(out, value->valuestring, " ");
        return;
    }
    char *text = json_line(value);
    print_string(out, text, " ");
    free(text);
}

static void print_members(FILE *out, const cJSON *object, const char *prefix)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, object)
    {
        rag_buf name;
        rag_buf_init(&name, RAG_MAX_LINE);
        rag_buf_putf(&name, "%s%s%s", prefix, *prefix ? "." : "", item->string ? item->string : "");
        if (cJSON_IsObject(item)) {
            print_members(out, item, name.ptr);
        } else {
            fprintf(out, "%-28s ", name.ptr);
            print_value(out, item);
            fputc('\n', out);
        }
        rag_buf_free(&name);
    }
}

void print_document_full(FILE *out, const cJSON *document)
{
    cJSON *copy = cJSON_Duplicate(document, true);
    cJSON_DeleteItemFromObjectCaseSensitive(copy, "document"); /* the path once more */
    print_members(out, copy, "");
    cJSON_Delete(copy);
}

void print_generation(FILE *out, const cJSON *generation)
{
    fprintf(out, "%s %5lld  %s  %lld documents (+%lld ~%lld -%lld)  %lld chunks\n",
            json_bool(generation, "active") ? "*" : " ", (long long)json_int(generation, "generation", 0),
            json_string(generation, "published"), (long long)json_int(generation, "documents", 0),
            (long long)json_int(generation, "documents_added", 0),
            (long long)json_int(generation, "documents_updated", 0),
            (long long)json_int(generation, "documents_removed", 0), (long long)json_int(generation, "chunks", 0));
}

/* ---- status ------------------------------------------------------------------------- */

static const cJSON *part(const cJSON *status, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(status, key);
}

static void print_uptime(FILE *out, int64_t s)
{
    if (s >= 86400)
        fprintf(out, "%lldd ", (long long)(s / 86400));
    if (s >= 3600)
        fprintf(out, "%lldh ", (long long)(s / 3600 % 24));
    if (s >= 60)
        fprintf(out, "%lldm ", (long long)(s / 60 % 60));
    fprintf(out, "%llds", (long long)(s % 60));
}

static void print_models(FILE *out, const cJSON *models)
{
    const char *embedder = json_string(models, "embedder"), *decoder = json_string(models, "decoder");
    fputs("embedder     ", out);
    print_string(out, *embedder ? embedder : "loading", " ");
    fputs("\ndecoder      ", out);
    print_string(out, *decoder ? decoder : "none", " ");
    fprintf(out, " (%s), slots %lld, context %lld tokens\n", json_string(models, "decoder_state"),
            (long long)json_int(models, "slots", 0), (long long)json_int(models, "context", 0));
    if (*json_string(models, "decoder_error")) {
        fputs("             ", out);
        print_string(out, json_string(models, "decoder_error"), " ");
        fputc('\n', out);
    }
}

/* The sum that must hold: anonymous memory = KV cache + the runtime's own buffers + at most 80 MB of ours. */
static void print_memory(FILE *out, const cJSON *memory)
{
    double kv = json_number(memory, "kv_cache", 0) / 1e6, buffers = json_number(memory, "runtime_buffers", 0) / 1e6;
    double total = json_number(memory, "rss_anon", 0) / 1e6, index = json_number(memory, "index", 0) / 1e6;
    fprintf(out, "memory       KV cache %.1f MB + runtime buffers %.1f MB + rest %.1f MB = RssAnon %.1f MB\n", kv, buffers,
            total - kv - buffers, total);
    fprintf(out, "             (bound: KV cache + runtime buffers + 80 MB = %.1f MB; index %.1f MB, of the rest)\n",
            kv + buffers + 80, index);
}

static void print_load(FILE *out, const cJSON *status)
{
    const cJSON *queue = part(status, "queue"), *requests = part(status, "requests");
    fprintf(out, "queue        %lld of %lld asks, %lld of %lld others; %lld decoding, %lld waiting for the decoder\n",
            (long long)json_int(queue, "asks", 0), (long long)json_int(queue, "asks_limit", 0),
            (long long)json_int(queue, "others", 0), (long long)json_int(queue, "others_limit", 0),
            (long long)json_int(queue, "decoding", 0), (long long)json_int(queue, "waiting_for_decoder", 0));
    fprintf(out, "connections  %lld of %lld\n", (long long)json_int(status, "connections", 0),
            (long long)json_int(status, "connections_limit", 0));
    fprintf(out, "requests     %lld (%lld asks, %lld searches), %lld refused as full, %lld canceled, %lld errors\n",
            (long long)json_int(requests, "total", 0), (long long)json_int(requests, "asks", 0),
            (long long)json_int(requests, "searches", 0), (long long)json_int(requests, "refused_full", 0),
            (long long)json_int(requests, "canceled", 0), (long long)json_int(requests, "errors_5xx", 0));
}

void print_status(FILE *out, const cJSON *status)
{
    fprintf(out, "ragd %s  %s, process %lld, up ", json_string(status, "version"), json_string(status, "status"),
            (long long)json_int(status, "pid", 0));
    print_uptime(out, json_int(status, "uptime_s", 0));
    fprintf(out, "\nserves       generation %lld: %lld documents, %lld chunks, in ",
            (long long)json_int(status, "generation", 0), (long long)json_int(status, "documents", 0),
            (long long)json_int(status, "chunks", 0));
    print_string(out, json_string(status, "storage"), " ");
    fputc('\n', out);
    print_models(out, part(status, "models"));
    print_load(out, status);
    print_memory(out, part(status, "memory"));
}

void print_json(FILE *out, rag_str json, const char *end)
{
    rag_buf line;
    rag_buf_init(&line, json.len);
    json_compact(&line, json);
    fwrite(line.ptr ? line.ptr : "", 1, line.len, out);
    fputs(end, out);
    rag_buf_free(&line);
}
