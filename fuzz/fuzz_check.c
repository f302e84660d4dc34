/* daemon/answer.h: whatever the decoder says about whatever stands in a passage, quotes are the passage's bytes and
 * markers name citations.  The input is a passage, a NUL, and the generated text. */
#include <string.h>

#include "daemon/answer.h"
#include "fuzz/fuzz.h"

static const char RETURNS[] =
    "You may return any item within 30 days of delivery. Items must be complete. See [1] for 7 details.";

static void check_markers(const answer_result *r)
{
    rag_str a = r->answer;
    for (size_t i = 0; i < a.len; i++) {
        size_t end = i + 1, n = 0;
        while (a.ptr[i] == '[' && end < a.len && a.ptr[end] >= '0' && a.ptr[end] <= '9' && n < 1000)
            n = n * 10 + (size_t)(a.ptr[end++] - '0');
        if (a.ptr[i] == '[' && end > i + 1 && end < a.len && a.ptr[end] == ']')
            MUST(n >= 1 && n <= r->n_citations);
    }
}

static void check_result(const answer_evidence *ev, const answer_result *r)
{
    MUST(rag_utf8_valid(r->answer, NULL));
    for (size_t i = 0; i < r->n_citations; i++) {
        const answer_citation *c = &r->citations[i];
        MUST(c->n == (int)i + 1 && c->hit < ev->n_hits);
        const rag_hit *h = &ev->hits[c->hit];
        MUST(c->start >= h->start && c->start < c->end && c->end <= h->end);
        MUST(rag_str_eq(c->quote, rag_str_sub(h->text, c->start - h->start, c->end - h->start)));
        MUST(c->line_start >= h->line_start && c->line_start <= c->line_end);
    }
    check_markers(r);
}

static rag_hit hit(rag_str text, size_t start, int rank)
{
    return (rag_hit){ .rank = rank, .document = RAG_STR("a.md"), .title = RAG_STR("A"), .text = text, .start = start,
                      .end = start + text.len, .line_start = 10, .line_end = 20, .score = 0.03 };
}

static void check_answers(rag_str passage, rag_str generated, rag_arena *arena)
{
    answer_evidence ev;
    answer_result r;
    size_t *order, n;
    rag_hit hits[] = { hit(rag_str_of(RETURNS), 100, 1), hit(passage, 7, 2) };
    MUST(answer_collect(NULL, RAG_STR("How many days, and what details? 30天"), hits, 2, arena, &ev, NULL) == RAG_OK);
    answer_rank(&ev, NULL, NULL, 0);
    MUST(answer_passages(&ev, 8, 4000, arena, &order, &n).len <= 4000);
    for (int strictness = ANSWER_VERBATIM; strictness <= ANSWER_SUPPORTED; strictness++) {
        MUST(answer_check(&ev, order, n, generated, (answer_strictness)strictness, arena, &r) == (r.n_citations > 0));
        check_result(&ev, &r);
    }
    answer_extract(&ev, 3, arena, &r);
    check_result(&ev, &r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rag_str all = input_of(data, size);
    size_t cut = rag_str_find(all, (rag_str){ "", 1 }, 0);
    rag_arena *arena = rag_arena_new();
    if (rag_utf8_valid(all, NULL))
        check_answers(rag_str_sub(all, 0, cut), cut < all.len ? rag_str_sub(all, cut + 1, all.len) : all, arena);
    rag_arena_free(arena);
    return 0;
}
