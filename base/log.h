/* base/log.h: one line an event, on stderr or a file.
 *
 *     2026-11-24T12:57:08.123Z INFO  request_id=… message
 *
 * Control characters and invalid UTF-8 are escaped.  A line is written by one write(2).
 *
 * Threads: any. */
#ifndef RAG_BASE_LOG_H
#define RAG_BASE_LOG_H

#include <stdbool.h>

#include "base/err.h"

typedef enum rag_level { RAG_DEBUG, RAG_INFO, RAG_WARN, RAG_ERROR } rag_level;

/* NULL or "" logs to stderr. */
rag_code rag_log_open(const char *path, rag_level level, rag_err *err);
/* Opens the same path again, after it was rotated; keeps the old one if that fails. */
rag_code rag_log_reopen(rag_err *err);
void rag_log_set_level(rag_level level);
void rag_log_close(void);
void rag_log(rag_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool rag_level_parse(const char *name, rag_level *out);

#endif
