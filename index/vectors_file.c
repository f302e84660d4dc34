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

enum { PIECE = 1 << 20, MAX_TRIES = 3 };

static const char INDEX[] = "index.faiss", POSITIONS[] = "positions", MANIFEST[] = "manifest.json";

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

/* ---- sums ---------------------------------------------------------------------------------- */

/* Piece by piece, each with the sum so far as its seed. */
static void sum_piece(file_sum *sum, const char *piece, size_t n)
{
    sum->xxh3 = rag_xxh3((rag_str){ piece, n }, sum->xxh3);
    sum->bytes += (int64_t)n;
}

static file_sum sum_bytes(rag_str s)
{
    file_sum sum = { 0 };
    for (size_t at = 0; at < s.len; at += PIECE)
        sum_piece(&sum, s.ptr + at, s.len - at < PIECE ? s.len - at : PIECE);
    return sum;
}

static bool is_same(file_sum a, file_sum b)
{
    return a.bytes == b.bytes && a.xxh3 == b.xxh3;
}

static rag_code sum_stream(FILE *f, const char *path, file_sum *out, rag_err *err)
{
    char *piece = rag_alloc(PIECE);
    size_t n;
    *out = (file_sum){ 0 };
    while ((n = fread(piece, 1, PIECE, f)) > 0)
        sum_piece(out, piece, n);
    free(piece);
    return ferror(f) ? rag_fail_errno(err, RAG_IO, errno, "cannot read '%s'", path) : RAG_OK;
}

static rag_code open_file(FILE **out, const char *path, rag_err *err)
{
    *out = fopen(path, "rbe");
    return *out ? RAG_OK : rag_fail_errno(err, RAG_IO, errno, "cannot open '%s'", path);
}

/* Makes the file durable on the way. */
static rag_code sum_file(const char *path, file_sum *out, rag_err *err)
{
    FILE *f;
    rag_code code = open_file(&f, path, err);
    if (code != RAG_OK)
        return code;
    if (fsync(fileno(f)) < 0)
        code = rag_fail_errno(err, RAG_IO, errno, "cannot sync '%s'", path);
    if (code == RAG_OK)
        code = sum_stream(f, path, out, err);
    fclose(f);
    return code;
}

/* ---- save -------------------------------------------------------------------------------- */

static rag_code save_files(const vectors *v, const char *dir, const vectors_identity *id, rag_err *err)
{
    char text[MANIFEST_MAX];
    manifest m = { .shape = v->shape, .n = v->n };
    char *index = rag_path_join(dir, INDEX), *rows = rag_path_join(dir, POSITIONS);
    char *last = rag_path_join(dir, MANIFEST);
    rag_code code = rag_file_write_atomic(rows, (rag_str){ (const char *)v->positions, v->n * sizeof(kept_row) }, err);
    if (code == RAG_OK && faiss_write_index_fname(v->index, index))
        code = faiss_fail(err, "write the vector index");
    if (code == RAG_OK)
        code = sum_file(index, &m.index, err);
    if (code == RAG_OK)
        code = sum_file(rows, &m.positions, err);
    if (code == RAG_OK) {
        manifest_render(text, id, &m);
        code = rag_file_write_atomic(last, rag_str_of(text), err);
    }
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

/* Older files of the generation change places with the new ones, so that at any time one of them is there. */
static rag_code move_in_place(const char *from, const char *to, const char *parent, rag_err *err)
{
    crash_point("before_rename");
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_EXCHANGE) < 0) {
        remove_quietly(to);
        if (rename(from, to) < 0)
            return rag_fail_errno(err, RAG_IO, errno, "cannot rename to '%s'", to);
    }
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
    remove_quietly(beside);
    free(beside);
    free(final);
    free(parent);
    return code;
}

/* ---- folders ------------------------------------------------------------------------------ */

/* Calls back with each name under vectors/ that is ours. */
static void each_folder(const char *dir, void (*take)(void *context, const char *parent, const char *name), void *context)
{
    char *parent = vectors_dir(dir);
    DIR *list = opendir(parent);
    struct dirent *entry;
    while (list && (entry = readdir(list)))
        if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9')
            take(context, parent, entry->d_name);
    if (list)
        closedir(list);
    free(parent);
}

static void remove_other(void *context, const char *parent, const char *name)
{
    if (strcmp(name, context) == 0)
        return;
    char *path = rag_path_join(parent, name);
    remove_quietly(path);
    free(path);
}

void vectors_sweep(const char *dir, int64_t keep)
{
    char kept[32];
    snprintf(kept, sizeof kept, "%lld", (long long)keep);
    each_folder(dir, remove_other, kept);
}

typedef struct newest {
    int64_t below, best;
} newest;

static void find_newest(void *context, const char *parent, const char *name)
{
    newest *w = context;
    char *end;
    long long number = strtoll(name, &end, 10);
    (void)parent;
    if (*end == '\0' && number < w->below && number > w->best)
        w->best = number;
}

int64_t vectors_newest(const char *dir, int64_t below)
{
    newest w = { .below = below };
    each_folder(dir, find_newest, &w);
    return w.best;
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

static rag_code read_manifest(manifest *out, const char *dir, const vectors_identity *id, rag_err *err)
{
    rag_buf text;
    rag_code code = read_small(dir, MANIFEST, MANIFEST_MAX, &text, err);
    if (code == RAG_OK && !manifest_parse(out, id, rag_buf_str(&text)))
        code = rag_fail(err, RAG_CORRUPT, "'%s/%s' is not one of this store and generation", dir, MANIFEST);
    rag_buf_free(&text);
    return code;
}

static bool ascend(const kept_row *rows, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (rows[i].chunk_id <= rows[i - 1].chunk_id)
            return false;
    return true;
}

static rag_code read_positions(kept_row **out, const char *dir, const manifest *m, rag_err *err)
{
    rag_buf bytes;
    *out = NULL;
    rag_code code = read_small(dir, POSITIONS, (size_t)m->positions.bytes, &bytes, err);
    if (code == RAG_OK && (!is_same(sum_bytes(rag_buf_str(&bytes)), m->positions) ||
                           !ascend((const kept_row *)bytes.ptr, m->n)))
        code = rag_fail(err, RAG_CORRUPT, "'%s/%s' is not the file that the manifest describes", dir, POSITIONS);
    if (code != RAG_OK) {
        rag_buf_free(&bytes);
        return code;
    }
    *out = (kept_row *)rag_buf_detach(&bytes);
    return RAG_OK;
}

static rag_code read_index(FILE *f, const char *path, const manifest *m, int dim, FaissIndex **out, rag_err *err)
{
    file_sum sum;
    rag_code code = sum_stream(f, path, &sum, err);
    if (code != RAG_OK)
        return code;
    if (!is_same(sum, m->index))
        return rag_fail(err, RAG_CORRUPT, "'%s' is not the file that the manifest describes", path);
    rewind(f);
    if (faiss_read_index(f, 0, out))
        return rag_fail(err, RAG_CORRUPT, "cannot read '%s': %s", path, faiss_get_last_error());
    if (faiss_Index_d(*out) != dim || (size_t)faiss_Index_ntotal(*out) != m->n ||
        faiss_Index_metric_type(*out) != METRIC_INNER_PRODUCT)
        return rag_fail(err, RAG_CORRUPT, "'%s' does not hold %zu vectors of %d", path, m->n, dim);
    return RAG_OK;
}

/* The file that was summed up is the file that is read, whatever its name stands for meanwhile. */
static rag_code load_index(FaissIndex **out, const char *dir, const manifest *m, int dim, rag_err *err)
{
    char *path = rag_path_join(dir, INDEX);
    FILE *f;
    *out = NULL;
    rag_code code = open_file(&f, path, err);
    if (code == RAG_OK) {
        code = read_index(f, path, m, dim, out, err);
        fclose(f);
    }
    if (code != RAG_OK) {
        faiss_Index_free(*out);
        *out = NULL;
    }
    free(path);
    return code;
}

static rag_code load_once(vectors_raw *out, const char *dir, const vectors_identity *id, rag_err *err)
{
    *out = (vectors_raw){ 0 };
    rag_code code = read_manifest(&out->manifest, dir, id, err);
    if (code == RAG_OK)
        code = read_positions(&out->positions, dir, &out->manifest, err);
    if (code == RAG_OK)
        code = load_index(&out->index, dir, &out->manifest, id->dim, err);
    if (code != RAG_OK)
        vectors_raw_free(out);
    return code;
}

static ino_t folder_now(const char *dir)
{
    struct stat st;
    return stat(dir, &st) == 0 ? st.st_ino : 0;
}

/* Files that were replaced while they were read do not fit together: then the new ones are read. */
static rag_code load_files(vectors_raw *out, const char *dir, const vectors_identity *id, rag_err *err)
{
    char *from = generation_dir(dir, id->generation, "");
    ino_t folder = folder_now(from);
    rag_code code = RAG_NOT_FOUND;
    if (!folder)
        code = rag_fail(err, RAG_NOT_FOUND, "no '%s'", from);
    for (int i = 0; folder && i < MAX_TRIES; i++) {
        ino_t was = folder;
        code = load_once(out, from, id, err);
        folder = folder_now(from);
        if (code == RAG_OK || folder == was)
            break;
    }
    free(from);
    /* Whatever keeps files that are there from being read, they are of no use. */
    return code == RAG_OK || !folder ? code : RAG_CORRUPT;
}

void vectors_raw_free(vectors_raw *l)
{
    faiss_Index_free(l->index);
    free(l->positions);
    *l = (vectors_raw){ 0 };
}

rag_code vectors_load_raw(vectors_raw *out, const char *dir, const vectors_identity *id, rag_err *err)
{
    *out = (vectors_raw){ 0 };
    return load_files(out, dir, id, err);
}

rag_code vectors_load(vectors **out, const char *dir, const vectors_identity *id, const kept_row *kept, size_t n,
                      rag_err *err)
{
    vectors_raw l;
    *out = NULL;
    if (n == 0)
        return rag_fail(err, RAG_NOT_FOUND, "no row is kept");
    rag_code code = load_files(&l, dir, id, err);
    if (code != RAG_OK)
        return code;
    code = vectors_wrap(out, l.index, &l.manifest.shape, l.positions, l.manifest.n, err);
    if (code != RAG_OK) {
        vectors_raw_free(&l);
        return code;
    }
    if (!vectors_hold(*out, kept, n)) {
        vectors_release(*out);
        *out = NULL;
        return rag_fail(err, RAG_CORRUPT, "the positions of generation %lld are not the rows of kb.db",
                        (long long)id->generation);
    }
    return RAG_OK;
}

rag_code vectors_peek(vectors_shape *out, size_t *n, const char *dir, const vectors_identity *id, rag_err *err)
{
    manifest m;
    char *from = generation_dir(dir, id->generation, "");
    rag_code code = read_manifest(&m, from, id, err);
    free(from);
    *out = m.shape;
    *n = m.n;
    return code;
}
