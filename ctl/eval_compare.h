/* ctl/eval_compare.h: two reports of `ragctl eval` against each other, question by question.
 *
 * Questions are paired by id; those of one report only are left out and counted.  A figure that is a mean uses the
 * questions with a value on both sides.  Threads: one. */
#ifndef RAG_CTL_EVAL_COMPARE_H
#define RAG_CTL_EVAL_COMPARE_H

#include <stdio.h>

#include "ctl/eval_report.h"

typedef struct eval_pairing {
    eval_data a, b;
    const char **ids, **texts;
    size_t n, only_a, only_b;
    eval_difference differences[EVAL_METRICS];
} eval_pairing;

/* RAG_INVALID when an id stands twice in a report or no question is in both.  The strings are borrowed.  Free in either case. */
rag_code eval_pair(eval_pairing *out, const eval_saved *a, const eval_saved *b, rag_err *err);
void eval_pairing_free(eval_pairing *p);

/* 0.05: of twenty figures that did not change, one is below it by chance. */
bool eval_is_significant(const eval_difference *d);

/* The questions whose value of a figure changed most, at most `max` of them, largest change first; *n of them.  To be freed. */
uint32_t *eval_largest_changes(const eval_pairing *p, eval_metric m, size_t max, size_t *n);

typedef struct eval_comparison {
    const char *file_a, *file_b;
    const eval_saved *a, *b;
    const eval_pairing *pairing;
    eval_metric metric; /* of the list of changes */
    size_t changes;     /* how many to list */
} eval_comparison;

cJSON *eval_compare_json(const eval_comparison *c);
void eval_compare_print(FILE *out, const eval_comparison *c);

#endif
