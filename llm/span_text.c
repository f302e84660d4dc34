#include "llm/span_text.h"

#include "base/sentence.h"
#include "base/unicode.h"
#include "base/utf8.h"

enum { MINOR_LETTERS = 3 };
/* Shares of a span's length that a word and a Chinese character take. */
enum { WORD_SHARE = SPAN_MAX_CJK, CJK_SHARE = SPAN_MAX_WORDS, WHOLE = SPAN_MAX_WORDS * SPAN_MAX_CJK };

static uint32_t char_at(rag_str s, size_t pos)
{
    return pos < s.len ? rag_utf8_next(s, &pos) : 0;
}

static uint32_t char_behind(rag_str s, size_t pos)
{
    if (pos < s.len)
        rag_utf8_next(s, &pos);
    return char_at(s, pos);
}

/* The nth character (from 1) before pos; 0 before the text. */
static uint32_t char_before(rag_str s, size_t pos, int nth)
{
    uint32_t c = 0;
    for (; nth > 0; nth--) {
        if (pos == 0)
            return 0;
        c = rag_utf8_prev(s, &pos);
    }
    return c;
}

static bool is_digit(uint32_t c)
{
    return c && rag_unicode_class(c) == RAG_CHAR_DIGIT;
}

static bool is_letter(uint32_t c)
{
    return c && rag_unicode_class(c) == RAG_CHAR_LETTER;
}

static bool is_word(uint32_t c)
{
    return is_letter(c) || is_digit(c);
}

static bool is_apostrophe(uint32_t c)
{
    return c == '\'' || c == 0x2019;
}

static bool is_currency(uint32_t c)
{
    return c == '$' || c == 0xA3 || c == 0xA5 || c == 0x20AC || c == 0xFFE5 || c == 0xFF04;
}

/* Stands between the digits of one number, time or ratio. */
static bool joins_digits(uint32_t c)
{
    return c == '.' || c == ',' || c == ':' || c == 0xFF0C || c == 0xFF0E || c == 0xFF1A;
}

/* % ‰ ° ％ ℃ */
static bool is_measure(uint32_t c)
{
    return c == '%' || c == 0x2030 || c == 0xB0 || c == 0xFF05 || c == 0x2103;
}

/* 万 亿 兆 千 百 and their traditional forms multiply the number before them. */
static bool is_multiplier(uint32_t c)
{
    return c == 0x4E07 || c == 0x4EBF || c == 0x5146 || c == 0x5343 || c == 0x767E || c == 0x842C || c == 0x5104;
}

static bool starts_at(rag_str text, size_t pos)
{
    uint32_t c = char_at(text, pos), before = char_before(text, pos, 1), second = char_before(text, pos, 2);
    if (is_currency(c))
        return is_digit(char_behind(text, pos));
    if (rag_unicode_class(c) == RAG_CHAR_OTHER || (is_word(c) && is_word(before)))
        return false;
    if (is_digit(c) && ((joins_digits(before) && is_digit(second)) || is_currency(before)))
        return false;
    if (is_multiplier(c) && is_digit(before))
        return false;
    return !(is_letter(c) && is_apostrophe(before) && is_letter(second));
}

/* How far a span from `at` may reach inside a sentence that ends at `end`. */
static size_t reach(rag_str text, size_t at, size_t end)
{
    size_t pos = at, left = WHOLE;
    uint32_t before = 0;
    while (pos < end) {
        size_t next = pos, cost = 0;
        uint32_t c = rag_utf8_next(text, &next);
        if (rag_unicode_class(c) == RAG_CHAR_CJK)
            cost = CJK_SHARE;
        else if (is_word(c) && !is_word(before))
            cost = WORD_SHARE;
        if (cost > left || next - at > SPAN_MAX_BYTES)
            break;
        left -= cost;
        before = c;
        pos = next;
    }
    return pos;
}

size_t span_starts(rag_str text, span_start *out, size_t max)
{
    size_t n = 0, pos = 0;
    rag_span sentence;
    while (rag_sentence_next(text, &pos, &sentence)) {
        for (size_t at = sentence.start; at < sentence.end && n < max; rag_utf8_next(text, &at))
            if (starts_at(text, at))
                out[n++] = (span_start){ at, reach(text, at, sentence.end) };
    }
    return n;
}

static bool is_opening(uint32_t c)
{
    return c == '(' || c == '[' || c == 0xFF08;
}

static bool is_closing(uint32_t c)
{
    return c == ')' || c == ']' || c == 0xFF09;
}

static bool is_balanced(rag_str s)
{
    int depth = 0;
    for (size_t pos = 0; pos < s.len && depth >= 0;) {
        uint32_t c = rag_utf8_next(s, &pos);
        depth += is_opening(c) - is_closing(c);
    }
    return depth == 0;
}

/* The last dot of "U.S." or "a.m." */
static bool is_abbreviation_dot(rag_str text, size_t end)
{
    return char_before(text, end, 1) == '.' && is_letter(char_before(text, end, 2)) && char_before(text, end, 3) == '.';
}

static bool cuts_word(rag_str text, size_t end, uint32_t last, uint32_t next)
{
    uint32_t behind = char_behind(text, end);
    if (is_word(last) && is_word(next))
        return true;
    if (is_digit(last) && ((joins_digits(next) && is_digit(behind)) || is_measure(next) || is_multiplier(next)))
        return true;
    if (is_letter(last) && is_apostrophe(next) && is_letter(behind)) {
        size_t pos = end;
        rag_utf8_next(text, &pos);
        return behind != 's' || is_word(char_behind(text, pos)); /* "Tesla's" may lose its ending */
    }
    return next == '.' && end < text.len && is_abbreviation_dot(text, end + 1);
}

bool span_ends_at(rag_str text, size_t start, size_t end)
{
    uint32_t last = char_before(text, end, 1);
    bool is_mark = end > start && rag_unicode_class(last) == RAG_CHAR_OTHER;
    if (end <= start || end > text.len)
        return false;
    if (is_mark && !is_closing(last) && !is_abbreviation_dot(text, end) &&
        !(is_measure(last) && is_digit(char_before(text, end, 2))))
        return false;
    return !cuts_word(text, end, last, char_at(text, end)) && is_balanced(rag_str_sub(text, start, end));
}

size_t span_next_end(rag_str text, const span_start *start, size_t from)
{
    for (size_t end = from; end < start->last;) {
        rag_utf8_next(text, &end);
        if (span_ends_at(text, start->at, end))
            return end;
    }
    return 0;
}

/* Echo */

typedef struct unit {
    rag_str text;
    bool is_lone;  /* a Chinese character without one behind it */
    bool is_minor; /* counts only where nothing else does */
} unit;

/* The unit at or after *pos of a folded text: a word, or a Chinese character with the one behind it. */
static bool next_unit(rag_str s, size_t *pos, unit *out)
{
    size_t start = *pos, end = *pos;
    uint32_t c = 0;
    while (start < s.len) {
        end = start;
        c = rag_utf8_next(s, &end);
        if (rag_unicode_class(c) != RAG_CHAR_OTHER)
            break;
        start = end;
    }
    if (start >= s.len)
        return false;
    bool is_cjk = rag_unicode_class(c) == RAG_CHAR_CJK;
    *pos = end;
    while (!is_cjk && is_word(char_at(s, end)))
        rag_utf8_next(s, &end);
    if (is_cjk && rag_unicode_class(char_at(s, end)) == RAG_CHAR_CJK)
        rag_utf8_next(s, &end);
    else
        *pos = end;
    out->text = rag_str_sub(s, start, end);
    out->is_lone = is_cjk && rag_utf8_count(out->text) == 1;
    out->is_minor = out->is_lone || (end - start <= MINOR_LETTERS && is_letter(c) && c < 0x80);
    return true;
}

static bool has_unit(rag_str question, rag_str text)
{
    unit u;
    for (size_t pos = 0; next_unit(question, &pos, &u);)
        if (rag_str_eq(u.text, text))
            return true;
    return false;
}

static double share_in(rag_str text, rag_str question, bool counts_minor, size_t *n)
{
    size_t n_found = 0;
    unit u;
    *n = 0;
    for (size_t pos = 0; next_unit(text, &pos, &u);) {
        if (u.is_minor && !counts_minor)
            continue;
        n_found += u.is_lone ? rag_str_find(question, u.text, 0) != SIZE_MAX : has_unit(question, u.text);
        ++*n;
    }
    return *n > 0 ? (double)n_found / (double)*n : 0;
}

double span_echo(rag_str text, rag_str question)
{
    rag_buf t, q;
    size_t n;
    rag_buf_init(&t, RAG_MAX_QUERY);
    rag_buf_init(&q, RAG_MAX_QUERY);
    rag_unicode_fold(text, &t);
    rag_unicode_fold(question, &q);
    double share = share_in(rag_buf_str(&t), rag_buf_str(&q), false, &n);
    if (n == 0)
        share = share_in(rag_buf_str(&t), rag_buf_str(&q), true, &n);
    rag_buf_free(&t);
    rag_buf_free(&q);
    return share;
}
