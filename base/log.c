#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/file.h"
#include "base/utf8.h"

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER; /* log_fd, log_path */
static int log_fd = STDERR_FILENO;
static char *log_path;
static atomic_int lowest = RAG_INFO;

static const char *const level_names[] = { "DEBUG", "INFO", "WARN", "ERROR" };

static int open_file(const char *path, rag_err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (fd < 0)
        rag_fail_errno(err, RAG_IO, errno, "cannot open log file '%s'", path);
    return fd;
}

static void replace(int fd, char *path)
{
    if (log_fd != STDERR_FILENO)
        close(log_fd);
    if (log_path != path)
        free(log_path);
    log_fd = fd;
    log_path = path;
}

rag_code rag_log_open(const char *path, rag_level level, rag_err *err)
{
    bool to_stderr = !path || !*path;
    rag_err why = { .code = RAG_IO };
    int fd = to_stderr ? STDERR_FILENO : open_file(path, &why);
    if (fd < 0) {
        if (err)
            *err = why;
        return why.code;
    }
    pthread_mutex_lock(&mu);
    replace(fd, to_stderr ? NULL : rag_strdup(path));
    pthread_mutex_unlock(&mu);
    rag_log_set_level(level);
    return RAG_OK;
}

rag_code rag_log_reopen(rag_err *err)
{
    rag_err why = { .code = RAG_OK };
    pthread_mutex_lock(&mu);
    int fd = log_path ? open_file(log_path, &why) : -1;
    if (fd >= 0)
        replace(fd, log_path);
    pthread_mutex_unlock(&mu);
    if (why.code != RAG_OK && err)
        *err = why;
    return why.code;
}

void rag_log_set_level(rag_level level)
{
    atomic_store(&lowest, (int)level);
}

void rag_log_close(void)
{
    pthread_mutex_lock(&mu);
    replace(STDERR_FILENO, NULL);
    pthread_mutex_unlock(&mu);
}

void rag_log(rag_level level, const char *format, ...)
{
    if ((int)level < atomic_load(&lowest))
        return;
    char message[RAG_MAX_LINE / 4], line[RAG_MAX_LINE], when[32];
    va_list args;
    va_start(args, format);
    int wanted = vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (wanted < 0)
        return;
    rag_str text = { message, (size_t)wanted };
    if (text.len >= sizeof message)
        text.len = rag_utf8_whole((rag_str){ message, sizeof message - 1 });

    /* All on the stack and never grown, since an allocation failure is logged from here. */
    rag_buf out = { .ptr = line, .cap = sizeof line, .max = sizeof line - 2 };
    rag_time_format(rag_clock_wall_ns(), when);
    rag_buf_putf(&out, "%s %-5s ", when, level_names[level]);
    rag_utf8_escape(&out, text);
    line[out.len] = '\n';
    pthread_mutex_lock(&mu);
    (void)!write(log_fd, line, out.len + 1);
    pthread_mutex_unlock(&mu);
}

bool rag_level_parse(const char *name, rag_level *out)
{
    for (int i = RAG_DEBUG; i <= RAG_ERROR; i++)
        if (strcasecmp(name, level_names[i]) == 0) {
            *out = (rag_level)i;
            return true;
        }
    return false;
}
