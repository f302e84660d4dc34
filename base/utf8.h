/* base/utf8.h: strict UTF-8 (RFC 3629: no overlong forms, no surrogates, at most
 * U+10FFFF).  Pure functions. */
#ifndef RAG_BASE_UTF8_H
#define RAG_BASE_UTF8_H

#include "base/str.h"

/* Decodes the character at *pos (< s.len) and moves *pos behind it.  An invalid
 * byte yields U+FFFD and moves by one. */
uint32_t rag_utf8_next(rag_str s, size_t *pos);
/* Decodes the character that ends before *pos (> 0) and moves *pos to its start. */
uint32_t rag_utf8_prev(rag_str s, size_t *pos);
/* True when all of s is valid; else *bad (when not NULL) is the first bad byte's offset. */
bool rag_utf8_valid(rag_str s, size_t *bad);
/* Bytes written (1–4) for c into out. */
size_t rag_utf8_encode(uint32_t c, char out[4]);
/* The largest offset <= pos that does not lie inside a character. */
size_t rag_utf8_floor(rag_str s, size_t pos);
/* Length of s without a character that its end has cut in two. */
size_t rag_utf8_whole(rag_str s);
/* Number of characters. */
size_t rag_utf8_count(rag_str s);
/* Appends s to b as valid UTF-8 with C0/C1 controls, DEL and invalid bytes written as
 * \n, \t or \xHH: for logs and terminals. */
void rag_utf8_escape(rag_buf *b, rag_str s);

#endif
