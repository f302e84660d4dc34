/* How likely an answer is right. */
#include "daemon/answer_private.h"

#include <math.h>

/* A question in one language over a source in the other shares no terms: the cosine is all there is, and it separates
 * poorly (xquad across languages: 0.81 when the answer is there, 0.78 when not), so doubt is rarely enough to refuse. */
static double confidence_across(const answer_sentence *s)
{
    return 1 / (1 + exp(-(s->cosine - 0.785) / 0.015));
}

static double passage_overlap(const answer_evidence *ev, const rag_hit *h)
{
    rag_arena *scratch = rag_arena_new();
    rag_buf whole;
    rag_buf_init(&whole, RAG_MAX_REPLY);
    rag_buf_put(&whole, h->title);
    rag_buf_putc(&whole, '\n');
    rag_buf_put(&whole, h->text);
    double overlap = answer_units_overlap(ev->units, answer_units_of(rag_buf_str(&whole), scratch));
    rag_buf_free(&whole);
    rag_arena_free(scratch);
    return overlap;
}

/* Logistic over a sentence: its cosine, its overlap, its passage's overlap, and whether both halves of the
 * search put its passage first.  Fitted on 600 xquad questions asked with and without their article. */
double answer_confidence(const answer_evidence *ev, const answer_sentence *s)
{
    if (s->cosine > 0 && rag_unicode_lang(s->text) != ev->lang)
        return confidence_across(s);
    bool agree = ev->hits[0].vector_rank == 1 && ev->hits[0].text_rank == 1;
    double closeness = s->cosine > 0 ? (s->cosine - 0.78) / 0.12 : 0.5;
    double z = -7.45 + 4.91 * closeness + 6.34 * s->overlap + 2.72 * passage_overlap(ev, &ev->hits[s->hit]) +
               (agree ? 1.34 : 0);
    return 1 / (1 + exp(-z));
}
