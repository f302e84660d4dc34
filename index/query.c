#include "index/query.h"

#include <string.h>

#include "base/unicode.h"
#include "base/utf8.h"
#include "index/index.h"
#include "index/tokenizer.h"

enum { MAX_COMPOUND = 8, PHRASES = PLAN_MAX_PHRASES + PLAN_MAX_QUOTES };

typedef struct builder {
    rag_arena *arena;
    plan *plan;
    size_t n_plain;
} builder;

static bool is_known(const plan *p, rag_str tokens)
{
    for (size_t i = 0; i < p->n_phrases; i++)
        if (p->phrases[i].quote == 0 && rag_str_eq(p->phrases[i].tokens, tokens))
            return true;
    return false;
}

static void add_plain(builder *b, rag_str tokens)
{
    if (b->n_plain == PLAN_MAX_PHRASES || tokens.len == 0 || is_known(b->plan, tokens))
        return;
    b->plan->phrases[b->plan->n_phrases++] = (plan_phrase){ .tokens = tokens };
    b->n_plain++;
}

/* The exact forms of terms [from, to) as one phrase. */
static rag_str phrase_of(rag_arena *arena, const rag_term *terms, size_t from, size_t to)
{
    size_t bytes = 0, at = 0;
    for (size_t i = from; i < to; i++)
        bytes += terms[i].exact.len + 1;
    char *tokens = rag_arena_alloc(arena, bytes + 1);
    for (size_t i = from; i < to; i++) {
        if (i > from)
            tokens[at++] = MARK_NEXT;
        memcpy(tokens + at, terms[i].exact.ptr, terms[i].exact.len);
        at += terms[i].exact.len;
    }
    return (rag_str){ tokens, at };
}

static rag_str stem_token(rag_arena *arena, const rag_term *t)
{
    if (t->stem.ptr == t->exact.ptr)
        return t->exact;
    char *marked = rag_arena_alloc(arena, t->stem.len + 2);
    marked[0] = MARK_STEM;
    memcpy(marked + 1, t->stem.ptr, t->stem.len);
    return (rag_str){ marked, t->stem.len + 1 };
}

/* ---- plain text -------------------------------------------------------------------------- */

/* Written together, with at most one mark between: E-4012, 3.5, a_b, gen/itgc; not don't. */
static bool joined(const rag_term *a, const rag_term *b, rag_str text)
{
    if (a->is_cjk || b->is_cjk || b->start > a->end + 1)
        return false;
    char between = b->start > a->end ? text.ptr[a->end] : '-';
    return between > ' ' && between != '\'';
}

/* Such words as one phrase of exact forms, beside the words. */
static void add_compound(builder *b, rag_str text, const rag_term *terms, size_t n, size_t from)
{
    if (from > 0 && joined(&terms[from - 1], &terms[from], text))
        return;
    size_t to = from + 1;
    bool all_stop = terms[from].is_stop;
    while (to < n && to - from < MAX_COMPOUND && joined(&terms[to - 1], &terms[to], text))
        all_stop = terms[to++].is_stop && all_stop;
    if (to - from > 1 && !all_stop)
        add_plain(b, phrase_of(b->arena, terms, from, to));
}

static bool is_pair(const rag_term *a, const rag_term *b, bool with_stops)
{
    return a->is_cjk && b->is_cjk && b->start == a->end && (with_stops || (!a->is_stop && !b->is_stop));
}

static void add_cjk(builder *b, const rag_term *terms, size_t n, size_t i, bool with_stops)
{
    bool has_left = i > 0 && is_pair(&terms[i - 1], &terms[i], with_stops);
    bool has_right = i + 1 < n && is_pair(&terms[i], &terms[i + 1], with_stops);
    if (has_right)
        add_plain(b, phrase_of(b->arena, terms, i, i + 2));
    else if (!has_left)
        add_plain(b, terms[i].exact);
}

static void add_terms(builder *b, rag_str text, bool with_stops)
{
    rag_term *terms;
    size_t n;
    rag_terms(text, b->arena, &terms, &n);
    for (size_t i = 0; i < n && b->n_plain < PLAN_MAX_PHRASES; i++) {
        add_compound(b, text, terms, n, i);
        if (terms[i].is_stop && !with_stops)
            continue;
        if (terms[i].is_cjk)
            add_cjk(b, terms, n, i, with_stops);
        else
            add_plain(b, stem_token(b->arena, &terms[i]));
    }
}

/* ---- quoted parts ------------------------------------------------------------------------- */

static bool is_alphanumeric(char c)
{
    return (unsigned char)((c | 0x20) - 'a') < 26 || (unsigned char)(c - '0') < 10;
}

/* The next "…" at or after *pos; inch marks (27") open none. */
static bool next_quote(rag_str s, size_t *pos, rag_span *out)
{
    for (size_t open = *pos; (open = rag_str_find(s, RAG_STR("\""), open)) != SIZE_MAX; open++) {
        if (open > 0 && is_alphanumeric(s.ptr[open - 1]))
            continue;
        size_t close = rag_str_find(s, RAG_STR("\""), open + 1);
        if (close == SIZE_MAX)
            return false;
        *out = (rag_span){ open + 1, close };
        *pos = close + 1;
        return true;
    }
    return false;
}

static void add_quote(builder *b, rag_str quoted)
{
    plan *p = b->plan;
    rag_str comparable = plan_comparable(quoted, b->arena);
    rag_term *terms;
    size_t n;
    if (comparable.len == 0 || p->n_quotes == PLAN_MAX_QUOTES)
        return;
    p->quotes[p->n_quotes++] = comparable;
    rag_terms(quoted, b->arena, &terms, &n);
    if (n == 0) {
        p->quote_without_phrase = true;
        return;
    }
    n = n < PLAN_MAX_QUOTE_TOKENS ? n : PLAN_MAX_QUOTE_TOKENS;
    p->phrases[p->n_phrases++] = (plan_phrase){ phrase_of(b->arena, terms, 0, n), (int)p->n_quotes };
}

static void add_quotes(builder *b, rag_str query)
{
    rag_span span;
    for (size_t pos = 0; next_quote(query, &pos, &span);)
        add_quote(b, rag_str_trim(rag_str_sub(query, span.start, span.end)));
}

static bool is_written_without_spaces(rag_str s, size_t end)
{
    return end > 0 && rag_unicode_class(rag_utf8_prev(s, &end)) == RAG_CHAR_CJK;
}

rag_str plan_comparable(rag_str text, rag_arena *arena)
{
    rag_buf folded;
    rag_buf_init(&folded, RAG_MAX_TEXT);
    rag_unicode_fold(text, &folded);
    rag_str s = rag_buf_str(&folded);
    char *out = rag_arena_alloc(arena, s.len + 1);
    size_t n = 0;
    bool gap = false;
    for (size_t pos = 0; pos < s.len;) {
        size_t at = pos;
        uint32_t c = rag_utf8_next(s, &pos);
        if (rag_unicode_is_space(c)) {
            gap = n > 0;
            continue;
        }
        bool without = rag_unicode_class(c) == RAG_CHAR_CJK && is_written_without_spaces((rag_str){ out, n }, n);
        if (gap && !without)
            out[n++] = ' ';
        memcpy(out + n, s.ptr + at, pos - at);
        n += pos - at;
        gap = false;
    }
    rag_buf_free(&folded);
    return (rag_str){ out, n };
}

/* ---- MATCH ---------------------------------------------------------------------------------- */

/* Tokens hold letters, digits and marks only: no quote to double, no NUL. */
static const char *write_match(const plan *p, rag_arena *arena)
{
    size_t bytes = 1;
    for (size_t i = 0; i < p->n_phrases; i++)
        bytes += p->phrases[i].tokens.len + 8;
    char *match = rag_arena_alloc(arena, bytes), *at = match;
    for (size_t i = 0; i < p->n_phrases; i++) {
        const plan_phrase *phrase = &p->phrases[i];
        if (i > 0)
            at = stpcpy(at, " OR ");
        *at++ = '"';
        *at++ = MARK_QUERY;
        at = mempcpy(at, phrase->tokens.ptr, phrase->tokens.len);
        *at++ = '"';
    }
    *at = '\0';
    return match;
}

void plan_build(rag_str query, rag_arena *arena, plan *out)
{
    *out = (plan){ 0 };
    out->phrases = rag_arena_array(arena, PHRASES, sizeof *out->phrases);
    out->quotes = rag_arena_array(arena, PLAN_MAX_QUOTES, sizeof *out->quotes);
    builder b = { .arena = arena, .plan = out };
    if (query.len > RAG_MAX_QUERY)
        query.len = rag_utf8_floor(query, RAG_MAX_QUERY);
    add_quotes(&b, query);
    add_terms(&b, query, false);
    if (out->n_phrases == 0)
        add_terms(&b, query, true);
    out->match = out->n_phrases ? write_match(out, arena) : NULL;
}
