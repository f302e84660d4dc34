#include "index/exact.h"

#include <string.h>

#include "base/unicode.h"
#include "base/utf8.h"

enum {
    MAX_UNIT = 8,   /* terms of a part number */
    MAX_RUN = 6,    /* units of a run */
    MAX_WHOLE = 8,  /* terms of a query that is a string by itself */
    MAX_SHAPE = 24,
};

/* A word or several joined ones: terms [from, to). */
typedef struct unit {
    size_t from, to;
    bool is_exact;
} unit;

typedef struct finder {
    const exact_query *q;
    exact_span *out;
    size_t n;
} finder;

static void emit(finder *f, size_t from, size_t to, bool is_told)
{
    for (size_t i = 0; i < f->n; i++)
        if (f->out[i].from == from && f->out[i].to == to) {
            f->out[i].is_told = f->out[i].is_told || is_told;
            return;
        }
    if (f->n < EXACT_MAX)
        f->out[f->n++] = (exact_span){ from, to, is_told };
}

static bool is_quoted(const exact_query *q, size_t i)
{
    for (size_t k = 0; k < q->n_quotes; k++)
        if (q->terms[i].start >= q->quotes[k].start && q->terms[i].end <= q->quotes[k].end)
            return true;
    return false;
}

/* ---- words ------------------------------------------------------------------------------- */

static bool is_ascii_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

static size_t count_digits(rag_str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += is_ascii_digit(s.ptr[i]);
    return n;
}

static bool is_number(const rag_term *t)
{
    return count_digits(t->exact) == t->exact.len;
}

static bool mixes_letters_and_digits(const rag_term *t)
{
    size_t digits = count_digits(t->exact);
    return digits > 0 && digits < t->exact.len;
}

/* Beside a Han character without a space: it may be a name, if it is more than a letter or a number. */
static bool touches_cjk(const exact_query *q, size_t i)
{
    const rag_term *t = &q->terms[i];
    bool left = i > 0 && q->terms[i - 1].is_cjk && q->terms[i - 1].end == t->start;
    bool right = i + 1 < q->n && q->terms[i + 1].is_cjk && q->terms[i + 1].start == t->end;
    return (left || right) && t->exact.len > 1 && !t->is_stop && !is_number(t);
}

static bool is_capitalised(const exact_query *q, size_t i)
{
    const rag_term *t = &q->terms[i];
    size_t pos = t->start;
    return !t->is_cjk && !t->is_stop && rag_unicode_is_upper(rag_utf8_next(q->text, &pos));
}

/* ---- units ------------------------------------------------------------------------------- */

/* The one byte between two terms; '\0' when they touch, ' ' for anything that joins none. */
static char between(const exact_query *q, size_t i)
{
    const rag_term *a = &q->terms[i], *b = &q->terms[i + 1];
    if (b->start <= a->end)
        return '\0';
    char c = b->start == a->end + 1 ? q->text.ptr[a->end] : ' ';
    return c ? c : ' ';
}

static bool has_one_space(const exact_query *q, size_t i)
{
    return q->terms[i + 1].start == q->terms[i].end + 1 && q->text.ptr[q->terms[i].end] == ' ';
}

/* Term i and the next are one string: E-4012, a_b, 3.5, 1,000. */
static bool is_joined(const exact_query *q, size_t i)
{
    const rag_term *a = &q->terms[i], *b = &q->terms[i + 1];
    char c = between(q, i);
    if (a->is_cjk || b->is_cjk)
        return false;
    return c == '\0' || strchr("-_./:+@#&~=\\", c) || (c == ',' && is_number(a) && is_number(b));
}

/* "and/or", "e.g." and "A/B" are plain language; a_b is a name. */
static bool says_something(const exact_query *q, size_t from, size_t to)
{
    bool stops = true, is_abbreviation = true;
    for (size_t i = from; i < to; i++) {
        const rag_term *t = &q->terms[i];
        char joint = i + 1 < to ? between(q, i) : '.';
        stops = stops && t->is_stop;
        is_abbreviation = is_abbreviation && t->exact.len == 1 && !is_number(t) && (joint == '.' || joint == '/');
    }
    return !stops && !is_abbreviation;
}

static unit next_unit(const exact_query *q, size_t from)
{
    unit u = { .from = from, .to = from + 1 };
    if (q->terms[from].is_cjk)
        return u;
    while (u.to < q->n && u.to - from < MAX_UNIT && is_joined(q, u.to - 1))
        u.to++;
    if (u.to - from > 1)
        u.is_exact = says_something(q, from, u.to);
    else
        u.is_exact = mixes_letters_and_digits(&q->terms[from]) || touches_cjk(q, from);
    if (is_quoted(q, from))
        u.is_exact = false;
    return u;
}

/* ---- runs -------------------------------------------------------------------------------- */

/* Letters as one a, digits as one 0: "a-0" for E-4012. */
static void shape_of(const exact_query *q, const unit *u, char out[MAX_SHAPE])
{
    size_t n = 0, end = q->terms[u->to - 1].end;
    for (size_t i = q->terms[u->from].start; i < end && n + 1 < MAX_SHAPE; i++) {
        char c = q->text.ptr[i];
        c = is_ascii_digit(c) ? '0' : (c & 0x80) || (unsigned char)((c | 0x20) - 'a') < 26 ? 'a' : c;
        if (n == 0 || c != out[n - 1])
            out[n++] = c;
    }
    out[n] = '\0';
}

/* E-4012 E-4013 are two of a kind, not one name. */
static bool are_of_a_kind(const exact_query *q, const unit *a, const unit *b)
{
    char x[MAX_SHAPE], y[MAX_SHAPE];
    if (!a->is_exact || !b->is_exact)
        return false;
    shape_of(q, a, x);
    shape_of(q, b, y);
    return strcmp(x, y) == 0;
}

static bool may_be_in_run(const exact_query *q, const unit *u)
{
    return u->is_exact || (u->to - u->from == 1 && is_capitalised(q, u->from) && !is_quoted(q, u->from));
}

static size_t read_run(const exact_query *q, size_t from, unit run[MAX_RUN])
{
    size_t n = 0;
    run[n++] = next_unit(q, from);
    if (!may_be_in_run(q, &run[0]))
        return n;
    while (n < MAX_RUN && run[n - 1].to < q->n && has_one_space(q, run[n - 1].to - 1)) {
        unit u = next_unit(q, run[n - 1].to);
        if (!may_be_in_run(q, &u) || are_of_a_kind(q, &run[n - 1], &u))
            break;
        run[n++] = u;
    }
    return n;
}

/* Exact units side by side are told as one string; its parts are looked for in case that it stands nowhere. */
static void emit_exact_units(finder *f, const unit *run, size_t n)
{
    for (size_t i = 0, end; i < n; i = end) {
        end = i + 1;
        if (!run[i].is_exact)
            continue;
        while (end < n && run[end].is_exact)
            end++;
        if (end - i > 1)
            emit(f, run[i].from, run[end - 1].to, true);
        for (size_t k = i; k < end; k++)
            emit(f, run[k].from, run[k].to, end - i == 1);
    }
}

static void emit_run(finder *f, const unit *run, size_t n)
{
    size_t exact = 0;
    for (size_t i = 0; i < n; i++)
        exact += run[i].is_exact;
    if (exact > 0 && exact < n)
        emit(f, run[0].from, run[n - 1].to, false);
    emit_exact_units(f, run, n);
}

/* ---- the whole query ----------------------------------------------------------------------- */

/* Nothing that makes a sentence: no function words, no marks but those inside names, no quotes. */
static bool is_one_string(const exact_query *q)
{
    if (q->n < 2 || q->n > MAX_WHOLE || q->n_quotes > 0)
        return false;
    for (size_t i = 0; i < q->n; i++) {
        if (q->terms[i].is_stop)
            return false;
        if (i + 1 < q->n && between(q, i) != '\0' && !has_one_space(q, i) && !is_joined(q, i))
            return false;
    }
    return true;
}

/* 重跑gen-itgc后: a name with Han around it, and no space. */
static bool is_mixed_token(const finder *f)
{
    const exact_query *q = f->q;
    bool cjk = false;
    for (size_t i = 0; i < q->n; i++) {
        cjk = cjk || q->terms[i].is_cjk;
        if (i + 1 < q->n && has_one_space(q, i))
            return false;
    }
    for (size_t i = 0; i < f->n; i++)
        if (f->out[i].to - f->out[i].from > 1 || mixes_letters_and_digits(&q->terms[f->out[i].from]))
            return cjk;
    return false;
}

size_t exact_find(const exact_query *q, exact_span out[EXACT_MAX])
{
    finder f = { .q = q, .out = out };
    unit run[MAX_RUN];
    for (size_t i = 0; i < q->n && f.n < EXACT_MAX;) {
        size_t n = read_run(q, i, run);
        emit_run(&f, run, n);
        i = run[n - 1].to;
    }
    if (q->n == 1 && q->terms[0].is_cjk && q->n_quotes == 0)
        emit(&f, 0, 1, true);
    if (is_one_string(q))
        emit(&f, 0, q->n, is_mixed_token(&f));
    return f.n;
}
