#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#if defined(__SANITIZE_ADDRESS__) && !defined(RAG_ARENA_DEBUG)
#define RAG_ARENA_DEBUG 1
#endif

_Noreturn static void refuse_size(void)
{
    rag_log(RAG_ERROR, "arena: size overflows");
    abort();
}

#ifdef RAG_ARENA_DEBUG

struct rag_arena {
    void **pieces;
    size_t n_pieces, cap, bytes;
};

rag_arena *rag_arena_new(void)
{
    return rag_calloc(1, sizeof(rag_arena));
}

void rag_arena_reset(rag_arena *a)
{
    for (size_t i = 0; i < a->n_pieces; i++)
        free(a->pieces[i]);
    a->n_pieces = 0;
    a->bytes = 0;
}

void rag_arena_free(rag_arena *a)
{
    if (!a)
        return;
    rag_arena_reset(a);
    free(a->pieces);
    free(a);
}

void *rag_arena_alloc(rag_arena *a, size_t bytes)
{
    if (a->n_pieces == a->cap) {
        a->cap = a->cap ? a->cap * 2 : 32;
        a->pieces = rag_realloc(a->pieces, a->cap * sizeof *a->pieces);
    }
    void *piece = rag_calloc(1, bytes);
    a->pieces[a->n_pieces++] = piece;
    a->bytes += bytes;
    return piece;
}

#else

enum { FIRST_BLOCK = 8 * 1024, LARGEST_BLOCK = 1024 * 1024, ALIGN = alignof(max_align_t) };

typedef struct block {
    struct block *next;
    size_t used, cap;
    alignas(max_align_t) char data[];
} block;

struct rag_arena {
    block *blocks; /* newest first; the last one is kept by a reset */
    size_t bytes;
};

static block *add_block(rag_arena *a, size_t at_least)
{
    size_t cap = a->blocks ? a->blocks->cap * 2 : FIRST_BLOCK;
    if (cap > LARGEST_BLOCK)
        cap = LARGEST_BLOCK;
    if (cap < at_least)
        cap = at_least;
    block *b = rag_alloc(sizeof(block) + cap);
    *b = (block){ .next = a->blocks, .cap = cap };
    a->blocks = b;
    a->bytes += sizeof(block) + cap;
    return b;
}

rag_arena *rag_arena_new(void)
{
    rag_arena *a = rag_calloc(1, sizeof *a);
    add_block(a, 0);
    return a;
}

void rag_arena_reset(rag_arena *a)
{
    while (a->blocks->next) {
        block *old = a->blocks;
        a->blocks = old->next;
        a->bytes -= sizeof(block) + old->cap;
        free(old);
    }
    a->blocks->used = 0;
}

void rag_arena_free(rag_arena *a)
{
    if (!a)
        return;
    rag_arena_reset(a);
    free(a->blocks);
    free(a);
}

void *rag_arena_alloc(rag_arena *a, size_t bytes)
{
    if (bytes > SIZE_MAX / 2)
        refuse_size();
    size_t rounded = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    if (rounded == 0)
        rounded = ALIGN;
    block *b = a->blocks;
    if (rounded > b->cap - b->used)
        b = add_block(a, rounded);
    void *piece = b->data + b->used;
    b->used += rounded;
    return memset(piece, 0, rounded);
}

#endif

size_t rag_arena_bytes(const rag_arena *a)
{
    return a->bytes;
}

void *rag_arena_array(rag_arena *a, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        refuse_size();
    return rag_arena_alloc(a, bytes);
}

char *rag_arena_cstr(rag_arena *a, rag_str s)
{
    char *copy = rag_arena_alloc(a, s.len + 1);
    if (s.len)
        memcpy(copy, s.ptr, s.len);
    return copy;
}

char *rag_arena_strdup(rag_arena *a, const char *c_string)
{
    return rag_arena_cstr(a, rag_str_of(c_string));
}

rag_str rag_arena_str(rag_arena *a, rag_str s)
{
    return (rag_str){ rag_arena_cstr(a, s), s.len };
}

char *rag_arena_printf(rag_arena *a, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = NULL;
    int len = vasprintf(&text, format, args);
    va_end(args);
    if (len < 0)
        refuse_size();
    char *copy = rag_arena_cstr(a, (rag_str){ text, (size_t)len });
    free(text);
    return copy;
}
