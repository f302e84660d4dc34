#include "base/utf8.h"

#include <string.h>

enum { REPLACEMENT = 0xFFFD };

static const unsigned char *bytes_of(rag_str s)
{
    return (const unsigned char *)s.ptr;
}

static bool continues(unsigned char b)
{
    return (b & 0xC0) == 0x80;
}

/* Length of the valid character at p (n > 0 bytes there), 0 when it is invalid. */
static size_t decode(const unsigned char *p, size_t n, uint32_t *c)
{
    if (p[0] < 0x80) {
        *c = p[0];
        return 1;
    }
    if (p[0] >= 0xC2 && p[0] <= 0xDF && n >= 2 && continues(p[1])) {
        *c = (p[0] & 0x1Fu) << 6 | (p[1] & 0x3Fu);
        return 2;
    }
    if ((p[0] & 0xF0) == 0xE0 && n >= 3 && continues(p[1]) && continues(p[2])) {
        *c = (p[0] & 0x0Fu) << 12 | (p[1] & 0x3Fu) << 6 | (p[2] & 0x3Fu);
        return *c >= 0x800 && (*c < 0xD800 || *c > 0xDFFF) ? 3 : 0;
    }
    if (p[0] >= 0xF0 && p[0] <= 0xF4 && n >= 4 && continues(p[1]) && continues(p[2]) && continues(p[3])) {
        *c = (p[0] & 0x07u) << 18 | (p[1] & 0x3Fu) << 12 | (p[2] & 0x3Fu) << 6 | (p[3] & 0x3Fu);
        return *c >= 0x10000 && *c <= 0x10FFFF ? 4 : 0;
    }
    return 0;
}

uint32_t rag_utf8_next(rag_str s, size_t *pos)
{
    uint32_t c;
    size_t n = decode(bytes_of(s) + *pos, s.len - *pos, &c);
    *pos += n ? n : 1;
    return n ? c : REPLACEMENT;
}

uint32_t rag_utf8_prev(rag_str s, size_t *pos)
{
    size_t end = *pos;
    for (size_t n = 1; n <= 4 && n <= end; n++) {
        uint32_t c;
        if (decode(bytes_of(s) + end - n, n, &c) == n) {
            *pos = end - n;
            return c;
        }
    }
    *pos = end - 1;
    return REPLACEMENT;
}

static size_t skip_ascii(rag_str s, size_t pos)
{
    for (; pos + 8 <= s.len; pos += 8) {
        uint64_t word;
        memcpy(&word, s.ptr + pos, 8);
        if (word & 0x8080808080808080u)
            break;
    }
    return pos;
}

bool rag_utf8_valid(rag_str s, size_t *bad)
{
    for (size_t pos = skip_ascii(s, 0); pos < s.len;) {
        uint32_t c;
        size_t n = decode(bytes_of(s) + pos, s.len - pos, &c);
        if (!n) {
            if (bad)
                *bad = pos;
            return false;
        }
        pos += n;
        if (n == 1)
            pos = skip_ascii(s, pos);
    }
    return true;
}

size_t rag_utf8_encode(uint32_t c, char out[4])
{
    if (c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
        c = REPLACEMENT;
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3F));
        out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3F));
    out[2] = (char)(0x80 | (c >> 6 & 0x3F));
    out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

size_t rag_utf8_floor(rag_str s, size_t pos)
{
    if (pos >= s.len)
        return s.len;
    for (size_t back = 1; back <= 3 && back <= pos && continues(bytes_of(s)[pos - back + 1]); back++) {
        uint32_t c;
        size_t n = decode(bytes_of(s) + pos - back, s.len - (pos - back), &c);
        if (n)
            return n > back ? pos - back : pos;
    }
    return pos;
}

size_t rag_utf8_whole(rag_str s)
{
    for (size_t back = 1; back <= 3 && back <= s.len; back++) {
        unsigned char b = bytes_of(s)[s.len - back];
        size_t wants = b >= 0xF0 ? 4 : b >= 0xE0 ? 3 : b >= 0xC0 ? 2 : 1;
        if (!continues(b))
            return wants > back ? s.len - back : s.len;
    }
    return s.len;
}

size_t rag_utf8_count(rag_str s)
{
    size_t n = 0;
    for (size_t pos = 0; pos < s.len; n++)
        rag_utf8_next(s, &pos);
    return n;
}

static void escape_bytes(rag_buf *b, rag_str s)
{
    for (size_t i = 0; i < s.len; i++)
        rag_buf_putf(b, "\\x%02X", bytes_of(s)[i]);
}

void rag_utf8_escape(rag_buf *b, rag_str s)
{
    for (size_t pos = 0; pos < s.len;) {
        uint32_t c;
        size_t n = decode(bytes_of(s) + pos, s.len - pos, &c);
        rag_str piece = { s.ptr + pos, n ? n : 1 };
        if (n && c == '\n')
            rag_buf_puts(b, "\\n");
        else if (n && c == '\t')
            rag_buf_puts(b, "\\t");
        else if (!n || c < 0x20 || (c >= 0x7F && c <= 0x9F))
            escape_bytes(b, piece);
        else
            rag_buf_put(b, piece);
        pos += piece.len;
    }
}
