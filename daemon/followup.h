/* daemon/followup.h: a question that cannot stand alone, made one that can.
 *
 * "and for opened goods?", "Are those the only steps?" and “那海外呢？” say what they ask only together with the turns before.
 * Rules find such questions and write a self-contained one, which is searched for and shown as "resolved_question":
 *
 *   substituted   a pronoun by the one thing the last turn was about
 *                   What is estate planning? / Is it expensive?        → Is estate planning expensive?
 *   replaced      a part of the last question by what is asked now
 *                   上海的人口是多少？ / 那北京呢？                        → 北京的人口是多少？
 *   appended      otherwise, what the turns before were about
 *                   Do tenants have legal protections? / For example?  → For example? (about: tenants have legal protections)
 *                   如何退货？ / 要多久？                                → 要多久？（关于：如何退货）
 *
 * A question that stands alone stays as it is, byte for byte, so a change of topic brings no old words along.  English and
 * Chinese, by the question's language.
 *
 * Threads: pure; what is returned lives in the arena or is the question given. */
#ifndef RAG_DAEMON_FOLLOWUP_H
#define RAG_DAEMON_FOLLOWUP_H

#include "base/arena.h"
#include "base/str.h"

typedef struct followup_turn {
    rag_str question;
    rag_str resolved; /* empty when the question stood alone */
    rag_str answer;   /* may be empty; a person that it names can be "he" or "she" */
} followup_turn;

/* Why a question was taken for a follow-up. */
typedef enum followup_cue {
    FOLLOWUP_NONE,       /* it stands alone, or there is nothing before it */
    FOLLOWUP_PRONOUN,    /* it, those, there, 它, 该 …, without what it stands for */
    FOLLOWUP_CONNECTIVE, /* and for …, what about …, 那 … 呢 */
    FOLLOWUP_ELLIPSIS,   /* a few words without a verb, or a verb without its object or subject */
    FOLLOWUP_DEFINITE,   /* "the song", "the steps", 这家公司: of what? */
    FOLLOWUP_CORRECTION, /* "I mean …" */
} followup_cue;

typedef struct followup {
    followup_cue cue;
    rag_str question; /* self-contained */
    rag_str topic;    /* what was put in; empty with FOLLOWUP_NONE */
} followup;

/* `turns` oldest first.  The last that said something counts, with what it had been resolved with; of each text the
 * first 2 KiB.  A question of more than 1 KiB stands alone. */
followup followup_resolve(const followup_turn *turns, size_t n, rag_str question, rag_arena *arena);

const char *followup_cue_name(followup_cue cue); /* "none", "pronoun", … */

#endif
