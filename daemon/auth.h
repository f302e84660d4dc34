/* daemon/auth.h: bearer keys of the TCP door.
 *
 * A key file holds one key a line; blank lines and lines that begin with # are left out.  Keys are kept and
 * compared as SHA-256, in constant time.
 *
 * Threads: immutable once loaded. */
#ifndef RAG_DAEMON_AUTH_H
#define RAG_DAEMON_AUTH_H

#include "base/err.h"
#include "base/str.h"

typedef struct auth_keys auth_keys;

/* RAG_CONFIG when the file cannot be read, holds no key, or one with a space or control character. */
rag_code auth_load(auth_keys **out, const char *path, rag_err *err);
void auth_free(auth_keys *k); /* copes with NULL */
/* `header` is the value of Authorization. */
bool auth_accepts(const auth_keys *k, rag_str header);

/* A name for the caller behind a header that was accepted: of its key's hash, never the key. */
void auth_name(rag_str header, char *out, size_t size);

/* True when nobody but this machine can reach "ADDRESS:PORT", and for "off". */
bool auth_is_loopback(const char *listen);

#endif
