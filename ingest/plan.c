/* What a run reads: folders first, so that a file argument finds the folder that it belongs to. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/utf8.h"
#include "ingest/run.h"

/* ---- words ------------------------------------------------------------------------- */

static rag_str without_slashes(const char *prefix)
{
    rag_str s = rag_str_of(prefix);
    while (s.len > 0 && s.ptr[0] == '/')
        s = rag_str_sub(s, 1, s.len);
    while (s.len > 0 && s.ptr[s.len - 1] == '/')
        s.len--;
    return s;
}

static rag_str join(rag_arena *arena, rag_str prefix, rag_str path)
{
    if (prefix.len == 0)
        return path;
    return rag_str_of(rag_arena_printf(arena, "%.*s/%.*s", RAG_STR_ARG(prefix), RAG_STR_ARG(path)));
}

static rag_str base_name(rag_str path)
{
    while (path.len > 1 && path.ptr[path.len - 1] == '/')
        path.len--;
    size_t start = path.len;
    while (start > 0 && path.ptr[start - 1] != '/')
        start--;
    return rag_str_sub(path, start, path.len);
}

static rag_source source_of(run *r, const rag_ingest_path *path, const char *root)
{
    return (rag_source){
        .collection = rag_str_of(path->collection && *path->collection ? path->collection : "default"),
        .groups = rag_str_of(path->groups),
        .root = rag_str_of(root),
        .prefix = without_slashes(path->prefix),
        .url = rag_str_of(path->url),
        .adopt = r->opt->adopt,
    };
}

/* ---- targets ----------------------------------------------------------------------- */

static bool is_same_folder(const target *t, const rag_source *source)
{
    return t->is_folder && rag_str_eq(t->source.collection, source->collection) &&
           rag_str_eq(t->source.root, source->root);
}

static rag_code register_source(run *r, target *t, rag_err *err)
{
    t->source_id = -1 - (int64_t)(t - r->targets);
    return r->writer ? rag_writer_source(r->writer, &t->source, &t->source_id, err) : RAG_OK;
}

static void path_failed(run *r, const char *path, const char *code, int errno_value)
{
    rag_err e;
    rag_fail_errno(&e, RAG_IO, errno_value, "cannot open");
    run_fail(r, rag_str_of(path), code, e.message);
    r->out->paths_failed++;
}

static rag_code add_folder(run *r, const rag_ingest_path *path, const char *real, rag_err *err)
{
    target *t = &r->targets[r->n_targets];
    *t = (target){ .is_folder = true, .source = source_of(r, path, real) };
    for (size_t i = 0; i < r->n_targets; i++)
        if (is_same_folder(&r->targets[i], &t->source))
            return RAG_OK;
    t->fd = open(real, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (t->fd < 0) {
        path_failed(r, path->path, "unreadable", errno);
        return RAG_OK;
    }
    r->n_targets++;
    return register_source(r, t, err);
}

/* A file inside a mirrored folder belongs to that folder, under its path there. */
static rag_code place_file(run *r, target *t, rag_str real, rag_str given_name, rag_str *path, rag_err *err)
{
    rag_source outer;
    int64_t id;
    rag_code code = RAG_NOT_FOUND;
    *path = join(r->arena, t->source.prefix, given_name);
    if (r->writer)
        code = rag_writer_source_of(r->writer, t->source.collection, real, r->arena, &id, &outer, err);
    if (code == RAG_NOT_FOUND)
        return register_source(r, t, err);
    if (code != RAG_OK)
        return code;
    size_t skip = outer.root.len + (rag_str_ends(outer.root, RAG_STR("/")) ? 0 : 1);
    *path = join(r->arena, outer.prefix, rag_str_sub(real, skip, real.len));
    outer.adopt = r->opt->adopt;
    t->source = outer;
    return register_source(r, t, err);
}

static bool is_planned(const run *r, const target *t)
{
    for (size_t i = 0; i < r->n_targets; i++) {
        const target *other = &r->targets[i];
        if (other->is_folder && r->writer && other->source_id == t->source_id)
            return true;
    }
    return false;
}

/* Another file argument of the same document path. */
static bool is_taken(const run *r, const target *t, rag_str path)
{
    for (size_t i = 0; i < r->n_targets; i++) {
        const target *other = &r->targets[i];
        if (!other->is_folder && rag_str_eq(other->source.collection, t->source.collection) &&
            rag_str_eq(other->found.files[0].path, path))
            return true;
    }
    return false;
}

/* False when the path's failure is counted. */
static bool open_folder_of(run *r, target *t, const char *given, const char *real)
{
    char *folder = rag_path_dir(real);
    t->fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (t->fd < 0)
        path_failed(r, given, "unreadable", errno);
    free(folder);
    return t->fd >= 0;
}

static void complete_file(run *r, target *t, rag_str real, rag_str doc_path, rag_format format, const struct stat *st)
{
    walk_file *file = rag_arena_alloc(r->arena, sizeof *file);
    *file = (walk_file){ .path = rag_arena_str(r->arena, doc_path), .format = format };
    walk_take_stat(file, st);
    t->file_name = base_name(real);
    t->found = (walk_result){ .files = file, .n = 1 };
    r->n_targets++;
}

static rag_code add_file(run *r, const rag_ingest_path *path, const char *real, const struct stat *st, rag_err *err)
{
    target *t = &r->targets[r->n_targets];
    rag_str where = rag_arena_str(r->arena, rag_str_of(real)), name = base_name(rag_str_of(path->path)), doc_path;
    rag_format format = rag_format_of(name);
    *t = (target){ .fd = -1, .source = source_of(r, path, "") };
    if (format == RAG_FORMAT_NONE) {
        r->out->documents_skipped++;
        return RAG_OK;
    }
    if (!rag_utf8_valid(where, NULL) || !rag_utf8_valid(name, NULL)) {
        run_fail(r, rag_str_of(path->path), "encoding", "the file's path is not valid UTF-8");
        return RAG_OK;
    }
    rag_code code = place_file(r, t, where, name, &doc_path, err);
    if (code != RAG_OK || is_planned(r, t))
        return code;
    if (is_taken(r, t, doc_path))
        run_fail(r, rag_str_of(path->path), "conflict", "another file of this run has the same document path");
    else if (open_folder_of(r, t, path->path, where.ptr))
        complete_file(r, t, where, doc_path, format, st);
    return RAG_OK;
}

/* Adds the path when it is a folder, or when it is a file, as asked for. */
static rag_code add_path(run *r, const rag_ingest_path *path, bool folders, rag_err *err)
{
    struct stat st;
    rag_code code = RAG_OK;
    char *real = rag_path_real(path->path);
    int cause = errno;
    if (!real || stat(real, &st) != 0) {
        if (folders)
            path_failed(r, path->path, (real ? errno : cause) == EACCES ? "unreadable" : "not_found",
                        real ? errno : cause);
    } else if (S_ISDIR(st.st_mode) && folders) {
        code = add_folder(r, path, rag_arena_strdup(r->arena, real), err);
    } else if (S_ISREG(st.st_mode) && !folders) {
        code = add_file(r, path, real, &st, err);
    } else if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode) && folders) {
        r->out->documents_skipped++;
    }
    free(real);
    return code;
}

/* ---- walking ----------------------------------------------------------------------- */

static void on_walk_failure(void *context, rag_str path, const char *code, const char *message)
{
    run *r = context;
    while (path.len > 0 && path.ptr[path.len - 1] == '/')
        path.len--;
    if (path.len == 0)
        path = r->current->source.root;
    run_fail(r, path, code, message);
}

static ignore_rule *parse_rules(rag_arena *arena, const char *const *globs, size_t n)
{
    ignore_rule *rules = rag_arena_array(arena, n + 1, sizeof *rules);
    for (size_t i = 0; i < n; i++)
        if (!ignore_parse(rag_str_of(globs[i]), &rules[i]))
            rules[i] = (ignore_rule){ .pattern = rag_str_of(globs[i]) };
    return rules;
}

static rag_code walk_target(run *r, target *t, const walk_options *opt, rag_err *err)
{
    r->current = t;
    rag_code code = walk_folder(t->fd, opt, r->arena, &t->found, err);
    r->out->documents_skipped += t->found.skipped;
    for (size_t i = 0; i < t->found.n; i++)
        t->found.files[i].path = join(r->arena, t->source.prefix, t->found.files[i].path);
    return code;
}

static rag_code walk_all(run *r, rag_err *err)
{
    const rag_ingest_options *o = r->opt;
    walk_options opt = { .n_include = o->n_include, .n_exclude = o->n_exclude, .on_failure = on_walk_failure,
                         .context = r, .stop = o->stop };
    opt.include = parse_rules(r->arena, o->include, o->n_include);
    opt.exclude = parse_rules(r->arena, o->exclude, o->n_exclude);
    rag_code code = RAG_OK;
    for (size_t i = 0; code == RAG_OK && i < r->n_targets; i++) {
        target *t = &r->targets[i];
        if (t->is_folder)
            code = walk_target(r, t, &opt, err);
        for (size_t j = 0; j < t->found.n; j++)
            r->progress.bytes_total += t->found.files[j].size;
        r->progress.files_total += (int64_t)t->found.n;
        run_report(r, "scan", NULL);
    }
    return code;
}

rag_code plan_make(run *r, rag_err *err)
{
    const rag_ingest_options *opt = r->opt;
    rag_code code = RAG_OK;
    r->targets = rag_arena_array(r->arena, opt->n_paths + 1, sizeof *r->targets);
    for (size_t i = 0; code == RAG_OK && i < opt->n_paths; i++)
        code = add_path(r, &opt->paths[i], true, err);
    for (size_t i = 0; code == RAG_OK && i < opt->n_paths; i++)
        code = add_path(r, &opt->paths[i], false, err);
    return code == RAG_OK ? walk_all(r, err) : code;
}

void plan_close(run *r)
{
    for (size_t i = 0; i < r->n_targets; i++)
        if (r->targets[i].fd >= 0)
            close(r->targets[i].fd);
}
