#include "index/twins.h"

#include <stdlib.h>

#include "base/digest.h"
#include "base/unicode.h"
#include "base/utf8.h"

enum {
    SHINGLE = 4,              /* words in a row */
    MAX_GIST = 16 * 1024,     /* bytes of a text that are cut into words; a passage of 320 tokens is far shorter */
};

static const double least_jaccard = 0.9, most_longer = 1.3;

/* ---- words ---------------------------------------------------------------------------- */

/* "C" is not "C++", and 5 is not "<5%". */
static bool is_sign(uint32_t c)
{
    switch (c) {
    case '+': case '#': case '%': case '<': case '>': case '=': case '$': case 0x20ac: case 0xa3: return true;
    default: return false;
    }
}

/* The word at or after *pos, which moves behind it; false when there is none. */
static bool next_word(rag_str s, size_t *pos, rag_str *word, bool *has_digit)
{
    size_t start = *pos, end = *pos;
    *has_digit = false;
    for (size_t at = *pos, next = at; at < s.len; at = next) {
        uint32_t c = rag_utf8_next(s, &next);
        rag_char_class class = rag_unicode_class(c);
        bool is_alone = class == RAG_CHAR_CJK, belongs = class != RAG_CHAR_OTHER || is_sign(c), is_open = end > start;
        if (is_open && (is_alone || !belongs))
            break;
        if (belongs) {
            start = is_open ? start : at;
            end = next;
            *has_digit = *has_digit || class == RAG_CHAR_DIGIT;
        }
        if (is_alone)
            break;
    }
    *word = rag_str_sub(s, start, end);
    *pos = end;
    return end > start;
}

/* ---- sets of hashes --------------------------------------------------------------------- */

static bool has(const gist *g, uint32_t h)
{
    for (size_t i = h & g->mask; g->table[i]; i = (i + 1) & g->mask)
        if (g->table[i] == h)
            return true;
    return false;
}

static void insert(gist *g, uint32_t h)
{
    if (has(g, h))
        return;
    size_t i = h & g->mask;
    while (g->table[i])
        i = (i + 1) & g->mask;
    g->table[i] = h;
    g->set[g->n++] = h;
}

static void insert_words(gist *g, const uint64_t *words, size_t n)
{
    uint64_t h = rag_xxh3((rag_str){ (const char *)words, n * sizeof *words }, 0);
    insert(g, (uint32_t)h ? (uint32_t)h : 1);
}

static void make_room(gist *g, size_t words, rag_arena *arena)
{
    size_t room = 8;
    while (room < 2 * words)
        room *= 2;
    g->mask = room - 1;
    g->table = rag_arena_array(arena, room, sizeof *g->table);
    g->set = rag_arena_array(arena, words + 1, sizeof *g->set);
}

static void cut(gist *g, rag_str s, rag_arena *arena)
{
    rag_str word;
    bool has_digit;
    size_t n = 0;
    uint64_t *words = rag_alloc((s.len + 1) * sizeof *words);
    for (size_t pos = 0; next_word(s, &pos, &word, &has_digit);) {
        words[n++] = rag_xxh3(word, 0);
        if (has_digit)
            g->figures = rag_xxh3(word, g->figures);
    }
    make_room(g, n, arena);
    for (size_t i = 0; i + SHINGLE <= n; i++)
        insert_words(g, words + i, SHINGLE);
    if (n > 0 && n < SHINGLE)
        insert_words(g, words, n);
    free(words);
}

/* ---- texts --------------------------------------------------------------------------------- */

/* Runs of white space become one space, none at the ends. */
static rag_str squeeze(rag_buf *b)
{
    size_t n = 0;
    rag_str s = rag_buf_str(b);
    for (size_t pos = 0, at; pos < s.len;) {
        at = pos;
        if (!rag_unicode_is_space(rag_utf8_next(s, &pos))) {
            while (at < pos)
                b->ptr[n++] = s.ptr[at++];
        } else if (n > 0 && b->ptr[n - 1] != ' ') {
            b->ptr[n++] = ' ';
        }
    }
    if (n > 0 && b->ptr[n - 1] == ' ')
        n--;
    rag_buf_truncate(b, n);
    return rag_buf_str(b);
}

void gist_make(rag_str text, rag_arena *arena, gist *out)
{
    rag_buf folded;
    *out = (gist){ 0 };
    rag_buf_init(&folded, RAG_MAX_TEXT);
    rag_unicode_fold(text, &folded);
    rag_str s = squeeze(&folded);
    out->whole = rag_xxh3(s, 0);
    out->bytes = s.len;
    cut(out, rag_str_sub(s, 0, s.len < MAX_GIST ? s.len : rag_utf8_floor(s, MAX_GIST)), arena);
    rag_buf_free(&folded);
}

static bool is_alike_in_length(size_t a, size_t b)
{
    return (double)(a > b ? a : b) <= most_longer * (double)(a < b ? a : b);
}

/* |A ∩ B| / |A ∪ B|, given up as soon as too many are missing. */
static bool has_same_words(const gist *a, const gist *b)
{
    size_t missing = 0;
    double shared = least_jaccard / (1 + least_jaccard) * (double)(a->n + b->n); /* |A ∩ B| at that index */
    for (size_t i = 0; i < b->n && (double)(b->n - missing) >= shared; i++)
        missing += !has(a, b->set[i]);
    return b->n > 0 && (double)(b->n - missing) >= shared;
}

bool gist_is_twin(const gist *a, const gist *b)
{
    if (a->whole == b->whole && a->bytes == b->bytes)
        return true;
    return a->figures == b->figures && is_alike_in_length(a->bytes, b->bytes) && has_same_words(a, b);
}
