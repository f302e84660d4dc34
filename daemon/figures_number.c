/* Numbers: digits, Han numerals and English number words to one decimal form. */
#include "daemon/figures_private.h"

#include <string.h>

enum { MAX_DIGITS = 18 };
static const uint64_t MAX_NUMBER = UINT64_C(1000000000000000000);

figure_decimal figure_decimal_of(uint64_t digits, int exponent)
{
    if (!digits)
        return (figure_decimal){ 0, 0 };
    while (digits % 10 == 0) {
        digits /= 10;
        exponent++;
    }
    return (figure_decimal){ digits, exponent };
}

static bool scale_up(uint64_t *digits, int by)
{
    for (; by > 0; by--) {
        if (*digits >= MAX_NUMBER / 10)
            return false;
        *digits *= 10;
    }
    return true;
}

/* False when the sum has too many digits. */
static bool add(figure_decimal *sum, figure_decimal more)
{
    int low = sum->digits && sum->exponent < more.exponent ? sum->exponent : more.exponent;
    if (!sum->digits)
        sum->exponent = low = more.exponent;
    if (!more.digits)
        return true;
    uint64_t a = sum->digits, b = more.digits;
    if (!scale_up(&a, sum->exponent - low) || !scale_up(&b, more.exponent - low))
        return false;
    *sum = figure_decimal_of(a + b, low);
    return true;
}

/* ---- digits --------------------------------------------------------------------------- */

static size_t digit_run(const figure_text *t, size_t i)
{
    size_t n = 0;
    while (figure_is_digit(t->c[i + n]))
        n++;
    return n;
}

/* ",200" behind one to three digits, or behind such a group. */
static bool is_group(const figure_text *t, size_t i)
{
    return t->c[i] == ',' && digit_run(t, i + 1) == 3;
}

size_t figure_digits(const figure_text *t, size_t i, figure_decimal *out)
{
    size_t start = i, first = digit_run(t, i), used = 0;
    uint64_t digits = 0;
    int exponent = 0;
    bool is_grouped = first > 0 && first <= 3 && t->c[i] != '0';
    for (bool is_fraction = false; figure_is_digit(t->c[i]); i++) {
        if (digits || t->c[i] != '0')
            used++;
        if (used > MAX_DIGITS)
            return start;
        digits = digits * 10 + (t->c[i] - '0');
        exponent -= is_fraction;
        if (!is_fraction && is_grouped && is_group(t, i + 1)) {
            i++;
        } else if (!is_fraction && t->c[i + 1] == '.' && figure_is_digit(t->c[i + 2])) {
            is_fraction = true;
            i++;
        }
    }
    *out = figure_decimal_of(digits, exponent);
    return i;
}

/* ---- Han ------------------------------------------------------------------------------ */

typedef struct han {
    figure_decimal whole, section, current; /* up to the last 万 or 亿; since; the digit or number that waits for its power */
    bool has_current, is_plain;             /* plain: digit after digit, as in 二〇二四 */
    int last_power;                         /* of 万 and 亿 */
} han;

static bool take_power(han *h, int power)
{
    if (power < 4) {
        figure_decimal one = h->has_current ? h->current : (figure_decimal){ 1, 0 };
        one.exponent += one.digits ? power : 0;
        h->current = (figure_decimal){ 0, 0 };
        h->has_current = false;
        return add(&h->section, one);
    }
    if (!add(&h->section, h->current))
        return false;
    bool is_of_all = power > h->last_power; /* 一万五千亿, and not 3亿5000万 */
    if (is_of_all && !add(&h->section, h->whole))
        return false;
    figure_decimal more = h->section.digits ? h->section : h->whole;
    if (!more.digits)
        return false;
    more.exponent += power;
    if (is_of_all || !h->section.digits)
        h->whole = more;
    else if (!add(&h->whole, more))
        return false;
    h->section = h->current = (figure_decimal){ 0, 0 };
    h->has_current = false;
    h->last_power = power;
    return true;
}

static bool take_digit(han *h, int digit)
{
    if (!h->has_current) {
        h->current = figure_decimal_of((uint64_t)digit, 0);
        h->has_current = digit > 0 || h->is_plain;
        return true;
    }
    h->is_plain = true;
    h->current.exponent += h->current.digits ? 1 : 0;
    return add(&h->current, figure_decimal_of((uint64_t)digit, 0));
}

static size_t take_one(const figure_text *t, size_t i, han *h)
{
    int digit = figure_han_digit(t->c[i]), power = figure_han_power(t->c[i]);
    if (figure_is_digit(t->c[i]) && !h->has_current) {
        size_t end = figure_digits(t, i, &h->current);
        h->has_current = end > i;
        return end;
    }
    if ((digit >= 0 && take_digit(h, digit)) || (power > 0 && take_power(h, power)))
        return i + 1;
    return i;
}

static bool begins_han(uint32_t c)
{
    return figure_is_digit(c) || figure_han_digit(c) >= 0 || figure_han_power(c) == 1;
}

/* A numeral alone counts something only before a measure word: 一些, 十分. */
static bool is_counting(const figure_text *t, size_t i, size_t end)
{
    return end - i > 1 || (i >= 3 && figure_word(t, i - 3, "百分之") == i) || figure_is_measure(t->c[end]) || figure_word(t, end, "分钟") > end;
}

size_t figure_han(const figure_text *t, size_t i, figure_decimal *out)
{
    han h = { 0 };
    size_t start = i;
    if (!begins_han(t->c[i]))
        return start;
    for (size_t next; i < t->n && (next = take_one(t, i, &h)) > i; i = next)
        ;
    if (!is_counting(t, start, i) || !add(&h.section, h.current) || !add(&h.whole, h.section))
        return start;
    *out = h.whole;
    return i;
}

/* ---- English -------------------------------------------------------------------------- */

static size_t english_small(const figure_text *t, size_t i, uint64_t *value)
{
    static const char *const ones[] = { "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
                                        "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen" };
    static const char *const tens[] = { "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety" };
    for (size_t k = 0; k < sizeof ones / sizeof *ones; k++) {
        size_t end = figure_word(t, i, ones[k]);
        if (end > i)
            return *value = k, end;
    }
    for (size_t k = 0; k < sizeof tens / sizeof *tens; k++) {
        size_t end = figure_word(t, i, tens[k]);
        uint64_t one = 0;
        if (end == i)
            continue;
        *value = 10 * (k + 2);
        size_t more = t->c[end] == '-' || t->c[end] == ' ' ? english_small(t, end + 1, &one) : end;
        if (more > end + 1 && one > 0 && one < 10)
            return *value += one, more;
        return end;
    }
    return i;
}

size_t figure_english(const figure_text *t, size_t i, figure_decimal *out)
{
    uint64_t value = 0;
    int exponent = 0;
    size_t end = english_small(t, i, &value);
    if (end == i)
        return i;
    for (size_t next; (next = figure_scale(t, figure_skip_spaces(t, end), false, &exponent)) > figure_skip_spaces(t, end);)
        end = next;
    *out = figure_decimal_of(value, exponent);
    uint64_t rest = 0;
    size_t and = figure_skip_spaces(t, end), behind = exponent == 2 ? figure_word(t, and, "and") : and;
    if (exponent == 2 && behind > and && t->c[behind] == ' ') {
        size_t last = english_small(t, behind + 1, &rest);
        if (last > behind + 1 && add(out, figure_decimal_of(rest, 0)))
            end = last;
    }
    return end;
}
