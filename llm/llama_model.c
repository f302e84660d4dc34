#include "llm/llama_model.h"

#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "llm/llama_runtime.h"

/* Its listener and the runtime's log are shared, so one model opens at a time. */
static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;

int rag_llama_threads(int configured)
{
    cpu_set_t set;
    if (configured > 0)
        return configured;
    if (sched_getaffinity(0, sizeof set, &set))
        return 1;
    return CPU_COUNT(&set);
}

static bool holds(rag_str line, const char *words)
{
    return rag_str_find(line, rag_str_of(words), 0) != SIZE_MAX;
}

/* "sched_reserve:        CPU compute buffer size =   514.00 MiB" */
static bool tally(void *context, rag_str text)
{
    rag_llama_memory *memory = context;
    char number[32] = "";
    size_t at = rag_str_find(text, RAG_STR("buffer size = "), 0);
    if (at == SIZE_MAX || holds(text, "_Mapped"))
        return false;
    rag_str rest = rag_str_trim(rag_str_sub(text, at + 14, text.len));
    memcpy(number, rest.ptr, rest.len < sizeof number ? rest.len : sizeof number - 1);
    size_t bytes = (size_t)(strtod(number, NULL) * 1024 * 1024);
    if (holds(text, "KV buffer"))
        memory->kv += bytes;
    else
        memory->buffers += bytes;
    return false;
}

static char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return rag_strdup(slash ? slash + 1 : path);
}

rag_code rag_llama_model_open(rag_llama_model *m, const char *path, const struct llama_model_kv_override *overrides,
                              rag_err *err)
{
    *m = (rag_llama_model){ 0 };
    rag_code code = rag_llama_start(err);
    if (code)
        return code;
    if (rag_sha256_file(path, &m->id, err)) {
        if (err)
            err->code = RAG_CONFIG;
        return RAG_CONFIG;
    }
    struct llama_model_params params = llama_model_default_params();
    params.load_mode = LLAMA_LOAD_MODE_MMAP;
    params.kv_overrides = overrides;
    pthread_mutex_lock(&opening);
    rag_llama_listen(tally, &m->memory);
    m->model = llama_model_load_from_file(path, params);
    rag_llama_listen(NULL, NULL);
    pthread_mutex_unlock(&opening);
    if (!m->model)
        return rag_fail(err, RAG_CONFIG, "cannot load '%s': not a model that libllama knows", path);
    m->vocab = llama_model_get_vocab(m->model);
    m->name = base_name(path);
    return RAG_OK;
}

rag_code rag_llama_model_start(rag_llama_model *m, struct llama_context_params params, rag_err *err)
{
    pthread_mutex_lock(&opening);
    rag_llama_listen(tally, &m->memory);
    m->context = llama_init_from_model(m->model, params);
    rag_llama_listen(NULL, NULL);
    pthread_mutex_unlock(&opening);
    if (!m->context)
        return rag_fail(err, RAG_CONFIG, "cannot make a context for model '%s'", m->name);
#ifdef __GLIBC__
    malloc_trim(0); /* reading the file leaves tens of MB free but resident */
#endif
    return RAG_OK;
}

void rag_llama_release_logits(const rag_llama_model *m, size_t n_tokens)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t start_at = (uintptr_t)llama_get_logits(m->context);
    size_t bytes = (size_t)llama_vocab_n_tokens(m->vocab) * n_tokens * sizeof(float);
    uintptr_t first = (start_at + page - 1) / page * page, last = (start_at + bytes) / page * page;
    if (start_at && first < last)
        madvise((void *)first, last - first, MADV_DONTNEED);
}

void rag_llama_model_close(rag_llama_model *m)
{
    if (m->context)
        llama_free(m->context);
    if (m->model)
        llama_model_free(m->model);
    free(m->name);
    *m = (rag_llama_model){ 0 };
}

size_t rag_llama_tokenize(const struct llama_vocab *vocab, rag_str text, bool add_special, bool parse_special,
                          llama_token *out, size_t max)
{
    enum { MOST = 1 << 30 };
    if (text.len > MOST)
        return SIZE_MAX;
    int32_t n = llama_tokenize(vocab, text.ptr ? text.ptr : "", (int32_t)text.len, out,
                               (int32_t)(max < MOST ? max : MOST), add_special, parse_special);
    return n < 0 ? (size_t)-(int64_t)n : (size_t)n;
}
