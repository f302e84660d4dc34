/* base/err.h: the error value.
 *
 * An error is a small copyable value: a code that some caller acts on and one
 * sentence for a person.  It is passed by pointer, written once by the deepest
 * layer that knows what failed, handed up unchanged, and logged once at the top.
 *
 * Sentences: lower case, no full stop, the failure first, the name in quotes:
 *     cannot open 'kb.db': disk is full
 *
 * Threads: a plain value; no shared state.  `err` may be NULL everywhere. */
#ifndef RAG_BASE_ERR_H
#define RAG_BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>

typedef enum rag_code {
    RAG_OK = 0,
    RAG_NOT_FOUND,   /* no such document, chunk, generation, file: HTTP 404 */
    RAG_INVALID,     /* the caller's input is wrong: HTTP 400, exit 2 */
    RAG_TOO_LARGE,   /* the caller's input is over a limit: HTTP 413 */
    RAG_UNSUPPORTED, /* a file type or feature that is not handled: skipped, HTTP 501 */
    RAG_DENIED,      /* no right to it: HTTP 403, exit 6 */
    RAG_CONFIG,      /* the configuration or the model does not fit: exit 78 */
    RAG_BUSY,        /* somebody else holds the lock: exit 75 */
    RAG_FULL,        /* disk, queue or slots are full: HTTP 503 or 507 */
    RAG_CANCELED,    /* the caller asked to stop */
    RAG_DEADLINE,    /* out of time */
    RAG_CORRUPT,     /* stored data does not agree with itself: rebuild or refuse */
    RAG_UNREACHABLE, /* no daemon at the other end: exit 3 */
    RAG_IO,          /* the system said no: exit 1, HTTP 500 */
} rag_code;

typedef struct rag_err {
    rag_code code;
    char message[320]; /* NUL-terminated UTF-8, cut at a character */
} rag_err;

/* Writes code and sentence into err (when not NULL) and returns code, so that a
 * function can end with `return rag_fail(err, RAG_IO, "cannot open '%s'", p)`. */
rag_code rag_fail(rag_err *err, rag_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same with ": " and strerror(errno_value) appended; ENOSPC and EDQUOT turn
 * code into RAG_FULL, ENOENT into RAG_NOT_FOUND. */
rag_code rag_fail_errno(rag_err *err, rag_code code, int errno_value, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Short stable name of a code for JSON and logs: "not_found", "io", … */
const char *rag_code_name(rag_code code);

#endif
