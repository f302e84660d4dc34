#include "base/sentence.h"
#include "base/unicode.h"
#include "base/utf8.h"
#include "daemon/followup_private.h"

enum { MAX_TOPIC_WORDS = 12, MAX_THING_WORDS = 6, MAX_ANSWER_BYTES = 400, MAX_TOPIC_BYTES = 400 };

static const rag_str about = { "(about: ", 8 }, about_end = { ")", 1 };
static const rag_str guanyu = { "（关于：", 12 }, guanyu_end = { "）", 3 };

static rag_str split_at(rag_str s, rag_str open, rag_str close, rag_str *inside)
{
    size_t at = SIZE_MAX, next;
    if (!rag_str_ends(s, close))
        return s;
    for (next = rag_str_find(s, open, 0); next != SIZE_MAX; next = rag_str_find(s, open, next + 1))
        at = next;
    if (at == SIZE_MAX)
        return s;
    *inside = rag_str_sub(s, at + open.len, s.len - close.len);
    return rag_str_trim(rag_str_sub(s, 0, at));
}

rag_str topic_split(rag_str resolved, rag_str *inside)
{
    *inside = (rag_str){ 0 };
    rag_str core = split_at(resolved, about, about_end, inside);
    return inside->len ? core : split_at(resolved, guanyu, guanyu_end, inside);
}

/* From the first word that says something; pronouns and "the" in front of it go too. */
static rag_str strip(rag_str sentence, rag_arena *arena)
{
    words w = words_of(sentence, arena);
    size_t from = 0, to = w.n, taken = 0;
    while (from < w.n && !words_is_content(&w, from))
        from++;
    for (size_t i = from; i < w.n; i++) {
        if (words_is_content(&w, i) && ++taken > MAX_TOPIC_WORDS) {
            to = i;
            break;
        }
    }
    while (to > from && !words_is_content(&w, to - 1))
        to--;
    return words_whole(&w, from, to);
}

/* The last two sentences that say something. */
static rag_str english_topic(rag_str question, rag_arena *arena)
{
    rag_str before = { 0 }, last = { 0 };
    rag_span span;
    for (size_t pos = 0; rag_sentence_next(question, &pos, &span);) {
        rag_str part = strip(rag_str_sub(question, span.start, span.end), arena);
        if (part.len == 0)
            continue;
        before = last;
        last = part;
    }
    if (before.len == 0)
        return last;
    return rag_str_of(rag_arena_printf(arena, "%.*s; %.*s", RAG_STR_ARG(before), RAG_STR_ARG(last)));
}

static rag_str plain_topic(rag_str question, rag_arena *arena)
{
    return followup_is_chinese(question) ? chinese_topic(question, arena) : english_topic(question, arena);
}

static rag_str cut(rag_str topic)
{
    return topic.len > MAX_TOPIC_BYTES ? rag_str_sub(topic, 0, rag_utf8_floor(topic, MAX_TOPIC_BYTES)) : topic;
}

/* Of a chain of follow-ups, what the last one was about before that is enough. */
static rag_str first_part(rag_str topic)
{
    size_t half = rag_str_find(topic, RAG_STR("; "), 0), full = rag_str_find(topic, RAG_STR("；"), 0);
    return rag_str_sub(topic, 0, half < full ? half : full);
}

/* "example", "多久": only asked of what was there before. */
static bool is_thin(rag_str topic)
{
    return followup_is_chinese(topic) ? rag_utf8_count(topic) < 4 : rag_str_find(topic, RAG_STR(" "), 0) == SIZE_MAX;
}

rag_str topic_of(const followup_turn *t, rag_arena *arena)
{
    rag_str before, core = topic_split(t->resolved.len ? t->resolved : t->question, &before);
    rag_str own = plain_topic(core, arena);
    if (before.len == 0 || is_thin(own))
        return cut(before.len ? before : own);
    const char *format = followup_is_chinese(own) ? "%.*s；%.*s" : "%.*s; %.*s";
    return cut(rag_str_of(rag_arena_printf(arena, format, RAG_STR_ARG(own), RAG_STR_ARG(first_part(before)))));
}

/* ---- the one thing ----------------------------------------------------------------------- */

/* "What is X?", "Who was X?", "Tell me about X": X, when it is a few words without a clause of its own. */
static rag_str defined(const words *w)
{
    size_t i = 0;
    while (i < w->n && words_in(w, i, " can could you please tell me more and so ok hi explain describe "))
        i++;
    bool asked = i > 0 && words_in(w, i - 1, " explain describe ");
    if (words_in(w, i, " what who ") && words_in(w, i + 1, " is are was were s ")) {
        i += 2;
        asked = true;
    } else if (words_in(w, i, " about ") && i > 0) {
        i++;
        asked = true;
    }
    if (words_in(w, i, " a an "))
        i++;
    size_t noun = i + words_in(w, i, " the ");
    if (!asked || noun >= w->n || w->n - noun > MAX_THING_WORDS)
        return (rag_str){ 0 };
    for (size_t k = noun; k < w->n; k++)
        if ((k > noun && words_is_cut(w, k)) ||
            words_in(w, k, " is are was were do does did can that which who when if it its they their this these those and or "
                           "difference my your used for to "))
            return (rag_str){ 0 };
    return words_is_content(w, noun) ? words_span(w, i, w->n) : (rag_str){ 0 };
}

static bool starts_sentence(const words *w, size_t i)
{
    if (i == 0)
        return true;
    for (size_t at = w->at[i - 1].end; at < w->at[i].start; at++)
        if (w->text.ptr[at] == '.' || w->text.ptr[at] == '?' || w->text.ptr[at] == '!')
            return true;
    return false;
}

/* One past the name that begins at i: capitals, with "of", "the", "de" between them. */
static size_t name_end(const words *w, size_t i)
{
    size_t end = i + 1;
    while (end < w->n && !words_is_cut(w, end)) {
        size_t next = end;
        while (next < w->n && words_in(w, next, " of the de van von la del ") && next - end < 2)
            next++;
        if (next >= w->n || words_is_cut(w, next) || !words_is_capital(w, next) || w->at[next].is_stop)
            break;
        end = next + 1;
    }
    return end;
}

static bool starts_name(const words *w, size_t i)
{
    return words_is_capital(w, i) && words_is_content(w, i) && !starts_sentence(w, i) &&
           rag_unicode_class((unsigned char)w->text.ptr[w->at[i].start]) != RAG_CHAR_DIGIT;
}

/* The only name of at least so many words; empty when there is none or more than one. */
static rag_str only_name(const words *w, size_t least)
{
    rag_str found = { 0 };
    for (size_t i = 0; i < w->n; i++) {
        if (!starts_name(w, i))
            continue;
        size_t end = name_end(w, i);
        rag_str name = words_whole(w, i - words_in(w, i - 1, " the "), end);
        if (end - i < least || rag_str_eq(found, name))
            continue;
        if (found.len)
            return (rag_str){ 0 };
        found = name;
        i = end - 1;
    }
    return found;
}

/* People have two names more often than places. */
static rag_str name_of(rag_str text, bool person, rag_arena *arena)
{
    words w = words_of(text, arena);
    rag_str name = person ? only_name(&w, 2) : (rag_str){ 0 };
    return name.len ? name : only_name(&w, 1);
}

/* "Who wrote …?" is about whom the answer names, unless the question names somebody too. */
static rag_str answered_person(const followup_turn *t, const words *q, rag_arena *arena)
{
    words a = words_of(rag_str_sub(t->answer, 0, MAX_ANSWER_BYTES), arena);
    if (!words_in(q, 0, " who which whose ") || only_name(q, 2).len)
        return (rag_str){ 0 };
    for (size_t i = 0; i < a.n; i++) {
        if (!words_is_capital(&a, i) || !words_is_content(&a, i))
            continue;
        size_t end = name_end(&a, i);
        rag_str name = words_span(&a, i, end);
        if (rag_str_find(q->text, name, 0) == SIZE_MAX && (end - i > 1 || !starts_sentence(&a, i)))
            return name;
    }
    return (rag_str){ 0 };
}

rag_str topic_thing(const followup_turn *t, bool person, rag_arena *arena)
{
    rag_str before, core = topic_split(t->resolved.len ? t->resolved : t->question, &before);
    words q = words_of(core, arena);
    rag_str thing = person ? answered_person(t, &q, arena) : (rag_str){ 0 };
    if (thing.len == 0 && !words_has_finite(&q) && q.n <= MAX_THING_WORDS)
        thing = words_span(&q, 0, q.n);
    if (thing.len == 0 && before.len == 0 && !person)
        thing = defined(&q);
    if (thing.len == 0)
        thing = name_of(core, person, arena);
    return cut(thing.len == 0 && person ? name_of(before, person, arena) : thing);
}
