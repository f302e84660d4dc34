/* base/str.h: borrowed slices and bounded buffers.
 *
 * rag_str borrows bytes that somebody else owns; it is passed by value and never
 * freed.  rag_buf owns bytes and is born with a ceiling: growth past it sets
 * `overflow`, drops what did not fit, and is checked once at the end.
 *
 * Invariants of rag_buf: ptr[len] is NUL whenever ptr is not NULL; len <= max.
 * A small allocation that fails ends the process (see rag_alloc). */
#ifndef RAG_BASE_STR_H
#define RAG_BASE_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct rag_str {
    const char *ptr; /* may be NULL when len is 0; not NUL-terminated */
    size_t len;      /* bytes */
} rag_str;

/* Byte range [start, end) in a text. */
typedef struct rag_span {
    size_t start, end;
} rag_span;

#define RAG_STR(literal) ((rag_str){ "" literal, sizeof(literal) - 1 })
/* For printf's "%.*s". */
#define RAG_STR_ARG(s) (int)(s).len, (s).ptr ? (s).ptr : ""

rag_str rag_str_of(const char *c_string); /* NULL gives the empty slice */
rag_str rag_str_sub(rag_str s, size_t start, size_t end); /* clamped */
bool rag_str_eq(rag_str a, rag_str b);
bool rag_str_starts(rag_str s, rag_str prefix);
bool rag_str_ends(rag_str s, rag_str suffix);
rag_str rag_str_trim(rag_str s); /* ASCII white space at both ends */
/* Offset of needle in s from `from` on, or SIZE_MAX. */
size_t rag_str_find(rag_str s, rag_str needle, size_t from);

/* malloc, calloc, realloc, strdup that log and abort when memory is out.  Bound
 * any size that input chooses before calling. */
void *rag_alloc(size_t bytes);
void *rag_calloc(size_t count, size_t size);
void *rag_realloc(void *old, size_t bytes);
char *rag_strdup(const char *c_string);
char *rag_strndup(rag_str s);

typedef struct rag_buf {
    char *ptr;
    size_t len, cap, max;
    bool overflow;
} rag_buf;

/* Ceilings, all in one place (bytes). */
enum {
    RAG_MAX_LINE = 64 * 1024,             /* a log line, a configuration line */
    RAG_MAX_QUERY = 64 * 1024,            /* a question or query after JSON */
    RAG_MAX_PROMPT = 1024 * 1024,         /* a rendered prompt */
    RAG_MAX_REPLY = 16 * 1024 * 1024,     /* an HTTP reply body */
    RAG_MAX_TEXT = 256 * 1024 * 1024,     /* a stored text, above ingest.max_bytes */
};

void rag_buf_init(rag_buf *b, size_t max);
void rag_buf_free(rag_buf *b);  /* copes with zeroed and freed buffers */
void rag_buf_clear(rag_buf *b); /* keeps the memory, resets overflow */
void rag_buf_put(rag_buf *b, rag_str s);
void rag_buf_puts(rag_buf *b, const char *c_string);
void rag_buf_putc(rag_buf *b, char c);
void rag_buf_putf(rag_buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void rag_buf_truncate(rag_buf *b, size_t len);
rag_str rag_buf_str(const rag_buf *b);
/* Hands the bytes (NUL-terminated, to be freed by the caller) over and leaves the
 * buffer empty; never NULL. */
char *rag_buf_detach(rag_buf *b);

#endif
