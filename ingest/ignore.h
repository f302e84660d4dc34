/* ingest/ignore.h: .ragdignore, --include and --exclude.  Private to the room.
 *
 * Patterns are those of gitignore(5): `*` and `?` do not match a slash, `**` does; a pattern with a slash before its end is
 * anchored to its folder, another one matches at any depth; a slash at the end means folders only; `!` takes back;
 * the last match wins, and a nearer file outranks a farther one. */
#ifndef RAG_INGEST_IGNORE_H
#define RAG_INGEST_IGNORE_H

#include "base/arena.h"

/* True when pattern matches all of path; linear in both but for `*`, which is quadratic at worst. */
bool glob_match(rag_str pattern, rag_str path);

typedef struct ignore_rule {
    rag_str pattern;
    bool anchored, only_folders, takes_back;
} ignore_rule;

/* The rules of one folder; `base` is its path relative to the root, "" or ending in a slash. */
typedef struct ignore_rules {
    const struct ignore_rules *outer;
    rag_str base;
    const ignore_rule *rules;
    size_t n;
} ignore_rules;

/* One rule from one line; false when it holds none. */
bool ignore_parse(rag_str line, ignore_rule *out);
/* The rules of a whole file, in the arena. */
ignore_rules *ignore_parse_file(rag_str text, rag_str base, const ignore_rules *outer, rag_arena *arena);
/* Whether the rules leave `path` (relative to the root) out; its parent folders were asked before. */
bool ignore_matches(const ignore_rules *rules, rag_str path, bool is_folder);
/* Whether the rule names `path` or a folder that it lies in. */
bool ignore_covers(const ignore_rule *rule, rag_str path);

#endif
