/* base/arena.h: one pool per request and per ingested document.
 *
 * Everything allocated lives until rag_arena_free; nothing that outlives the
 * arena points into it.  Memory is zeroed and aligned for any type.  Built with
 * RAG_ARENA_DEBUG each allocation is its own malloc, so that ASan sees overruns.
 *
 * Threads: one owner at a time. */
#ifndef RAG_BASE_ARENA_H
#define RAG_BASE_ARENA_H

#include "base/str.h"

typedef struct rag_arena rag_arena;

rag_arena *rag_arena_new(void);
void rag_arena_free(rag_arena *a); /* copes with NULL */
void rag_arena_reset(rag_arena *a);  /* frees all but the first block */
size_t rag_arena_bytes(const rag_arena *a);

void *rag_arena_alloc(rag_arena *a, size_t bytes);
void *rag_arena_array(rag_arena *a, size_t count, size_t size); /* aborts on overflow */
char *rag_arena_strdup(rag_arena *a, const char *c_string);
char *rag_arena_cstr(rag_arena *a, rag_str s); /* NUL-terminated copy */
rag_str rag_arena_str(rag_arena *a, rag_str s);
char *rag_arena_printf(rag_arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
