#include "base/unicode.h"

#include <string.h>
#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/uscript.h>
#include <unicode/ustring.h>

#include "base/utf8.h"

/* Text is normalised run by run.  ASCII and the ideographs U+4000–9FFF are copied, since no
 * normal form changes or composes them; what lies between goes through ICU.  A run ends where
 * Unicode allows a cut, or at RUN_HARD: reordering a run of combining marks costs its
 * square, and such a run is nobody's language. */
enum {
    RUN_SOFT = 512,
    RUN_HARD = 1024,         /* UTF-16 units in */
    RUN_ROOM = 20 * RUN_HARD /* NFKC grows a unit to 18 at most (U+FDFA) */
};

typedef int32_t normalise_fn(const UChar *in, int32_t n, UChar *room_a, UChar *room_b, const UChar **out);

typedef struct form {
    const UNormalizer2 *boundaries;
    normalise_fn *apply;
    bool lower_ascii;
} form;

static const UNormalizer2 *nfkc(void)
{
    UErrorCode e = U_ZERO_ERROR;
    return unorm2_getNFKCInstance(&e);
}

static const UNormalizer2 *nfkc_casefold(void)
{
    UErrorCode e = U_ZERO_ERROR;
    return unorm2_getNFKCCasefoldInstance(&e);
}

static int32_t normalise(const UNormalizer2 *how, const UChar *in, int32_t n, UChar *room)
{
    UErrorCode e = U_ZERO_ERROR;
    int32_t m = unorm2_normalize(how, in, n, room, RUN_ROOM, &e);
    return U_SUCCESS(e) ? m : 0;
}

static int32_t to_nfkc(const UChar *in, int32_t n, UChar *room_a, UChar *room_b, const UChar **out)
{
    (void)room_b;
    *out = room_a;
    return normalise(nfkc(), in, n, room_a);
}

/* Accents and vowel points, by combining class; what a script cannot be read without (kana
 * voicing 8, virama 9, Thai and Indic vowel signs) stays. */
static bool is_accent(UChar32 c)
{
    if (c < 0x300 || u_charType(c) != U_NON_SPACING_MARK)
        return false;
    uint8_t class = u_getCombiningClass(c);
    return class == 1 || (class >= 10 && class <= 36) || class >= 202;
}

static int32_t strip_accents(UChar *text, int32_t n)
{
    int32_t kept = 0;
    for (int32_t i = 0; i < n;) {
        UChar32 c;
        U16_NEXT(text, i, n, c);
        if (!is_accent(c))
            U16_APPEND_UNSAFE(text, kept, c);
    }
    return kept;
}

static int32_t to_search_form(const UChar *in, int32_t n, UChar *room_a, UChar *room_b, const UChar **out)
{
    UErrorCode e = U_ZERO_ERROR;
    n = normalise(nfkc_casefold(), in, n, room_a);
    n = normalise(unorm2_getNFDInstance(&e), room_a, n, room_b);
    n = strip_accents(room_b, n);
    *out = room_a;
    return normalise(unorm2_getNFCInstance(&e), room_b, n, room_a);
}

static void put_utf16(rag_buf *out, const UChar *text, int32_t n)
{
    for (int32_t i = 0; i < n;) {
        UChar32 c;
        char bytes[4];
        U16_NEXT(text, i, n, c);
        size_t len = rag_utf8_encode((uint32_t)c, bytes);
        rag_buf_put(out, (rag_str){ bytes, len });
    }
}

static bool is_plain_ideograph(uint32_t c)
{
    return c >= 0x4000 && c <= 0x9FFF;
}

/* Normalises one run that starts at *pos with any character. */
static void put_run(const form *f, rag_str s, size_t *pos, rag_buf *out)
{
    UChar in[RUN_HARD + 2], room_a[RUN_ROOM], room_b[RUN_ROOM];
    const UChar *text;
    int32_t n = 0;
    while (*pos < s.len && n < RUN_HARD) {
        size_t next = *pos;
        uint32_t c = rag_utf8_next(s, &next);
        if (n > 0 && (c < 0x80 || is_plain_ideograph(c)))
            break;
        if (n > RUN_SOFT && unorm2_hasBoundaryBefore(f->boundaries, (UChar32)c))
            break;
        U16_APPEND_UNSAFE(in, n, c);
        *pos = next;
    }
    n = f->apply(in, n, room_a, room_b, &text);
    put_utf16(out, text, n);
}

static size_t ascii_end(rag_str s, size_t pos)
{
    for (; pos + 8 <= s.len; pos += 8) {
        uint64_t word;
        memcpy(&word, s.ptr + pos, 8);
        if (word & 0x8080808080808080u)
            break;
    }
    while (pos < s.len && !(s.ptr[pos] & 0x80))
        pos++;
    return pos;
}

static size_t ideographs_end(rag_str s, size_t pos)
{
    while (pos + 3 <= s.len) {
        unsigned char lead = (unsigned char)s.ptr[pos];
        if (lead < 0xE4 || lead > 0xE9 || (s.ptr[pos + 1] & 0xC0) != 0x80 || (s.ptr[pos + 2] & 0xC0) != 0x80)
            break;
        pos += 3;
    }
    return pos;
}

static void put_ascii(const form *f, rag_str s, rag_buf *out)
{
    if (!f->lower_ascii) {
        rag_buf_put(out, s);
        return;
    }
    while (s.len > 0) {
        char lower[512];
        size_t n = s.len < sizeof lower ? s.len : sizeof lower;
        for (size_t i = 0; i < n; i++)
            lower[i] = (char)(s.ptr[i] | ((unsigned char)(s.ptr[i] - 'A') < 26 ? 0x20 : 0));
        rag_buf_put(out, (rag_str){ lower, n });
        s = rag_str_sub(s, n, s.len);
    }
}

static void transform(const form *f, rag_str s, rag_buf *out)
{
    for (size_t pos = 0; pos < s.len;) {
        size_t end = ascii_end(s, pos);
        /* The last letter may take an accent that follows: it goes with the run. */
        bool may_combine = end > pos && end < s.len && ideographs_end(s, end) == end;
        size_t copied = may_combine ? end - 1 : end;
        put_ascii(f, rag_str_sub(s, pos, copied), out);
        pos = copied;
        if (pos == s.len)
            return;
        end = ideographs_end(s, pos);
        rag_buf_put(out, rag_str_sub(s, pos, end));
        if (end == pos)
            put_run(f, s, &end, out);
        pos = end;
    }
}

void rag_unicode_nfkc(rag_str s, rag_buf *out)
{
    form f = { nfkc(), to_nfkc, false };
    transform(&f, s, out);
}

void rag_unicode_fold(rag_str s, rag_buf *out)
{
    form f = { nfkc_casefold(), to_search_form, true };
    transform(&f, s, out);
}

static bool is_written_without_spaces(UChar32 c)
{
    static const UScriptCode scripts[] = { USCRIPT_HAN, USCRIPT_HIRAGANA, USCRIPT_KATAKANA, USCRIPT_HANGUL,
                                           USCRIPT_BOPOMOFO };
    /* Script extensions, so that ー and 〆, which several scripts share, count too. */
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++)
        if (uscript_hasScript(c, scripts[i]))
            return true;
    return false;
}

static rag_char_class class_by_tables(UChar32 c)
{
    uint32_t mask = U_MASK(u_charType(c));
    bool is_radical = c >= 0x2E80 && c <= 0x2FDF;
    if ((mask & (U_GC_L_MASK | U_GC_NL_MASK)) || is_radical)
        if (c >= 0x1100 && is_written_without_spaces(c))
            return RAG_CHAR_CJK;
    if (mask & (U_GC_L_MASK | U_GC_M_MASK))
        return RAG_CHAR_LETTER;
    if (mask & U_GC_N_MASK)
        return RAG_CHAR_DIGIT;
    return RAG_CHAR_OTHER;
}

rag_char_class rag_unicode_class(uint32_t c)
{
    if (c < 0x80) {
        if ((c | 0x20) - 'a' < 26)
            return RAG_CHAR_LETTER;
        return c - '0' < 10 ? RAG_CHAR_DIGIT : RAG_CHAR_OTHER;
    }
    if ((c >= 0x4E00 && c <= 0x9FFF) || (c >= 0xAC00 && c <= 0xD7A3))
        return RAG_CHAR_CJK;
    return c <= 0x10FFFF ? class_by_tables((UChar32)c) : RAG_CHAR_OTHER;
}

bool rag_unicode_is_space(uint32_t c)
{
    if (c < 0x80)
        return c == ' ' || (c >= '\t' && c <= '\r');
    return c == 0xFEFF || c == 0x200B || u_isUWhiteSpace((UChar32)c);
}

bool rag_unicode_is_upper(uint32_t c)
{
    if (c < 0x80)
        return c >= 'A' && c <= 'Z';
    return u_isUUppercase((UChar32)c);
}

int rag_unicode_width(uint32_t c)
{
    int8_t type = u_charType((UChar32)c);
    if (type == U_NON_SPACING_MARK || type == U_ENCLOSING_MARK || type == U_FORMAT_CHAR)
        return 0;
    int32_t width = u_getIntPropertyValue((UChar32)c, UCHAR_EAST_ASIAN_WIDTH);
    return width == U_EA_WIDE || width == U_EA_FULLWIDTH ? 2 : 1;
}

uint32_t rag_unicode_lower(uint32_t c)
{
    return (uint32_t)u_tolower((UChar32)c);
}

rag_lang rag_unicode_lang(rag_str s)
{
    size_t letters = 0, han = 0;
    for (size_t pos = 0; pos < s.len;) {
        uint32_t c = rag_utf8_next(s, &pos);
        bool ideograph = c >= 0x2E80 && rag_unicode_class(c) == RAG_CHAR_CJK && uscript_hasScript((UChar32)c, USCRIPT_HAN);
        letters += ideograph || u_isalpha((UChar32)c);
        han += ideograph;
    }
    return han * 2 > letters ? RAG_LANG_ZH : RAG_LANG_EN;
}

const char *rag_lang_name(rag_lang lang)
{
    return lang == RAG_LANG_ZH ? "zh" : "en";
}
