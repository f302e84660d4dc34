/* conf/conf.h: a file of any bytes is a configuration, or RAG_CONFIG with a sentence. */
#include <unistd.h>

#include "base/file.h"
#include "conf/conf.h"
#include "fuzz/fuzz.h"

static char dir[] = "/tmp/ragd-fuzz-conf-XXXXXX";
static char *path;
static FILE *nowhere;

static void leave(void)
{
    remove(path);
    rmdir(dir);
    free(path);
    fclose(nowhere);
}

static void enter(void)
{
    MUST(mkdtemp(dir));
    path = rag_path_join(dir, "ragd.conf");
    nowhere = fopen("/dev/null", "w");
    MUST(nowhere);
    atexit(leave);
}

static void write_file(rag_str bytes)
{
    FILE *f = fopen(path, "w");
    MUST(f && fwrite(bytes.ptr, 1, bytes.len, f) == bytes.len);
    MUST(fclose(f) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rag_conf *c = NULL;
    rag_err err = { 0 };
    if (!path)
        enter();
    write_file(input_of(data, size));
    rag_conf_options opt = { .file = path };
    rag_code code = rag_conf_load(&c, &opt, &err);
    MUST(code == RAG_OK ? c != NULL : code == RAG_CONFIG && err.message[0]);
    if (code == RAG_OK) {
        rag_conf_print_effective(c, nowhere);
        for (size_t i = 0; i < rag_conf_source_count(c); i++)
            MUST(rag_conf_source_at(c, i)->path[0] == '/');
    }
    rag_conf_free(c);
    return 0;
}
