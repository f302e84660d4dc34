/* daemon/http_head.h: one HTTP/1.1 request, strictly.
 *
 * The bytes of a connection are read here and nowhere else: the head (request line and fields,
 * RFC 9112), the target (RFC 3986) and a chunked body.  What two parsers might read in
 * two ways is refused, and the connection is closed behind it.  libevent's evhttp and Debian's
 * http-parser both accept some of it (a space before a colon, folded lines, a bare LF, two Hosts, "HTTP/1.9").
 *
 * Threads: pure functions; state is the caller's. */
#ifndef RAG_DAEMON_HTTP_HEAD_H
#define RAG_DAEMON_HTTP_HEAD_H

#include "base/arena.h"
#include "base/str.h"
#include "daemon/http.h"

/* Why a request is refused: what goes into the error object.  The strings are literals, or live in
 * the arena. */
typedef struct http_fault {
    int status;
    const char *code, *message, *param; /* param may be NULL */
} http_fault;

typedef enum http_progress {
    HTTP_MORE,  /* more bytes are needed */
    HTTP_READY, /* complete */
    HTTP_BAD,   /* the fault says why */
} http_progress;

typedef struct http_field {
    rag_str name, value;
} http_field;

enum { HTTP_MAX_FIELDS = 100, HTTP_MAX_PARAMS = 32 };

typedef struct http_head {
    http_method method;
    int minor;                /* HTTP/1.minor: 0 or 1 */
    rag_str path;             /* decoded */
    http_field *params;       /* decoded; names are NUL-terminated */
    size_t n_params;
    http_field *fields;
    size_t n_fields;
    bool chunked;
    uint64_t content_length;  /* UINT64_MAX when it says more */
    bool keep_alive;
    bool expects_continue;
} http_head;

/* Where the search for a head's end stands; zero before the first byte. */
typedef struct http_scan {
    size_t at, line;
} http_scan;

/* Looks for the end of a head at the start of bytes, from where the last call stopped.  Line ends,
 * control characters and, once it is there, the request line are checked on the way, so that
 * nonsense is answered at once.  HTTP_READY: the head is bytes[0, scan->at). */
http_progress http_head_find(rag_str bytes, http_scan *scan, http_fault *fault);

/* Reads a head that http_head_find found.  Slices point into head or the arena.  On false, method and
 * minor are set when the request line could be read. */
bool http_head_parse(rag_str head, rag_arena *arena, http_head *out, http_fault *fault);
/* The first field of that name (any case), or NULL. */
const http_field *http_head_field(const http_head *h, const char *name);
/* True when a comma-separated list, in any field of that name, holds the token (any case). */
bool http_head_lists(const http_head *h, const char *name, const char *token);

/* Reads a request target of origin, absolute or asterisk form; *authority is empty except for the
 * absolute form.  In parameters "+" is a space. */
bool http_target_parse(rag_str target, rag_arena *arena, http_head *out, rag_str *authority, http_fault *fault);
/* reg-name, IPv4 or bracketed literal, and an optional port. */
bool http_authority_valid(rag_str authority);

/* One line of a head or trailer without its end: name ":" value. */
bool http_field_parse(rag_str line, http_field *out, http_fault *fault);
/* Printable, tab or above 0x7F. */
bool http_text_valid(rag_str s);

/* A chunked body's decoder; zero before the first byte. */
typedef struct http_chunks {
    enum { CHUNK_SIZE, CHUNK_DATA, CHUNK_DATA_END, CHUNK_TRAILER } state;
    uint64_t left;         /* bytes of the chunk still to come */
    size_t trailer_bytes;
} http_chunks;

/* Takes what it can from bytes, appends the data to body (its ceiling is the limit: 413 above), and sets *used. */
http_progress http_chunks_read(http_chunks *d, rag_str bytes, size_t *used, rag_buf *body, http_fault *fault);

bool http_refuse(http_fault *fault, int status, const char *code, const char *message); /* returns false */

#endif
