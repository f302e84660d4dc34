/* daemon/fields.h: reading a request's JSON object strictly.
 *
 * Every reader leaves *out as it is when the key is absent, and on a wrong value writes the problem (once, the
 * first one stays) and returns false.
 *
 * Threads: pure. */
#ifndef RAG_DAEMON_FIELDS_H
#define RAG_DAEMON_FIELDS_H

#include "daemon/json.h"

/* What the client did wrong, or what we could not do: becomes the error object. */
typedef struct problem {
    int status; /* 0: none */
    const char *code;
    char message[320];
    char param[96]; /* "" for none */
    int retry_after_s;
} problem;

/* Writes p unless it holds a problem already; always returns false. */
bool problem_set(problem *p, int status, const char *code, const char *param, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

typedef struct fields {
    const cJSON *object;
    const char *prefix; /* "sampling." for a nested object, else "" */
    problem *bad;
} fields;

/* Refuses what is not an object (400 "invalid_type") and unknown keys (400 "unknown_key"). `keys` ends
 * with NULL. */
bool fields_open(fields *f, const cJSON *json, const char *prefix, const char *const *keys, problem *bad);
bool fields_has(const fields *f, const char *key);
/* 400 "missing_field" when absent. */
bool fields_require(const fields *f, const char *key);
/* Borrowed from the tree.  413 with too_long_code above max_bytes. */
bool fields_str(const fields *f, const char *key, size_t max_bytes, const char *too_long_code, rag_str *out);
/* A list of one to max_items strings of 1 to max_bytes bytes each, copied to the arena; with or_one also a string alone.
 * 400 "invalid_type", "invalid_value". */
bool fields_strs(const fields *f, const char *key, bool or_one, size_t max_items, size_t max_bytes, rag_arena *arena,
                 const rag_str **out, size_t *n);
bool fields_int(const fields *f, const char *key, int64_t min, int64_t max, int64_t *out);
bool fields_num(const fields *f, const char *key, double min, double max, double *out);
bool fields_bool(const fields *f, const char *key, bool *out);
/* *out becomes the index in `names`, which ends with NULL; 400 "unsupported_value" else. */
bool fields_choice(const fields *f, const char *key, const char *const *names, int *out);

#endif
