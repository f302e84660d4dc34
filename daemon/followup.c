#include "daemon/followup.h"

#include "base/unicode.h"
#include "base/utf8.h"
#include "daemon/followup_private.h"

enum {
    MAX_QUESTION = 1024, /* bytes; what is longer says enough */
    MAX_EARLIER = 2048,  /* of a turn before */
};

const char *followup_cue_name(followup_cue cue)
{
    static const char *const names[] = { "none", "pronoun", "connective", "ellipsis", "definite", "correction" };
    return names[cue];
}

/* A Chinese question may be mostly a foreign name. */
bool followup_is_chinese(rag_str text)
{
    for (size_t at = 0; at < text.len;)
        if (rag_unicode_class(rag_utf8_next(text, &at)) == RAG_CHAR_CJK)
            return true;
    return false;
}

followup followup_append(followup_cue cue, rag_str question, rag_str topic, rag_arena *arena)
{
    if (cue == FOLLOWUP_NONE || topic.len == 0)
        return (followup){ .question = question };
    bool zh = followup_is_chinese(question);
    rag_str q = rag_str_trim(question);
    const char *format = zh ? "%.*s（关于：%.*s）" : "%.*s (about: %.*s)";
    char *text = rag_arena_printf(arena, format, RAG_STR_ARG(q), RAG_STR_ARG(topic));
    return (followup){ .cue = cue, .question = rag_str_of(text), .topic = topic };
}

static followup substitute(const finding *f, rag_str question, rag_str thing, rag_arena *arena)
{
    rag_str head = rag_str_sub(question, 0, f->pronoun), tail = rag_str_sub(question, f->pronoun_end, question.len);
    const char *s = f->is_possessive ? rag_str_ends(thing, RAG_STR("s")) ? "'" : "'s" : "";
    char *text = rag_arena_printf(arena, "%.*s%.*s%s%.*s", RAG_STR_ARG(head), RAG_STR_ARG(thing), s, RAG_STR_ARG(tail));
    return (followup){ .cue = f->cue, .question = rag_str_of(text), .topic = thing };
}

static followup english_resolve(const followup_turn *last, rag_str question, rag_arena *arena)
{
    words q = words_of(question, arena);
    finding f = english_look(&q, last, arena);
    rag_str thing = { 0 };
    if (f.cue != FOLLOWUP_NONE && f.pronoun < f.pronoun_end)
        thing = topic_thing(last, f.is_person, arena);
    if (thing.len && (!f.is_plural || rag_str_ends(thing, RAG_STR("s"))))
        return substitute(&f, question, thing, arena);
    return followup_append(f.cue, question, topic_of(last, arena), arena);
}

static rag_str cut(rag_str s)
{
    return s.len > MAX_EARLIER ? rag_str_sub(s, 0, rag_utf8_floor(s, MAX_EARLIER)) : s;
}

/* The last turn that said something: not "Thank you!". */
static bool last_with_topic(const followup_turn *turns, size_t n, rag_arena *arena, followup_turn *out)
{
    while (n-- > 0) {
        *out = (followup_turn){ cut(turns[n].question), cut(turns[n].resolved), cut(turns[n].answer) };
        if (topic_of(out, arena).len > 0)
            return true;
    }
    return false;
}

followup followup_resolve(const followup_turn *turns, size_t n, rag_str question, rag_arena *arena)
{
    followup_turn last;
    if (question.len > MAX_QUESTION || !last_with_topic(turns, n, arena, &last))
        return (followup){ .question = question };
    if (followup_is_chinese(question))
        return chinese_resolve(&last, question, arena);
    return english_resolve(&last, question, arena);
}
