/* tests/trace.h: the fakes tell in which order they were called: one letter a call, in the file RAGD_FAKE_TRACE. */
#ifndef RAG_TESTS_TRACE_H
#define RAG_TESTS_TRACE_H

#include <stdio.h>
#include <stdlib.h>

static inline void trace(char letter)
{
    const char *path = getenv("RAGD_FAKE_TRACE");
    FILE *file = path ? fopen(path, "ae") : NULL;
    if (!file)
        return;
    fputc(letter, file);
    fclose(file);
}

#endif
