/* docs ls, docs show, get: what is in the knowledge base. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/commands.h"
#include "ctl/document.h"
#include "ctl/json.h"
#include "ctl/print.h"

static const char *collection_of(const args *a, const char *fallback)
{
    const char *name = args_value(a, "collection");
    return name ? name : fallback;
}

/* A document that is not there is "nothing found", not a failure. */
static int fail_find(const rag_err *err)
{
    int exit_code = ctl_fail(err);
    return err->code == RAG_NOT_FOUND ? EXIT_NOTHING : exit_code;
}

/* Prints a page; returns the last id, 0 when it was empty. */
static int64_t print_page(ctl *c, const cJSON *page, bool *is_first)
{
    const cJSON *document;
    int64_t last = 0;
    cJSON_ArrayForEach(document, cJSON_GetObjectItemCaseSensitive(page, "documents"))
    {
        last = document_id(document);
        if (!c->json) {
            print_document(stdout, document);
            continue;
        }
        char *line = json_line(document);
        printf("%s%s", *is_first ? "" : ",", line);
        *is_first = false;
        free(line);
    }
    return last;
}

int cmd_docs_ls(ctl *c, const args *a)
{
    rag_err err = { 0 };
    rag_code code = RAG_OK;
    bool is_first = true, has_begun = false;
    for (int64_t after = 0, last = 1; !code && last > after;) {
        cJSON *page = NULL;
        after = has_begun ? last : 0;
        code = document_page(c, collection_of(a, "*"), after, &page, &err);
        if (!has_begun && c->json && (!code || code == RAG_NOT_FOUND))
            printf("{\"generation\":%lld,\"documents\":[", (long long)json_int(page, "generation", 0));
        has_begun = true;
        last = print_page(c, page, &is_first);
        cJSON_Delete(page);
    }
    bool is_empty_base = code == RAG_NOT_FOUND && !ctl_is_remote(c) && !c->index;
    if (c->json && (!code || code == RAG_NOT_FOUND))
        puts("]}");
    return code && !is_empty_base ? fail_find(&err) : EXIT_DONE;
}

int cmd_docs_show(ctl *c, const args *a)
{
    rag_err err = { 0 };
    cJSON *document = NULL;
    if (document_find(c, collection_of(a, "default"), rag_str_of(a->operands[0]), &document, &err))
        return fail_find(&err);
    if (c->json) {
        char *line = json_line(document);
        puts(line);
        free(line);
    } else {
        print_document_full(stdout, document);
    }
    cJSON_Delete(document);
    return EXIT_DONE;
}

/* ---- get -------------------------------------------------------------------------- */

typedef struct piece {
    size_t start, end;         /* bytes */
    int64_t line_from, line_to; /* from 1; 0 = no limit */
} piece;

/* Writes what lies within the wanted lines. */
typedef struct writer {
    piece want;
    int64_t line; /* the one being read */
    bool wrote, escapes;
    rag_buf *keep; /* instead of writing it */
} writer;

static void put(writer *w, rag_str bytes)
{
    if (!bytes.len)
        return;
    w->wrote = true;
    if (w->keep)
        rag_buf_put(w->keep, bytes);
    else if (w->escapes)
        print_text(stdout, bytes, "\n");
    else
        fwrite(bytes.ptr, 1, bytes.len, stdout);
}

static bool on_text(void *context, rag_str bytes)
{
    writer *w = context;
    if (!w->want.line_from) {
        put(w, bytes);
        return !ferror(stdout);
    }
    for (size_t at = 0; at < bytes.len && w->line <= w->want.line_to;) {
        const char *end = memchr(bytes.ptr + at, '\n', bytes.len - at);
        size_t next = end ? (size_t)(end - bytes.ptr) + 1 : bytes.len;
        if (w->line >= w->want.line_from)
            put(w, rag_str_sub(bytes, at, next));
        w->line += end != NULL;
        at = next;
    }
    return w->line <= w->want.line_to && !ferror(stdout);
}

/* Cuts ":12" or ":12-15" off the name. */
static bool cut_lines(rag_str *name, piece *want)
{
    char text[48] = "";
    int used = 0;
    long long from = 0, to = 0;
    size_t colon = name->len;
    while (colon > 0 && name->ptr[colon - 1] != ':')
        colon--;
    if (colon == 0 || name->len - colon >= sizeof text || name->len == colon)
        return false;
    memcpy(text, name->ptr + colon, name->len - colon);
    if (strspn(text, "0123456789-") != strlen(text) || strlen(text) > 30)
        return false;
    if (sscanf(text, "%18lld%n", &from, &used) == 1 && !text[used])
        to = from;
    else if (sscanf(text, "%18lld-%18lld%n", &from, &to, &used) != 2 || text[used])
        return false;
    if (from < 1 || to < from)
        return false;
    *name = rag_str_sub(*name, 0, colon - 1);
    want->line_from = from;
    want->line_to = to;
    return true;
}

static rag_code parse_offset(const args *a, const char *name, size_t *out, rag_err *err)
{
    long value = 0;
    if (!args_value(a, name))
        return RAG_OK;
    if (args_int(a, name, 0, 0, RAG_MAX_TEXT, &value, err))
        return RAG_INVALID;
    *out = (size_t)value;
    return RAG_OK;
}

/* "a:3" may be a path of its own; only when there is none it is line 3 of "a". */
static rag_code find(ctl *c, const args *a, piece *want, cJSON **document, rag_err *err)
{
    rag_str name = rag_str_of(a->operands[0]);
    rag_code code = document_find(c, collection_of(a, "default"), name, document, err);
    if (code == RAG_NOT_FOUND && cut_lines(&name, want))
        code = document_find(c, collection_of(a, "default"), name, document, err);
    if (!code && want->line_from && (want->start || want->end != SIZE_MAX)) {
        cJSON_Delete(*document);
        *document = NULL;
        return rag_fail(err, RAG_INVALID, "lines and --start/--end exclude each other");
    }
    return code;
}

static void print_text_json(const cJSON *document, const piece *want, const rag_buf *text)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddNumberToObject(object, "document_id", (double)document_id(document));
    cJSON_AddStringToObject(object, "document", json_string(document, "path"));
    if (want->line_from) {
        cJSON_AddNumberToObject(object, "line_start", (double)want->line_from);
        cJSON_AddNumberToObject(object, "line_end", (double)want->line_to);
    } else {
        cJSON_AddNumberToObject(object, "start", (double)want->start);
        cJSON_AddNumberToObject(object, "end", (double)(want->start + text->len));
    }
    cJSON_AddStringToObject(object, "text", text->ptr ? text->ptr : "");
    char *line = json_line(object);
    puts(line);
    free(line);
    cJSON_Delete(object);
}

static int get(ctl *c, const piece *want, const cJSON *document)
{
    rag_err err = { 0 };
    rag_buf text;
    rag_buf_init(&text, RAG_MAX_TEXT);
    writer w = { .want = *want, .line = 1, .escapes = isatty(STDOUT_FILENO), .keep = c->json ? &text : NULL };
    rag_code code = document_text(c, document_id(document), want->start, want->end, on_text, &w, &err);
    if (code == RAG_CANCELED && !ferror(stdout))
        code = RAG_OK;
    int exit_code = EXIT_DONE;
    if (code) {
        exit_code = fail_find(&err);
    } else if (want->line_from && !w.wrote) {
        rag_fail(&err, RAG_NOT_FOUND, "'%s' has no line %lld", json_string(document, "path"),
                 (long long)want->line_from);
        exit_code = fail_find(&err);
    } else if (c->json) {
        print_text_json(document, want, &text);
    }
    rag_buf_free(&text);
    return exit_code;
}

int cmd_get(ctl *c, const args *a)
{
    rag_err err = { 0 };
    piece want = { .end = SIZE_MAX };
    cJSON *document = NULL;
    if (parse_offset(a, "start", &want.start, &err) || parse_offset(a, "end", &want.end, &err) ||
        find(c, a, &want, &document, &err))
        return fail_find(&err);
    int exit_code = get(c, &want, document);
    cJSON_Delete(document);
    return exit_code;
}
