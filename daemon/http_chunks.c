#include <string.h>

#include "daemon/http_head.h"

enum { MAX_CHUNK_LINE = 256, MAX_TRAILER = 8192, MAX_SIZE_DIGITS = 16 };

static http_progress bad(http_fault *fault, const char *message)
{
    http_refuse(fault, 400, "malformed_chunk", message);
    return HTTP_BAD;
}

/* Finds CRLF at or behind `from`; a CR or LF alone is refused. */
static http_progress take_line(rag_str bytes, size_t from, size_t max, rag_str *line, http_fault *fault)
{
    for (size_t i = from; i < bytes.len; i++) {
        if (i - from > max)
            return bad(fault, "a chunk line is too long");
        if (bytes.ptr[i] == '\n')
            return bad(fault, "a LF stands without CR");
        if (bytes.ptr[i] != '\r')
            continue;
        if (i + 1 == bytes.len)
            return HTTP_MORE;
        if (bytes.ptr[i + 1] != '\n')
            return bad(fault, "a CR stands without LF");
        *line = rag_str_sub(bytes, from, i);
        return HTTP_READY;
    }
    return HTTP_MORE;
}

static bool read_size(rag_str line, uint64_t *out)
{
    size_t i = 0;
    for (*out = 0; i < line.len && i < MAX_SIZE_DIGITS; i++) {
        char c = line.ptr[i], low = (char)(c | 0x20);
        int digit = c >= '0' && c <= '9' ? c - '0' : low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
        if (digit < 0)
            break;
        *out = *out * 16 + (uint64_t)digit;
    }
    return i && (i == line.len || line.ptr[i] == ';') && http_text_valid(line);
}

static http_progress start_chunk(http_chunks *d, rag_str bytes, size_t *used, const rag_buf *body, http_fault *fault)
{
    rag_str line;
    http_progress p = take_line(bytes, *used, MAX_CHUNK_LINE, &line, fault);
    if (p != HTTP_READY)
        return p;
    if (!read_size(line, &d->left))
        return bad(fault, "a chunk size is not valid");
    if (d->left > body->max - body->len)
        return http_refuse(fault, 413, "body_too_large", "the body is too large"), HTTP_BAD;
    *used += line.len + 2;
    d->state = d->left ? CHUNK_DATA : CHUNK_TRAILER;
    return HTTP_READY;
}

static http_progress copy_data(http_chunks *d, rag_str bytes, size_t *used, rag_buf *body)
{
    size_t n = bytes.len - *used < d->left ? bytes.len - *used : (size_t)d->left;
    rag_buf_put(body, rag_str_sub(bytes, *used, *used + n));
    *used += n;
    d->left -= n;
    if (d->left)
        return HTTP_MORE;
    d->state = CHUNK_DATA_END;
    return HTTP_READY;
}

static http_progress end_chunk(http_chunks *d, rag_str bytes, size_t *used, http_fault *fault)
{
    static const char expected[2] = "\r\n";
    size_t n = bytes.len - *used < 2 ? bytes.len - *used : 2;
    if (memcmp(bytes.ptr + *used, expected, n) != 0)
        return bad(fault, "a chunk does not end where its size says");
    if (n < 2)
        return HTTP_MORE;
    *used += 2;
    d->state = CHUNK_SIZE;
    return HTTP_READY;
}

/* Trailers are checked and dropped. */
static http_progress take_trailer(http_chunks *d, rag_str bytes, size_t *used, bool *last, http_fault *fault)
{
    rag_str line;
    http_field ignored;
    http_progress p = take_line(bytes, *used, MAX_TRAILER - d->trailer_bytes, &line, fault);
    if (p != HTTP_READY)
        return p;
    if (line.len && !http_field_parse(line, &ignored, fault))
        return HTTP_BAD;
    *used += line.len + 2;
    d->trailer_bytes += line.len;
    *last = !line.len;
    return HTTP_READY;
}

http_progress http_chunks_read(http_chunks *d, rag_str bytes, size_t *used, rag_buf *body, http_fault *fault)
{
    http_progress p = HTTP_READY;
    bool last = false;
    *used = 0;
    while (p == HTTP_READY && !last)
        switch (d->state) {
        case CHUNK_SIZE: p = start_chunk(d, bytes, used, body, fault); break;
        case CHUNK_DATA: p = copy_data(d, bytes, used, body); break;
        case CHUNK_DATA_END: p = end_chunk(d, bytes, used, fault); break;
        case CHUNK_TRAILER: p = take_trailer(d, bytes, used, &last, fault); break;
        }
    return p;
}
