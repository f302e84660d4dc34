/* ctl/batch.h: many requests, a JSON object a line in, a response object a line out.
 *
 *   input ─> window of items ─> up to `concurrency` requests at once ─> output in input order
 *
 * Lines are read as they arrive and no faster than the window drains, so memory is bounded however long the
 * input is.  A line is sent as it is, but for its `id`, which is put in front of the response, and the
 * defaults that it does not set itself.  503 is tried again after Retry-After.
 *
 * An item that fails has an "error" and, where the input was at fault, its "line"; the others go on.  Empty
 * lines are passed over. */
#ifndef RAG_CTL_BATCH_H
#define RAG_CTL_BATCH_H

#include <stdio.h>

#include <cjson/cJSON.h>

#include "ctl/client.h"

enum { BATCH_MAX_CONCURRENCY = 256, BATCH_MAX_LINE = 4 * 1024 * 1024, BATCH_MAX_TRIES = 50 };

typedef struct batch_options {
    client *client;
    const char *path;      /* "/v1/ask" */
    const cJSON *defaults; /* members for lines that lack them */
    int fd;                /* input */
    FILE *out;
    size_t concurrency;
} batch_options;

typedef struct batch_counts {
    int64_t done, failed;
} batch_counts;

/* RAG_UNREACHABLE (or RAG_DENIED) when the daemon could not be reached before any reply had come; later on that is
 * an item's error. */
rag_code batch_run(const batch_options *opt, batch_counts *counts, rag_err *err);

#endif
