/* base/unicode.h and base/utf8.h: forms of any bytes are valid UTF-8 and stay as they are when applied again. */
#include "fuzz/fuzz.h"

enum { MAX_RUN = 500 }; /* longer runs of combining marks are cut, and then may change once more */

static void check_form(rag_str s, void (*form)(rag_str, rag_buf *))
{
    rag_buf once, twice;
    rag_buf_init(&once, RAG_MAX_TEXT);
    rag_buf_init(&twice, RAG_MAX_TEXT);
    form(s, &once);
    MUST(!once.overflow && rag_utf8_valid(rag_buf_str(&once), NULL));
    if (s.len <= MAX_RUN) {
        form(rag_buf_str(&once), &twice);
        MUST(rag_str_eq(rag_buf_str(&once), rag_buf_str(&twice)));
    }
    rag_buf_free(&once);
    rag_buf_free(&twice);
}

/* Forwards and backwards the same characters; every cut is between two of them. */
static void check_walk(rag_str s)
{
    size_t n = 0;
    for (size_t pos = 0, start = 0; pos < s.len; start = pos, n++) {
        uint32_t c = rag_utf8_next(s, &pos);
        size_t back = pos;
        MUST(pos > start && pos <= s.len && rag_utf8_prev(s, &back) == c && back == start);
        for (size_t i = start; i < pos; i++)
            MUST(rag_utf8_floor(s, i) == start);
    }
    MUST(rag_utf8_count(s) == n && rag_utf8_whole(s) <= s.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rag_str s = input_of(data, size);
    rag_buf escaped;
    rag_buf_init(&escaped, RAG_MAX_TEXT);
    rag_utf8_escape(&escaped, s);
    MUST(rag_utf8_valid(rag_buf_str(&escaped), NULL));
    rag_buf_free(&escaped);
    check_walk(s);
    check_form(s, rag_unicode_nfkc);
    check_form(s, rag_unicode_fold);
    return 0;
}
