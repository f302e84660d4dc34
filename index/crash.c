#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "index/db.h"

void crash_point(const char *name)
{
    static atomic_long passes;
    const char *wanted = getenv("RAGD_CRASH_AT");
    size_t n = strlen(name);
    if (!wanted || strncmp(wanted, name, n) != 0 || (wanted[n] != '\0' && wanted[n] != ':'))
        return;
    long at = wanted[n] == ':' ? strtol(wanted + n + 1, NULL, 10) : 1;
    if (atomic_fetch_add(&passes, 1) + 1 >= at)
        raise(SIGKILL);
}
