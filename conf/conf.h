/* conf/conf.h: the configuration.
 *
 * Every option is one row of the table in options.c: section, key, kind, unit, range,
 * default and the sentences that explain it.  Parsing, limits, errors, `-T` and the
 * commented conf/ragd.conf all come from that table.
 *
 * Precedence: --set > environment RAGD_SECTION__KEY > conf.d/ next to the file, *.conf in byte
 * order > the file > built-in.  Unknown section or key, bad value or unit, value out of range and an
 * over-long line are errors that name file and line (or the flag, or the variable).
 *
 * Without a file named: conf/ragd.conf of the checkout that the running binary was built in (two folders
 * above build/bin/), then /etc/ragd/ragd.conf, then built-in values alone.
 *
 * Relative paths in a file resolve against the folder above conf/ when the file lies in a folder
 * named "conf", else against the file's folder; those in --set and the environment against
 * the working directory; built-in ones against the checkout, or are the absolute
 * system ones (/var/lib/ragd, /run/ragd/ragd.sock) when there is no checkout.
 *
 * A model's name without a slash is a file in models.dir, wherever it was given.  unix.path lies in
 * storage.dir when only that was given.  Paths that may be unset are so when empty or "off" ("none" for
 * models); http.listen keeps its "off".
 *
 * Threads: a loaded configuration is immutable. Only the programs' main files use this room;
 * other rooms take plain option structs. */
#ifndef RAG_CONF_CONF_H
#define RAG_CONF_CONF_H

#include <stdio.h>

#include "base/err.h"
#include "base/str.h"

typedef struct rag_conf rag_conf;

typedef struct rag_conf_options {
    const char *file;        /* -c FILE, or NULL for the search order above */
    const char *const *sets; /* "section.key=value", in order */
    size_t n_sets;
} rag_conf_options;

/* One [source NAME] section: a folder that `ragd-ingest` without arguments reads. */
typedef struct rag_conf_source {
    const char *name;
    const char *path;       /* resolved; required */
    const char *collection; /* "default" when not given */
    const char *groups;     /* comma-separated, "" when not given */
    const char *prefix;     /* "" when not given */
    const char *url;        /* prefix of the originals' addresses, "" when not given */
} rag_conf_source;

/* All errors are RAG_CONFIG. */
rag_code rag_conf_load(rag_conf **out, const rag_conf_options *opt, rag_err *err);
void rag_conf_free(rag_conf *c);

/* `name` is "section.key"; a name that is not in the table, or of another kind, aborts:
 * that is a slip of ours, not of the user.  Strings live as long as c. */
const char *rag_conf_string(const rag_conf *c, const char *name); /* strings, choices */
const char *rag_conf_path(const rag_conf *c, const char *name);   /* absolute; "" when unset */
int64_t rag_conf_int(const rag_conf *c, const char *name);        /* integers; sizes in bytes; durations in ms */
double rag_conf_number(const rag_conf *c, const char *name);
bool rag_conf_bool(const rag_conf *c, const char *name);

size_t rag_conf_source_count(const rag_conf *c);
const rag_conf_source *rag_conf_source_at(const rag_conf *c, size_t i);

/* The file that was read, or "" for built-in values alone. */
const char *rag_conf_file(const rag_conf *c);
/* The checkout the binary runs from, or "". */
const char *rag_conf_checkout(const rag_conf *c);

/* `-T`: section.key = value    # origin (file:line, flag, environment, built-in) */
void rag_conf_print_effective(const rag_conf *c, FILE *out);
/* The commented example that states every default; conf/ragd.conf is its output, and a test compares them. */
void rag_conf_print_example(FILE *out);

#endif
