/* base/unicode.h: what needs Unicode's tables.  The only user of ICU.
 *
 * Threads: pure functions over ICU's immutable data. */
#ifndef RAG_BASE_UNICODE_H
#define RAG_BASE_UNICODE_H

#include "base/str.h"

/* Appends NFKC(s) to out.  Invalid bytes become U+FFFD. */
void rag_unicode_nfkc(rag_str s, rag_buf *out);

/* Appends the search form: NFKC, full case folding, combining marks removed after
 * decomposition (é → e), recomposed.  Han, kana and hangul are kept as they are.  */
void rag_unicode_fold(rag_str s, rag_buf *out);

typedef enum rag_char_class {
    RAG_CHAR_OTHER,  /* punctuation, symbols, spaces, controls */
    RAG_CHAR_LETTER, /* alphabetic scripts, and combining marks */
    RAG_CHAR_DIGIT,  /* decimal digits and other numbers */
    RAG_CHAR_CJK,    /* Han, Hiragana, Katakana, Hangul, Bopomofo: one token a character */
} rag_char_class;

rag_char_class rag_unicode_class(uint32_t c);
bool rag_unicode_is_space(uint32_t c); /* White_Space, and U+FEFF, U+200B */
bool rag_unicode_is_upper(uint32_t c);
/* Columns of a terminal: 2 for what East Asian scripts write wide, 0 for combining marks. */
int rag_unicode_width(uint32_t c);
uint32_t rag_unicode_lower(uint32_t c); /* simple lower case, one character to one */

/* A Han character of U+3400–9FFF in its simplified form, any other character as it is: one to one, and the same again
 * when applied again.  Variants fold together too (著 and 着, 裏 and 裡). */
uint32_t rag_unicode_simplified(uint32_t c);

typedef enum rag_lang { RAG_LANG_EN, RAG_LANG_ZH } rag_lang;

/* The language to answer in: RAG_LANG_ZH when more than half of the letters are Han;
 * a text without letters is English. */
rag_lang rag_unicode_lang(rag_str s);
const char *rag_lang_name(rag_lang lang); /* "en", "zh" */

#endif
