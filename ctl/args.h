/* ctl/args.h: the command line, from tables.
 *
 * Every command and every option is one row.  Parsing, its errors, --help, the shell
 * completions and the request that goes to the daemon all come from these rows.
 *
 * Options may stand before or after the command and its operands; "--" ends them.  Both
 * "--name VALUE" and "--name=VALUE" are understood.
 *
 * Threads: the tables are immutable, a parsed line belongs to its caller. */
#ifndef RAG_CTL_ARGS_H
#define RAG_CTL_ARGS_H

#include <cjson/cJSON.h>

#include "base/err.h"

typedef enum option_kind {
    OPTION_FLAG,
    OPTION_STRING,
    OPTION_FILE,   /* a string that shells complete as a file name */
    OPTION_INT,
    OPTION_NUMBER,
    OPTION_CHOICE, /* `value` lists them: "auto|extract" */
    OPTION_LIST,   /* names with commas between them; sent as a list */
    OPTION_TIME,   /* RFC 3339 in UTC, or a date alone: its first moment */
} option_kind;

typedef struct option_row {
    const char *name;  /* without "--" */
    option_kind kind;
    const char *value; /* what help calls the value; NULL for a flag */
    const char *key;   /* the request's key, "sampling.seed" for a nested one; NULL: not sent */
    const char *help;
    char letter;       /* short form, or 0 */
} option_row;

struct ctl;
struct args;

typedef struct command_row {
    const char *name; /* one word or two: "docs ls" */
    const char *operands;
    const char *summary;
    const option_row *options; /* ends with a NULL name */
    int min_operands, max_operands;
    int (*run)(struct ctl *c, const struct args *a); /* returns the exit code */
} command_row;

enum { ARGS_MAX_OPTIONS = 32, ARGS_MAX_SETS = 64 };

typedef struct args {
    const command_row *command; /* NULL when none was named */
    const char *values[ARGS_MAX_OPTIONS]; /* by row of command->options; "" for a flag, NULL when absent */
    const char *globals[ARGS_MAX_OPTIONS]; /* by row of args_globals */
    const char *sets[ARGS_MAX_SETS];
    size_t n_sets;
    const char **operands; /* to be freed with args_free; the strings are argv's */
    int n_operands;
} args;

/* The tables, in command.c. */
extern const option_row args_globals[];
extern const command_row args_commands[];

/* RAG_INVALID, with a sentence for the user, on anything that the tables do not hold. */
rag_code args_parse(args *out, int argc, char **argv, rag_err *err);
void args_free(args *a);

/* The value of an option of the command or of a global one; NULL when absent. */
const char *args_value(const args *a, const char *name);
/* An option of kind OPTION_INT within [min, max]. */
rag_code args_int(const args *a, const char *name, long fallback, long min, long max, long *out, rag_err *err);
/* Adds every given option that has a key to the request. */
void args_request(const args *a, cJSON *request);

#endif
