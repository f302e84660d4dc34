#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/utf8.h"

rag_str rag_str_of(const char *c_string)
{
    return (rag_str){ c_string, c_string ? strlen(c_string) : 0 };
}

rag_str rag_str_sub(rag_str s, size_t start, size_t end)
{
    if (end > s.len)
        end = s.len;
    if (start > end)
        start = end;
    return (rag_str){ s.ptr ? s.ptr + start : NULL, end - start };
}

bool rag_str_eq(rag_str a, rag_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool rag_str_starts(rag_str s, rag_str prefix)
{
    return s.len >= prefix.len && rag_str_eq(rag_str_sub(s, 0, prefix.len), prefix);
}

bool rag_str_ends(rag_str s, rag_str suffix)
{
    return s.len >= suffix.len && rag_str_eq(rag_str_sub(s, s.len - suffix.len, s.len), suffix);
}

static bool is_ascii_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

rag_str rag_str_trim(rag_str s)
{
    size_t start = 0, end = s.len;
    while (start < end && is_ascii_space(s.ptr[start]))
        start++;
    while (end > start && is_ascii_space(s.ptr[end - 1]))
        end--;
    return rag_str_sub(s, start, end);
}

size_t rag_str_find(rag_str s, rag_str needle, size_t from)
{
    if (from > s.len || needle.len > s.len - from)
        return SIZE_MAX;
    if (needle.len == 0)
        return from;
    const char *hit = memmem(s.ptr + from, s.len - from, needle.ptr, needle.len);
    return hit ? (size_t)(hit - s.ptr) : SIZE_MAX;
}

static void *checked(void *memory, size_t bytes)
{
    if (!memory) {
        rag_log(RAG_ERROR, "out of memory: cannot get %zu bytes", bytes);
        abort();
    }
    return memory;
}

void *rag_alloc(size_t bytes)
{
    return checked(malloc(bytes ? bytes : 1), bytes);
}

void *rag_calloc(size_t count, size_t size)
{
    bool empty = count == 0 || size == 0;
    return checked(empty ? calloc(1, 1) : calloc(count, size), empty ? 0 : size);
}

void *rag_realloc(void *old, size_t bytes)
{
    return checked(realloc(old, bytes ? bytes : 1), bytes);
}

char *rag_strdup(const char *c_string)
{
    return rag_strndup(rag_str_of(c_string));
}

char *rag_strndup(rag_str s)
{
    char *copy = rag_alloc(s.len + 1);
    if (s.len)
        memcpy(copy, s.ptr, s.len);
    copy[s.len] = '\0';
    return copy;
}

enum { SMALLEST_CAP = 64 };

void rag_buf_init(rag_buf *b, size_t max)
{
    /* Half of the address space at most, so that max + 1 and doubling cannot wrap. */
    *b = (rag_buf){ .max = max < SIZE_MAX / 2 ? max : SIZE_MAX / 2 - 1 };
}

void rag_buf_free(rag_buf *b)
{
    free(b->ptr);
    *b = (rag_buf){ .max = b->max };
}

void rag_buf_clear(rag_buf *b)
{
    b->len = 0;
    b->overflow = false;
    if (b->ptr)
        b->ptr[0] = '\0';
}

/* Makes room for `more` bytes and the NUL; more <= max - len. */
static void make_room(rag_buf *b, size_t more)
{
    size_t need = b->len + more + 1;
    if (need <= b->cap)
        return;
    size_t cap = b->cap < SMALLEST_CAP ? SMALLEST_CAP : b->cap;
    while (cap < need)
        cap *= 2;
    if (cap > b->max + 1)
        cap = b->max + 1;
    b->ptr = rag_realloc(b->ptr, cap);
    b->cap = cap;
}

void rag_buf_put(rag_buf *b, rag_str s)
{
    if (b->overflow || s.len == 0)
        return;
    if (s.len > b->max - b->len) {
        b->overflow = true;
        s.len = rag_utf8_floor(s, b->max - b->len);
        if (s.len == 0)
            return;
    }
    make_room(b, s.len);
    memcpy(b->ptr + b->len, s.ptr, s.len);
    b->len += s.len;
    b->ptr[b->len] = '\0';
}

void rag_buf_puts(rag_buf *b, const char *c_string)
{
    rag_buf_put(b, rag_str_of(c_string));
}

void rag_buf_putc(rag_buf *b, char c)
{
    rag_buf_put(b, (rag_str){ &c, 1 });
}

static int format_into(rag_buf *b, const char *format, va_list args)
{
    size_t room = b->cap > b->len ? b->cap - b->len : 0;
    return vsnprintf(room ? b->ptr + b->len : NULL, room, format, args);
}

void rag_buf_putf(rag_buf *b, const char *format, ...)
{
    if (b->overflow)
        return;
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int wanted = format_into(b, format, args);
    size_t more = wanted > 0 ? (size_t)wanted : 0;
    size_t fits = more < b->max - b->len ? more : b->max - b->len;
    if (fits && b->len + fits + 1 > b->cap) {
        make_room(b, fits);
        format_into(b, format, again);
    }
    if (fits < more) {
        b->overflow = true;
        fits = fits ? rag_utf8_whole((rag_str){ b->ptr + b->len, fits }) : 0;
    }
    b->len += fits;
    if (b->ptr)
        b->ptr[b->len] = '\0';
    va_end(again);
    va_end(args);
}

void rag_buf_truncate(rag_buf *b, size_t len)
{
    if (len >= b->len)
        return;
    b->len = len;
    b->ptr[len] = '\0';
}

rag_str rag_buf_str(const rag_buf *b)
{
    return (rag_str){ b->ptr, b->len };
}

char *rag_buf_detach(rag_buf *b)
{
    char *bytes = b->ptr ? b->ptr : rag_strdup("");
    *b = (rag_buf){ .max = b->max };
    return bytes;
}
