/* A text's figures, and what follows from what. */
#include "daemon/figures_private.h"

#include <string.h>

#include "base/unicode.h"

/* ---- reading --------------------------------------------------------------------------- */

static size_t run_end(const figure_text *t, size_t i)
{
    for (;; i++) {
        bool is_mark = t->c[i] == '-' || t->c[i] == '.' || t->c[i] == '_';
        bool joins = is_mark && i > 0 && figure_is_word(t->c[i - 1]) && figure_is_word(t->c[i + 1]);
        if (!figure_is_word(t->c[i]) && !joins)
            return i;
    }
}

static rag_str code_of(const figure_text *t, size_t i, size_t end, rag_arena *arena)
{
    char *p = rag_arena_alloc(arena, end - i + 1);
    for (size_t k = i; k < end; k++)
        p[k - i] = (char)t->c[k];
    return (rag_str){ p, end - i };
}

static bool has_digit(const figure_text *t, size_t i, size_t end)
{
    while (i < end && !figure_is_digit(t->c[i]))
        i++;
    return i < end;
}

/* Letters that go on into digits, or digits that no number ends: "A350-900", "1.2.3", a key. */
static size_t read_code(const figure_text *t, size_t i, rag_arena *arena, figure *out)
{
    size_t end = i;
    if (figure_is_letter(t->c[i])) {
        while (figure_is_letter(t->c[end]))
            end++;
        if (!figure_is_digit(t->c[end]) && !(t->c[end] == '-' && figure_is_digit(t->c[end + 1])))
            return i;
    }
    end = run_end(t, i);
    if (!has_digit(t, i, end))
        return i;
    *out = (figure){ .kind = FIGURE_CODE, .code = code_of(t, i, end, arena) };
    return end;
}

/* What may stand between a number and its unit. */
static size_t skip_gap(const figure_text *t, size_t i)
{
    size_t end = figure_skip_spaces(t, i);
    if (end == i && t->c[i] == '-' && figure_is_letter(t->c[i + 1]))
        return i + 1;
    return end;
}

static size_t read_ending(const figure_text *t, size_t i, figure *out)
{
    static const char *const endings[] = { "st", "nd", "rd", "th", "s" };
    for (size_t k = 0; k < sizeof endings / sizeof *endings; k++)
        if (figure_word(t, i, endings[k]) > i)
            i = figure_word(t, i, endings[k]);
    const char *money = *out->unit ? out->unit : NULL;
    size_t at = skip_gap(t, i), end = figure_scale(t, at, money != NULL, &out->number.exponent);
    if (end > at)
        i = end;
    at = skip_gap(t, i);
    const char *unit = "";
    int exponent = 0;
    end = figure_unit(t, at, &unit, &exponent);
    if (end == at || (money && strcmp(money, unit) != 0 && strcmp(unit, "USD") != 0))
        return i;
    out->number.exponent += exponent;
    out->unit = money ? money : unit;
    return end;
}

static size_t percent_before(const figure_text *t, size_t i)
{
    return figure_word(t, i, "百分之");
}

/* A sign, not a dash in a range or a list. */
static bool is_minus(const figure_text *t, size_t i)
{
    return i > 0 && t->c[i - 1] == '-' && (i == 1 || t->c[i - 2] == ' ' || t->c[i - 2] == '(' || t->c[i - 2] == '\n');
}

static size_t read_number(const figure_text *t, size_t i, figure *out)
{
    size_t start = percent_before(t, i), end;
    figure f = { .kind = FIGURE_NUMBER, .unit = "" };
    end = figure_han(t, start, &f.number);
    if (end == start)
        end = figure_digits(t, start, &f.number);
    if (end == start && start == i) {
        end = figure_english(t, i, &f.number);
        f.is_word = end > i;
    }
    if (end == start)
        return i;
    const char *currency = figure_currency_before(t, i);
    f.unit = start > i ? "%" : currency ? currency : "";
    f.is_negative = is_minus(t, i);
    end = start > i ? end : read_ending(t, end, &f);
    f.number = figure_decimal_of(f.number.digits, f.number.exponent);
    *out = f;
    return end;
}

/* "1.2.3", "10:30:05", "12abc": more behind the number than a unit. */
static bool goes_on(const figure_text *t, size_t end)
{
    uint32_t c = t->c[end], next = c ? t->c[end + 1] : 0;
    return figure_is_word(c) || ((c == '.' || c == ':') && figure_is_digit(next));
}

static size_t read_one(const figure_text *t, size_t i, rag_arena *arena, figure *out)
{
    size_t end = figure_date(t, i, out);
    if (end == i)
        end = figure_time(t, i, out);
    if (end == i || (figure_is_word(t->c[end - 1]) && goes_on(t, end)))
        end = read_number(t, i, out);
    bool is_broken = end > i && figure_is_word(t->c[end - 1]) && goes_on(t, end);
    return end == i || is_broken ? read_code(t, i, arena, out) : end;
}

/* "4–5 days": the first has the second's unit. */
static void share_units(const figure_text *t, const size_t *starts, const size_t *ends, figure *f, size_t n)
{
    static const char *const between[] = { "-", "–", "—", "~", "～", "至", "到", "to", "and", "or" };
    for (size_t k = n; k > 1; k--) {
        figure *a = &f[k - 2], *b = &f[k - 1];
        if (a->kind != FIGURE_NUMBER || b->kind != FIGURE_NUMBER || *a->unit || !*b->unit)
            continue;
        size_t at = figure_skip_spaces(t, ends[k - 2]);
        for (size_t w = 0; w < sizeof between / sizeof *between; w++) {
            size_t end = figure_word(t, at, between[w]);
            if (end > at && figure_skip_spaces(t, end) == starts[k - 1])
                a->unit = b->unit;
        }
    }
}

const figure *figures_of(rag_str text, rag_arena *arena, size_t *n)
{
    figure_text t = figure_text_of(text, arena);
    figure *list = rag_arena_array(arena, t.n + 1, sizeof *list);
    size_t *starts = rag_arena_array(arena, t.n + 1, sizeof *starts), *ends = rag_arena_array(arena, t.n + 1, sizeof *ends);
    *n = 0;
    for (size_t i = 0; i < t.n;) {
        bool inside = i > 0 && figure_is_letter(t.c[i - 1]) && figure_is_word(t.c[i]);
        size_t end = inside ? i : read_one(&t, i, arena, &list[*n]);
        if (end == i) {
            i++;
            continue;
        }
        list[*n].span = (rag_span){ t.at[i], t.at[end] };
        if (!list[*n].unit)
            list[*n].unit = "";
        starts[*n] = i;
        ends[(*n)++] = end;
        i = end;
    }
    share_units(&t, starts, ends, list, *n);
    return list;
}

/* ---- comparing -------------------------------------------------------------------------- */

static bool same_number(figure_decimal a, figure_decimal b)
{
    return a.digits == b.digits && a.exponent == b.exponent;
}

static bool is_number(figure_decimal d, int value)
{
    return same_number(d, figure_decimal_of((uint64_t)value, 0));
}

static bool same_unit(const char *claimed, const char *stated)
{
    if (!*claimed || !strcmp(claimed, stated))
        return true;
    bool is_yen = !strcmp(claimed, "¥") || !strcmp(stated, "¥");
    const char *other = !strcmp(claimed, "¥") ? stated : claimed;
    return is_yen && (!strcmp(other, "CNY") || !strcmp(other, "JPY"));
}

static bool fits(int claimed, int stated)
{
    return !claimed || claimed == stated;
}

static bool same_date(const figure *a, const figure *b)
{
    if (!fits(a->year, b->year))
        return false;
    if (fits(a->month, b->month) && fits(a->day, b->day))
        return true;
    return (a->is_ambiguous || b->is_ambiguous) && a->day && a->month == b->day && a->day == b->month;
}

static bool is_bare_year(const figure *f)
{
    return f->kind == FIGURE_DATE && !f->month;
}

static bool is_part(figure_decimal d, const figure *date)
{
    return (date->year && is_number(d, date->year)) || (date->month && is_number(d, date->month)) ||
           (date->day && is_number(d, date->day));
}

static bool same_time(const figure *a, const figure *b)
{
    bool either = a->is_half_day || b->is_half_day;
    return a->minute == b->minute && (a->hour == b->hour || (either && a->hour % 12 == b->hour % 12));
}

bool figure_follows(const figure *claimed, const figure *stated)
{
    if (claimed->kind == FIGURE_NUMBER && stated->kind == FIGURE_DATE)
        return !*claimed->unit && is_part(claimed->number, stated);
    if (is_bare_year(claimed) && stated->kind == FIGURE_NUMBER)
        return !*stated->unit && is_number(stated->number, claimed->year);
    if (claimed->kind != stated->kind)
        return false;
    switch (claimed->kind) {
    case FIGURE_NUMBER:
        return same_number(claimed->number, stated->number) && claimed->is_negative == stated->is_negative &&
               same_unit(claimed->unit, stated->unit);
    case FIGURE_DATE: return same_date(claimed, stated);
    case FIGURE_TIME: return same_time(claimed, stated);
    case FIGURE_CODE: return rag_str_eq(claimed->code, stated->code);
    }
    return false;
}

static bool is_idle_word(const figure *f)
{
    return f->is_word && !*f->unit && (f->number.exponent == 0 ? f->number.digits < 10 : f->number.exponent == 1 && f->number.digits == 1);
}

bool figures_follow(rag_str claim, rag_str quote, rag_arena *arena, rag_str *missing)
{
    size_t n_claimed, n_stated;
    const figure *claimed = figures_of(claim, arena, &n_claimed), *stated = figures_of(quote, arena, &n_stated);
    for (size_t i = 0; i < n_claimed; i++) {
        bool follows = is_idle_word(&claimed[i]);
        for (size_t j = 0; !follows && j < n_stated; j++)
            follows = figure_follows(&claimed[i], &stated[j]);
        if (follows)
            continue;
        if (missing)
            *missing = rag_str_sub(claim, claimed[i].span.start, claimed[i].span.end);
        return false;
    }
    return true;
}
