#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "index/vectors_impl.h"

enum { PIECE = 1 << 20, MAX_MANIFEST = 4096, FORMAT_VERSION = 1 };

static const char INDEX[] = "index.faiss", POSITIONS[] = "positions", MANIFEST[] = "manifest.json";

typedef struct file_sum {
    int64_t bytes;
    uint64_t xxh3;
} file_sum;

static char *vectors_dir(const char *dir)
{
    return rag_path_join(dir, "vectors");
}

static char *generation_dir(const char *dir, int64_t generation, const char *suffix)
{
    char name[64];
    snprintf(name, sizeof name, "vectors/%lld%s", (long long)generation, suffix);
    return rag_path_join(dir, name);
}

/* ---- manifest ---------------------------------------------------------------------------- */

static rag_code sum_fd(int fd, const char *path, file_sum *out, rag_err *err)
{
    char *piece = rag_alloc(PIECE);
    rag_code code = RAG_OK;
    ssize_t n;
    *out = (file_sum){ 0 };
    while ((n = read(fd, piece, PIECE)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            code = rag_fail_errno(err, RAG_IO, errno, "cannot read '%s'", path);
            break;
        }
        out->xxh3 = rag_xxh3((rag_str){ piece, (size_t)n }, out->xxh3);
        out->bytes += n;
    }
    free(piece);
    return code;
}

static rag_code sum_file(const char *dir, const char *name, file_sum *out, rag_err *err)
{
    char *path = rag_path_join(dir, name);
    rag_code code;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        code = rag_fail_errno(err, RAG_IO, errno, "cannot open '%s'", path);
    else
        code = sum_fd(fd, path, out, err);
    if (fd >= 0)
        close(fd);
    free(path);
    return code;
}

/* Written and compared, never parsed: a manifest is right when it is the one we would write. */
static void render_manifest(char out[MAX_MANIFEST], const vectors_identity *id, size_t n, file_sum index, file_sum rows)
{
    char model[65];
    rag_sha256_hex(id->model, model);
    snprintf(out, MAX_MANIFEST,
             "{\"format\":%d,\"store\":\"%s\",\"epoch\":\"%s\",\"generation\":%lld,\"model\":\"%s\",\"dim\":%d,"
             "\"type\":\"Flat\",\"metric\":\"inner_product\",\"count\":%zu,\n"
             " \"index.faiss\":{\"bytes\":%lld,\"xxh3\":\"%016llx\"},\n"
             " \"positions\":{\"bytes\":%lld,\"xxh3\":\"%016llx\"}}\n",
             FORMAT_VERSION, id->store_id, id->epoch, (long long)id->generation, model, id->dim, n,
             (long long)index.bytes, (unsigned long long)index.xxh3, (long long)rows.bytes,
             (unsigned long long)rows.xxh3);
}

static rag_code make_manifest(char out[MAX_MANIFEST], const char *dir, const vectors_identity *id, size_t n, rag_err *err)
{
    file_sum index, rows;
    rag_code code = sum_file(dir, INDEX, &index, err);
    if (code == RAG_OK)
        code = sum_file(dir, POSITIONS, &rows, err);
    if (code == RAG_OK)
        render_manifest(out, id, n, index, rows);
    return code;
}

/* ---- save -------------------------------------------------------------------------------- */

static rag_code sync_file(const char *path, rag_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return rag_fail_errno(err, RAG_IO, errno, "cannot open '%s'", path);
    rag_code code = fsync(fd) < 0 ? rag_fail_errno(err, RAG_IO, errno, "cannot sync '%s'", path) : RAG_OK;
    close(fd);
    return code;
}

static rag_code save_files(const vectors *v, const char *dir, const vectors_identity *id, rag_err *err)
{
    char manifest[MAX_MANIFEST];
    char *index = rag_path_join(dir, INDEX), *rows = rag_path_join(dir, POSITIONS);
    char *last = rag_path_join(dir, MANIFEST);
    rag_code code = rag_file_write_atomic(rows, (rag_str){ (const char *)v->positions, v->n * sizeof(kept_row) }, err);
    if (code == RAG_OK && faiss_write_index_fname(v->index, index))
        code = faiss_fail(err, "write the vector index");
    if (code == RAG_OK)
        code = sync_file(index, err);
    if (code == RAG_OK)
        code = make_manifest(manifest, dir, id, v->n, err);
    if (code == RAG_OK)
        code = rag_file_write_atomic(last, rag_str_of(manifest), err);
    free(last);
    free(rows);
    free(index);
    return code;
}

static void remove_quietly(const char *dir)
{
    rag_err why;
    if (rag_dir_remove(dir, &why) != RAG_OK && why.code != RAG_NOT_FOUND)
        rag_log(RAG_WARN, "%s", why.message);
}

static rag_code move_in_place(const char *from, const char *to, const char *parent, rag_err *err)
{
    remove_quietly(to);
    crash_point("before_rename");
    if (rename(from, to) < 0)
        return rag_fail_errno(err, RAG_IO, errno, "cannot rename to '%s'", to);
    crash_point("after_rename");
    return rag_file_fsync_dir(parent, err);
}

rag_code vectors_save(const vectors *v, const char *dir, const vectors_identity *id, rag_err *err)
{
    if (v->n == 0)
        return RAG_OK;
    char *parent = vectors_dir(dir);
    char *final = generation_dir(dir, id->generation, ""), *beside = generation_dir(dir, id->generation, ".tmp");
    remove_quietly(beside);
    rag_code code = rag_dir_make(beside, err);
    if (code == RAG_OK)
        code = save_files(v, beside, id, err);
    crash_point("snapshot_tmp");
    if (code == RAG_OK)
        code = move_in_place(beside, final, parent, err);
    if (code != RAG_OK)
        remove_quietly(beside);
    free(beside);
    free(final);
    free(parent);
    return code;
}

void vectors_sweep(const char *dir, int64_t keep)
{
    char *parent = vectors_dir(dir), kept[32];
    snprintf(kept, sizeof kept, "%lld", (long long)keep);
    DIR *list = opendir(parent);
    struct dirent *entry;
    while (list && (entry = readdir(list))) {
        bool is_ours = entry->d_name[0] >= '0' && entry->d_name[0] <= '9';
        if (!is_ours || strcmp(entry->d_name, kept) == 0)
            continue;
        char *path = rag_path_join(parent, entry->d_name);
        remove_quietly(path);
        free(path);
    }
    if (list)
        closedir(list);
    free(parent);
}

bool vectors_exist(const char *dir, int64_t generation)
{
    char *path = generation_dir(dir, generation, "");
    struct stat st;
    bool exist = stat(path, &st) == 0;
    free(path);
    return exist;
}

/* ---- load -------------------------------------------------------------------------------- */

static rag_code read_small(const char *dir, const char *name, size_t max, rag_buf *out, rag_err *err)
{
    char *path = rag_path_join(dir, name);
    rag_buf_init(out, max);
    rag_code code = rag_file_read(path, out, err);
    free(path);
    return code;
}

static rag_code check_manifest(const char *dir, const vectors_identity *id, size_t n, rag_err *err)
{
    char expected[MAX_MANIFEST];
    rag_buf found;
    rag_code code = read_small(dir, MANIFEST, MAX_MANIFEST, &found, err);
    if (code == RAG_OK)
        code = make_manifest(expected, dir, id, n, err);
    if (code == RAG_OK && !rag_str_eq(rag_buf_str(&found), rag_str_of(expected)))
        code = rag_fail(err, RAG_CORRUPT, "'%s/%s' does not describe its files and this store", dir, MANIFEST);
    rag_buf_free(&found);
    return code;
}

static rag_code check_positions(const char *dir, const kept_row *positions, size_t n, rag_err *err)
{
    rag_buf found;
    rag_code code = read_small(dir, POSITIONS, n * sizeof *positions, &found, err);
    if (code == RAG_OK && !rag_str_eq(rag_buf_str(&found), (rag_str){ (const char *)positions, n * sizeof *positions }))
        code = rag_fail(err, RAG_CORRUPT, "'%s/%s' are not the rows of kb.db", dir, POSITIONS);
    rag_buf_free(&found);
    return code == RAG_TOO_LARGE ? RAG_CORRUPT : code;
}

static rag_code load_index(FaissIndex **out, const char *dir, const vectors_identity *id, size_t n, rag_err *err)
{
    char *path = rag_path_join(dir, INDEX);
    rag_code code = RAG_OK;
    *out = NULL;
    if (faiss_read_index_fname(path, 0, out))
        code = rag_fail(err, RAG_CORRUPT, "cannot read '%s': %s", path, faiss_get_last_error());
    else if (faiss_Index_d(*out) != id->dim || (size_t)faiss_Index_ntotal(*out) != n ||
             faiss_Index_metric_type(*out) != METRIC_INNER_PRODUCT)
        code = rag_fail(err, RAG_CORRUPT, "'%s' does not hold %zu vectors of %d", path, n, id->dim);
    if (code != RAG_OK && *out) {
        faiss_Index_free(*out);
        *out = NULL;
    }
    free(path);
    return code;
}

rag_code vectors_load(vectors **out, const char *dir, const vectors_identity *id, kept_row *positions, size_t n,
                      rag_err *err)
{
    char *from = generation_dir(dir, id->generation, "");
    FaissIndex *index = NULL;
    rag_code code = RAG_OK;
    *out = NULL;
    if (n == 0 || !vectors_exist(dir, id->generation))
        code = rag_fail(err, RAG_NOT_FOUND, "no '%s'", from);
    if (code == RAG_OK)
        code = check_manifest(from, id, n, err);
    if (code == RAG_OK)
        code = check_positions(from, positions, n, err);
    if (code == RAG_OK)
        code = load_index(&index, from, id, n, err);
    if (code == RAG_OK)
        code = vectors_wrap(out, index, positions, n, err);
    if (code != RAG_OK) {
        faiss_Index_free(index);
        code = n > 0 && vectors_exist(dir, id->generation) ? RAG_CORRUPT : RAG_NOT_FOUND;
    }
    free(from);
    return code;
}
