#include <stdio.h>
#include <string.h>

#include "base/unicode.h"
#include "base/utf8.h"
#include "daemon/followup_private.h"

/* What a question is asked with, beside stop words; what is said out of politeness. */
static const char asking[] =
    " tell explain describe know want like need would may might shall say said mean means give please thanks thank ok okay "
    " hi hello yes yeah oh wow i'm sorry great fine sure interesting nice good question ask asking wonder wondering "
    " let show help information info detail details anything something someone anyone many much long often also got get "
    " see think believe talk talking actually really lot bit little kindly hey well maybe perhaps cool awesome welcome ";

static const char finite[] =
    " is are was were am be been being do does did done has have had can could will would shall should may might must isn aren "
    " don doesn didn can't won wouldn couldn what who whom whose which where when why how ";

words words_of(rag_str text, rag_arena *arena)
{
    words w = { .text = text };
    rag_term *terms;
    rag_terms(text, arena, &terms, &w.n);
    w.at = terms;
    return w;
}

bool words_in(const words *w, size_t i, const char *list)
{
    char word[40];
    if (i >= w->n || w->at[i].exact.len + 3 > sizeof word)
        return false;
    snprintf(word, sizeof word, " %.*s ", RAG_STR_ARG(w->at[i].exact));
    return strstr(list, word) != NULL;
}

bool words_is_content(const words *w, size_t i)
{
    return i < w->n && !w->at[i].is_stop && !words_in(w, i, asking);
}

bool words_is_capital(const words *w, size_t i)
{
    size_t pos = w->at[i].start;
    uint32_t c = rag_utf8_next(w->text, &pos);
    return rag_unicode_is_upper(c) || rag_unicode_class(c) == RAG_CHAR_DIGIT;
}

bool words_is_cut(const words *w, size_t i)
{
    if (i == 0 || i >= w->n)
        return true;
    for (size_t at = w->at[i - 1].end; at < w->at[i].start; at++)
        if (strchr(",.;:?!()\n", w->text.ptr[at]))
            return true;
    return false;
}

bool words_is_finite(const words *w, size_t i)
{
    return words_in(w, i, finite);
}

bool words_has_finite(const words *w)
{
    for (size_t i = 0; i < w->n; i++)
        if (words_is_finite(w, i))
            return true;
    return false;
}

size_t words_count_content(const words *w, size_t from, size_t to)
{
    size_t n = 0;
    for (size_t i = from; i < to; i++)
        n += words_is_content(w, i);
    return n;
}

rag_str words_span(const words *w, size_t from, size_t to)
{
    return from < to && to <= w->n ? rag_str_sub(w->text, w->at[from].start, w->at[to - 1].end) : (rag_str){ 0 };
}

rag_str words_whole(const words *w, size_t from, size_t to)
{
    rag_str s = words_span(w, from, to);
    size_t end = to ? w->at[to - 1].end : 0;
    if (s.len == 0)
        return s;
    while (end < w->text.len && !strchr(" \t\n,.;:?!()\"'", w->text.ptr[end]))
        end++;
    return rag_str_sub(w->text, w->at[from].start, end);
}
