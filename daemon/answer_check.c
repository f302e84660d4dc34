/* The prompt's passages, and the check of what the decoder made of them. */
#include "daemon/answer_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/sentence.h"
#include "base/utf8.h"
#include "daemon/figures.h"

enum { MAX_MARKER = 99, MAX_CHECKED = 8 };
static const double MIN_PAIRS = 0.8;

/* ---- passages --------------------------------------------------------------------- */

static void put_passage(rag_buf *b, size_t n, rag_str text)
{
    rag_buf_putf(b, "%s[%zu] ", n > 1 ? "\n" : "", n);
    answer_put_folded(b, text);
}

rag_str answer_passages(const answer_evidence *ev, size_t max_passages, size_t max_bytes, rag_arena *arena,
                        size_t **order, size_t *n_order)
{
    *order = rag_arena_array(arena, max_passages + 1, sizeof **order);
    *n_order = 0;
    rag_buf b;
    rag_buf_init(&b, RAG_MAX_PROMPT);
    for (size_t i = 0; i < ev->n_sentences && *n_order < max_passages; i++) {
        size_t before = b.len;
        put_passage(&b, *n_order + 1, ev->sentences[i].text);
        if (b.len > max_bytes) {
            rag_buf_truncate(&b, before);
            continue;
        }
        (*order)[(*n_order)++] = i;
    }
    rag_str out = rag_arena_str(arena, rag_buf_str(&b));
    rag_buf_free(&b);
    return out;
}

/* ---- the check --------------------------------------------------------------------- */

/* The search form with everything but letters and digits as one space at most, none beside Han: what two
 * texts have in common when they say the same words. */
static rag_str skeleton(rag_str text, rag_arena *arena)
{
    rag_buf folded, out;
    rag_buf_init(&folded, RAG_MAX_REPLY);
    rag_buf_init(&out, RAG_MAX_REPLY);
    rag_unicode_fold(text, &folded);
    rag_str f = rag_buf_str(&folded);
    rag_char_class last = RAG_CHAR_OTHER;
    bool gap = false;
    for (size_t pos = 0; pos < f.len;) {
        size_t start = pos;
        rag_char_class now = rag_unicode_class(rag_utf8_next(f, &pos));
        if (now == RAG_CHAR_OTHER) {
            gap = true;
            continue;
        }
        if (gap && out.len && last != RAG_CHAR_CJK && now != RAG_CHAR_CJK)
            rag_buf_putc(&out, ' ');
        rag_buf_put(&out, rag_str_sub(f, start, pos));
        last = now;
        gap = false;
    }
    rag_str result = rag_arena_str(arena, rag_buf_str(&out));
    rag_buf_free(&folded);
    rag_buf_free(&out);
    return result;
}

static bool joins_word(rag_str s, size_t pos)
{
    if (pos == 0 || pos >= s.len)
        return false;
    size_t left = pos, right = pos;
    rag_char_class a = rag_unicode_class(rag_utf8_prev(s, &left));
    rag_char_class b = rag_unicode_class(rag_utf8_next(s, &right));
    return a != RAG_CHAR_OTHER && b != RAG_CHAR_OTHER && a != RAG_CHAR_CJK && b != RAG_CHAR_CJK;
}

/* needle stands in hay as whole words. */
static bool stands_in(rag_str hay, rag_str needle)
{
    if (!needle.len)
        return false;
    for (size_t at = 0; (at = rag_str_find(hay, needle, at)) != SIZE_MAX; at++)
        if (!joins_word(hay, at) && !joins_word(hay, at + needle.len))
            return true;
    return false;
}

static bool is_pair(rag_str unit)
{
    size_t pos = 0;
    return rag_unicode_class(rag_utf8_next(unit, &pos)) == RAG_CHAR_CJK && pos < unit.len;
}

/* Share of the generated text's words and Han characters (pairs: of its neighbouring Han characters) that the quote holds. */
static double held(answer_units *said, const answer_units *quote, bool pairs)
{
    said->weight = 0;
    for (size_t i = 0; i < said->n; i++) {
        said->items[i].weight = is_pair(said->items[i].text) == pairs;
        said->weight += said->items[i].weight;
    }
    return said->weight > 0 ? answer_units_overlap(said, quote) : 1;
}

/* Says the same in another order: no word and no Han character that the quote lacks (one can turn the meaning round), and
 * most neighbours are neighbours there. */
static bool is_reordered(rag_str said, rag_str quote, rag_arena *arena)
{
    answer_units *s = answer_units_of(said, arena), *q = answer_units_of(quote, arena);
    return s->n > 0 && held(s, q, false) >= 1 && held(s, q, true) >= MIN_PAIRS;
}

/* Cuts "[12]" markers out of s and returns the first of them, 0 when there is none. */
static int strip_markers(rag_str s, rag_buf *out)
{
    int first = 0;
    for (size_t i = 0; i < s.len; i++) {
        size_t end = i + 1;
        int n = 0;
        while (s.ptr[i] == '[' && end < s.len && s.ptr[end] >= '0' && s.ptr[end] <= '9' && n <= MAX_MARKER)
            n = 10 * n + (s.ptr[end++] - '0');
        if (s.ptr[i] == '[' && end > i + 1 && end < s.len && s.ptr[end] == ']') {
            if (!first)
                first = n;
            i = end;
            continue;
        }
        rag_buf_putc(out, s.ptr[i]);
    }
    return first;
}

typedef struct check {
    const answer_evidence *ev;
    const size_t *order;
    size_t n_order;
    answer_strictness strictness;
    rag_arena *arena;
} check;

static bool supports(const check *c, size_t marker, rag_str text, rag_str bones)
{
    rag_str quote = c->ev->sentences[c->order[marker]].text;
    rag_str quote_bones = skeleton(quote, c->arena);
    if (!figures_follow(text, quote, c->arena, NULL))
        return false;
    if (stands_in(quote_bones, bones))
        return true;
    return c->strictness == ANSWER_SUPPORTED && is_reordered(text, quote, c->arena);
}

static size_t quote_bytes(const check *c, long marker)
{
    return marker < 0 ? SIZE_MAX : c->ev->sentences[c->order[marker]].text.len;
}

/* The marker that the decoder set when it is right; else the smallest quote that supports text, the first of several; -1 when none does. */
static long find_support(const check *c, rag_str text, int marked)
{
    rag_str bones = skeleton(text, c->arena);
    long best = -1;
    if (!bones.len)
        return -1;
    if (marked > 0 && (size_t)marked <= c->n_order && supports(c, (size_t)marked - 1, text, bones))
        return marked - 1;
    for (size_t i = 0; i < c->n_order; i++)
        if (supports(c, i, text, bones) && quote_bytes(c, (long)i) < quote_bytes(c, best))
            best = (long)i;
    return best;
}

/* Markers of one answer are numbered in order of first use. */
static int cite_once(const check *c, answer_result *out, size_t marker)
{
    const answer_sentence *s = &c->ev->sentences[c->order[marker]];
    answer_citation fresh;
    answer_cite(c->ev, s, (int)out->n_citations + 1, &fresh);
    for (size_t i = 0; i < out->n_citations; i++)
        if (out->citations[i].hit == fresh.hit && out->citations[i].start == fresh.start)
            return out->citations[i].n;
    out->citations[out->n_citations++] = fresh;
    return fresh.n;
}

static void keep_if_supported(const check *c, rag_str sentence, answer_result *out, rag_buf *text)
{
    rag_buf bare;
    rag_buf_init(&bare, RAG_MAX_REPLY);
    int marked = strip_markers(sentence, &bare);
    rag_str said = rag_str_trim(rag_arena_str(c->arena, rag_buf_str(&bare)));
    rag_buf_free(&bare);
    long marker = find_support(c, said, marked);
    if (marker < 0)
        return;
    double confidence = answer_confidence(c->ev, &c->ev->sentences[c->order[marker]]);
    if (confidence < out->confidence)
        out->confidence = confidence;
    if (text->len)
        rag_buf_putc(text, ' ');
    answer_put_folded(text, said);
    rag_buf_putf(text, " [%d]", cite_once(c, out, (size_t)marker));
}

/* A sentence together with the markers that stand behind its full stop. */
static bool next_statement(rag_str s, size_t *pos, rag_str *out)
{
    rag_span span;
    if (!rag_sentence_next(s, pos, &span))
        return false;
    size_t end = span.end;
    for (;;) {
        size_t i = end;
        while (i < s.len && s.ptr[i] == ' ')
            i++;
        size_t digits = i + 1;
        while (digits < s.len && s.ptr[digits] >= '0' && s.ptr[digits] <= '9')
            digits++;
        if (i >= s.len || s.ptr[i] != '[' || digits == i + 1 || digits >= s.len || s.ptr[digits] != ']')
            break;
        end = digits + 1;
    }
    *pos = end > *pos ? end : *pos;
    *out = rag_str_sub(s, span.start, end);
    return true;
}

bool answer_check(const answer_evidence *ev, const size_t *order, size_t n_order, rag_str generated,
                  answer_strictness strictness, rag_arena *arena, answer_result *out)
{
    check c = { ev, order, n_order, strictness, arena };
    *out = (answer_result){ .mode = "generate", .confidence = ev->confidence };
    out->citations = rag_arena_array(arena, MAX_CHECKED, sizeof *out->citations);
    rag_buf text;
    rag_buf_init(&text, RAG_MAX_REPLY);
    rag_str statement;
    size_t pos = 0;
    for (int i = 0; i < MAX_CHECKED && next_statement(generated, &pos, &statement); i++)
        keep_if_supported(&c, statement, out, &text);
    out->answer = rag_arena_str(arena, rag_buf_str(&text));
    rag_buf_free(&text);
    return out->n_citations > 0;
}
