/* Comparing answers as text. */
#include <stdlib.h>
#include <string.h>

#include "base/unicode.h"
#include "base/utf8.h"
#include "ctl/eval_metrics.h"

/* ---- normalisation ------------------------------------------------------------------ */

static void put_char(rag_buf *out, uint32_t c)
{
    char bytes[4];
    rag_buf_put(out, (rag_str){ bytes, rag_utf8_encode(c, bytes) });
}

static void normalise_characters(rag_str text, rag_buf *out)
{
    rag_buf folded;
    rag_buf_init(&folded, RAG_MAX_TEXT);
    rag_unicode_nfkc(text, &folded);
    rag_str f = rag_buf_str(&folded);
    for (size_t pos = 0; pos < f.len;) {
        uint32_t c = rag_utf8_next(f, &pos);
        if (rag_unicode_class(c) != RAG_CHAR_OTHER)
            put_char(out, rag_unicode_lower(c));
    }
    rag_buf_free(&folded);
}

static bool is_ascii_punctuation(uint32_t c)
{
    return c < 0x80 && c && strchr("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", (int)c);
}

static void lower_without_punctuation(rag_str text, rag_buf *out)
{
    for (size_t pos = 0; pos < text.len;) {
        uint32_t c = rag_utf8_next(text, &pos);
        if (!is_ascii_punctuation(c))
            put_char(out, rag_unicode_lower(c));
    }
}

static bool is_article(rag_str word)
{
    return rag_str_eq(word, RAG_STR("a")) || rag_str_eq(word, RAG_STR("an")) || rag_str_eq(word, RAG_STR("the"));
}

static void put_space(rag_buf *out)
{
    if (out->len && out->ptr[out->len - 1] != ' ')
        rag_buf_putc(out, ' ');
}

/* \b(a|an|the)\b becomes a space, then runs of white space become one. */
static void drop_articles(rag_str text, rag_buf *out)
{
    for (size_t pos = 0; pos < text.len;) {
        size_t start = pos, next = pos;
        uint32_t c = rag_utf8_next(text, &next);
        while (rag_unicode_class(c) != RAG_CHAR_OTHER) {
            pos = next;
            if (pos == text.len)
                break;
            c = rag_utf8_next(text, &next);
        }
        if (pos > start) {
            rag_str word = rag_str_sub(text, start, pos);
            if (is_article(word))
                put_space(out);
            else
                rag_buf_put(out, word);
            continue;
        }
        pos = next;
        if (rag_unicode_is_space(c))
            put_space(out);
        else
            put_char(out, c);
    }
    if (out->len && out->ptr[out->len - 1] == ' ')
        rag_buf_truncate(out, out->len - 1);
}

void eval_normalise(rag_str text, bool zh, rag_buf *out)
{
    rag_buf lower;
    rag_buf_clear(out);
    if (zh) {
        normalise_characters(text, out);
        return;
    }
    rag_buf_init(&lower, RAG_MAX_TEXT);
    lower_without_punctuation(text, &lower);
    drop_articles(rag_buf_str(&lower), out);
    rag_buf_free(&lower);
}

bool eval_by_characters(bool is_chinese, rag_str gold)
{
    for (size_t pos = 0; !is_chinese && pos < gold.len;)
        is_chinese = rag_unicode_class(rag_utf8_next(gold, &pos)) == RAG_CHAR_CJK;
    return is_chinese;
}

void eval_strip_markers(rag_str text, rag_buf *out)
{
    for (size_t at = 0; at < text.len;) {
        size_t end = at + (text.ptr[at] == ' ');
        size_t digits = end + 1;
        while (end < text.len && text.ptr[end] == '[' && digits < text.len && text.ptr[digits] >= '0' &&
               text.ptr[digits] <= '9')
            digits++;
        if (digits > end + 1 && digits < text.len && text.ptr[digits] == ']') {
            at = digits + 1;
            continue;
        }
        rag_buf_putc(out, text.ptr[at++]);
    }
}

/* ---- comparison --------------------------------------------------------------------- */

typedef struct pair {
    rag_buf answer, gold;
} pair;

static void open_pair(pair *p, rag_str answer, rag_str gold, bool zh)
{
    rag_buf_init(&p->answer, RAG_MAX_TEXT);
    rag_buf_init(&p->gold, RAG_MAX_TEXT);
    eval_normalise(answer, zh, &p->answer);
    eval_normalise(gold, zh, &p->gold);
}

static void close_pair(pair *p)
{
    rag_buf_free(&p->answer);
    rag_buf_free(&p->gold);
}

double eval_exact_match(rag_str answer, rag_str gold, bool zh)
{
    pair p;
    open_pair(&p, answer, gold, zh);
    bool equal = rag_str_eq(rag_buf_str(&p.answer), rag_buf_str(&p.gold));
    close_pair(&p);
    return equal;
}

double eval_includes(rag_str text, rag_str gold, bool zh)
{
    pair p;
    open_pair(&p, text, gold, zh);
    bool includes = p.gold.len && rag_str_find(rag_buf_str(&p.answer), rag_buf_str(&p.gold), 0) != SIZE_MAX;
    close_pair(&p);
    return includes;
}

size_t eval_length(rag_str text, bool zh)
{
    size_t n = 0, pos = 0;
    bool was_space = true;
    while (pos < text.len) {
        bool is_space = rag_unicode_is_space(rag_utf8_next(text, &pos));
        n += !is_space && (zh || was_space);
        was_space = is_space;
    }
    return n;
}

static int compare_tokens(const void *a, const void *b)
{
    const rag_str *x = a, *y = b;
    size_t n = x->len < y->len ? x->len : y->len;
    int order = memcmp(x->ptr, y->ptr, n);
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

/* The tokens of a normalised text, sorted; to be freed. */
static rag_str *tokens_of(rag_str text, bool zh, size_t *n)
{
    rag_str *tokens = rag_calloc(text.len + 1, sizeof *tokens);
    *n = 0;
    for (size_t pos = 0; pos < text.len;) {
        size_t start = pos;
        if (zh)
            rag_utf8_next(text, &pos);
        while (!zh && pos < text.len && text.ptr[pos] != ' ')
            pos++;
        tokens[(*n)++] = rag_str_sub(text, start, pos);
        pos += !zh;
    }
    qsort(tokens, *n, sizeof *tokens, compare_tokens);
    return tokens;
}

static size_t count_common(const rag_str *a, size_t n, const rag_str *b, size_t m)
{
    size_t common = 0;
    for (size_t i = 0, j = 0; i < n && j < m;) {
        int order = compare_tokens(&a[i], &b[j]);
        common += order == 0;
        i += order <= 0;
        j += order >= 0;
    }
    return common;
}

double eval_f1(rag_str answer, rag_str gold, bool zh)
{
    pair p;
    size_t n, m;
    open_pair(&p, answer, gold, zh);
    rag_str *a = tokens_of(rag_buf_str(&p.answer), zh, &n), *b = tokens_of(rag_buf_str(&p.gold), zh, &m);
    size_t common = count_common(a, n, b, m);
    double precision = n ? (double)common / (double)n : 0, recall = m ? (double)common / (double)m : 0;
    free(a);
    free(b);
    close_pair(&p);
    return common ? 2 * precision * recall / (precision + recall) : 0;
}
