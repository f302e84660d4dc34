#include "ingest/walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/utf8.h"

enum { MAX_IGNORE_FILE = 1024 * 1024 };
#define IGNORE_FILE ".ragdignore"
#define FOLDER_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

typedef struct folder {
    struct folder *next;
    rag_str path; /* "" or ending in a slash */
    const ignore_rules *rules;
} folder;

typedef struct walk {
    const walk_options *opt;
    rag_arena *arena;
    walk_result *out;
    folder *todo;
    size_t cap;
    int root_fd;
} walk;

int walk_open_folder(int root_fd, rag_str path)
{
    char name[NAME_MAX + 1];
    int fd = openat(root_fd, ".", FOLDER_FLAGS);
    for (size_t start = 0, end; fd >= 0 && start < path.len; start = end + 1) {
        end = rag_str_find(path, RAG_STR("/"), start);
        if (end == SIZE_MAX)
            end = path.len;
        if (end - start > NAME_MAX) {
            close(fd);
            errno = ENAMETOOLONG;
            return -1;
        }
        memcpy(name, path.ptr + start, end - start);
        name[end - start] = 0;
        int inner = openat(fd, name, FOLDER_FLAGS);
        int saved = errno;
        close(fd);
        errno = saved;
        fd = inner;
    }
    return fd;
}

void walk_take_stat(walk_file *file, const struct stat *st)
{
    file->size = st->st_size;
    file->mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
    file->inode = (int64_t)st->st_ino;
}

/* ---- ignore files ------------------------------------------------------------------ */

static void read_all(int fd, rag_buf *out)
{
    char piece[16 * 1024];
    ssize_t n;
    while ((n = read(fd, piece, sizeof piece)) > 0 && !out->overflow)
        rag_buf_put(out, (rag_str){ piece, (size_t)n });
}

static const ignore_rules *read_rules(walk *w, int dir_fd, const folder *f)
{
    struct stat st;
    int fd = openat(dir_fd, IGNORE_FILE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return f->rules;
    rag_buf text;
    rag_buf_init(&text, MAX_IGNORE_FILE);
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        read_all(fd, &text);
    close(fd);
    const ignore_rules *rules = ignore_parse_file(rag_buf_str(&text), f->path, f->rules, w->arena);
    rag_buf_free(&text);
    return rules;
}

/* ---- entries ----------------------------------------------------------------------- */

static bool any_covers(const ignore_rule *rules, size_t n, rag_str path)
{
    for (size_t i = 0; i < n; i++)
        if (ignore_covers(&rules[i], path))
            return true;
    return false;
}

static bool names_folder(const ignore_rule *rules, size_t n, rag_str path)
{
    for (size_t i = 0; i < n; i++) {
        ignore_rule rule = rules[i];
        rule.only_folders = false;
        if (ignore_covers(&rule, path))
            return true;
    }
    return false;
}

static void fail(walk *w, rag_str path, const char *code, const char *message)
{
    w->opt->on_failure(w->opt->context, path, code, message);
}

static void add_folder(walk *w, rag_str path, const ignore_rules *rules)
{
    folder *f = rag_arena_alloc(w->arena, sizeof *f);
    char *slashed = rag_arena_alloc(w->arena, path.len + 2);
    if (path.len) {
        memcpy(slashed, path.ptr, path.len);
        slashed[path.len] = '/';
    }
    *f = (folder){ .next = w->todo, .path = { slashed, path.len ? path.len + 1 : 0 }, .rules = rules };
    w->todo = f;
}

static void add_file(walk *w, rag_str path, rag_format format, const struct stat *st)
{
    walk_result *out = w->out;
    if (out->n == w->cap) {
        w->cap = w->cap ? w->cap * 2 : 64;
        out->files = rag_realloc(out->files, w->cap * sizeof *out->files);
    }
    walk_file *file = &out->files[out->n++];
    *file = (walk_file){ .path = rag_arena_str(w->arena, path), .format = format };
    walk_take_stat(file, st);
}

static void visit_folder(walk *w, rag_str path, const ignore_rules *rules)
{
    if (ignore_matches(rules, path, true) || names_folder(w->opt->exclude, w->opt->n_exclude, path))
        return;
    if (!rag_utf8_valid(path, NULL))
        fail(w, path, "encoding", "the folder's name is not valid UTF-8");
    else
        add_folder(w, path, rules);
}

static void visit_file(walk *w, rag_str path, const struct stat *st, const ignore_rules *rules)
{
    const walk_options *opt = w->opt;
    rag_format format = rag_format_of(path);
    if (ignore_matches(rules, path, false) || any_covers(opt->exclude, opt->n_exclude, path))
        return;
    if (opt->n_include > 0 && !any_covers(opt->include, opt->n_include, path))
        return;
    if (!S_ISREG(st->st_mode) || format == RAG_FORMAT_NONE)
        w->out->skipped++;
    else if (!rag_utf8_valid(path, NULL))
        fail(w, path, "encoding", "the file's name is not valid UTF-8");
    else
        add_file(w, path, format, st);
}

static void visit(walk *w, int dir_fd, const folder *f, const char *name, const ignore_rules *rules)
{
    struct stat st;
    char path[PATH_MAX];
    size_t length = f->path.len + strlen(name);
    if (length >= sizeof path) {
        fail(w, f->path, "unreadable", "what is in it has too long a path");
        w->out->incomplete = true;
        return;
    }
    memcpy(path, f->path.ptr, f->path.len);
    memcpy(path + f->path.len, name, length - f->path.len + 1);
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return; /* gone since it was listed */
    if (S_ISDIR(st.st_mode))
        visit_folder(w, (rag_str){ path, length }, rules);
    else
        visit_file(w, (rag_str){ path, length }, &st, rules);
}

/* One that went away, or became a link, since it was listed is simply gone. */
static void folder_failed(walk *w, const folder *f, int errno_value, const char *what)
{
    rag_err e;
    if (f->path.len > 0 && (errno_value == ENOENT || errno_value == ENOTDIR || errno_value == ELOOP))
        return;
    rag_fail_errno(&e, RAG_IO, errno_value, "%s", what);
    w->out->incomplete = true;
    fail(w, f->path, "unreadable", e.message);
}

static void read_folder(walk *w, const folder *f)
{
    int fd = walk_open_folder(w->root_fd, rag_str_sub(f->path, 0, f->path.len ? f->path.len - 1 : 0));
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        folder_failed(w, f, errno, "cannot open the folder");
        if (fd >= 0)
            close(fd);
        return;
    }
    const ignore_rules *rules = read_rules(w, fd, f);
    const struct dirent *entry;
    for (errno = 0; (entry = readdir(dir)); errno = 0)
        if (entry->d_name[0] != '.')
            visit(w, fd, f, entry->d_name, rules);
    if (errno != 0)
        folder_failed(w, f, errno, "cannot read the folder");
    closedir(dir);
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const walk_file *)a)->path.ptr, ((const walk_file *)b)->path.ptr);
}

rag_code walk_folder(int root_fd, const walk_options *opt, rag_arena *arena, walk_result *out, rag_err *err)
{
    walk w = { .opt = opt, .arena = arena, .out = out, .root_fd = root_fd };
    *out = (walk_result){ 0 };
    add_folder(&w, (rag_str){ 0 }, NULL);
    while (w.todo && !(opt->stop && atomic_load(opt->stop))) {
        folder *f = w.todo;
        w.todo = f->next;
        read_folder(&w, f);
    }
    if (out->n)
        qsort(out->files, out->n, sizeof *out->files, by_path);
    walk_file *files = rag_arena_array(arena, out->n + 1, sizeof *files);
    if (out->n)
        memcpy(files, out->files, out->n * sizeof *files);
    free(out->files);
    out->files = files;
    return w.todo ? rag_fail(err, RAG_CANCELED, "interrupted: nothing was published") : RAG_OK;
}
