/* ingest/walk.h: the files of a folder.  Private to the room.
 *
 * Everything is opened relative to the root's descriptor, one component at a time and never through a symbolic link, so
 * that a folder that is swapped for a link meanwhile leads nowhere.  No recursion: depth is bounded by the
 * length of a path alone.  Files come in byte order of their paths. */
#ifndef RAG_INGEST_WALK_H
#define RAG_INGEST_WALK_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/err.h"
#include "ingest/ignore.h"
#include "ingest/ingest.h"

typedef struct walk_file {
    rag_str path;      /* relative to the root; NUL-terminated */
    rag_format format;
    int64_t size, mtime_ns, inode;
} walk_file;

typedef struct walk_options {
    const ignore_rule *include, *exclude;
    size_t n_include, n_exclude;
    /* One call for everything that could not be read; `path` is relative and may not be UTF-8. */
    void (*on_failure)(void *context, rag_str path, const char *code, const char *message);
    void *context;
    const atomic_bool *stop;
} walk_options;

typedef struct walk_result {
    walk_file *files;
    size_t n;
    int64_t skipped;   /* files of other types, links, devices, sockets, pipes */
    bool incomplete;   /* a folder could not be read: absence proves nothing */
} walk_result;

/* RAG_CANCELED when asked to stop. */
rag_code walk_folder(int root_fd, const walk_options *opt, rag_arena *arena, walk_result *out, rag_err *err);

/* Opens the folder at `path` ("" is the root), or -1 with errno. */
int walk_open_folder(int root_fd, rag_str path);

/* A file's facts as the walk gives them. */
struct stat;
void walk_take_stat(walk_file *file, const struct stat *st);

#endif
