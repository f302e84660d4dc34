/* base/sentence.h: spans ascend on character boundaries; between them is only white space and markers. */
#include <string.h>

#include "base/sentence.h"
#include "fuzz/fuzz.h"

static size_t skip_any(rag_str s, size_t pos, const char *of)
{
    while (pos < s.len && s.ptr[pos] && strchr(of, s.ptr[pos]))
        pos++;
    return pos;
}

/* Behind a marker at pos; pos itself when none stands there. */
static size_t skip_marker(rag_str s, size_t pos)
{
    if (rag_str_starts(rag_str_sub(s, pos, s.len), RAG_STR("•")))
        return pos + strlen("•");
    size_t digits = skip_any(s, pos, "0123456789");
    if (digits > pos && digits - pos <= 3 && digits < s.len && strchr(".)", s.ptr[digits]))
        return digits + 1;
    return skip_any(s, pos, ">#-=*_+");
}

static void check_gap(rag_str gap)
{
    for (size_t pos = 0; pos < gap.len;) {
        size_t next = skip_marker(gap, pos);
        MUST(next > pos || rag_unicode_is_space(rag_utf8_next(gap, &next)));
        pos = next;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rag_str text = input_of(data, size);
    bool valid = rag_utf8_valid(text, NULL);
    size_t pos = 0, done = 0;
    rag_span span;
    while (rag_sentence_next(text, &pos, &span)) {
        MUST(span.start >= done && span.start < span.end && span.end <= pos && pos <= text.len);
        MUST(!valid || is_range(text, span.start, span.end));
        check_gap(rag_str_sub(text, done, span.start));
        done = span.end;
    }
    check_gap(rag_str_sub(text, done, text.len));
    return 0;
}
