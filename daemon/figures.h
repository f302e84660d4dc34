/* daemon/figures.h: the figures of a text, in a form that can be compared.
 *
 *   "１，２００，０００"  "1.2 million"  "120万"  "一百二十万"     number 12 · 10^5
 *   "5 %"  "5 percent"  "百分之五"                                number 5, unit "%"
 *   "$4.90"  "4.90 USD"  "4.9美元"                                number 49 · 10^-1, unit "USD"
 *   "1.5 km"  "1500米"                                            number 15 · 10^2, unit "m"
 *   "2024-05-03"  "May 3, 2024"  "3 May 2024"  "2024年5月3日"     date 2024, 5, 3
 *   "15:30"  "3:30 pm"  "下午3点30分"                             time 15, 30
 *   "A350-900"  "1.2.3"                                           code, by its folded text
 *
 * Number words are read in both languages.  A figure is what has digits, or a number word; a Han numeral that stands alone only
 * before a measure word (三个, 五年).
 *
 * Threads: pure, over an arena. */
#ifndef RAG_DAEMON_FIGURES_H
#define RAG_DAEMON_FIGURES_H

#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"

typedef enum figure_kind { FIGURE_NUMBER, FIGURE_DATE, FIGURE_TIME, FIGURE_CODE } figure_kind;

/* digits · 10^exponent, digits without a zero at the end; 0 is 0 · 10^0. */
typedef struct figure_decimal {
    uint64_t digits;
    int exponent;
} figure_decimal;

typedef struct figure {
    figure_kind kind;
    rag_span span;         /* bytes in the text */
    figure_decimal number;
    bool is_negative;
    bool is_word;          /* "three": no digit, no Han numeral */
    const char *unit;      /* static; "" when there is none that is known */
    int year, month, day;  /* 0: not said */
    bool is_ambiguous;     /* 03/05/2024: day and month may be the other way round */
    int hour, minute;
    bool is_half_day;      /* 3:30 without a word about morning or afternoon */
    rag_str code;
} figure;

/* In order of the text; at most one a byte. */
const figure *figures_of(rag_str text, rag_arena *arena, size_t *n);

/* What is claimed follows from what is stated: the same value; a date may leave out what the other says beside it, a number
 * without a unit says less than one with it, and the parts of a date are numbers. */
bool figure_follows(const figure *claimed, const figure *stated);

/* Every figure of `claim` follows from one of `quote`.  On false *missing, when given, is the first that does not.  Number words up to ten are
 * not asked for: "one of them" counts nothing. */
bool figures_follow(rag_str claim, rag_str quote, rag_arena *arena, rag_str *missing);

#endif
