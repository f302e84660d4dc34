#include "ingest/lead.h"

#include <string.h>

#include "base/sentence.h"
#include "base/utf8.h"

enum { MAX_LIKE_HEADING = 80 }; /* bytes */

static rag_str without_emphasis(rag_str s)
{
    while (s.len > 0 && (strchr("*_", s.ptr[s.len - 1]) || rag_unicode_is_space((unsigned char)s.ptr[s.len - 1])))
        s.len--;
    return s;
}

static bool ends_with_colon(rag_str s)
{
    s = without_emphasis(s);
    return rag_str_ends(s, RAG_STR(":")) || rag_str_ends(s, RAG_STR("："));
}

/* A paragraph that is a heading in all but its mark: one short line that ends in a word or a question mark. */
static bool is_like_heading(rag_str s)
{
    s = without_emphasis(s);
    size_t pos = s.len;
    if (s.len == 0 || s.len > MAX_LIKE_HEADING || rag_str_find(s, RAG_STR("\n"), 0) != SIZE_MAX)
        return false;
    uint32_t last = rag_utf8_prev(s, &pos);
    return last == '?' || last == 0xff1f || rag_unicode_class(last) != RAG_CHAR_OTHER;
}

static size_t last_sentence(rag_str s)
{
    rag_span span = { 0 };
    for (size_t pos = 0; rag_sentence_next(s, &pos, &span);)
        ;
    return span.start;
}

size_t lead_of(rag_str text, size_t start, size_t end, rag_block_kind kind)
{
    rag_str s = rag_str_sub(text, start, end);
    if (kind == RAG_BLOCK_PARAGRAPH && is_like_heading(s))
        return start;
    bool may = kind == RAG_BLOCK_PARAGRAPH || kind == RAG_BLOCK_ITEM;
    return may && ends_with_colon(s) ? start + last_sentence(s) : SIZE_MAX;
}
