/* The words about figures: months, units, currencies, powers of ten. */
#include "daemon/figures_private.h"

#include <string.h>

#include "base/unicode.h"
#include "base/utf8.h"

/* ---- the text ------------------------------------------------------------------------ */

static uint32_t plain(uint32_t c)
{
    if (c == 0xFF0C)
        return c;
    if (c == 0xFFE5)
        return 0xA5;
    if (c == 0x2212)
        return '-';
    if (c == 0x3000 || c == 0xA0)
        return ' ';
    if (c >= 0xFF01 && c <= 0xFF5E)
        c -= 0xFEE0;
    return rag_unicode_simplified(rag_unicode_lower(c));
}

figure_text figure_text_of(rag_str text, rag_arena *arena)
{
    figure_text t = { .c = rag_arena_array(arena, text.len + 1, sizeof *t.c),
                      .at = rag_arena_array(arena, text.len + 1, sizeof *t.at),
                      .is_upper = rag_arena_array(arena, text.len + 1, sizeof *t.is_upper) };
    for (size_t pos = 0; pos < text.len; t.n++) {
        t.at[t.n] = pos;
        uint32_t c = rag_utf8_next(text, &pos);
        t.is_upper[t.n] = rag_unicode_is_upper(c);
        t.c[t.n] = plain(c);
    }
    t.at[t.n] = text.len;
    t.c[t.n] = 0;
    return t;
}

size_t figure_skip_spaces(const figure_text *t, size_t i)
{
    while (t->c[i] == ' ' || t->c[i] == '\n' || t->c[i] == '\t')
        i++;
    return i;
}

size_t figure_word(const figure_text *t, size_t i, const char *word)
{
    size_t start = i, pos = 0;
    rag_str w = rag_str_of(word);
    uint32_t c = 0;
    while (pos < w.len) {
        c = rag_utf8_next(w, &pos);
        if (t->c[i] != c)
            return start;
        i++;
    }
    return figure_is_letter(c) && figure_is_letter(t->c[i]) ? start : i;
}

/* ---- tables --------------------------------------------------------------------------- */

size_t figure_month(const figure_text *t, size_t i, int *month)
{
    static const char *const names[12][3] = {
        { "january", "jan" }, { "february", "feb" }, { "march", "mar" },     { "april", "apr" },
        { "may" },            { "june", "jun" },     { "july", "jul" },      { "august", "aug" },
        { "september", "sept", "sep" }, { "october", "oct" }, { "november", "nov" }, { "december", "dec" },
    };
    for (int m = 0; m < 12; m++)
        for (int k = 0; k < 3 && names[m][k]; k++) {
            size_t end = figure_word(t, i, names[m][k]);
            if (end == i || !t->is_upper[i]) /* may, march */
                continue;
            *month = m + 1;
            return k > 0 && t->c[end] == '.' ? end + 1 : end;
        }
    return i;
}

/* Longer words before the ones they begin with. */
static const struct {
    const char *word, *unit;
    int exponent;
} UNITS[] = {
    { "%", "%", 0 }, { "percentage points", "pp", 0 }, { "percentage point", "pp", 0 }, { "percent", "%", 0 },
    { "per cent", "%", 0 }, { "个百分点", "pp", 0 }, { "百分点", "pp", 0 },
    { "us dollars", "USD", 0 }, { "u.s. dollars", "USD", 0 }, { "dollars", "USD", 0 }, { "dollar", "USD", 0 },
    { "usd", "USD", 0 }, { "美元", "USD", 0 }, { "美金", "USD", 0 }, { "$", "USD", 0 }, { "euros", "EUR", 0 }, { "euro", "EUR", 0 },
    { "eur", "EUR", 0 }, { "€", "EUR", 0 }, { "欧元", "EUR", 0 }, { "pounds", "GBP", 0 }, { "gbp", "GBP", 0 }, { "英镑", "GBP", 0 },
    { "yuan", "CNY", 0 }, { "rmb", "CNY", 0 }, { "cny", "CNY", 0 }, { "元", "CNY", 0 }, { "人民币", "CNY", 0 }, { "块钱", "CNY", 0 },
    { "yen", "JPY", 0 }, { "jpy", "JPY", 0 }, { "日元", "JPY", 0 }, { "日圆", "JPY", 0 }, { "港元", "HKD", 0 }, { "港币", "HKD", 0 },
    { "hkd", "HKD", 0 },
    { "years", "year", 0 }, { "year", "year", 0 }, { "周岁", "year", 0 }, { "岁", "year", 0 }, { "年", "year", 0 },
    { "months", "month", 0 }, { "month", "month", 0 }, { "个月", "month", 0 }, { "weeks", "week", 0 }, { "week", "week", 0 },
    { "个星期", "week", 0 }, { "星期", "week", 0 }, { "周", "week", 0 }, { "days", "day", 0 }, { "day", "day", 0 }, { "天", "day", 0 },
    { "日", "day", 0 }, { "hours", "hour", 0 }, { "hour", "hour", 0 }, { "hrs", "hour", 0 }, { "个小时", "hour", 0 },
    { "小时", "hour", 0 }, { "minutes", "minute", 0 }, { "minute", "minute", 0 }, { "mins", "minute", 0 }, { "min", "minute", 0 },
    { "分钟", "minute", 0 }, { "seconds", "s", 0 }, { "secs", "s", 0 }, { "sec", "s", 0 }, { "秒", "s", 0 },
    { "milliseconds", "s", -3 }, { "ms", "s", -3 }, { "毫秒", "s", -3 }, { "centuries", "century", 0 }, { "century", "century", 0 },
    { "世纪", "century", 0 },
    { "square kilometers", "m2", 6 }, { "square kilometres", "m2", 6 }, { "sq km", "m2", 6 }, { "km²", "m2", 6 }, { "km2", "m2", 6 },
    { "平方公里", "m2", 6 }, { "平方千米", "m2", 6 }, { "square meters", "m2", 0 }, { "square metres", "m2", 0 }, { "m²", "m2", 0 },
    { "平方米", "m2", 0 }, { "square miles", "mi2", 0 }, { "sq mi", "mi2", 0 }, { "平方英里", "mi2", 0 }, { "hectares", "m2", 4 },
    { "公顷", "m2", 4 }, { "acres", "acre", 0 }, { "英亩", "acre", 0 }, { "kilometers", "m", 3 }, { "kilometres", "m", 3 },
    { "kilometer", "m", 3 }, { "kilometre", "m", 3 }, { "km", "m", 3 }, { "公里", "m", 3 }, { "千米", "m", 3 }, { "meters", "m", 0 },
    { "metres", "m", 0 }, { "meter", "m", 0 }, { "metre", "m", 0 }, { "m", "m", 0 }, { "米", "m", 0 }, { "公尺", "m", 0 },
    { "centimeters", "m", -2 }, { "centimetres", "m", -2 }, { "cm", "m", -2 }, { "厘米", "m", -2 }, { "公分", "m", -2 },
    { "millimeters", "m", -3 }, { "millimetres", "m", -3 }, { "mm", "m", -3 }, { "毫米", "m", -3 }, { "miles", "mile", 0 },
    { "mile", "mile", 0 }, { "英里", "mile", 0 }, { "feet", "foot", 0 }, { "foot", "foot", 0 }, { "ft", "foot", 0 }, { "英尺", "foot", 0 },
    { "inches", "inch", 0 }, { "inch", "inch", 0 }, { "英寸", "inch", 0 },
    { "kilograms", "g", 3 }, { "kilogram", "g", 3 }, { "kg", "g", 3 }, { "公斤", "g", 3 }, { "千克", "g", 3 }, { "milligrams", "g", -3 },
    { "mg", "g", -3 }, { "毫克", "g", -3 }, { "grams", "g", 0 }, { "gram", "g", 0 }, { "g", "g", 0 }, { "克", "g", 0 },
    { "tonnes", "g", 6 }, { "tons", "ton", 0 }, { "吨", "g", 6 }, { "lbs", "lb", 0 }, { "lb", "lb", 0 }, { "磅", "lb", 0 },
    { "℃", "°C", 0 }, { "°c", "°C", 0 }, { "° c", "°C", 0 }, { "摄氏度", "°C", 0 }, { "degrees celsius", "°C", 0 }, { "°f", "°F", 0 },
    { "华氏度", "°F", 0 }, { "degrees fahrenheit", "°F", 0 }, { "kb", "kB", 0 }, { "mb", "MB", 0 }, { "gb", "GB", 0 }, { "tb", "TB", 0 },
};

size_t figure_unit(const figure_text *t, size_t i, const char **unit, int *exponent)
{
    for (size_t k = 0; k < sizeof UNITS / sizeof *UNITS; k++) {
        size_t end = figure_word(t, i, UNITS[k].word);
        if (end == i)
            continue;
        *unit = UNITS[k].unit;
        *exponent += UNITS[k].exponent;
        return end;
    }
    return i;
}

size_t figure_scale(const figure_text *t, size_t i, bool is_money, int *exponent)
{
    static const struct {
        const char *word;
        int exponent;
        bool of_money;
    } scales[] = { { "hundred", 2, false }, { "thousand", 3, false }, { "million", 6, false }, { "billion", 9, false }, { "trillion", 12, false },
                   { "bn", 9, true },       { "m", 6, true },         { "k", 3, true } };
    for (size_t k = 0; k < sizeof scales / sizeof *scales; k++) {
        size_t end = figure_word(t, i, scales[k].word);
        if (end == i || (scales[k].of_money && !is_money))
            continue;
        *exponent += scales[k].exponent;
        return end;
    }
    return i;
}

const char *figure_currency_before(const figure_text *t, size_t i)
{
    static const struct {
        const char *word, *unit;
    } signs[] = { { "hk$", "HKD" }, { "$", "USD" }, { "€", "EUR" }, { "£", "GBP" }, { "¥", "¥" }, { "usd", "USD" }, { "eur", "EUR" },
                  { "gbp", "GBP" }, { "rmb", "CNY" }, { "cny", "CNY" }, { "jpy", "JPY" }, { "人民币", "CNY" } };
    while (i > 0 && t->c[i - 1] == ' ')
        i--;
    for (size_t k = 0; k < sizeof signs / sizeof *signs; k++) {
        size_t chars = 0;
        for (const char *p = signs[k].word; *p; p++)
            chars += ((unsigned char)*p & 0xC0) != 0x80;
        if (chars <= i && figure_word(t, i - chars, signs[k].word) == i)
            return signs[k].unit;
    }
    return NULL;
}

int figure_han_digit(uint32_t c)
{
    static const uint32_t digits[] = { 0x96F6, 0x4E00, 0x4E8C, 0x4E09, 0x56DB, 0x4E94, 0x516D, 0x4E03, 0x516B, 0x4E5D };
    for (int d = 0; d < 10; d++)
        if (digits[d] == c)
            return d;
    return c == 0x3007 ? 0 : c == 0x4E24 ? 2 : -1;
}

int figure_han_power(uint32_t c)
{
    switch (c) {
    case 0x5341: return 1; /* 十 */
    case 0x767E: return 2; /* 百 */
    case 0x5343: return 3; /* 千 */
    case 0x4E07: return 4; /* 万 */
    case 0x4EBF: return 8; /* 亿 */
    default: return 0;
    }
}

bool figure_is_measure(uint32_t c)
{
    static const char measures[] = "个人年月日天次岁元块名位家种项座条件部台倍成度米公小秒周星世届支队只头匹张本架艘辆层楼章节点号";
    size_t pos = 0;
    while (pos < sizeof measures - 1)
        if (rag_utf8_next((rag_str){ measures, sizeof measures - 1 }, &pos) == c)
            return true;
    return false;
}
