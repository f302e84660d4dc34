/* daemon/auth.c */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/digest.h"
#include "base/file.h"
#include "daemon/auth.h"

enum { MAX_KEYS = 1000, MAX_FILE = 1024 * 1024 };

struct auth_keys {
    size_t n;
    rag_sha256 digests[MAX_KEYS];
};

static bool is_plain(rag_str key)
{
    for (size_t i = 0; i < key.len; i++)
        if ((unsigned char)key.ptr[i] <= ' ' || key.ptr[i] == 0x7F)
            return false;
    return true;
}

static rag_code add_line(auth_keys *k, rag_str line, const char *path, size_t number, rag_err *err)
{
    line = rag_str_trim(line);
    if (line.len == 0 || line.ptr[0] == '#')
        return RAG_OK;
    if (!is_plain(line))
        return rag_fail(err, RAG_CONFIG, "key file '%s', line %zu: a key holds no spaces", path, number);
    if (k->n == MAX_KEYS)
        return rag_fail(err, RAG_CONFIG, "key file '%s' holds more than %d keys", path, MAX_KEYS);
    k->digests[k->n++] = rag_sha256_of(line);
    return RAG_OK;
}

static rag_code add_lines(auth_keys *k, rag_str text, const char *path, rag_err *err)
{
    rag_code code = RAG_OK;
    size_t number = 1;
    for (size_t at = 0; code == RAG_OK && at < text.len; number++) {
        size_t end = rag_str_find(text, RAG_STR("\n"), at);
        end = end == SIZE_MAX ? text.len : end;
        code = add_line(k, rag_str_sub(text, at, end), path, number, err);
        at = end + 1;
    }
    if (code == RAG_OK && k->n == 0)
        return rag_fail(err, RAG_CONFIG, "key file '%s' holds no key", path);
    return code;
}

rag_code auth_load(auth_keys **out, const char *path, rag_err *err)
{
    rag_buf text;
    auth_keys *k = rag_calloc(1, sizeof *k);
    rag_buf_init(&text, MAX_FILE);
    rag_code code = rag_file_read(path, &text, err);
    if (code == RAG_OK)
        code = add_lines(k, rag_buf_str(&text), path, err);
    if (text.ptr)
        explicit_bzero(text.ptr, text.len);
    rag_buf_free(&text);
    if (code == RAG_OK) {
        *out = k;
        return RAG_OK;
    }
    free(k);
    if (err)
        err->code = RAG_CONFIG;
    return RAG_CONFIG;
}

void auth_free(auth_keys *k)
{
    free(k);
}

static bool hash_of(rag_str header, rag_sha256 *out)
{
    static const char scheme[] = "bearer ";
    size_t n = sizeof scheme - 1;
    if (header.len <= n || strncasecmp(header.ptr, scheme, n) != 0)
        return false;
    *out = rag_sha256_of(rag_str_trim(rag_str_sub(header, n, header.len)));
    return true;
}

bool auth_accepts(const auth_keys *k, rag_str header)
{
    rag_sha256 given;
    if (!hash_of(header, &given))
        return false;
    bool is_known = false; /* every key is looked at, whichever fits */
    for (size_t i = 0; i < k->n; i++)
        is_known |= rag_equal_constant_time((rag_str){ (const char *)given.bytes, sizeof given.bytes },
                                            (rag_str){ (const char *)k->digests[i].bytes, sizeof given.bytes });
    return is_known;
}

void auth_name(rag_str header, char *out, size_t size)
{
    rag_sha256 hash;
    char hex[65] = "";
    if (hash_of(header, &hash))
        rag_sha256_hex(&hash, hex);
    snprintf(out, size, "key:%.16s", hex);
}

bool auth_is_loopback(const char *listen)
{
    char host[64];
    struct in_addr v4;
    struct in6_addr v6;
    const char *colon = strrchr(listen, ':');
    if (strcmp(listen, "off") == 0)
        return true;
    size_t n = colon ? (size_t)(colon - listen) : strlen(listen);
    if (n == 0 || n >= sizeof host)
        return false;
    bool is_bracketed = listen[0] == '[' && listen[n - 1] == ']';
    memcpy(host, listen + is_bracketed, n - 2 * is_bracketed);
    host[n - 2 * is_bracketed] = '\0';
    if (strcmp(host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}
