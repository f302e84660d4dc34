/* daemon/thread.c */
#include <signal.h>

#include "daemon/thread.h"

rag_code thread_start(pthread_t *out, const char *name, void *(*run)(void *context), void *context, rag_err *err)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(out, NULL, run, context);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed)
        return rag_fail_errno(err, RAG_IO, failed, "cannot start the thread '%s'", name);
    pthread_setname_np(*out, name);
    return RAG_OK;
}
