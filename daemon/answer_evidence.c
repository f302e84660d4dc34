/* Hits to sentences, sentences to scores.
 *
 * The score of a sentence is
 *
 *     (cosine - 0.78) / 0.12  +  2 · overlap  +  0.2 · overlap of the sentence before it  -  loss of its passage
 *
 * where loss is how far the passage's fused score (or the logistic function of its reranker's) lies below the best one's, as a share.  0.78 and 0.12 bring E5's
 * narrow cosines to the scale of the overlap.  The weights come from 200 xquad questions; nearby ones do as well. */
#include "daemon/answer_private.h"

#include <math.h>
#include <stdlib.h>

#include "base/sentence.h"

enum { MAX_SENTENCES_A_HIT = 64, MAX_SENTENCES = 1024 };

static double rarity(rag_reader *r, const rag_term *t)
{
    int64_t df = 0, rows = 0;
    if (!r || rag_reader_frequency(r, t, &df, &rows, NULL) != RAG_OK || rows <= 0)
        return 1;
    if (df > rows)
        df = rows;
    return log(1 + ((double)(rows - df) + 0.5) / ((double)df + 0.5));
}

static double weight_of(const rag_term *terms, const double *weights, size_t n, rag_str unit)
{
    double best = 0;
    for (size_t i = 0; i < n; i++) {
        if (rag_str_eq(terms[i].stem, unit))
            return weights[i];
        bool is_pair = i + 1 < n && terms[i].is_cjk && terms[i + 1].is_cjk &&
                       terms[i].stem.len + terms[i + 1].stem.len == unit.len &&
                       rag_str_starts(unit, terms[i].stem) && rag_str_ends(unit, terms[i + 1].stem);
        if (is_pair)
            best = weights[i] + weights[i + 1];
    }
    return best;
}

static const answer_units *weigh_question(rag_reader *r, rag_str question, rag_arena *arena)
{
    answer_units *u = answer_units_of(question, arena);
    rag_term *terms = NULL;
    size_t n = 0;
    if (rag_terms(question, arena, &terms, &n) != RAG_OK)
        return u;
    double *weights = rag_arena_array(arena, n + 1, sizeof *weights);
    for (size_t i = 0; i < n; i++)
        weights[i] = rarity(r, &terms[i]);
    for (size_t i = 0; i < u->n; i++) {
        u->items[i].weight = weight_of(terms, weights, n, u->items[i].text);
        u->weight += u->items[i].weight;
    }
    return u;
}

/* What byte `at` of the hit's text stands under. */
static rag_str heading_at(const rag_hit *h, size_t at)
{
    const rag_str *heading = h->heading;
    size_t n = h->n_heading;
    for (size_t i = 0; i < h->n_merged && h->parts[i].start <= h->start + at; i++) {
        heading = h->parts[i].heading;
        n = h->parts[i].n_heading;
    }
    return n ? heading[n - 1] : h->title;
}

/* What a sentence stands under: the last heading and, for a table's row, the header row. */
typedef struct context {
    rag_str heading, header;
} context;

static bool is_row(rag_str s)
{
    return s.len && s.ptr[0] == '|';
}

/* A short sentence says too little alone: what it stands under goes in front for the embedder. */
static rag_str embed_text(const context *c, rag_str sentence, rag_arena *arena)
{
    if (is_row(sentence) && c->header.len)
        return rag_str_of(rag_arena_printf(arena, "%.*s: %.*s\n%.*s", RAG_STR_ARG(c->heading), RAG_STR_ARG(c->header),
                                           RAG_STR_ARG(sentence)));
    if (sentence.len >= 60 || !c->heading.len)
        return sentence;
    return rag_str_of(rag_arena_printf(arena, "%.*s: %.*s", RAG_STR_ARG(c->heading), RAG_STR_ARG(sentence)));
}

/* A reranker's scores are logits, of any sign and size: they become shares. */
static double share(double logit)
{
    return 1 / (1 + exp(-logit));
}

static double loss(const rag_hit *hits, size_t i)
{
    if (!isnan(hits[0].rerank_score))
        return share(hits[0].score) - share(hits[i].score);
    return hits[0].score > 0 ? (hits[0].score - hits[i].score) / hits[0].score : 0;
}

/* What is known before any sentence is embedded. */
static double prior(const answer_evidence *ev, const answer_sentence *s, double overlap_before)
{
    return 2 * s->overlap + 0.2 * overlap_before - loss(ev->hits, s->hit);
}

static double header_overlap(const answer_evidence *ev, rag_str header, rag_arena *arena)
{
    return answer_units_overlap(ev->units, answer_units_of(header, arena));
}

/* A merged hit holds its sections' headings: "## Text", of which the sentence is "Text" or the whole. */
static bool is_heading_line(rag_str text, rag_span sentence)
{
    size_t at = sentence.start, marks = 0;
    while (at > 0 && (text.ptr[at - 1] == ' ' || text.ptr[at - 1] == '#'))
        at--;
    while (at < sentence.end && text.ptr[at] == '#')
        at++, marks++;
    return marks > 0 && marks <= 6 && at < sentence.end && text.ptr[at] == ' ' &&
           (at == marks || text.ptr[at - marks - 1] == '\n');
}

static size_t split_hit(const answer_evidence *ev, size_t hit, rag_arena *arena, answer_sentence *out, size_t max)
{
    const rag_hit *h = &ev->hits[hit];
    context under = { .heading = heading_at(h, 0) };
    double heading_overlap = header_overlap(ev, under.heading, arena), in_table = 0, before = 0;
    size_t n = 0, pos = 0;
    rag_span span;
    while (n < max && rag_sentence_next(h->text, &pos, &span)) {
        rag_str text = rag_str_sub(h->text, span.start, span.end);
        const answer_units *units = answer_units_of(text, arena);
        if (!units->n) {
            /* A table's rule: the row before it is the header, and says nothing by itself. */
            if (is_row(text) && n && is_row(out[n - 1].text)) {
                under.header = out[--n].text;
                in_table = header_overlap(ev, under.header, arena);
            }
            continue;
        }
        if (h->n_merged > 0 && is_heading_line(h->text, span))
            continue;
        rag_str heading = heading_at(h, span.start);
        if (!rag_str_eq(heading, under.heading)) {
            under = (context){ .heading = heading };
            heading_overlap = header_overlap(ev, heading, arena);
            in_table = before = 0;
        }
        answer_sentence *s = &out[n++];
        *s = (answer_sentence){ .hit = hit, .span = span, .text = text };
        double own = answer_units_overlap(ev->units, units);
        double above = is_row(text) && in_table > heading_overlap ? in_table : heading_overlap;
        /* A title that names the subject helps every sentence below it, but less than the sentence's own words. */
        s->overlap = own + 0.25 * above * (1 - own);
        s->score = prior(ev, s, before);
        s->embed_text = embed_text(&under, s->text, arena);
        before = own;
    }
    return n;
}

static int by_score(const void *a, const void *b)
{
    const answer_sentence *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    if (x->hit != y->hit)
        return x->hit < y->hit ? -1 : 1;
    return (x->span.start > y->span.start) - (x->span.start < y->span.start);
}

/* A cosine brings at most about 0.5 more than another one. */
static const double MAX_BEHIND = 0.5;

static size_t count_promising(const answer_evidence *ev)
{
    size_t n = 0;
    while (n < ev->n_sentences &&
           (n < ANSWER_MIN_PROMISING || ev->sentences[n].score >= ev->sentences[0].score - MAX_BEHIND))
        n++;
    return n;
}

rag_code answer_collect(rag_reader *r, rag_str question, const rag_hit *hits, size_t n_hits, rag_arena *arena,
                        answer_evidence *out, rag_err *err)
{
    (void)err;
    *out = (answer_evidence){ .question = question, .lang = rag_unicode_lang(question), .hits = hits, .n_hits = n_hits };
    out->units = weigh_question(r, question, arena);
    answer_sentence *all = rag_arena_array(arena, MAX_SENTENCES, sizeof *all);
    size_t n = 0;
    for (size_t i = 0; i < n_hits && n < MAX_SENTENCES; i++) {
        size_t room = MAX_SENTENCES - n;
        n += split_hit(out, i, arena, all + n, room < MAX_SENTENCES_A_HIT ? room : MAX_SENTENCES_A_HIT);
    }
    qsort(all, n, sizeof *all, by_score);
    out->sentences = all;
    out->n_sentences = n < ANSWER_MAX_CANDIDATES ? n : ANSWER_MAX_CANDIDATES;
    out->n_promising = count_promising(out);
    return RAG_OK;
}

static double dot(const float *a, const float *b, int dim)
{
    double sum = 0;
    for (int i = 0; i < dim; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

void answer_rank(answer_evidence *ev, const float *question_vector, float *const *vectors, int dim)
{
    for (size_t i = 0; i < ev->n_promising; i++) {
        answer_sentence *s = &ev->sentences[i];
        if (!question_vector || !vectors || !vectors[i])
            continue;
        s->cosine = dot(question_vector, vectors[i], dim);
        s->score += (s->cosine - 0.78) / 0.12;
    }
    qsort(ev->sentences, ev->n_promising, sizeof *ev->sentences, by_score);
    ev->confidence = 0;
    if (ev->n_sentences > 0) {
        answer_features_of(ev, &ev->sentences[0], &ev->features);
        ev->confidence = answer_probability(ev->model, &ev->features);
    }
}
