#include "base/sentence.h"

#include <string.h>

#include "base/unicode.h"
#include "base/utf8.h"

/* ---- lines ---- */

typedef enum line_kind { PLAIN, BLANK, RULE, ROW, FENCE, HEADING, ITEM } line_kind;

typedef struct line {
    line_kind kind;
    bool quoted;
    size_t body; /* behind indentation and markers */
    size_t end;  /* at the line feed, form feed or end of the text */
} line;

static size_t skip_space(rag_str t, size_t pos)
{
    while (pos < t.len) {
        size_t next = pos;
        if (!rag_unicode_is_space(rag_utf8_next(t, &next)))
            break;
        pos = next;
    }
    return pos;
}

static size_t trim_end(rag_str t, size_t start, size_t end)
{
    while (end > start) {
        size_t prev = end;
        if (!rag_unicode_is_space(rag_utf8_prev(t, &prev)))
            break;
        end = prev;
    }
    return end;
}

static bool is_line_end(rag_str t, size_t pos)
{
    return pos >= t.len || t.ptr[pos] == '\n' || t.ptr[pos] == '\f';
}

static bool is_digit_at(rag_str t, size_t pos)
{
    return pos < t.len && t.ptr[pos] >= '0' && t.ptr[pos] <= '9';
}

static bool is_blank_at(rag_str t, size_t pos)
{
    return is_line_end(t, pos) || t.ptr[pos] == ' ' || t.ptr[pos] == '\t' || t.ptr[pos] == '\r';
}

static size_t count_of(rag_str t, size_t pos, char c)
{
    size_t n = 0;
    while (pos + n < t.len && t.ptr[pos + n] == c)
        n++;
    return n;
}

static size_t skip_indent(rag_str t, size_t pos, size_t end)
{
    size_t next = skip_space((rag_str){ t.ptr, end }, pos);
    return next < end ? next : end;
}

/* "---", "* * *", "=====": a thematic break or the line under a heading. */
static bool is_rule(rag_str t, size_t pos, size_t end)
{
    char c = t.ptr[pos];
    size_t n = 0;
    if (c != '-' && c != '=' && c != '*' && c != '_')
        return false;
    for (; pos < end; pos++) {
        if (t.ptr[pos] == c)
            n++;
        else if (!is_blank_at(t, pos))
            return false;
    }
    return n >= 3;
}

/* Length of "- ", "* ", "12. " or "12) " without the blank; 0 when there is none.  Longer
 * numbers are years that a line break put first. */
static size_t item_marker(rag_str t, size_t pos)
{
    size_t n = 0;
    if (t.ptr[pos] == '-' || t.ptr[pos] == '*' || t.ptr[pos] == '+')
        n = 1;
    else if (rag_str_starts(rag_str_sub(t, pos, t.len), RAG_STR("•")))
        return strlen("•");
    else {
        size_t digits = 0;
        while (digits < 4 && is_digit_at(t, pos + digits))
            digits++;
        size_t dot = pos + digits;
        if (digits >= 1 && digits <= 3 && dot < t.len && (t.ptr[dot] == '.' || t.ptr[dot] == ')'))
            n = digits + 1;
    }
    return n && is_blank_at(t, pos + n) ? n : 0;
}

static size_t heading_marker(rag_str t, size_t pos)
{
    size_t n = count_of(t, pos, '#');
    return n >= 1 && n <= 6 && is_blank_at(t, pos + n) ? n : 0;
}

/* A line of code between three backticks or more is no fence. */
static bool is_fence(rag_str t, size_t pos, size_t end)
{
    if (count_of(t, pos, '~') >= 3)
        return true;
    size_t n = count_of(t, pos, '`');
    return n >= 3 && !memchr(t.ptr + pos + n, '`', end - pos - n);
}

static line_kind kind_at(rag_str t, size_t pos, size_t end)
{
    if (pos >= end)
        return BLANK;
    if (t.ptr[pos] == '|')
        return ROW;
    if (is_rule(t, pos, end))
        return RULE;
    if (is_fence(t, pos, end))
        return FENCE;
    if (heading_marker(t, pos))
        return HEADING;
    return item_marker(t, pos) ? ITEM : PLAIN;
}

static line look_at_line(rag_str t, size_t start)
{
    line l = { .end = start };
    while (!is_line_end(t, l.end))
        l.end++;
    size_t pos = skip_indent(t, start, l.end);
    while (pos < l.end && t.ptr[pos] == '>') {
        l.quoted = true;
        pos = skip_indent(t, pos + 1, l.end);
    }
    line_kind inner = l.kind = kind_at(t, pos, l.end);
    while (inner == ITEM) {
        pos = skip_indent(t, pos + item_marker(t, pos), l.end);
        /* An endless row of labels would cost the line's square. */
        inner = pos - start < 64 ? kind_at(t, pos, l.end) : PLAIN;
    }
    if (inner == FENCE || inner == ROW || inner == HEADING)
        l.kind = inner;
    if (l.kind == HEADING)
        pos = skip_indent(t, pos + heading_marker(t, pos), l.end);
    l.body = pos;
    return l;
}

static size_t line_start(rag_str t, size_t pos)
{
    while (pos > 0 && !is_line_end(t, pos - 1))
        pos--;
    return pos;
}

/* Only white space stands between the line's start and pos. */
static bool is_first_in_line(rag_str t, size_t pos)
{
    while (pos > 0) {
        size_t prev = pos;
        if (is_line_end(t, pos - 1))
            return true;
        if (!rag_unicode_is_space(rag_utf8_prev(t, &prev)))
            return false;
        pos = prev;
    }
    return true;
}

/* Behind the fence that closes the one at pos, or the end of the text. */
static size_t fence_end(rag_str t, const line *open)
{
    char c = t.ptr[open->body];
    size_t n = count_of(t, open->body, c);
    for (size_t pos = open->end; pos < t.len;) {
        line l = look_at_line(t, pos + 1);
        if (l.kind == FENCE && t.ptr[l.body] == c && count_of(t, l.body, c) >= n)
            return l.end;
        pos = l.end;
    }
    return t.len;
}

/* A paragraph ends at the line feed at pos. */
static bool ends_paragraph(rag_str t, size_t pos)
{
    line next = look_at_line(t, pos + 1);
    if (next.kind != PLAIN)
        return true;
    return next.quoted != look_at_line(t, line_start(t, pos)).quoted;
}

/* ---- the words around a full stop ---- */

enum { LONGEST_ABBREVIATION = 8 };

/* Titles: a name follows. */
static const char titles[] = " mr mrs ms mx dr prof gen col capt lt sgt maj rev hon gov sen rep pres messrs mme mt ";
static const char never_last[] = " e.g i.e eg ie cf vs viz approx incl ";
static const char before_number[] = " no nos fig figs p pp vol vols ch sec sect art eq para tab ver v "
                                    "jan feb mar apr jun jul aug sep sept oct nov dec ";
/* These end a sentence only when the next word likes to begin one. */
static const char maybe_last[] = " inc ltd co corp bros jr sr al st ave rd blvd dept est a.m p.m ph.d ";
static const char beginners[] =
    " the a an it its he she they we i you this that these those there in on at by for from with to of as if when "
    "while after before since because although but and or so then however also his her their our my your is are was "
    "were do does did can could will would should may what how why where who which please no not all some many most "
    "each both one two another here now today later still even once ";

static bool lists(const char *words, rag_str word)
{
    char padded[LONGEST_ABBREVIATION + 4];
    if (word.len == 0 || word.len > LONGEST_ABBREVIATION)
        return false;
    padded[0] = ' ';
    for (size_t i = 0; i < word.len; i++)
        padded[i + 1] = (char)(word.ptr[i] | (word.ptr[i] >= 'A' && word.ptr[i] <= 'Z' ? 0x20 : 0));
    padded[word.len + 1] = ' ';
    padded[word.len + 2] = '\0';
    return strstr(words, padded) != NULL;
}

static bool is_ascii_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The letters and inner stops that end at pos, at most one more than an abbreviation has. */
static rag_str word_before(rag_str t, size_t start, size_t pos)
{
    size_t from = pos;
    while (from > start && pos - from <= LONGEST_ABBREVIATION &&
           (is_ascii_letter(t.ptr[from - 1]) || t.ptr[from - 1] == '.'))
        from--;
    return rag_str_sub(t, from, pos);
}

static rag_str word_after(rag_str t, size_t pos)
{
    size_t end = pos;
    while (end < t.len && end - pos <= LONGEST_ABBREVIATION && is_ascii_letter(t.ptr[end]))
        end++;
    return rag_str_sub(t, pos, end);
}

/* "J", "U.S": single letters with stops between. */
static bool is_initials(rag_str word)
{
    if (word.len % 2 == 0)
        return false;
    for (size_t i = 0; i < word.len; i++)
        if (i % 2 ? word.ptr[i] != '.' : !is_ascii_letter(word.ptr[i]))
            return false;
    return true;
}

static bool is_abbreviation(rag_str t, size_t start, size_t stop, size_t next)
{
    rag_str word = word_before(t, start, stop);
    size_t from = stop - word.len;
    bool touches_more = from > start && (((unsigned char)t.ptr[from - 1] & 0x80) || is_digit_at(t, from - 1));
    if (word.len == 0 || touches_more)
        return false;
    if (lists(never_last, word))
        return true;
    if (lists(titles, word) && rag_unicode_is_upper((unsigned char)word.ptr[0]))
        return true;
    if (lists(before_number, word) && is_digit_at(t, next))
        return true;
    if (is_initials(word) || lists(maybe_last, word))
        return !lists(beginners, word_after(t, next));
    return false;
}

/* The stop of "2. Open it" behind another sentence, or of "Steps: 1. Open it". */
static bool is_label(rag_str t, size_t start, size_t stop)
{
    size_t from = stop;
    while (from > start && stop - from <= 3 && is_digit_at(t, from - 1))
        from--;
    if (from == stop || stop - from > 3)
        return false;
    size_t before = trim_end(t, start, from);
    return before == start || (before < from && t.ptr[before - 1] == ':');
}

/* ---- ends ---- */

static bool is_wide_end(uint32_t c)
{
    return c == 0x3002 || c == 0xFF61 || c == 0xFF01 || c == 0xFF1F || c == 0xFF1B; /* 。｡！？； */
}

static bool is_end_mark(uint32_t c)
{
    return c == '.' || c == '!' || c == '?' || c == 0x2026 || is_wide_end(c);
}

static bool is_closer(uint32_t c)
{
    switch (c) {
    case '"': case '\'': case ')': case ']': case '*': case '_':
    case 0x201D: case 0x2019: case 0x00BB:               /* ” ’ » */
    case 0x300D: case 0x300F: case 0x3011: case 0x300B:  /* 」 』 】 》 */
    case 0xFF09: case 0xFF3D: case 0xFF02:               /* ） ］ ＂ */
        return true;
    default:
        return false;
    }
}

static bool is_comma(uint32_t c)
{
    return c == ',' || c == ':' || c == ';' || c == 0xFF0C || c == 0x3001 || c == 0xFF1A; /* ， 、 ： */
}

static bool is_lower(uint32_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 0xDF && c <= 0xFF && c != 0xF7) || (c >= 0x3B1 && c <= 0x3C9) ||
           (c >= 0x430 && c <= 0x45F);
}

static size_t skip_note(rag_str t, size_t pos)
{
    size_t end = pos + 1;
    if (pos >= t.len || t.ptr[pos] != '[')
        return pos;
    while (end - pos <= 3 && is_digit_at(t, end))
        end++;
    return end > pos + 1 && end < t.len && t.ptr[end] == ']' ? end + 1 : pos;
}

/* Behind the further end marks, closing quotes and note marks "[1]" at pos. */
static size_t skip_closers(rag_str t, size_t pos, bool *wide)
{
    for (;;) {
        size_t next = skip_note(t, pos);
        if (next == pos) {
            if (pos >= t.len)
                return pos;
            uint32_t c = rag_utf8_next(t, &next);
            if (!is_end_mark(c) && !is_closer(c))
                return pos;
            *wide |= is_wide_end(c);
        }
        pos = next;
    }
}

static uint32_t char_at(rag_str t, size_t pos)
{
    return pos < t.len ? rag_utf8_next(t, &pos) : '\n';
}

/* Does the sentence that began at start end with the mark c at stop?  Sets *pos behind the
 * mark and what closes it, in either case. */
static bool ends_here(rag_str t, size_t start, size_t stop, uint32_t c, size_t *pos)
{
    bool wide = is_wide_end(c);
    *pos = skip_closers(t, *pos, &wide);
    uint32_t after = char_at(t, *pos);
    if (is_comma(after))
        return false;
    if (wide)
        return true;
    if (c == '.' && is_label(t, start, stop))
        return false;
    if (rag_unicode_class(after) == RAG_CHAR_CJK)
        return c != '.' || (stop > start && is_ascii_letter(t.ptr[stop - 1]));
    if (!rag_unicode_is_space(after))
        return false;
    size_t next = skip_space(t, *pos);
    if (is_lower(char_at(t, next)))
        return false;
    return c != '.' || !is_abbreviation(t, start, stop, next);
}

static size_t find_end(rag_str t, size_t start)
{
    for (size_t pos = start; pos < t.len;) {
        size_t at = pos;
        uint32_t c = rag_utf8_next(t, &pos);
        if (c == '\f' || c == 0x2029 || (c == '\n' && ends_paragraph(t, at)))
            return at;
        if (is_end_mark(c) && ends_here(t, start, at, c, &pos))
            return pos;
    }
    return t.len;
}

/* Sets *end for the spans that are a whole line or more. */
static bool is_unit(rag_str t, const line *l, size_t *end)
{
    *end = l->kind == FENCE ? fence_end(t, l) : l->end;
    return l->kind == FENCE || l->kind == ROW || l->kind == HEADING;
}

bool rag_sentence_next(rag_str text, size_t *pos, rag_span *out)
{
    for (size_t start; (start = skip_space(text, *pos)) < text.len;) {
        size_t end;
        bool unit = false;
        if (is_first_in_line(text, start)) {
            line l = look_at_line(text, line_start(text, start));
            unit = is_unit(text, &l, &end);
            start = l.body;
            if (l.kind == RULE || l.kind == BLANK || start == l.end) {
                *pos = l.end;
                continue;
            }
        }
        if (!unit)
            end = find_end(text, start);
        *pos = end;
        *out = (rag_span){ start, trim_end(text, start, end) };
        return true;
    }
    *pos = text.len;
    return false;
}
