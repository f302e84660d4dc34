/* base/digest.h: SHA-256 for identity, XXH3 for checksums and keys.  The only user of
 * libcrypto's digests and of xxHash.
 *
 * Threads: pure. */
#ifndef RAG_BASE_DIGEST_H
#define RAG_BASE_DIGEST_H

#include "base/err.h"
#include "base/str.h"

typedef struct rag_sha256 {
    uint8_t bytes[32];
} rag_sha256;

rag_sha256 rag_sha256_of(rag_str s);
/* Hashes a file of any size in pieces. */
rag_code rag_sha256_file(const char *path, rag_sha256 *out, rag_err *err);
void rag_sha256_hex(const rag_sha256 *d, char out[65]);
bool rag_sha256_parse(const char *hex, rag_sha256 *out);
/* 64-bit XXH3; seed chains pieces. */
uint64_t rag_xxh3(rag_str s, uint64_t seed);
/* Equal in constant time (bearer keys); false at once when lengths differ. */
bool rag_equal_constant_time(rag_str a, rag_str b);
/* Fills out with random bytes from the system. */
void rag_random(void *out, size_t bytes);

#endif
