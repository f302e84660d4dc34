/* conf/options.h: the table of options and what is read from a row of it.  Private to
 * the room.
 *
 * Threads: pure. */
#ifndef RAG_CONF_OPTIONS_H
#define RAG_CONF_OPTIONS_H

#include "base/err.h"
#include "base/str.h"

typedef enum option_kind {
    OPTION_STRING,
    OPTION_CHOICE,
    OPTION_PATH,
    OPTION_MODEL, /* a path; a bare name stands for a file in models.dir */
    OPTION_INT,
    OPTION_OCTAL,
    OPTION_SIZE,     /* bytes */
    OPTION_DURATION, /* milliseconds */
    OPTION_NUMBER,
    OPTION_BOOL,
} option_kind;

typedef struct option {
    const char *section, *key;
    option_kind kind;
    const char *fallback; /* as it would stand in conf/ragd.conf of a checkout */
    const char *system;   /* paths: the fallback where there is no checkout, or NULL */
    double min, max;      /* of what is a number; max AT_MOST_CORES is the machine's */
    const char *choices;  /* "a|b|c" */
    const char *off;      /* paths: the word that, like nothing, means unset; NULL: must be set */
    const char *help;     /* lines of a comment */
    /* Strings: why the value is wrong, or NULL when it is right. */
    const char *(*complain)(const char *text);
} option;

enum { AT_MOST_CORES = -1 };

/* The value that a text stands for, in the field that fits the option's kind. */
typedef struct option_value {
    int64_t integer;
    double number;
    bool unset;
} option_value;

extern const option option_table[];
extern const size_t n_options;

/* Row of "section.key"; SIZE_MAX when there is none. */
size_t option_find(const char *name);
/* The nearest name to one that is not in the table, or NULL when none is near; `room` >= 64 bytes. */
const char *option_nearest(const char *name, char *room);
bool option_section_exists(const char *section);

/* Reads text; RAG_CONFIG with a sentence that names the option when it does not fit. */
rag_code option_parse(const option *o, const char *text, option_value *out, rag_err *err);

bool option_is_path(const option *o);

#endif
