#include "index/query.h"

#include <string.h>

#include "base/unicode.h"
#include "base/utf8.h"
#include "index/index.h"
#include "index/tokenizer.h"

enum { MAX_COMPOUND = 8 };

typedef struct builder {
    rag_arena *arena;
    plan *plan;
    size_t n_plain;
} builder;

/* ---- phrases ------------------------------------------------------------------------------- */

static plan_phrase *find_phrase(const plan *p, rag_str tokens)
{
    for (size_t i = 0; i < p->n_phrases; i++)
        if (p->phrases[i].quote == 0 && rag_str_eq(p->phrases[i].tokens, tokens))
            return &p->phrases[i];
    return NULL;
}

bool plan_add(plan *p, const plan_phrase *phrase)
{
    if (p->n_phrases == PLAN_ROOM || phrase->tokens.len == 0 || (phrase->quote == 0 && find_phrase(p, phrase->tokens)))
        return false;
    p->phrases[p->n_phrases++] = *phrase;
    return true;
}

/* One that counts; an exact string's phrase may be there already. */
static void add_plain(builder *b, const plan_phrase *phrase)
{
    plan_phrase *known = find_phrase(b->plan, phrase->tokens);
    if (b->n_plain == PLAN_MAX_PHRASES || (known && known->weight > 0))
        return;
    if (known) {
        known->weight = 1;
        known->kind = phrase->kind;
    } else if (!plan_add(b->plan, phrase)) {
        return;
    }
    b->n_plain++;
}

static rag_str slice_of(const plan *p, size_t from, size_t to)
{
    return rag_str_sub(p->text, p->terms[from].start, p->terms[to - 1].end);
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

rag_str plan_stem(rag_arena *arena, const rag_term *t)
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
static bool joined(const plan *p, size_t i)
{
    const rag_term *a = &p->terms[i], *b = &p->terms[i + 1];
    if (a->is_cjk || b->is_cjk || b->start > a->end + 1)
        return false;
    char between = b->start > a->end ? p->text.ptr[a->end] : '-';
    return between > ' ' && between != '\'';
}

static void add_sequence(builder *b, size_t from, size_t to, bool is_pair)
{
    const plan *p = b->plan;
    add_plain(b, &(plan_phrase){ .tokens = phrase_of(b->arena, p->terms, from, to), .label = slice_of(p, from, to),
                                 .kind = is_pair ? PLAN_PAIR : PLAN_PHRASE, .term = from, .weight = 1 });
}

/* Such words as one phrase of exact forms, beside the words. */
static void add_compound(builder *b, size_t from)
{
    const plan *p = b->plan;
    if (from > 0 && joined(p, from - 1))
        return;
    size_t to = from + 1;
    bool all_stop = p->terms[from].is_stop;
    while (to < p->n_terms && to - from < MAX_COMPOUND && joined(p, to - 1))
        all_stop = p->terms[to++].is_stop && all_stop;
    if (to - from > 1 && !all_stop)
        add_sequence(b, from, to, false);
}

static bool is_pair(const plan *p, size_t i, bool with_stops)
{
    const rag_term *a = &p->terms[i], *b = &p->terms[i + 1];
    return a->is_cjk && b->is_cjk && b->start == a->end && (with_stops || (!a->is_stop && !b->is_stop));
}

static void add_cjk(builder *b, size_t i, bool with_stops)
{
    const plan *p = b->plan;
    bool has_left = i > 0 && is_pair(p, i - 1, with_stops);
    bool has_right = i + 1 < p->n_terms && is_pair(p, i, with_stops);
    if (has_right)
        add_sequence(b, i, i + 2, true);
    else if (!has_left)
        add_sequence(b, i, i + 1, false);
}

static void add_word(builder *b, size_t i)
{
    const rag_term *t = &b->plan->terms[i];
    add_plain(b, &(plan_phrase){ .tokens = plan_stem(b->arena, t), .label = t->exact, .kind = PLAN_WORD, .term = i,
                                 .weight = 1 });
}

static void add_terms(builder *b, bool with_stops)
{
    const plan *p = b->plan;
    for (size_t i = 0; i < p->n_terms && b->n_plain < PLAN_MAX_PHRASES; i++) {
        add_compound(b, i);
        if (p->terms[i].is_stop && !with_stops)
            continue;
        if (p->terms[i].is_cjk)
            add_cjk(b, i, with_stops);
        else
            add_word(b, i);
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

static void add_quote(builder *b, rag_span span)
{
    plan *p = b->plan;
    rag_str text = rag_str_trim(rag_str_sub(p->text, span.start, span.end)), comparable = plan_comparable(text, b->arena);
    rag_term *terms;
    size_t n;
    if (comparable.len == 0 || p->n_quotes == PLAN_MAX_QUOTES)
        return;
    plan_quote *quote = &p->quotes[p->n_quotes++];
    *quote = (plan_quote){ .at = span, .text = text, .comparable = comparable, .phrase = SIZE_MAX };
    rag_terms(text, b->arena, &terms, &n);
    quote->is_word = n == 1 && !terms[0].is_cjk && rag_str_eq(terms[0].exact, comparable);
    if (n == 0) {
        p->quote_without_phrase = true;
        return;
    }
    n = n < PLAN_MAX_QUOTE_TOKENS ? n : PLAN_MAX_QUOTE_TOKENS;
    quote->phrase = p->n_phrases;
    p->quote_bits |= plan_bit(quote->phrase);
    plan_add(p, &(plan_phrase){ .tokens = phrase_of(b->arena, terms, 0, n), .label = text, .weight = 1,
                                .quote = (int)p->n_quotes });
}

static void add_quotes(builder *b)
{
    rag_span span;
    for (size_t pos = 0; next_quote(b->plan->text, &pos, &span);)
        add_quote(b, span);
    b->plan->quotes_are_words = b->plan->n_quotes > 0;
    for (size_t i = 0; i < b->plan->n_quotes; i++)
        b->plan->quotes_are_words = b->plan->quotes_are_words && b->plan->quotes[i].is_word;
}

/* ---- exact strings -------------------------------------------------------------------------- */

static size_t find_or_add(plan *p, const plan_phrase *phrase)
{
    const plan_phrase *known = find_phrase(p, phrase->tokens);
    if (known)
        return (size_t)(known - p->phrases);
    return plan_add(p, phrase) ? p->n_phrases - 1 : SIZE_MAX;
}

static void add_exact(builder *b)
{
    plan *p = b->plan;
    exact_span spans[EXACT_MAX];
    rag_span quotes[PLAN_MAX_QUOTES];
    for (size_t i = 0; i < p->n_quotes; i++)
        quotes[i] = p->quotes[i].at;
    exact_query q = { p->text, p->terms, p->n_terms, quotes, p->n_quotes };
    size_t n = exact_find(&q, spans);
    for (size_t i = 0; i < n; i++) {
        rag_str text = slice_of(p, spans[i].from, spans[i].to);
        plan_phrase phrase = { .tokens = phrase_of(b->arena, p->terms, spans[i].from, spans[i].to), .label = text,
                               .term = spans[i].from };
        p->exact[p->n_exact++] = (plan_exact){ text, spans[i].from, spans[i].to, find_or_add(p, &phrase), spans[i].is_told };
    }
}

/* ---- comparison ----------------------------------------------------------------------------- */

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
const char *plan_match(const plan *p, size_t from, rag_arena *arena)
{
    size_t bytes = 1;
    if (from >= p->n_phrases)
        return NULL;
    for (size_t i = from; i < p->n_phrases; i++)
        bytes += p->phrases[i].tokens.len + 8;
    char *match = rag_arena_alloc(arena, bytes), *at = match;
    for (size_t i = from; i < p->n_phrases; i++) {
        const plan_phrase *phrase = &p->phrases[i];
        if (i > from)
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
    rag_term *terms;
    builder b = { .arena = arena, .plan = out };
    if (query.len > RAG_MAX_QUERY)
        query.len = rag_utf8_floor(query, RAG_MAX_QUERY);
    *out = (plan){ .text = rag_arena_str(arena, query) };
    out->phrases = rag_arena_array(arena, PLAN_ROOM, sizeof *out->phrases);
    out->quotes = rag_arena_array(arena, PLAN_MAX_QUOTES, sizeof *out->quotes);
    out->exact = rag_arena_array(arena, EXACT_MAX, sizeof *out->exact);
    rag_terms(out->text, arena, &terms, &out->n_terms);
    out->terms = terms;
    add_quotes(&b);
    add_exact(&b);
    add_terms(&b, false);
    if (b.n_plain == 0 && out->quote_bits == 0)
        add_terms(&b, true);
}
