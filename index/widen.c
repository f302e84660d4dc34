/* What is looked for besides, when words of the query stand nowhere. */
#include <string.h>

#include "index/search_impl.h"
#include "index/spell.h"

enum {
    MAX_MISSPELT = 3,     /* words of a query that are looked up */
    MAX_MEANT = 3,        /* words that one of them is taken for */
    MAX_LONE = 16,        /* characters that are looked for by themselves */
    RARE_PART = 50,       /* a character in one of so many passages or fewer is rare */
};

/* ---- typing errors ----------------------------------------------------------------------- */

static bool has_digit(rag_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)(s.ptr[i] - '0') < 10)
            return true;
    return false;
}

/* A part of E-4012x or of a quoted part is meant as it is written. */
static bool is_meant_so(const plan *p, const plan_phrase *phrase)
{
    const rag_term *t = &p->terms[phrase->term];
    for (size_t i = 0; i < p->n_quotes; i++)
        if (t->start >= p->quotes[i].at.start && t->end <= p->quotes[i].at.end)
            return true;
    for (size_t i = 0; i < p->n_exact; i++)
        if (phrase->term >= p->exact[i].from && phrase->term < p->exact[i].to && has_digit(p->exact[i].text))
            return true;
    return false;
}

static bool is_misspelt(const search *x, size_t i)
{
    const plan_phrase *phrase = &x->plan.phrases[i];
    return phrase->kind == PLAN_WORD && bm25_rows(x->r->bm25, i) == 0 &&
           spell_is_word(x->plan.terms[phrase->term].exact) && !is_meant_so(&x->plan, phrase);
}

typedef struct misspelt {
    size_t phrase;
    size_t first, n; /* words it may mean, as phrases of the plan that are only counted */
} misspelt;

/* Words near it become phrases without weight or label. */
static rag_code look_up(search *x, misspelt *m, rag_err *err)
{
    spell_word near[SPELL_MAX];
    size_t n;
    rag_str word = x->plan.terms[x->plan.phrases[m->phrase].term].exact;
    rag_code code = spell_near(x->r->db, word, x->arena, near, &n, err);
    m->first = x->plan.n_phrases;
    for (size_t i = 0; code == RAG_OK && i < n; i++)
        plan_add(&x->plan, &(plan_phrase){ .tokens = near[i].word });
    m->n = x->plan.n_phrases - m->first;
    return code;
}

/* More unknown words than one looks up, and none that is known: the passages are in another language. */
static bool is_other_language(const search *x)
{
    size_t unknown = 0, known = 0;
    for (size_t i = 0; i < x->plan.n_phrases; i++) {
        unknown += is_misspelt(x, i);
        known += x->plan.phrases[i].kind == PLAN_WORD && bm25_rows(x->r->bm25, i) > 0;
    }
    return unknown > MAX_MISSPELT && known == 0;
}

static rag_code find_misspelt(search *x, misspelt list[MAX_MISSPELT], size_t *n, rag_err *err)
{
    rag_code code = RAG_OK;
    size_t from = x->plan.n_phrases;
    for (size_t i = 0; code == RAG_OK && i < from && *n < MAX_MISSPELT; i++)
        if (is_misspelt(x, i)) {
            list[*n].phrase = i;
            code = look_up(x, &list[(*n)++], err);
        }
    return code == RAG_OK ? bm25_add(x->r->bm25, &x->plan, from, x->arena, err) : code;
}

/* Of words as frequent as each other the first of the alphabet: what is hidden must not decide. */
static bool comes_before(const search *x, size_t a, size_t b)
{
    const bm25 *counts = x->r->bm25;
    rag_str p = x->plan.phrases[a].tokens, q = x->plan.phrases[b].tokens;
    if (bm25_rows(counts, a) != bm25_rows(counts, b))
        return bm25_rows(counts, a) > bm25_rows(counts, b);
    int order = memcmp(p.ptr, q.ptr, p.len < q.len ? p.len : q.len);
    return order ? order < 0 : p.len < q.len;
}

/* The most frequent ones that the filter shows. */
static size_t choose(const search *x, const misspelt *m, size_t chosen[MAX_MEANT])
{
    size_t n = 0;
    for (size_t i = m->first; i < m->first + m->n; i++) {
        size_t at = n;
        while (at > 0 && comes_before(x, i, chosen[at - 1]))
            at--;
        if (bm25_rows(x->r->bm25, i) == 0 || at == MAX_MEANT)
            continue;
        n += n < MAX_MEANT;
        memmove(&chosen[at + 1], &chosen[at], (n - at - 1) * sizeof *chosen);
        chosen[at] = i;
    }
    return n;
}

static void mean(search *x, const misspelt *m, size_t phrase, float weight)
{
    rag_str word = x->plan.phrases[phrase].tokens;
    const rag_term *written = &x->plan.terms[x->plan.phrases[m->phrase].term];
    rag_term *terms;
    size_t n;
    rag_terms(word, x->arena, &terms, &n);
    x->corrections[x->n_corrections++] = (rag_correction){ rag_str_sub(x->plan.text, written->start, written->end), word };
    plan_add(&x->plan, &(plan_phrase){ .tokens = plan_stem(x->arena, &terms[0]), .label = word, .weight = weight });
}

/* Each word is looked for by what it may mean; together those count as one. */
static rag_code correct(search *x, rag_err *err)
{
    misspelt list[MAX_MISSPELT];
    size_t n = 0;
    rag_code code = is_other_language(x) ? RAG_OK : find_misspelt(x, list, &n, err);
    size_t from = x->plan.n_phrases;
    if (code != RAG_OK || n == 0)
        return code;
    x->corrections = rag_arena_array(x->arena, MAX_MISSPELT * MAX_MEANT, sizeof *x->corrections);
    for (size_t i = 0; i < n; i++) {
        size_t chosen[MAX_MEANT], meant = choose(x, &list[i], chosen);
        for (size_t k = 0; k < meant; k++)
            mean(x, &list[i], chosen[k], 1.0f / (float)meant);
        if (meant > 0)
            bm25_forget_absent(x->r->bm25, list[i].phrase);
    }
    return bm25_add(x->r->bm25, &x->plan, from, x->arena, err);
}

/* ---- characters ---------------------------------------------------------------------------- */

static bool pairs_match_nothing(const search *x)
{
    size_t pairs = 0;
    for (size_t i = 0; i < x->plan.n_phrases; i++)
        if (x->plan.phrases[i].kind == PLAN_PAIR) {
            pairs++;
            if (bm25_rows(x->r->bm25, i) > 0)
                return false;
        }
    return pairs > 0;
}

/* The rarest of them must be found, if it is rare. */
static void demand_rarest(search *x, size_t from)
{
    const bm25 *b = x->r->bm25;
    size_t rarest = SIZE_MAX;
    for (size_t i = from; i < x->plan.n_phrases && i < PLAN_BITS; i++)
        if (bm25_rows(b, i) > 0 && (rarest == SIZE_MAX || bm25_rows(b, i) < bm25_rows(b, rarest)))
            rarest = i;
    if (rarest != SIZE_MAX && bm25_rows(b, rarest) <= 1 + x->filter->n_visible / RARE_PART)
        x->standing |= plan_bit(rarest);
}

static rag_code look_for_characters(search *x, rag_err *err)
{
    plan *p = &x->plan;
    size_t from = p->n_phrases;
    if (!pairs_match_nothing(x))
        return RAG_OK;
    for (size_t i = 0; i < p->n_terms && p->n_phrases < from + MAX_LONE; i++)
        if (p->terms[i].is_cjk && !p->terms[i].is_stop)
            plan_add(p, &(plan_phrase){ .tokens = p->terms[i].exact, .label = p->terms[i].exact, .term = i, .weight = 1 });
    rag_code code = bm25_add(x->r->bm25, p, from, x->arena, err);
    if (code == RAG_OK)
        demand_rarest(x, from);
    return code;
}

rag_code search_widen(search *x, rag_err *err)
{
    rag_code code = correct(x, err);
    return code == RAG_OK ? look_for_characters(x, err) : code;
}
