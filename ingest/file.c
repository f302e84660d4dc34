/* One file into the store: is it known, is it readable, is it text, what are its chunks. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "ingest/run.h"

enum { READ_PIECE = 64 * 1024 };
/* File systems store times as coarse as two seconds: a file that young may have changed again without showing it. */
static const int64_t racy_ns = 2000000000;

/* ---- reading ----------------------------------------------------------------------- */

/* Why a file was not read: a failure's code and sentence. */
typedef struct excuse {
    const char *code;
    rag_err err;
} excuse;

static bool refuse(excuse *e, const char *code, const char *message)
{
    e->code = code;
    rag_fail(&e->err, RAG_IO, "%s", message);
    return false;
}

static bool refuse_errno(excuse *e, const char *what)
{
    int cause = errno;
    e->code = cause == ENOENT || cause == ELOOP || cause == ENOTDIR ? "vanished" : "unreadable";
    rag_fail_errno(&e->err, RAG_IO, cause, "%s", what);
    return false;
}

/* Opens the file without following a link at any component and without waiting for a pipe's writer. */
static int open_file(const target *t, const walk_file *file)
{
    int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    if (!t->is_folder)
        return openat(t->fd, t->file_name.ptr, flags);
    rag_str path = rag_str_sub(file->path, t->source.prefix.len ? t->source.prefix.len + 1 : 0, file->path.len);
    size_t name = path.len;
    while (name > 0 && path.ptr[name - 1] != '/')
        name--;
    if (name == 0)
        return openat(t->fd, path.ptr, flags);
    int dir = walk_open_folder(t->fd, rag_str_sub(path, 0, name - 1));
    if (dir < 0)
        return -1;
    int fd = openat(dir, path.ptr + name, flags);
    int cause = errno;
    close(dir);
    errno = cause;
    return fd;
}

static bool read_bytes(int fd, rag_buf *out, excuse *why)
{
    char piece[READ_PIECE];
    rag_buf_clear(out);
    while (!out->overflow) {
        ssize_t n = read(fd, piece, sizeof piece);
        if (n == 0)
            return true;
        if (n < 0 && errno != EINTR)
            return refuse_errno(why, "cannot read");
        if (n > 0)
            rag_buf_put(out, (rag_str){ piece, (size_t)n });
    }
    return true;
}

static bool is_same_state(const walk_file *a, const walk_file *b)
{
    return a->size == b->size && a->mtime_ns == b->mtime_ns && a->inode == b->inode;
}

/* Reads an open file once; *changed when it did not stand still. */
static bool read_once(int fd, int64_t max_bytes, rag_buf *out, walk_file *file, bool *changed, excuse *why)
{
    struct stat st;
    walk_file after = { 0 };
    if (fstat(fd, &st) != 0)
        return refuse_errno(why, "cannot stat");
    if (!S_ISREG(st.st_mode))
        return refuse(why, "changed", "it is not a regular file any more");
    walk_take_stat(file, &st);
    if (file->size <= max_bytes && !read_bytes(fd, out, why))
        return false;
    if (file->size > max_bytes || out->overflow) {
        rag_fail(&why->err, RAG_TOO_LARGE, "it is larger than ingest.max_bytes, %lld", (long long)max_bytes);
        why->code = "too_large";
        return false;
    }
    if (fstat(fd, &st) != 0)
        return refuse_errno(why, "cannot stat");
    walk_take_stat(&after, &st);
    *changed = !is_same_state(file, &after) || (int64_t)out->len != file->size;
    return true;
}

static bool read_file(run *r, const target *t, walk_file *file, excuse *why)
{
    bool changed = true;
    for (int attempt = 0; changed && attempt < 2; attempt++) {
        int fd = open_file(t, file);
        if (fd < 0)
            return refuse_errno(why, "cannot open");
        bool ok = read_once(fd, (int64_t)r->bytes.max, &r->bytes, file, &changed, why);
        close(fd);
        if (!ok)
            return false;
    }
    return changed ? refuse(why, "changed", "it changes while it is read") : true;
}

/* ---- putting ----------------------------------------------------------------------- */

static rag_code need_embedder(run *r, rag_err *err)
{
    rag_code code = RAG_OK;
    if (!r->embedder)
        code = r->opt->model->open(r->opt->model->context, &r->embedder, err);
    if (code == RAG_OK && !r->vector)
        r->vector = rag_calloc((size_t)rag_embed_dim(r->embedder), sizeof *r->vector);
    return code;
}

static rag_code embed_chunk(run *r, const rag_chunk *chunk, rag_sha256 *key, rag_err *err)
{
    bool has = false;
    size_t tokens = 0;
    *key = rag_sha256_of(chunk->embed_text);
    rag_code code = rag_writer_has_embedding(r->writer, key, &has, err);
    if (code != RAG_OK || has)
        return code;
    code = rag_embed_text(r->embedder, RAG_EMBED_PASSAGE, chunk->embed_text, true, r->vector, &tokens, err);
    if (code != RAG_OK)
        return code;
    r->out->tokens += (int64_t)tokens;
    run_report(r, "index", r->progress.path);
    return rag_writer_add_embedding(r->writer, key, r->vector, err);
}

static rag_code embed_chunks(run *r, const rag_chunk *chunks, size_t n, rag_chunk_in *in, rag_err *err)
{
    rag_code code = RAG_OK;
    for (size_t i = 0; code == RAG_OK && i < n; i++) {
        const rag_chunk *c = &chunks[i];
        in[i] = (rag_chunk_in){ .start = c->start, .end = c->end, .line_start = c->line_start,
                                .line_end = c->line_end, .page = c->page, .heading = c->heading,
                                .n_heading = c->n_heading, .tokens = c->tokens };
        code = run_check_stop(r, err);
        if (code == RAG_OK)
            code = embed_chunk(r, c, &in[i].embedding, err);
    }
    return code;
}

rag_code file_put(run *r, const origin *from, const rag_parsed *doc, rag_err *err)
{
    rag_chunk *chunks = NULL;
    size_t n = 0;
    rag_code code = need_embedder(r, err);
    if (code == RAG_OK)
        code = rag_chunk_document(doc, r->embedder, &r->opt->chunker, r->doc_arena, &chunks, &n, err);
    rag_chunk_in *in = rag_arena_array(r->doc_arena, n + 1, sizeof *in);
    if (code == RAG_OK)
        code = embed_chunks(r, chunks, n, in, err);
    if (code != RAG_OK)
        return code;
    rag_document_in put = {
        .source_id = from->source_id, .path = from->path, .title = doc->title, .lang = doc->lang, .text = doc->text,
        .size = from->size, .mtime_ns = from->mtime_ns, .inode = from->inode, .read_ns = from->read_ns,
        .sha256 = from->sha256, .chunks = in, .n_chunks = n,
    };
    return rag_writer_put(r->writer, &put, NULL, err);
}

/* ---- one file ---------------------------------------------------------------------- */

/* What the store knows of the file, and whether it may be left as it is when its bytes are the same. */
typedef struct known {
    rag_stored stored;
    bool is_there, may_stay;
} known;

static rag_code look_up(run *r, const target *t, const walk_file *file, known *k, rag_err *err)
{
    *k = (known){ 0 };
    if (!r->writer)
        return RAG_OK;
    rag_code code = rag_writer_lookup(r->writer, t->source_id, file->path, r->doc_arena, &k->stored, err);
    if (code == RAG_NOT_FOUND)
        return RAG_OK;
    if (code != RAG_OK)
        return code;
    k->is_there = true;
    k->may_stay = k->stored.is_current && !r->opt->full;
    return RAG_OK;
}

static bool is_untouched(const known *k, const walk_file *file)
{
    const rag_stored *s = &k->stored;
    bool is_racy = s->mtime_ns >= s->read_ns - racy_ns;
    return k->may_stay && !is_racy && s->size == file->size && s->mtime_ns == file->mtime_ns &&
           s->inode == file->inode;
}

static rag_code give_up(run *r, const walk_file *file, const known *k, const char *code, const char *message,
                        rag_err *err)
{
    run_fail(r, file->path, code, message);
    return k->is_there && r->writer ? rag_writer_keep(r->writer, k->stored.document_id, err) : RAG_OK;
}

/* A file that was ingested by itself gives way to a folder. */
static bool is_conflict(const target *t, const known *k)
{
    return k->is_there && k->stored.source_id != t->source_id && k->stored.source_root.len > 0 && !t->source.adopt;
}

static rag_code refuse_conflict(run *r, const target *t, const walk_file *file, const known *k, rag_err *err)
{
    rag_err e;
    rag_str ours = t->source.root.len ? t->source.root : RAG_STR("a single file");
    rag_fail(&e, RAG_INVALID, "the path is held by '%.*s' and cannot come from '%.*s' too; --adopt takes it over",
             RAG_STR_ARG(k->stored.source_root), RAG_STR_ARG(ours));
    return give_up(r, file, k, "conflict", e.message, err);
}

static rag_code leave_unchanged(run *r, const known *k, const walk_file *file, int64_t read_ns, rag_err *err)
{
    r->out->documents_unchanged++;
    if (r->opt->dry_run)
        return RAG_OK;
    return rag_writer_touch(r->writer, k->stored.document_id, file->size, file->mtime_ns, file->inode, read_ns, err);
}

static rag_code take(run *r, const origin *from, const rag_parsed *doc, const known *k, rag_err *err)
{
    if (!r->opt->dry_run) {
        rag_code code = file_put(r, from, doc, err);
        if (code != RAG_OK)
            return code;
    } else if (k->is_there) {
        r->out->documents_updated++;
    } else {
        r->out->documents_added++;
    }
    r->out->bytes += from->size;
    return RAG_OK;
}

static const char *parse_failure(rag_code code)
{
    return code == RAG_UNSUPPORTED ? "binary" : code == RAG_TOO_LARGE ? "too_large" : "encoding";
}

static rag_code read_and_take(run *r, const target *t, walk_file *file, const known *k, rag_err *err)
{
    excuse why = { 0 };
    rag_parsed doc;
    origin from = { .source_id = t->source_id, .path = file->path, .read_ns = rag_clock_wall_ns() };
    if (!read_file(r, t, file, &why))
        return give_up(r, file, k, why.code, why.err.message, err);
    from.sha256 = rag_sha256_of(rag_buf_str(&r->bytes));
    if (k->may_stay && memcmp(&from.sha256, &k->stored.sha256, sizeof from.sha256) == 0)
        return leave_unchanged(r, k, file, from.read_ns, err);
    from.size = file->size;
    from.mtime_ns = file->mtime_ns;
    from.inode = file->inode;
    rag_code code = rag_parse(file->format, file->path, rag_buf_str(&r->bytes), r->doc_arena, &doc, &why.err);
    if (code != RAG_OK)
        return give_up(r, file, k, parse_failure(code), why.err.message, err);
    code = take(r, &from, &doc, k, err);
    if (code == RAG_INVALID && err)
        return give_up(r, file, k, "conflict", err->message, err);
    return code;
}

rag_code file_ingest(run *r, const target *t, const walk_file *listed, rag_err *err)
{
    known k;
    walk_file file = *listed;
    run_report(r, "index", file.path.ptr);
    rag_code code = look_up(r, t, &file, &k, err);
    if (code == RAG_OK && is_conflict(t, &k))
        code = refuse_conflict(r, t, &file, &k, err);
    else if (code == RAG_OK && is_untouched(&k, &file))
        r->out->documents_unchanged++;
    else if (code == RAG_OK)
        code = read_and_take(r, t, &file, &k, err);
    r->progress.files_done++;
    r->progress.bytes_done += listed->size;
    rag_arena_reset(r->doc_arena);
    return code;
}
