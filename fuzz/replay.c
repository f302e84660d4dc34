/* fuzz/replay.c: main for a target without libFuzzer.
 *
 *     fuzz_x [-rounds=N] [-seed=N] PATH…
 *
 * Runs every file, and every file of every folder, once; then N inputs made from them by a few random edits.  The
 * same seed gives the same inputs.  A failing input is left in crash-<seed>-<round>. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "fuzz/fuzz.h"

enum { LONGEST_INPUT = 4096, MAX_FILES = 1000, MAX_EDITS = 8 };

static rag_buf corpus[MAX_FILES];
static size_t n_files;

static uint8_t input[LONGEST_INPUT];
static size_t input_len;
static char crash_name[64];

static void on_crash(int number)
{
    int fd = open(crash_name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    (void)!write(fd, input, input_len);
    signal(number, SIG_DFL);
    raise(number);
}

/* The input has a block of its own, so that ASan sees a read behind it. */
static void run(const void *bytes, size_t len)
{
    uint8_t *own = rag_alloc(len ? len : 1);
    if (len)
        memcpy(own, bytes, len);
    LLVMFuzzerTestOneInput(own, len);
    free(own);
}

static void add(const char *path)
{
    rag_err err;
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        DIR *dir = opendir(path);
        for (struct dirent *e; dir && (e = readdir(dir));) {
            char *inner = rag_path_join(path, e->d_name);
            if (e->d_name[0] != '.')
                add(inner);
            free(inner);
        }
        closedir(dir);
        return;
    }
    rag_buf_init(&corpus[n_files], RAG_MAX_REPLY);
    if (n_files + 1 == MAX_FILES || rag_file_read(path, &corpus[n_files], &err) != RAG_OK) {
        fprintf(stderr, "cannot use '%s'\n", path);
        exit(2);
    }
    n_files++;
}

static size_t below(size_t n)
{
    return (size_t)random() % n;
}

static void replace(size_t at, size_t old_len, const char *bytes, size_t len)
{
    if (input_len - old_len + len > LONGEST_INPUT)
        return;
    memmove(input + at + len, input + at + old_len, input_len - at - old_len);
    memcpy(input + at, bytes, len);
    input_len += len - old_len;
}

static void edit(void)
{
    char byte = (char)(random() % (random() % 8 ? 128 : 256)); /* mostly text: parsers refuse the rest at once */
    size_t at = below(input_len + 1), left = input_len - at;
    const rag_buf *other = &corpus[below(n_files)];
    size_t from = below(other->len + 1), n = below(other->len - from + 1);
    switch (random() % 4) {
    case 0: replace(at, left > 0, &byte, 1); break;
    case 1: replace(at, 0, &byte, 1); break;
    case 2: replace(at, below(left + 1), "", 0); break;
    default: replace(at, 0, n ? other->ptr + from : "", n);
    }
}

static void mutate(void)
{
    const rag_buf *seed = &corpus[below(n_files)];
    input_len = seed->len < LONGEST_INPUT ? seed->len : LONGEST_INPUT;
    if (input_len)
        memcpy(input, seed->ptr, input_len);
    for (size_t n = 1 + below(MAX_EDITS); n > 0; n--)
        edit();
}

int main(int argc, char **argv)
{
    long rounds = 0, seed = 1;
    for (int i = 1; i < argc; i++)
        if (sscanf(argv[i], "-rounds=%ld", &rounds) != 1 && sscanf(argv[i], "-seed=%ld", &seed) != 1)
            add(argv[i]);
    if (n_files == 0) {
        fprintf(stderr, "usage: %s [-rounds=N] [-seed=N] PATH...\n", argv[0]);
        return 2;
    }
    for (size_t i = 0; i < n_files; i++)
        run(corpus[i].ptr, corpus[i].len);
    signal(SIGABRT, on_crash);
    signal(SIGSEGV, on_crash);
    srandom((unsigned)seed);
    for (long round = 0; round < rounds; round++) {
        mutate();
        snprintf(crash_name, sizeof crash_name, "crash-%ld-%ld", seed, round);
        run(input, input_len);
    }
    printf("%zu files, %ld mutations\n", n_files, rounds);
    for (size_t i = 0; i < n_files; i++)
        rag_buf_free(&corpus[i]);
    return 0;
}
