/* fuzz/fuzz.h: what the targets share.
 *
 * A target is LLVMFuzzerTestOneInput over any bytes; it asserts a property that a header promises, with MUST,
 * which stays in release builds.  libFuzzer or replay.c calls it. */
#ifndef RAG_FUZZ_FUZZ_H
#define RAG_FUZZ_FUZZ_H

#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/unicode.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(holds) ((holds) ? (void)0 : must_fail(__FILE__, __LINE__, #holds))

static inline void must_fail(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
    abort();
}

static inline rag_str input_of(const uint8_t *data, size_t size)
{
    return (rag_str){ (const char *)data, size };
}

/* Cuts the first byte off, which chooses a variant; 0 when there is none. */
static inline uint8_t take_byte(rag_str *in)
{
    uint8_t byte = in->len ? (uint8_t)in->ptr[0] : 0;
    *in = rag_str_sub(*in, 1, in->len);
    return byte;
}

/* start <= end, inside text, neither inside a character. */
static inline bool is_range(rag_str text, size_t start, size_t end)
{
    return start <= end && end <= text.len && rag_utf8_floor(text, start) == start && rag_utf8_floor(text, end) == end;
}

static inline bool is_white(rag_str s)
{
    for (size_t pos = 0; pos < s.len;)
        if (!rag_unicode_is_space(rag_utf8_next(s, &pos)))
            return false;
    return true;
}

#endif
