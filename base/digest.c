#include "base/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/log.h"

static void demand(bool done, const char *what)
{
    if (!done) {
        rag_log(RAG_ERROR, "%s failed", what);
        abort();
    }
}

rag_sha256 rag_sha256_of(rag_str s)
{
    rag_sha256 d;
    demand(EVP_Digest(s.len ? s.ptr : "", s.len, d.bytes, NULL, EVP_sha256(), NULL) == 1, "SHA-256");
    return d;
}

static rag_code hash_fd(int fd, const char *path, EVP_MD_CTX *ctx, rag_err *err)
{
    char piece[64 * 1024];
    for (;;) {
        ssize_t n = read(fd, piece, sizeof piece);
        if (n == 0)
            return RAG_OK;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return rag_fail_errno(err, RAG_IO, errno, "cannot read '%s'", path);
        demand(EVP_DigestUpdate(ctx, piece, (size_t)n) == 1, "SHA-256");
    }
}

rag_code rag_sha256_file(const char *path, rag_sha256 *out, rag_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return rag_fail_errno(err, RAG_IO, errno, "cannot open '%s'", path);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    demand(ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1, "SHA-256");
    rag_code code = hash_fd(fd, path, ctx, err);
    if (code == RAG_OK)
        demand(EVP_DigestFinal_ex(ctx, out->bytes, NULL) == 1, "SHA-256");
    EVP_MD_CTX_free(ctx);
    close(fd);
    return code;
}

void rag_sha256_hex(const rag_sha256 *d, char out[65])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < sizeof d->bytes; i++) {
        out[2 * i] = digits[d->bytes[i] >> 4];
        out[2 * i + 1] = digits[d->bytes[i] & 15];
    }
    out[64] = '\0';
}

static int value_of_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool rag_sha256_parse(const char *hex, rag_sha256 *out)
{
    rag_sha256 d;
    if (strlen(hex) != 2 * sizeof d.bytes)
        return false;
    for (size_t i = 0; i < sizeof d.bytes; i++) {
        int high = value_of_digit(hex[2 * i]), low = value_of_digit(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        d.bytes[i] = (uint8_t)(high << 4 | low);
    }
    *out = d;
    return true;
}

uint64_t rag_xxh3(rag_str s, uint64_t seed)
{
    return XXH3_64bits_withSeed(s.len ? s.ptr : "", s.len, seed);
}

bool rag_equal_constant_time(rag_str a, rag_str b)
{
    return a.len == b.len && (a.len == 0 || CRYPTO_memcmp(a.ptr, b.ptr, a.len) == 0);
}

void rag_random(void *out, size_t bytes)
{
    char *next = out;
    while (bytes > 0) {
        ssize_t n = getrandom(next, bytes, 0);
        demand(n > 0 || errno == EINTR, "getrandom");
        if (n > 0) {
            next += n;
            bytes -= (size_t)n;
        }
    }
}
