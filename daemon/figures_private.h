/* daemon/figures_private.h: what the files of the figures share. */
#ifndef RAG_DAEMON_FIGURES_PRIVATE_H
#define RAG_DAEMON_FIGURES_PRIVATE_H

#include "daemon/figures.h"

/* A text as characters: ASCII forms of full-width digits, letters and signs (but the comma: "1，200" are two), lower case, Han simplified. */
typedef struct figure_text {
    uint32_t *c; /* n, and a 0 behind */
    size_t *at;  /* n + 1: the byte that each begins at */
    bool *is_upper;
    size_t n;
} figure_text;

figure_text figure_text_of(rag_str text, rag_arena *arena);

static inline bool figure_is_digit(uint32_t c)
{
    return c >= '0' && c <= '9';
}

static inline bool figure_is_letter(uint32_t c)
{
    return c >= 'a' && c <= 'z';
}

static inline bool figure_is_word(uint32_t c)
{
    return figure_is_digit(c) || figure_is_letter(c);
}

size_t figure_skip_spaces(const figure_text *t, size_t i);

/* ---- figures_words.c: each gives the position behind what it read, or i when it is not there --------------- */

/* UTF-8 word at i; a Latin one must end there. */
size_t figure_word(const figure_text *t, size_t i, const char *word);
size_t figure_month(const figure_text *t, size_t i, int *month);     /* "may", "sept." */
/* *exponent grows by a power of ten that the unit is worth of its base. */
size_t figure_unit(const figure_text *t, size_t i, const char **unit, int *exponent);
size_t figure_scale(const figure_text *t, size_t i, bool is_money, int *exponent); /* "million", "bn", "m" of money */
const char *figure_currency_before(const figure_text *t, size_t i);  /* of a number at i; NULL */
int figure_han_digit(uint32_t c);  /* 0–9, -1 */
int figure_han_power(uint32_t c);  /* 十 1, 百 2, 千 3, 万 4, 亿 8; 0 */
bool figure_is_measure(uint32_t c);

/* ---- figures_number.c ---------------------------------------------------------------- */

figure_decimal figure_decimal_of(uint64_t digits, int exponent);
/* Digits with separators and a decimal point; at most 18 digits. */
size_t figure_digits(const figure_text *t, size_t i, figure_decimal *out);
/* Han numerals, and digits with Han powers: 三十, 二〇二四, 3亿5000万, 120万. */
size_t figure_han(const figure_text *t, size_t i, figure_decimal *out);
size_t figure_english(const figure_text *t, size_t i, figure_decimal *out); /* "thirty-one", "two hundred and five" */

/* ---- figures_date.c ------------------------------------------------------------------ */

size_t figure_date(const figure_text *t, size_t i, figure *out);
size_t figure_time(const figure_text *t, size_t i, figure *out);

#endif
