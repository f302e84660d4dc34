/* What is known about a sentence as an answer, in numbers. */
#include "daemon/answer_private.h"

#include <math.h>
#include <string.h>

#include "base/utf8.h"

typedef struct measure {
    const answer_evidence *ev;
    const answer_sentence *s;
    const rag_hit *hit;
    const answer_units *in_sentence, *in_passage;
    rag_arena *arena; /* the call's */
} measure;

static double clamp(double x, double low, double high)
{
    return x < low || isnan(x) ? low : x > high ? high : x;
}

static bool holds(const answer_units *u, rag_str unit)
{
    for (size_t i = 0; i < u->n; i++)
        if (rag_str_eq(u->items[i].text, unit))
            return true;
    return false;
}

static const answer_units *units_under(rag_str above, rag_str text, rag_arena *arena)
{
    return answer_units_of(rag_str_of(rag_arena_printf(arena, "%.*s\n%.*s", RAG_STR_ARG(above), RAG_STR_ARG(text))), arena);
}

/* ---- terms --------------------------------------------------------------------------- */

static double rarest_missing(const measure *m)
{
    double most = 0, missing = 0;
    const answer_units *q = m->ev->units;
    for (size_t i = 0; i < q->n; i++) {
        most = fmax(most, q->items[i].weight);
        if (!holds(m->in_passage, q->items[i].text))
            missing = fmax(missing, q->items[i].weight);
    }
    return most > 0 ? missing / most : 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_upper(rag_str s, size_t pos)
{
    return rag_unicode_is_upper(rag_utf8_next(s, &pos));
}

static bool has_digit(rag_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (is_digit(s.ptr[i]))
            return true;
    return false;
}

/* A name by its capital letter (the first word has one anyway), a figure by its digits. */
static bool is_name(rag_str text, const rag_term *t)
{
    if (t->is_cjk || t->is_stop)
        return false;
    return has_digit(t->exact) || (t->start > 0 && is_upper(text, t->start));
}

static void measure_names(const measure *m, double *value)
{
    rag_term *terms = NULL;
    size_t n = 0, names = 0, absent = 0, far = 0;
    if (rag_terms(m->ev->question, m->arena, &terms, &n) != RAG_OK)
        return;
    for (size_t i = 0; i < n; i++) {
        if (!is_name(m->ev->question, &terms[i]))
            continue;
        names++;
        if (!holds(m->in_passage, terms[i].stem))
            absent++;
        else if (!holds(m->in_sentence, terms[i].stem))
            far++;
    }
    if (names > 0) {
        value[ANSWER_NAMES] = (double)absent / (double)names;
        value[ANSWER_NAMES_FAR] = (double)far / (double)names;
    }
}

static void measure_terms(const measure *m, double *value)
{
    double covered = m->hit->coverage;
    value[ANSWER_OVERLAP] = m->s->overlap;
    value[ANSWER_PASSAGE_OVERLAP] = answer_units_overlap(m->ev->units, m->in_passage);
    value[ANSWER_RAREST] = rarest_missing(m);
    value[ANSWER_COVERAGE] = covered;
    for (size_t i = 0; i < m->ev->n_hits; i++)
        value[ANSWER_ELSEWHERE] = fmax(value[ANSWER_ELSEWHERE], m->ev->hits[i].coverage - covered);
    value[ANSWER_LENGTH] = log(1 + (double)m->ev->units->n) / 3;
    measure_names(m, value);
}

/* ---- what is asked for --------------------------------------------------------------- */

typedef enum wanted { WANTS_ANY, WANTS_FIGURE, WANTS_NAME, WANTS_REASON } wanted;

/* Looked for in the folded question, as whole words where Latin; the first that stands there. */
static const struct {
    const char *words;
    wanted what;
} ASKED[] = {
    { "how many", WANTS_FIGURE },  { "how much", WANTS_FIGURE },   { "how long", WANTS_FIGURE }, { "how old", WANTS_FIGURE },
    { "how far", WANTS_FIGURE },   { "how often", WANTS_FIGURE },  { "how large", WANTS_FIGURE }, { "how big", WANTS_FIGURE },
    { "how high", WANTS_FIGURE },  { "what year", WANTS_FIGURE },  { "which year", WANTS_FIGURE }, { "what percent", WANTS_FIGURE },
    { "what percentage", WANTS_FIGURE }, { "what date", WANTS_FIGURE }, { "what century", WANTS_FIGURE }, { "when", WANTS_FIGURE },
    { "why", WANTS_REASON },       { "how", WANTS_REASON },        { "who", WANTS_NAME },        { "whom", WANTS_NAME },
    { "whose", WANTS_NAME },       { "where", WANTS_NAME },        { "多少", WANTS_FIGURE },     { "几", WANTS_FIGURE },
    { "何时", WANTS_FIGURE },      { "哪年", WANTS_FIGURE },       { "哪一年", WANTS_FIGURE },   { "什么时候", WANTS_FIGURE },
    { "什么年", WANTS_FIGURE },    { "多长", WANTS_FIGURE },       { "多大", WANTS_FIGURE },     { "多高", WANTS_FIGURE },
    { "为什么", WANTS_REASON },    { "为何", WANTS_REASON },       { "如何", WANTS_REASON },     { "怎", WANTS_REASON },
};

static bool joins(rag_str s, size_t pos)
{
    return pos > 0 && pos < s.len && s.ptr[pos - 1] >= 'a' && s.ptr[pos - 1] <= 'z' && s.ptr[pos] >= 'a' && s.ptr[pos] <= 'z';
}

static bool stands_in(rag_str hay, rag_str words)
{
    for (size_t at = 0; (at = rag_str_find(hay, words, at)) != SIZE_MAX; at++)
        if (!joins(hay, at) && !joins(hay, at + words.len))
            return true;
    return false;
}

/* Folded, Han simplified, terms a space apart but for Han. */
static rag_str plain(rag_str text, rag_arena *arena)
{
    rag_term *terms = NULL;
    size_t n = 0;
    rag_buf b;
    rag_buf_init(&b, RAG_MAX_REPLY);
    if (rag_terms(text, arena, &terms, &n) == RAG_OK)
        for (size_t i = 0; i < n; i++) {
            if (i > 0 && !terms[i].is_cjk)
                rag_buf_putc(&b, ' ');
            rag_buf_put(&b, terms[i].exact);
        }
    rag_str out = rag_arena_str(arena, rag_buf_str(&b));
    rag_buf_free(&b);
    return out;
}

static wanted what_is_wanted(const measure *m)
{
    rag_str q = plain(m->ev->question, m->arena);
    for (size_t i = 0; i < sizeof ASKED / sizeof *ASKED; i++)
        if (stands_in(q, rag_str_of(ASKED[i].words)))
            return ASKED[i].what;
    return WANTS_ANY;
}

static bool is_figure(rag_str text, const rag_term *t)
{
    (void)text;
    return has_digit(t->exact) || (t->is_cjk && rag_str_find(RAG_STR("一二三四五六七八九十百千万亿两"), t->exact, 0) != SIZE_MAX);
}

static bool is_capital(rag_str text, const rag_term *t)
{
    return t->start > 0 && !t->is_cjk && !t->is_stop && is_upper(text, t->start);
}

/* The sentence holds a term of the kind that the question does not hold. */
static bool has_new(const measure *m, bool (*is_kind)(rag_str, const rag_term *))
{
    rag_term *terms = NULL, *asked = NULL;
    size_t n = 0, n_asked = 0;
    if (rag_terms(m->s->text, m->arena, &terms, &n) != RAG_OK || rag_terms(m->ev->question, m->arena, &asked, &n_asked) != RAG_OK)
        return false;
    for (size_t i = 0; i < n; i++) {
        bool is_new = is_kind(m->s->text, &terms[i]);
        for (size_t j = 0; is_new && j < n_asked; j++)
            is_new = !rag_str_eq(asked[j].stem, terms[i].stem);
        if (is_new)
            return true;
    }
    return false;
}

static void measure_kind(const measure *m, double *value)
{
    wanted what = what_is_wanted(m);
    value[ANSWER_WANTS_REASON] = what == WANTS_REASON;
    if (what == WANTS_FIGURE)
        value[ANSWER_WANTS_FIGURE] = has_new(m, is_figure) ? 1 : -1;
    if (what == WANTS_NAME && rag_unicode_lang(m->s->text) == RAG_LANG_EN)
        value[ANSWER_WANTS_NAME] = has_new(m, is_capital) ? 1 : -1;
}

/* ---- scores --------------------------------------------------------------------------- */

static double margin(const measure *m, bool other_hit)
{
    for (size_t i = 0; i < m->ev->n_promising; i++) {
        const answer_sentence *o = &m->ev->sentences[i];
        bool is_other = o != m->s && (!other_hit || o->hit != m->s->hit) && !rag_str_eq(o->text, m->s->text);
        if (is_other)
            return m->s->score - o->score;
    }
    return INFINITY;
}

static void measure_scores(const measure *m, double *value)
{
    const answer_evidence *ev = m->ev;
    const rag_hit *h = m->hit, *first = &ev->hits[0];
    double ceiling = ev->text_ceiling, of_document = 0;
    value[ANSWER_COSINE] = m->s->cosine > 0 ? (m->s->cosine - 0.78) / 0.12 : 0.5;
    value[ANSWER_MARGIN] = clamp(margin(m, false), -1, 1);
    value[ANSWER_PASSAGE_MARGIN] = clamp(margin(m, true), -2, 2) / 2;
    value[ANSWER_HIT_COSINE] = h->vector_score > 0 ? clamp((h->vector_score - 0.8) / 0.1, -2, 2) : 0.5;
    value[ANSWER_HIT_SECOND] = ev->n_hits > 1 ? clamp((first->fused_score - ev->hits[1].fused_score) / 0.05, 0, 1) : 1;
    value[ANSWER_HIT_LAST] = clamp((first->fused_score - ev->hits[ev->n_hits - 1].fused_score) / 0.1, 0, 1);
    value[ANSWER_HIT_TEXT] = ceiling > 0 ? clamp(h->text_score / ceiling, 0, 1) : 0;
    value[ANSWER_HIT_CLOSENESS] = ceiling > 0 ? clamp(2.2 * h->closeness / ceiling, 0, 1) : 0;
    value[ANSWER_BOTH_FIRST] = first->vector_rank == 1 && first->text_rank == 1;
    value[ANSWER_FROM_FIRST] = m->s->hit == 0;
    for (size_t i = 0; i < ev->n_hits; i++)
        of_document += ev->hits[i].document_id == h->document_id;
    value[ANSWER_ONE_DOCUMENT] = of_document / (double)ev->n_hits;
    value[ANSWER_RERANK] = isnan(h->rerank_score) ? 0 : 2 / (1 + exp(-h->rerank_score)) - 1;
}

/* Scales differ between languages; across them there are hardly any common terms, and the vectors are all there is. */
static void measure_languages(const measure *m, double *value)
{
    bool is_across = m->s->cosine > 0 && rag_unicode_lang(m->s->text) != m->ev->lang;
    double zh = m->ev->lang == RAG_LANG_ZH && !is_across;
    value[ANSWER_CHINESE] = zh;
    value[ANSWER_CHINESE_COSINE] = zh * value[ANSWER_COSINE];
    value[ANSWER_CHINESE_OVERLAP] = zh * value[ANSWER_OVERLAP];
    value[ANSWER_ACROSS] = is_across;
    value[ANSWER_ACROSS_COSINE] = is_across * value[ANSWER_COSINE];
    value[ANSWER_ACROSS_HIT] = is_across * value[ANSWER_HIT_COSINE];
}

void answer_features_of(const answer_evidence *ev, const answer_sentence *s, answer_features *out)
{
    const rag_hit *h = &ev->hits[s->hit];
    measure m = { .ev = ev, .s = s, .hit = h, .arena = rag_arena_new() };
    m.in_sentence = units_under(h->n_heading ? h->heading[h->n_heading - 1] : h->title, s->text, m.arena);
    m.in_passage = units_under(h->title, h->text, m.arena);
    *out = (answer_features){ .value[ANSWER_BIAS] = 1 };
    measure_terms(&m, out->value);
    measure_kind(&m, out->value);
    measure_scores(&m, out->value);
    measure_languages(&m, out->value);
    rag_arena_free(m.arena);
}
