/* daemon/followup_private.h: what the files of the follow-up rules share. */
#ifndef RAG_DAEMON_FOLLOWUP_PRIVATE_H
#define RAG_DAEMON_FOLLOWUP_PRIVATE_H

#include "daemon/followup.h"
#include "index/index.h"

/* ---- words (followup_words.c) ------------------------------------------------------------ */

typedef struct words {
    rag_str text;
    const rag_term *at; /* exact: folded to lower case */
    size_t n;
} words;

words words_of(rag_str text, rag_arena *arena);
/* Whether word i stands in a list such as " it its they ". */
bool words_in(const words *w, size_t i, const char *list);
bool words_is_content(const words *w, size_t i); /* no stop word, no word that only asks or is polite */
bool words_is_capital(const words *w, size_t i); /* written with a capital or a digit first */
/* A mark that ends a clause stands between word i - 1 and word i. */
bool words_is_cut(const words *w, size_t i);
/* A verb or a question word that makes it a clause. */
bool words_is_finite(const words *w, size_t i);
bool words_has_finite(const words *w);
size_t words_count_content(const words *w, size_t from, size_t to);
/* The text from word `from` to before word `to`. */
rag_str words_span(const words *w, size_t from, size_t to);
/* The same, to the next space or mark: "V&A", "C++". */
rag_str words_whole(const words *w, size_t from, size_t to);

/* ---- topics (followup_topic.c) -------------------------------------------------------------- */

/* What a turn was about: its questions without the words that only ask, and what it had been resolved with. */
rag_str topic_of(const followup_turn *t, rag_arena *arena);
/* The one thing an English turn was about, where that is clear: "What is X?", or its only name.  Else empty. */
rag_str topic_thing(const followup_turn *t, bool person, rag_arena *arena);
/* A resolved question without "(about: …)", and what stood there. */
rag_str topic_split(rag_str resolved, rag_str *about);

/* ---- rules --------------------------------------------------------------------------------- */

typedef struct finding {
    followup_cue cue;
    size_t pronoun, pronoun_end; /* bytes to substitute; equal = nothing to */
    bool is_person, is_possessive, is_plural;
} finding;

finding english_look(const words *q, const followup_turn *last, rag_arena *arena);
followup chinese_resolve(const followup_turn *last, rag_str question, rag_arena *arena);
/* Of a Chinese turn: its question without what only asks. */
rag_str chinese_topic(rag_str question, rag_arena *arena);

bool followup_is_chinese(rag_str text);
followup followup_append(followup_cue cue, rag_str question, rag_str topic, rag_arena *arena);

#endif
