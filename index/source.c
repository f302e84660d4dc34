#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "index/writer.h"

enum { MAX_GROUPS = 64 };

static int by_bytes(const void *a, const void *b)
{
    const rag_str *x = a, *y = b;
    size_t n = x->len < y->len ? x->len : y->len;
    int order = n ? memcmp(x->ptr, y->ptr, n) : 0;
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

static size_t split_groups(rag_str groups, rag_str out[MAX_GROUPS])
{
    size_t n = 0;
    for (size_t at = 0; at < groups.len && n < MAX_GROUPS;) {
        size_t comma = rag_str_find(groups, RAG_STR(","), at);
        size_t end = comma == SIZE_MAX ? groups.len : comma;
        rag_str group = rag_str_trim(rag_str_sub(groups, at, end));
        if (group.len)
            out[n++] = group;
        at = end + 1;
    }
    return n;
}

/* Sorted, each once, so that the same groups are the same text. */
static char *normal_groups(rag_str groups)
{
    rag_str list[MAX_GROUPS];
    size_t n = split_groups(groups, list);
    qsort(list, n, sizeof *list, by_bytes);
    rag_buf out;
    rag_buf_init(&out, RAG_MAX_LINE);
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && rag_str_eq(list[i], list[i - 1]))
            continue;
        if (out.len)
            rag_buf_putc(&out, ',');
        rag_buf_put(&out, list[i]);
    }
    return rag_buf_detach(&out);
}

static bool is_unreserved(unsigned char c)
{
    return (unsigned char)((c | 0x20) - 'a') < 26 || (unsigned char)(c - '0') < 10 || (c && strchr("-._~/", c));
}

void writer_url(const writer_source *s, rag_str path, rag_buf *out)
{
    size_t prefix = strlen(s->prefix);
    if (!*s->url)
        return;
    if (prefix && rag_str_starts(path, rag_str_of(s->prefix)) && path.len > prefix && path.ptr[prefix] == '/')
        path = rag_str_sub(path, prefix + 1, path.len);
    rag_buf_puts(out, s->url);
    if (!rag_str_ends(rag_str_of(s->url), RAG_STR("/")))
        rag_buf_putc(out, '/');
    for (size_t i = 0; i < path.len; i++) {
        unsigned char c = (unsigned char)path.ptr[i];
        if (is_unreserved(c))
            rag_buf_putc(out, (char)c);
        else
            rag_buf_putf(out, "%%%02X", c);
    }
}

writer_source *writer_find_source(const rag_writer *w, int64_t id)
{
    for (size_t i = 0; i < w->n_sources; i++)
        if (w->sources[i].id == id)
            return &w->sources[i];
    return NULL;
}

static rag_code collection_id(rag_writer *w, rag_str name, int64_t *id, rag_err *err)
{
    if (name.len == 0)
        name = RAG_STR("default");
    if (!rag_utf8_valid(name, NULL) || rag_str_eq(name, RAG_STR("*")))
        return rag_fail(err, RAG_INVALID, "'%.*s' cannot be a collection's name", RAG_STR_ARG(name));
    rag_code code = db_run(w->db, "INSERT INTO collections(name) VALUES(?) ON CONFLICT DO NOTHING", BIND(text(name)), err);
    if (code == RAG_OK)
        code = db_number(w->db, id, "SELECT id FROM collections WHERE name = ?", BIND(text(name)), err);
    return code;
}

static rag_code store_source(rag_writer *w, writer_source *s, rag_err *err)
{
    rag_code code =
        db_run(w->db,
               "INSERT INTO sources(collection_id, root, prefix, access, url) VALUES(?, ?, ?, ?, ?) "
               "ON CONFLICT(collection_id, root) DO UPDATE SET prefix = excluded.prefix, access = excluded.access, "
               "url = excluded.url",
               BIND(num(s->collection_id), text(rag_str_of(s->root)), text(rag_str_of(s->prefix)),
                    text(rag_str_of(s->access)), text(rag_str_of(s->url))),
               err);
    if (code == RAG_OK)
        code = db_number(w->db, &s->id, "SELECT id FROM sources WHERE collection_id = ? AND root = ?",
                         BIND(num(s->collection_id), text(rag_str_of(s->root))), err);
    return code;
}

static void free_strings(writer_source *s)
{
    free(s->root);
    free(s->prefix);
    free(s->access);
    free(s->url);
}

/* The same source named again in one run takes the newer settings. */
static void remember(rag_writer *w, const writer_source *s)
{
    writer_source *known = writer_find_source(w, s->id);
    if (known) {
        free_strings(known);
    } else {
        w->sources = rag_realloc(w->sources, (w->n_sources + 1) * sizeof *w->sources);
        known = &w->sources[w->n_sources++];
    }
    *known = *s;
}

rag_code rag_writer_source(rag_writer *w, const rag_source *source, int64_t *id, rag_err *err)
{
    writer_source s = { .adopt = source->adopt };
    rag_code code = writer_ready(w, err);
    if (code != RAG_OK)
        return code;
    code = collection_id(w, source->collection, &s.collection_id, err);
    if (code == RAG_INVALID)
        return code;
    s.root = rag_strndup(source->root);
    s.prefix = rag_strndup(source->prefix);
    s.access = normal_groups(source->groups);
    s.url = rag_strndup(source->url);
    if (code == RAG_OK)
        code = store_source(w, &s, err);
    if (code == RAG_OK) {
        *id = s.id;
        remember(w, &s);
    } else {
        free_strings(&s);
    }
    return writer_wrote(w, code, 0, err);
}

static bool lies_in(rag_str path, rag_str root)
{
    if (root.len == 0 || !rag_str_starts(path, root))
        return false;
    return root.ptr[root.len - 1] == '/' || (path.len > root.len && path.ptr[root.len] == '/');
}

rag_code rag_writer_source_of(rag_writer *w, rag_str collection, rag_str real_path, rag_arena *arena, int64_t *id,
                              rag_source *out, rag_err *err)
{
    sqlite3_stmt *q;
    bool row = true, found = false;
    rag_str name = collection.len ? collection : RAG_STR("default");
    rag_code code = db_query(w->db, &q,
                             "SELECT s.id, s.root, s.prefix, s.access, s.url FROM sources s "
                             "JOIN collections c ON c.id = s.collection_id WHERE c.name = ? ORDER BY length(s.root) DESC",
                             BIND(text(name)), err);
    while (code == RAG_OK && !found && (code = db_step(w->db, q, &row, err)) == RAG_OK && row) {
        found = lies_in(real_path, column_str(q, 1));
        if (!found)
            continue;
        *id = sqlite3_column_int64(q, 0);
        *out = (rag_source){ .collection = rag_arena_str(arena, name),
                             .root = rag_arena_str(arena, column_str(q, 1)),
                             .prefix = rag_arena_str(arena, column_str(q, 2)),
                             .groups = rag_arena_str(arena, column_str(q, 3)),
                             .url = rag_arena_str(arena, column_str(q, 4)) };
    }
    db_done(q);
    if (code == RAG_OK && !found)
        return rag_fail(err, RAG_NOT_FOUND, "no mirrored folder holds '%.*s'", RAG_STR_ARG(real_path));
    return code;
}
