#include <pthread.h>

#include "index/index.h"
#include "index/tokenizer.h"

static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void free_tokenizer(void *t)
{
    tokenizer_free(t);
}

static void make_key(void)
{
    pthread_key_create(&key, free_tokenizer);
}

tokenizer *tokenizer_of_this_thread(void)
{
    pthread_once(&once, make_key);
    tokenizer *t = pthread_getspecific(key);
    if (!t) {
        t = tokenizer_new();
        pthread_setspecific(key, t);
    }
    return t;
}

typedef struct sink {
    rag_arena *arena;
    rag_term *terms;
    size_t n, cap;
} sink;

static void grow(sink *s)
{
    size_t cap = s->cap ? 2 * s->cap : 32;
    rag_term *terms = rag_arena_array(s->arena, cap, sizeof *terms);
    for (size_t i = 0; i < s->n; i++)
        terms[i] = s->terms[i];
    s->terms = terms;
    s->cap = cap;
}

static int on_token(void *context, const token *t)
{
    sink *s = context;
    if (s->n == s->cap)
        grow(s);
    rag_term *term = &s->terms[s->n++];
    *term = (rag_term){ .exact = rag_arena_str(s->arena, t->exact), .start = t->start, .end = t->end,
                        .is_cjk = t->is_cjk };
    term->stem = t->stem.len ? rag_arena_str(s->arena, t->stem) : term->exact;
    term->is_stop = t->is_cjk ? stop_character(t->exact) : stop_word(t->exact);
    return 0;
}

rag_code rag_terms(rag_str text, rag_arena *arena, rag_term **out, size_t *n)
{
    sink s = { .arena = arena };
    grow(&s);
    tokenizer_run(tokenizer_of_this_thread(), text, on_token, &s);
    *out = s.terms;
    *n = s.n;
    return RAG_OK;
}
