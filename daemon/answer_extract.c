/* The extract: the best sentences as they stand. */
#include "daemon/answer_private.h"

#include <stdlib.h>

#include "base/utf8.h"

/* The second and third sentence must score nearly as high as the best to be worth their length; nearer still when the answer
 * grows beyond SHORT_BYTES, about 45 English words or 90 Chinese characters. */
static const double MAX_GAP[ANSWER_MAX_SENTENCES] = { 0, 0.8, 0.4 }, MAX_GAP_LONG[ANSWER_MAX_SENTENCES] = { 0, 0.5, 0.2 };
enum { SHORT_BYTES = 270 };

rag_str answer_refusal(rag_lang lang)
{
    return lang == RAG_LANG_ZH ? RAG_STR("抱歉，现有资料中没有找到这个问题的答案。")
                               : RAG_STR("Sorry, the documents do not contain an answer to this question.");
}

static bool is_cjk_at(rag_str s, size_t pos, bool before)
{
    if (before ? pos == 0 : pos >= s.len)
        return false;
    uint32_t c = before ? rag_utf8_prev(s, &pos) : rag_utf8_next(s, &pos);
    return rag_unicode_class(c) == RAG_CHAR_CJK || (c >= 0x3000 && c <= 0x303F) || (c >= 0xFF00 && c <= 0xFFEF);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

static bool is_marker_at(rag_str s, size_t pos)
{
    size_t end = pos + 1;
    while (end < s.len && s.ptr[end] >= '0' && s.ptr[end] <= '9')
        end++;
    return s.ptr[pos] == '[' && end > pos + 1 && end < s.len && s.ptr[end] == ']';
}

void answer_put_folded(rag_buf *b, rag_str text)
{
    for (size_t i = 0; i < text.len;) {
        size_t run = i;
        bool has_break = false;
        while (run < text.len && is_blank(text.ptr[run]))
            has_break |= text.ptr[run++] == '\n';
        if (run == i) {
            bool forges = is_marker_at(text, i);
            rag_buf_putc(b, text.ptr[i++]);
            if (forges)
                rag_buf_putc(b, ' ');
            continue;
        }
        bool glue = has_break && is_cjk_at(text, i, true) && is_cjk_at(text, run, false);
        if (!glue)
            rag_buf_putc(b, ' ');
        i = run;
    }
}

static size_t count_lines(rag_str text, size_t end)
{
    size_t n = 0;
    for (size_t i = 0; i < end && i < text.len; i++)
        n += text.ptr[i] == '\n';
    return n;
}

void answer_cite(const answer_evidence *ev, const answer_sentence *s, int n, answer_citation *out)
{
    const rag_hit *h = &ev->hits[s->hit];
    size_t first = h->line_start + count_lines(h->text, s->span.start);
    *out = (answer_citation){
        .n = n,
        .hit = s->hit,
        .start = h->start + s->span.start,
        .end = h->start + s->span.end,
        .line_start = first,
        .line_end = first + count_lines(s->text, s->text.len),
        .quote = s->text,
        .score = ev->confidence,
    };
}

static int by_place(const void *a, const void *b)
{
    const answer_sentence *x = *(answer_sentence *const *)a, *y = *(answer_sentence *const *)b;
    if (x->hit != y->hit)
        return x->hit < y->hit ? -1 : 1;
    return (x->span.start > y->span.start) - (x->span.start < y->span.start);
}

static bool is_repeat(const answer_sentence *s, answer_sentence *const *chosen, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (rag_str_eq(s->text, chosen[i]->text))
            return true;
    return false;
}

static size_t choose(const answer_evidence *ev, int max, answer_sentence **chosen)
{
    size_t n = 0, bytes = 0;
    for (size_t i = 0; i < ev->n_promising && n < (size_t)max; i++) {
        answer_sentence *s = &ev->sentences[i];
        const double *gap = bytes + s->text.len <= SHORT_BYTES ? MAX_GAP : MAX_GAP_LONG;
        if (s->score < ev->sentences[0].score - gap[n])
            break;
        if (is_repeat(s, chosen, n))
            continue;
        chosen[n++] = s;
        bytes += s->text.len;
    }
    return n;
}

/* Best first, but sentences of the best one's passage in the order they stand there. */
static void order_chosen(answer_sentence **chosen, size_t n)
{
    size_t best_hit = chosen[0]->hit, front = 0;
    for (size_t i = 0; i < n; i++) {
        if (chosen[i]->hit != best_hit)
            continue;
        answer_sentence *s = chosen[i];
        for (size_t j = i; j > front; j--)
            chosen[j] = chosen[j - 1];
        chosen[front++] = s;
    }
    qsort(chosen, front, sizeof *chosen, by_place);
}

void answer_extract(const answer_evidence *ev, int max_sentences, rag_arena *arena, answer_result *out)
{
    *out = (answer_result){ .mode = "extract", .confidence = ev->confidence };
    if (!ev->n_sentences) {
        out->refused = true;
        out->answer = answer_refusal(ev->lang);
        return;
    }
    answer_sentence *chosen[ANSWER_MAX_SENTENCES];
    int max = max_sentences < 1 ? 1 : max_sentences > ANSWER_MAX_SENTENCES ? ANSWER_MAX_SENTENCES : max_sentences;
    size_t n = choose(ev, max, chosen);
    order_chosen(chosen, n);
    out->citations = rag_arena_array(arena, n, sizeof *out->citations);
    out->n_citations = n;
    rag_buf text;
    rag_buf_init(&text, RAG_MAX_REPLY);
    for (size_t i = 0; i < n; i++) {
        answer_cite(ev, chosen[i], (int)i + 1, &out->citations[i]);
        if (i)
            rag_buf_putc(&text, ' ');
        answer_put_folded(&text, chosen[i]->text);
        rag_buf_putf(&text, " [%zu]", i + 1);
    }
    out->answer = rag_arena_str(arena, rag_buf_str(&text));
    rag_buf_free(&text);
}

void answer_span(const answer_evidence *ev, size_t sentence, rag_span span, rag_arena *arena, answer_result *out)
{
    const answer_sentence *s = &ev->sentences[sentence];
    rag_buf text;
    *out = (answer_result){ .mode = "span",
                            .citations = rag_arena_array(arena, 1, sizeof *out->citations),
                            .n_citations = 1,
                            .confidence = answer_confidence(ev, s) };
    answer_cite(ev, s, 1, &out->citations[0]);
    rag_buf_init(&text, RAG_MAX_REPLY);
    answer_put_folded(&text, rag_str_sub(s->text, span.start, span.end));
    rag_buf_puts(&text, " [1]");
    out->answer = rag_arena_str(arena, rag_buf_str(&text));
    rag_buf_free(&text);
}
