/* ctl/eval_set.h: question sets.
 *
 * A set is a folder with questions.jsonl, perhaps questions.small.jsonl, and docs/ with one file a document; or a
 * file of questions, beside which docs/ may lie.  A question is a JSON object a line:
 *
 *   id            text, once a set
 *   question      text
 *   answers       texts, any of which is right; with match "all_groups" lists of such texts (or texts), all of which are needed
 *   gold_docs     documents that hold the answer, as paths under docs/
 *   gold_spans    [{"doc", "para": [start, end], …}]: bytes of paragraphs that hold it
 *   evidence      sentences of gold_docs that hold it; used where there are no gold_spans
 *   lang          "zh…": compare by characters
 *   answerable    false: nothing in the set answers it (default true)
 *   match         "any" (default), "all_groups"; with "judge" and "retrieval_only" answers cannot be compared as text
 *   near_doc, group, history and others are not looked at; of a multi-turn question the last turn alone is asked.
 *
 * Everything lives in the set's arena.
 *
 * Threads: one. */
#ifndef RAG_CTL_EVAL_SET_H
#define RAG_CTL_EVAL_SET_H

#include "base/arena.h"
#include "base/err.h"
#include "ctl/eval_docs.h"

enum { EVAL_MAX_QUESTIONS = 1000000 };

typedef enum eval_match { EVAL_MATCH_ANY, EVAL_MATCH_ALL_GROUPS, EVAL_MATCH_NONE } eval_match;

typedef struct eval_texts {
    const char **items;
    size_t n;
} eval_texts;

typedef struct eval_span {
    const char *doc;
    rag_span span;
} eval_span;

typedef struct eval_question {
    const char *id, *text;
    bool is_chinese, is_answerable;
    eval_match match;
    eval_texts *groups; /* of answers; with EVAL_MATCH_ANY one group or none */
    size_t n_groups;
    eval_texts gold_docs; /* each once */
    eval_span *spans; /* each once */
    size_t n_spans;
} eval_question;

typedef struct eval_set {
    rag_arena *arena;
    const char *name; /* the folder's */
    const char *file; /* of questions */
    eval_docs *docs;
    eval_question *questions;
    size_t n;
    size_t evidence, evidence_missing; /* sentences; those that stand in no gold document */
} eval_set;

typedef struct eval_set_options {
    const char *path;
    bool small;   /* questions.small.jsonl; of a folder only */
    size_t limit; /* the first questions only; 0: all */
} eval_set_options;

/* RAG_NOT_FOUND without such a file; RAG_INVALID, with file and line, when a line is no question, an id comes twice, or there
 * is no question at all.  Free in either case. */
rag_code eval_set_read(eval_set *out, const eval_set_options *opt, rag_err *err);
void eval_set_free(eval_set *s);

bool eval_is_gold_doc(const eval_question *q, const char *document);

#endif
