/* daemon/thread.h: a named thread that takes no signals; they are the loop's. */
#ifndef RAG_DAEMON_THREAD_H
#define RAG_DAEMON_THREAD_H

#include <pthread.h>

#include "base/err.h"

rag_code thread_start(pthread_t *out, const char *name, void *(*run)(void *context), void *context, rag_err *err);

#endif
