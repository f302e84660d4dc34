#include "ctl/document.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "ctl/json.h"

enum { PAGE_DOCUMENTS = 1000 };

static void add_str(cJSON *object, const char *key, rag_str value)
{
    char *text = rag_strndup(value);
    cJSON_AddStringToObject(object, key, text);
    free(text);
}

static void add_groups(cJSON *object, rag_str groups)
{
    cJSON *list = cJSON_AddArrayToObject(object, "groups");
    for (size_t at = 0; at < groups.len;) {
        size_t comma = rag_str_find(groups, RAG_STR(","), at);
        size_t end = comma == SIZE_MAX ? groups.len : comma;
        char *group = rag_strndup(rag_str_sub(groups, at, end));
        cJSON_AddItemToArray(list, cJSON_CreateString(group));
        free(group);
        at = end + 1;
    }
}

static cJSON *to_json(const rag_document *d)
{
    char hex[65], time[32];
    cJSON *object = cJSON_CreateObject();
    cJSON_AddNumberToObject(object, "id", (double)d->id);
    add_str(object, "path", d->path);
    add_str(object, "document", d->path);
    add_str(object, "collection", d->collection);
    add_str(object, "title", d->title);
    add_str(object, "url", d->url);
    add_groups(object, d->groups);
    cJSON_AddStringToObject(object, "lang", rag_lang_name(d->lang));
    cJSON_AddNumberToObject(object, "bytes", (double)d->bytes);
    cJSON_AddNumberToObject(object, "chunks", (double)d->chunks);
    rag_sha256_hex(&d->sha256, hex);
    cJSON_AddStringToObject(object, "sha256", hex);
    rag_time_format(d->mtime_ns, time);
    cJSON_AddStringToObject(object, "mtime", time);
    cJSON_AddNumberToObject(object, "generation_from", (double)d->gen_from);
    return object;
}

static rag_code page_here(ctl *c, const char *collection, int64_t after, cJSON **out, rag_err *err)
{
    rag_filter filter = { .collection = rag_str_of(collection), .all_groups = true };
    rag_document *documents = NULL;
    size_t n = 0;
    rag_arena *arena = rag_arena_new();
    rag_code code = ctl_reader(c, err);
    if (!code)
        code = rag_reader_documents(c->reader, c->snapshot, &filter, after, PAGE_DOCUMENTS, arena, &documents, &n, err);
    if (!code) {
        *out = cJSON_CreateObject();
        cJSON_AddNumberToObject(*out, "generation", (double)rag_snapshot_generation(c->snapshot));
        cJSON *list = cJSON_AddArrayToObject(*out, "documents");
        for (size_t i = 0; i < n; i++)
            cJSON_AddItemToArray(list, to_json(&documents[i]));
    }
    rag_arena_free(arena);
    return code;
}

static rag_code page_there(ctl *c, const char *collection, int64_t after, cJSON **out, rag_err *err)
{
    rag_buf path;
    rag_buf_init(&path, RAG_MAX_LINE);
    rag_buf_putf(&path, "/v1/documents?limit=%d&after=%lld&collection=", PAGE_DOCUMENTS, (long long)after);
    client_escape(&path, rag_str_of(collection));
    rag_code code = ctl_request(c, "GET", path.ptr, NULL, out, NULL, err);
    rag_buf_free(&path);
    return code;
}

rag_code document_page(ctl *c, const char *collection, int64_t after, cJSON **out, rag_err *err)
{
    *out = NULL;
    return ctl_is_remote(c) ? page_there(c, collection, after, out, err) : page_here(c, collection, after, out, err);
}

int64_t document_id(const cJSON *document)
{
    return json_int(document, "id", 0);
}

/* 0 when name is no id. */
static int64_t parse_id(rag_str name)
{
    char digits[20] = "";
    if (!name.len || name.len >= sizeof digits)
        return 0;
    memcpy(digits, name.ptr, name.len);
    return strspn(digits, "0123456789") == name.len ? strtoll(digits, NULL, 10) : 0;
}

static rag_code fail_unknown(rag_str name, rag_err *err)
{
    return rag_fail(err, RAG_NOT_FOUND, "no document '%.*s'", RAG_STR_ARG(name));
}

static rag_code find_here(ctl *c, const char *collection, rag_str name, cJSON **out, rag_err *err)
{
    rag_document document;
    int64_t id = parse_id(name);
    rag_arena *arena = rag_arena_new();
    rag_code code = ctl_reader(c, err);
    if (!code)
        code = rag_reader_document_by_path(c->reader, c->snapshot, rag_str_of(collection), name, arena, &document, err);
    if (code == RAG_NOT_FOUND && c->reader && id > 0)
        code = rag_reader_document(c->reader, c->snapshot, id, arena, &document, err);
    if (code == RAG_NOT_FOUND && c->reader)
        code = fail_unknown(name, err);
    if (!code)
        *out = to_json(&document);
    rag_arena_free(arena);
    return code;
}

/* Takes the document of that path out of a page; *after moves on, 0 at the end of the list. */
static cJSON *pick(cJSON *page, rag_str path, int64_t *after)
{
    cJSON *list = cJSON_GetObjectItemCaseSensitive(page, "documents"), *document;
    int64_t last = 0;
    cJSON_ArrayForEach(document, list)
    {
        if (rag_str_eq(rag_str_of(json_string(document, "path")), path))
            return cJSON_DetachItemViaPointer(list, document);
        last = document_id(document);
    }
    *after = last > *after ? last : 0;
    return NULL;
}

/* The daemon has no route from a path to its document: go through the list. */
static rag_code find_path_there(ctl *c, const char *collection, rag_str path, cJSON **out, rag_err *err)
{
    int64_t after = 0;
    rag_code code = RAG_OK;
    do {
        cJSON *page = NULL;
        code = document_page(c, collection, after, &page, err);
        *out = pick(page, path, &after);
        cJSON_Delete(page);
    } while (!code && !*out && after > 0);
    return code ? code : *out ? RAG_OK : fail_unknown(path, err);
}

static rag_code find_there(ctl *c, const char *collection, rag_str name, cJSON **out, rag_err *err)
{
    int64_t id = parse_id(name);
    char path[64];
    if (id <= 0)
        return find_path_there(c, collection, name, out, err);
    snprintf(path, sizeof path, "/v1/documents/%lld", (long long)id);
    rag_code code = ctl_request(c, "GET", path, NULL, out, NULL, err);
    return code == RAG_NOT_FOUND ? find_path_there(c, collection, name, out, err) : code;
}

rag_code document_find(ctl *c, const char *collection, rag_str name, cJSON **out, rag_err *err)
{
    *out = NULL;
    return ctl_is_remote(c) ? find_there(c, collection, name, out, err) : find_here(c, collection, name, out, err);
}

static rag_code text_here(ctl *c, int64_t id, size_t start, size_t end, bool (*take)(void *context, rag_str bytes),
                          void *context, rag_err *err)
{
    rag_buf text;
    rag_buf_init(&text, RAG_MAX_TEXT);
    rag_code code = ctl_reader(c, err);
    if (!code)
        code = rag_reader_text(c->reader, c->snapshot, id, start, end, &text, err);
    if (!code && !take(context, rag_buf_str(&text)))
        code = rag_fail(err, RAG_CANCELED, "stopped reading");
    rag_buf_free(&text);
    return code;
}

static rag_code text_there(ctl *c, int64_t id, size_t start, size_t end, bool (*take)(void *context, rag_str bytes),
                           void *context, rag_err *err)
{
    client *daemon = NULL;
    client_reply reply = { 0 };
    rag_buf path;
    rag_buf_init(&path, RAG_MAX_LINE);
    rag_buf_putf(&path, "/v1/documents/%lld/text", (long long)id);
    if (start > 0)
        rag_buf_putf(&path, "?start=%zu", start);
    if (end != SIZE_MAX)
        rag_buf_putf(&path, "%send=%zu", start > 0 ? "&" : "?", end);
    rag_code code = ctl_client(c, &daemon, err);
    if (!code)
        code = client_stream(daemon, "GET", path.ptr, (rag_str){ 0 }, take, context, &reply, err);
    if (!code)
        code = client_check(&reply, err);
    rag_buf_free(&reply.body);
    rag_buf_free(&path);
    return code;
}

rag_code document_text(ctl *c, int64_t id, size_t start, size_t end, bool (*take)(void *context, rag_str bytes),
                       void *context, rag_err *err)
{
    return (ctl_is_remote(c) ? text_there : text_here)(c, id, start, end, take, context, err);
}
