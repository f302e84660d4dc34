/* daemon/tuning.h: what may change while the daemon runs.  Each job keeps the values it began with.
 *
 * Threads: a plain value. */
#ifndef RAG_DAEMON_TUNING_H
#define RAG_DAEMON_TUNING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "index/index.h"

typedef struct ragd_tuning {
    int queue;                /* jobs of a kind that wait, beyond those at work */
    size_t question_tokens;   /* 413 above */
    int64_t deadline_ms;      /* of an ask that names none; the most that one may name */
    int64_t drain_ms;
    int top_k;                /* of a search that names none */
    int candidates, rrf_k;
    rag_fusion fusion;
    double text_weight;
    double document_share;
    int rerank;               /* hits that the reranker looks at */
    int64_t rerank_ms;        /* its time for one question */
    const char *mode;         /* of an ask that names none: "auto", "generate", "extract", "span"; static */
    int passages;             /* hits that an answer is made from, and sentences in its prompt */
    int sentences;            /* of an extract */
    double refuse_below, review_below; /* confidence */
    int max_tokens;           /* of a generated answer */
    bool remembers;           /* turns of conversations are kept */
    bool audit;               /* answers are written down */
} ragd_tuning;

#endif
