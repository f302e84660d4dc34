/* ingest/cli.h: the command line of ragd-ingest, and what it prints.  Part of the program, not of the room.
 *
 * cJSON is used in report.c alone. */
#ifndef RAG_INGEST_CLI_H
#define RAG_INGEST_CLI_H

#include <stdio.h>

#include "conf/conf.h"
#include "ingest/ingest.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_PARTIAL = 5, EXIT_DENIED = 6, EXIT_BUSY = 75, EXIT_CONFIG = 78 };

typedef enum progress_kind { PROGRESS_AUTO, PROGRESS_BAR, PROGRESS_JSON, PROGRESS_NONE } progress_kind;

typedef struct string_list {
    const char **items;
    size_t n;
} string_list;

typedef struct cli {
    const char *file;                /* -c */
    string_list sets, include, exclude, paths;
    const char *collection, *groups, *prefix, *url;
    bool keep_missing, full, dry_run, allow_removal, adopt, watch, json, help, version;
    progress_kind progress;
} cli;

/* RAG_INVALID with a sentence for a wrong command line.  Free it in any case. */
rag_code cli_parse(cli *c, int argc, char **argv, rag_err *err);
void cli_free(cli *c);
void cli_print_help(FILE *out);

/* ---- progress ---------------------------------------------------------------------- */

typedef struct progress {
    progress_kind kind;  /* never PROGRESS_AUTO */
    double shown_ms;     /* when a line was written last */
    bool is_bar_shown;
} progress;

void progress_init(progress *p, progress_kind kind);
void progress_show(void *context, const rag_ingest_progress *at);
void progress_failure(void *context, const rag_ingest_failure *f);
void progress_end(progress *p);

/* ---- reports ----------------------------------------------------------------------- */

/* One line of JSON each; `error` may be NULL. */
void report_json(FILE *out, const rag_ingest_summary *s, const rag_err *error);
void report_progress_json(FILE *out, const rag_ingest_progress *at);
void report_text(FILE *out, const rag_ingest_summary *s, bool dry_run);

#endif
