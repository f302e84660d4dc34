#include "llm/llama_runtime.h"

#include <errno.h>
#include <ggml-backend.h>
#include <llama.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"

static const char wait_policy[] = "OMP_WAIT_POLICY";

#if RAGD_STATIC_OPENMP

/* 101 is the first priority a program may use: libgomp's constructor has none, so it is later. */
__attribute__((constructor(101))) static void choose_wait_policy(void)
{
    setenv(wait_policy, "passive", 0);
}

void rag_llama_prepare(char **argv)
{
    (void)argv;
}

#else

void rag_llama_prepare(char **argv)
{
    if (getenv(wait_policy))
        return;
    setenv(wait_policy, "passive", 1);
    execv("/proc/self/exe", argv);
    rag_log(RAG_WARN, "cannot set %s, compute threads may spin: %s", wait_policy, strerror(errno));
}

#endif

/* libllama writes a line in pieces, which GGML_LOG_LEVEL_CONT continues. */
static struct {
    pthread_mutex_t mu;
    enum ggml_log_level level;
    size_t len;
    char text[1024];
} line = { .mu = PTHREAD_MUTEX_INITIALIZER };

static _Thread_local bool (*listener)(void *context, rag_str text);
static _Thread_local void *listener_context;

void rag_llama_listen(bool (*on_line)(void *context, rag_str text), void *context)
{
    listener = on_line;
    listener_context = context;
}

static void flush_line(void)
{
    rag_str text = { line.text, line.len };
    line.len = 0;
    if (text.len == 0 || (listener && listener(listener_context, text)))
        return;
    /* Whatever fails is also returned to the caller, who reports it: this is the detail. */
    rag_log(line.level == GGML_LOG_LEVEL_ERROR ? RAG_WARN : RAG_DEBUG, "llama: %.*s", RAG_STR_ARG(text));
}

static void on_log(enum ggml_log_level level, const char *text, void *context)
{
    (void)context;
    pthread_mutex_lock(&line.mu);
    if (level != GGML_LOG_LEVEL_CONT) {
        flush_line();
        line.level = level;
    }
    for (; *text; text++) {
        if (*text == '\n')
            flush_line();
        else if (line.len < sizeof line.text)
            line.text[line.len++] = *text;
    }
    pthread_mutex_unlock(&line.mu);
}

static pthread_once_t started = PTHREAD_ONCE_INIT;
static bool has_cpu;

static void start_once(void)
{
    llama_log_set(on_log, NULL);
    llama_backend_init();
    has_cpu = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU) != NULL;
}

rag_code rag_llama_start(rag_err *err)
{
    pthread_once(&started, start_once);
    if (!has_cpu)
        return rag_fail(err, RAG_CONFIG, "libllama has no CPU backend");
    return RAG_OK;
}

static char version[512];

/* "CPU : SSE3 = 1 | AVX = 1 | …" to " SSE3 AVX …". */
static void put_features(rag_buf *b, const char *info)
{
    while ((info = strchr(info, ' '))) {
        size_t n = strcspn(++info, " ");
        if (n > 0 && !strncmp(info + n, " = 1 ", 5)) {
            rag_buf_putc(b, ' ');
            rag_buf_put(b, (rag_str){ info, n });
        }
    }
}

static void write_version(void)
{
    rag_buf b;
    rag_buf_init(&b, sizeof version - 1);
    rag_buf_putf(&b, "llama.cpp %s, ggml %s,", llama_version(), ggml_version());
    put_features(&b, llama_print_system_info());
    memcpy(version, b.ptr, b.len);
    rag_buf_free(&b);
}

const char *rag_llama_version(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    rag_llama_start(NULL);
    pthread_once(&once, write_version);
    return version;
}
