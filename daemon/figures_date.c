/* Dates and times of day. */
#include "daemon/figures_private.h"

/* A whole number of at most `most` digits, not followed by another; i when there is none. */
static size_t small(const figure_text *t, size_t i, size_t most, int *out)
{
    size_t end = i;
    int value = 0;
    while (figure_is_digit(t->c[end]) && end - i <= most)
        value = value * 10 + (int)(t->c[end++] - '0');
    if (end == i || end - i > most)
        return i;
    *out = value;
    return end;
}

static bool is_year(int y)
{
    return y >= 1000 && y < 3000;
}

static bool is_month(int m)
{
    return m >= 1 && m <= 12;
}

static bool is_day(int d)
{
    return d >= 1 && d <= 31;
}

/* Digits or Han numerals, for 年, 月 and 日. */
static size_t part(const figure_text *t, size_t i, int *out)
{
    figure_decimal d;
    size_t end = figure_han(t, i, &d);
    if (end == i)
        end = figure_digits(t, i, &d);
    if (end == i || d.exponent < 0 || d.exponent > 3 || d.digits > 9999)
        return i;
    *out = (int)d.digits;
    for (int e = d.exponent; e > 0; e--)
        *out *= 10;
    return end;
}

static bool is(const figure_text *t, size_t i, const char *word, size_t *end)
{
    *end = figure_word(t, i, word);
    return *end > i;
}

static size_t han_day(const figure_text *t, size_t i, int *day)
{
    size_t skipped = figure_skip_spaces(t, i), end = part(t, skipped, day), behind;
    bool is_one = end > skipped && is_day(*day) && (is(t, end, "日", &behind) || is(t, end, "号", &behind));
    if (!is_one)
        *day = 0;
    return is_one ? behind : i;
}

static size_t han_month(const figure_text *t, size_t i, int *month, int *day)
{
    size_t skipped = figure_skip_spaces(t, i), end = part(t, skipped, month), behind;
    if (end == skipped || !is_month(*month) || !is(t, figure_skip_spaces(t, end), "月", &behind))
        return *month = 0, i;
    return han_day(t, behind, day);
}

static size_t han_date(const figure_text *t, size_t i, figure *out)
{
    size_t end = part(t, i, &out->year), behind;
    if (end > i && is_year(out->year) && is(t, figure_skip_spaces(t, end), "年", &behind))
        return han_month(t, behind, &out->month, &out->day);
    out->year = 0;
    return han_month(t, i, &out->month, &out->day);
}

/* 2024-05-03, 2024/5/3, 2024.5.3; 03/05/2024. */
static size_t numeric_date(const figure_text *t, size_t i, figure *out)
{
    int a = 0, b = 0, c = 0;
    size_t x = small(t, i, 4, &a);
    uint32_t sign = t->c[x];
    if (x == i || (sign != '-' && sign != '/' && sign != '.'))
        return i;
    size_t y = small(t, x + 1, 2, &b);
    if (y == x + 1 || t->c[y] != sign)
        return i;
    size_t z = small(t, y + 1, 4, &c);
    if (z == y + 1 || figure_is_word(t->c[z]))
        return i;
    if (is_year(a) && is_month(b) && is_day(c))
        *out = (figure){ .year = a, .month = b, .day = c };
    else if (is_year(c) && is_month(a) && is_day(b))
        *out = (figure){ .year = c, .month = a, .day = b, .is_ambiguous = is_month(b) };
    else if (is_year(c) && is_month(b) && is_day(a))
        *out = (figure){ .year = c, .month = b, .day = a };
    else
        return i;
    return z;
}

static size_t ordinal_end(const figure_text *t, size_t i)
{
    static const char *const suffixes[] = { "st", "nd", "rd", "th" };
    for (size_t k = 0; k < 4; k++) {
        size_t end = figure_word(t, i, suffixes[k]);
        if (end > i)
            return end;
    }
    return i;
}

/* ", 2024" or " 2024" behind a month or its day. */
static size_t year_behind(const figure_text *t, size_t i, int *year)
{
    size_t at = figure_skip_spaces(t, t->c[i] == ',' ? i + 1 : i), end = small(t, at, 4, year);
    bool is_one = at > i && end > at && is_year(*year) && !figure_is_word(t->c[end]) && !(t->c[end] == ',' && figure_is_digit(t->c[end + 1]));
    if (!is_one)
        *year = 0;
    return is_one ? end : i;
}

static size_t month_first(const figure_text *t, size_t i, figure *out)
{
    size_t end = figure_month(t, i, &out->month), at = figure_skip_spaces(t, end);
    if (end == i)
        return i;
    size_t day = small(t, at, 2, &out->day), behind = ordinal_end(t, day);
    if (at == end || day == at || !is_day(out->day) || figure_is_word(t->c[behind])) {
        out->day = 0;
        size_t year = year_behind(t, end, &out->year);
        return year > end ? year : i; /* "may" alone is no date */
    }
    return year_behind(t, behind, &out->year);
}

static size_t day_first(const figure_text *t, size_t i, figure *out)
{
    size_t day = small(t, i, 2, &out->day), at = figure_skip_spaces(t, ordinal_end(t, day)), of;
    if (day == i || !is_day(out->day) || at == day)
        return i;
    if (is(t, at, "of", &of))
        at = figure_skip_spaces(t, of);
    size_t end = figure_month(t, at, &out->month);
    return end > at ? year_behind(t, end, &out->year) : i;
}

size_t figure_date(const figure_text *t, size_t i, figure *out)
{
    size_t (*const forms[])(const figure_text *, size_t, figure *) = { numeric_date, han_date, month_first, day_first };
    for (size_t k = 0; k < sizeof forms / sizeof *forms; k++) {
        figure f = { 0 };
        size_t end = forms[k](t, i, &f);
        if (end == i)
            continue;
        *out = f;
        out->kind = FIGURE_DATE;
        return end;
    }
    return i;
}

/* ---- times ---------------------------------------------------------------------------- */

/* 1 morning, 2 afternoon, 0 neither, of "3:30 pm" and "下午3点30分". */
static size_t half_behind(const figure_text *t, size_t i, int *half)
{
    static const struct {
        const char *word;
        int half;
    } words[] = { { "am", 1 }, { "a.m.", 1 }, { "pm", 2 }, { "p.m.", 2 } };
    size_t at = figure_skip_spaces(t, i), end;
    for (size_t k = 0; k < 4; k++)
        if (is(t, at, words[k].word, &end))
            return *half = words[k].half, end;
    return i;
}

static int half_before(const figure_text *t, size_t i)
{
    size_t end;
    if (i >= 2 && (is(t, i - 2, "下午", &end) || is(t, i - 2, "晚上", &end)))
        return 2;
    return i >= 2 && (is(t, i - 2, "上午", &end) || is(t, i - 2, "早上", &end)) ? 1 : 0;
}

static size_t clock_digits(const figure_text *t, size_t i, figure *out, int *half)
{
    size_t hour = small(t, i, 2, &out->hour), end = hour;
    if (hour == i || out->hour > 24)
        return i;
    if (t->c[hour] == ':') {
        end = small(t, hour + 1, 2, &out->minute);
        if (end != hour + 3 || out->minute > 59 || t->c[end] == ':')
            return i;
        return half_behind(t, end, half);
    }
    end = half_behind(t, hour, half); /* "3 pm" */
    return end > hour ? end : i;
}

static size_t clock_han(const figure_text *t, size_t i, figure *out)
{
    size_t end = part(t, i, &out->hour), behind, last;
    if (end == i || out->hour > 24 || !is(t, end, "点", &behind))
        return i;
    if (is(t, behind, "半", &last))
        return out->minute = 30, last;
    size_t minute = part(t, behind, &out->minute);
    if (minute > behind && out->minute < 60 && is(t, minute, "分", &last))
        return last;
    out->minute = 0;
    return behind;
}

size_t figure_time(const figure_text *t, size_t i, figure *out)
{
    figure f = { .kind = FIGURE_TIME };
    int half = half_before(t, i);
    size_t end = clock_digits(t, i, &f, &half);
    if (end == i)
        end = clock_han(t, i, &f);
    if (end == i)
        return i;
    if (half == 2 && f.hour < 12)
        f.hour += 12;
    if (half == 1 && f.hour == 12)
        f.hour = 0;
    f.is_half_day = half == 0 && f.hour <= 12;
    *out = f;
    return end;
}
