#include "index/proximity.h"

#include "base/digest.h"

enum {
    MAX_PHRASES = 64,    /* bits of a window's set */
    MAX_TOKENS = 8,      /* of a phrase that are compared */
    MAX_MATCHES = 1024,  /* in one passage: far more than its tokens hold of a question */
    STEM_SEED = 1,
};

/* A phrase as hashes of its tokens. */
typedef struct needle {
    uint64_t tokens[MAX_TOKENS];
    int n;
    float idf;
} needle;

typedef struct match {
    uint32_t at;
    uint32_t phrase;
} match;

struct proximity {
    needle needles[MAX_PHRASES];
    size_t n;
    uint64_t recent[MAX_TOKENS];      /* exact forms of the last tokens, by place modulo MAX_TOKENS */
    uint32_t n_tokens;                /* of the passage at work */
    match matches[MAX_MATCHES];       /* by the place of their last token */
    size_t n_matches;
};

/* A stem stands alone in its phrase, behind its mark; exact forms are separated by MARK_NEXT. */
static bool make_needle(rag_str tokens, float idf, needle *out)
{
    *out = (needle){ .idf = idf };
    if (tokens.len > 0 && tokens.ptr[0] == MARK_STEM) {
        out->tokens[out->n++] = rag_xxh3(rag_str_sub(tokens, 1, tokens.len), STEM_SEED);
        return true;
    }
    for (size_t at = 0; at < tokens.len && out->n < MAX_TOKENS;) {
        size_t end = at;
        while (end < tokens.len && tokens.ptr[end] != MARK_NEXT)
            end++;
        out->tokens[out->n++] = rag_xxh3(rag_str_sub(tokens, at, end), 0);
        at = end + 1;
    }
    return out->n > 0;
}

proximity *proximity_new(const plan *p, const float *idf, rag_arena *arena)
{
    proximity *x = rag_arena_alloc(arena, sizeof *x);
    x->n = 0;
    for (size_t i = 0; i < p->n_phrases && x->n < MAX_PHRASES; i++)
        if (idf[i] > 0 && make_needle(p->phrases[i].tokens, idf[i], &x->needles[x->n]))
            x->n++;
    return x->n ? x : NULL;
}

static bool ends_here(const proximity *x, const needle *k, uint64_t stem)
{
    if (k->n == 1)
        return k->tokens[0] == stem || k->tokens[0] == x->recent[x->n_tokens % MAX_TOKENS];
    if ((uint32_t)k->n > x->n_tokens + 1)
        return false;
    for (int i = 0; i < k->n; i++)
        if (k->tokens[k->n - 1 - i] != x->recent[(x->n_tokens - (uint32_t)i) % MAX_TOKENS])
            return false;
    return true;
}

static int on_token(void *context, const token *t)
{
    proximity *x = context;
    uint64_t stem = t->stem.len ? rag_xxh3(t->stem, STEM_SEED) : 0;
    x->recent[x->n_tokens % MAX_TOKENS] = rag_xxh3(t->exact, 0);
    for (uint32_t i = 0; i < x->n; i++)
        if (ends_here(x, &x->needles[i], stem) && x->n_matches < MAX_MATCHES)
            x->matches[x->n_matches++] = (match){ x->n_tokens, i };
    x->n_tokens++;
    return 0;
}

/* Of the window that begins at match `first`. */
static double window(const proximity *x, size_t first)
{
    uint64_t seen = 0;
    double sum = 0;
    for (size_t i = first; i < x->n_matches && x->matches[i].at < x->matches[first].at + PROXIMITY_WINDOW; i++) {
        uint64_t bit = (uint64_t)1 << x->matches[i].phrase;
        if (!(seen & bit))
            sum += x->needles[x->matches[i].phrase].idf;
        seen |= bit;
    }
    return sum;
}

double proximity_of(proximity *x, tokenizer *t, rag_str passage)
{
    double best = 0;
    if (!x)
        return 0;
    x->n_tokens = 0;
    x->n_matches = 0;
    tokenizer_run(t, passage, on_token, x);
    for (size_t i = 0; i < x->n_matches; i++) {
        double sum = window(x, i);
        best = sum > best ? sum : best;
    }
    return best;
}
