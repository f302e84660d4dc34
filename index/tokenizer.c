#include "index/tokenizer.h"

#include <libstemmer.h>
#include <stdlib.h>
#include <string.h>

#include "base/unicode.h"
#include "base/utf8.h"

enum {
    MAX_WORD = 128,     /* bytes of text; a longer run is cut into several words */
    MAX_STEM_WORD = 30, /* longer words have no English stem */
    MIN_STEM_WORD = 3,
    CACHE_SLOTS = 4096,
};

/* Stems of words met before: the stemmer alone would halve the speed of indexing. */
typedef struct stem_slot {
    uint8_t word_len, stem_len;
    char word[MAX_STEM_WORD], stem[MAX_STEM_WORD];
} stem_slot;

struct tokenizer {
    struct sb_stemmer *stemmer;
    rag_buf folded;
    stem_slot cache[CACHE_SLOTS];
};

typedef struct run {
    tokenizer *t;
    rag_str text;
    token_fn *on_token;
    void *context;
} run;

tokenizer *tokenizer_new(void)
{
    tokenizer *t = rag_calloc(1, sizeof *t);
    t->stemmer = sb_stemmer_new("english", "UTF_8");
    /* NFKC grows a character to 18 at most, each of at most 4 bytes. */
    rag_buf_init(&t->folded, (MAX_WORD + 4) * 72);
    return t;
}

void tokenizer_free(tokenizer *t)
{
    if (!t)
        return;
    sb_stemmer_delete(t->stemmer);
    rag_buf_free(&t->folded);
    free(t);
}

/* ---- stems ------------------------------------------------------------------------------- */

static size_t hash_word(rag_str word)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < word.len; i++)
        h = (h ^ (uint8_t)word.ptr[i]) * 16777619u;
    return (h ^ h >> 15) % CACHE_SLOTS;
}

static void fill_slot(tokenizer *t, stem_slot *slot, rag_str word)
{
    memcpy(slot->word, word.ptr, word.len);
    slot->word_len = (uint8_t)word.len;
    const sb_symbol *stem = sb_stemmer_stem(t->stemmer, (const sb_symbol *)word.ptr, (int)word.len);
    size_t n = (size_t)sb_stemmer_length(t->stemmer);
    rag_str result = stem && n > 0 && n <= sizeof slot->stem ? (rag_str){ (const char *)stem, n } : word;
    memcpy(slot->stem, result.ptr, result.len);
    slot->stem_len = (uint8_t)result.len;
}

static bool ascii_letters(rag_str word)
{
    for (size_t i = 0; i < word.len; i++)
        if (word.ptr[i] < 'a' || word.ptr[i] > 'z')
            return false;
    return true;
}

static rag_str stem_of(tokenizer *t, rag_str word)
{
    if (word.len < MIN_STEM_WORD || word.len > MAX_STEM_WORD || !ascii_letters(word))
        return (rag_str){ 0 };
    stem_slot *slot = &t->cache[hash_word(word)];
    if (slot->word_len != word.len || memcmp(slot->word, word.ptr, word.len) != 0)
        fill_slot(t, slot, word);
    return (rag_str){ slot->stem, slot->stem_len };
}

/* ---- characters ------------------------------------------------------------------------- */

/* Ideographs, kana and syllables that no normal form changes, unless a mark follows them. */
static bool is_plain_cjk(uint32_t c)
{
    return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3041 && c <= 0x3096) || (c >= 0x30A1 && c <= 0x30FA) ||
           c == 0x30FC || (c >= 0x3400 && c <= 0x4DBF);
}

/* Voicing marks and variation selectors belong to the character in front. */
static bool joins_cjk(uint32_t c)
{
    return c == 0x3099 || c == 0x309A || c == 0xFF9E || c == 0xFF9F || (c >= 0xFE00 && c <= 0xFE0F) ||
           (c >= 0xE0100 && c <= 0xE01EF);
}

static bool is_jamo(uint32_t c)
{
    return (c >= 0x1100 && c <= 0x11FF) || (c >= 0xA960 && c <= 0xA97F) || (c >= 0xD7B0 && c <= 0xD7FF);
}

/* Symbols that NFKC turns into letters or digits: ℃, ㎏, ①, ㈱; not ™ and ℠, which would stick to the word. */
static bool is_wordy_symbol(uint32_t c)
{
    return (c >= 0x2100 && c <= 0x214F && c != 0x2120 && c != 0x2122) || (c >= 0x2460 && c <= 0x24FF) ||
           (c >= 0x3200 && c <= 0x33FF) || (c >= 0x1F100 && c <= 0x1F1AD);
}

/* Soft hyphen, joiners: invisible inside a word, and dropped by folding. */
static bool is_invisible(uint32_t c)
{
    return c == 0xAD || c == 0x200C || c == 0x200D || c == 0x2060;
}

/* ½ folds to "1⁄2": glued to the digits in front, 6½ would become 61. */
static bool is_fraction(uint32_t c)
{
    return (c >= 0xBC && c <= 0xBE) || (c >= 0x2150 && c <= 0x215F) || c == 0x2189;
}

static bool is_word_character(uint32_t c)
{
    rag_char_class class = rag_unicode_class(c);
    return class == RAG_CHAR_LETTER || class == RAG_CHAR_DIGIT || is_wordy_symbol(c) || is_invisible(c);
}

static bool is_ascii_word(unsigned char b)
{
    return (unsigned char)((b | 0x20) - 'a') < 26 || (unsigned char)(b - '0') < 10;
}

/* ---- runs ------------------------------------------------------------------------------- */

static int emit_word(run *r, rag_str exact, size_t start, size_t end)
{
    token t = { .exact = exact, .stem = stem_of(r->t, exact), .start = start, .end = end };
    return r->on_token(r->context, &t);
}

/* Traditional and simplified characters are one. */
static int emit_character(run *r, uint32_t c, rag_str exact, size_t start, size_t end)
{
    char bytes[4];
    uint32_t simplified = rag_unicode_simplified(c);
    if (simplified != c)
        exact = (rag_str){ bytes, rag_utf8_encode(simplified, bytes) };
    token t = { .exact = exact, .start = start, .end = end, .is_cjk = true };
    return r->on_token(r->context, &t);
}

/* Tokens of what text[start, end) folds to. */
static int emit_folded(run *r, size_t start, size_t end)
{
    rag_buf_clear(&r->t->folded);
    rag_unicode_fold(rag_str_sub(r->text, start, end), &r->t->folded);
    rag_str s = rag_buf_str(&r->t->folded);
    size_t word = 0;
    int rc = 0;
    for (size_t pos = 0; rc == 0 && pos < s.len;) {
        size_t at = pos;
        uint32_t c = rag_utf8_next(s, &pos);
        rag_char_class class = rag_unicode_class(c);
        if (class == RAG_CHAR_LETTER || class == RAG_CHAR_DIGIT)
            continue;
        if (at > word)
            rc = emit_word(r, rag_str_sub(s, word, at), start, end);
        if (rc == 0 && class == RAG_CHAR_CJK)
            rc = emit_character(r, c, rag_str_sub(s, at, pos), start, end);
        word = pos;
    }
    if (rc == 0 && s.len > word)
        rc = emit_word(r, rag_str_sub(s, word, s.len), start, end);
    return rc;
}

/* The end of the word that starts at `start` and holds a character beyond ASCII. */
static size_t wide_word_end(rag_str text, size_t start)
{
    size_t pos = start;
    while (pos < text.len && pos - start < MAX_WORD) {
        size_t next = pos;
        uint32_t c = rag_utf8_next(text, &next);
        if (!is_word_character(c) || (is_fraction(c) && pos > start))
            break;
        pos = next;
        if (is_fraction(c))
            break;
    }
    return pos;
}

static size_t ascii_word_end(rag_str text, size_t start)
{
    size_t end = start;
    while (end < text.len && end - start < MAX_WORD && is_ascii_word((unsigned char)text.ptr[end]))
        end++;
    return end;
}

static bool continues_beyond_ascii(rag_str text, size_t pos)
{
    if (pos >= text.len || !(text.ptr[pos] & 0x80))
        return false;
    uint32_t c = rag_utf8_next(text, &pos);
    return is_word_character(c) && !is_fraction(c);
}

static int on_ascii_word(run *r, size_t *pos)
{
    size_t start = *pos, end = ascii_word_end(r->text, start);
    if (continues_beyond_ascii(r->text, end)) {
        *pos = wide_word_end(r->text, start);
        return emit_folded(r, start, *pos);
    }
    char word[MAX_WORD];
    for (size_t i = start; i < end; i++) {
        unsigned char b = (unsigned char)r->text.ptr[i];
        word[i - start] = (char)(b | ((unsigned char)(b - 'A') < 26 ? 0x20 : 0));
    }
    *pos = end;
    return emit_word(r, (rag_str){ word, end - start }, start, end);
}

static size_t cjk_cluster_end(rag_str text, size_t pos, uint32_t first)
{
    size_t start = pos;
    for (size_t next = pos; pos < text.len && pos - start < MAX_WORD; pos = next) {
        uint32_t c = rag_utf8_next(text, &next);
        if (!joins_cjk(c) && !(is_jamo(first) && is_jamo(c)))
            break;
    }
    return pos;
}

static int on_wide(run *r, size_t *pos)
{
    size_t start = *pos;
    uint32_t c = rag_utf8_next(r->text, pos);
    if (rag_unicode_class(c) == RAG_CHAR_CJK) {
        size_t end = cjk_cluster_end(r->text, *pos, c);
        bool alone = end == *pos;
        *pos = end;
        if (alone && is_plain_cjk(c))
            return emit_character(r, c, rag_str_sub(r->text, start, end), start, end);
        return emit_folded(r, start, end);
    }
    if (!is_word_character(c))
        return 0;
    *pos = wide_word_end(r->text, start);
    return emit_folded(r, start, *pos);
}

int tokenizer_run(tokenizer *t, rag_str text, token_fn *on_token, void *context)
{
    run r = { t, text, on_token, context };
    int rc = 0;
    for (size_t pos = 0; rc == 0 && pos < text.len;) {
        unsigned char b = (unsigned char)text.ptr[pos];
        if (b & 0x80)
            rc = on_wide(&r, &pos);
        else if (is_ascii_word(b))
            rc = on_ascii_word(&r, &pos);
        else
            pos++;
    }
    return rc;
}
