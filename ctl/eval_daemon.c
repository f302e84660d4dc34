#include "ctl/eval_daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "ctl/json.h"

enum { MAX_WORDS = 2 * 64 + 16, POLL_MS = 50, STOP_MS = 15 * 1000, TAIL_BYTES = 4096, CONFIG_EXIT = 78 };

static void sleep_ms(long ms)
{
    struct timespec t = { ms / 1000, ms % 1000 * 1000000 };
    nanosleep(&t, NULL);
}

/* ---- starting ----------------------------------------------------------------------- */

static rag_code check_dir(const char *dir, char **real, rag_err *err)
{
    char *kb = rag_path_join(dir, "kb.db");
    bool is_there = access(kb, F_OK) == 0;
    free(kb);
    *real = is_there ? rag_path_real(dir) : NULL;
    return *real ? RAG_OK : rag_fail(err, RAG_NOT_FOUND, "'%s' holds no knowledge base", dir);
}

static rag_code make_folder(eval_daemon *d, rag_err *err)
{
    const char *tmp = getenv("TMPDIR");
    char *folder = rag_path_join(tmp && *tmp ? tmp : "/tmp", "ragctl-eval-XXXXXX");
    if (!mkdtemp(folder)) {
        rag_fail_errno(err, RAG_IO, errno, "cannot make a folder like '%s'", folder);
        free(folder);
        return err ? err->code : RAG_IO;
    }
    d->folder = folder;
    d->socket = rag_path_join(folder, "ragd.sock");
    d->log = rag_path_join(folder, "ragd.log");
    return RAG_OK;
}

static char *find_program(const eval_daemon_options *opt)
{
    char *here = rag_path_self_dir();
    char *program = opt->program ? rag_strdup(opt->program) : rag_path_join(here, "ragd");
    free(here);
    return program;
}

/* The child's command line; the strings before `own` are borrowed, ours are freed by free_words. */
typedef struct words {
    const char *items[MAX_WORDS];
    size_t n;
    char *own[5];
    size_t n_own;
} words;

static void add_set(words *w, const char *key, const char *value)
{
    char *set = rag_alloc(strlen(key) + strlen(value) + 2);
    sprintf(set, "%s=%s", key, value);
    w->own[w->n_own++] = set;
    w->items[w->n++] = "--set";
    w->items[w->n++] = set;
}

static void free_words(words *w)
{
    for (size_t i = 0; i < w->n_own; i++)
        free(w->own[i]);
}

/* What must be so comes last, and therefore wins. */
static void make_words(words *w, const char *program, const char *dir, const eval_daemon *d,
                       const eval_daemon_options *opt)
{
    *w = (words){ 0 };
    w->items[w->n++] = program;
    if (opt->config) {
        w->items[w->n++] = "-c";
        w->items[w->n++] = opt->config;
    }
    for (size_t i = 0; i < opt->n_sets && w->n + 12 < MAX_WORDS; i++) {
        w->items[w->n++] = "--set";
        w->items[w->n++] = opt->sets[i];
    }
    add_set(w, "storage.dir", dir);
    add_set(w, "unix.path", d->socket);
    add_set(w, "http.listen", "off");
    add_set(w, "log.file", d->log);
}

/* What it prints goes into its log: our output is ours. */
static void run_child(const words *w, const char *log, pid_t parent)
{
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600), null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(1);
    setpgid(0, 0); /* a Ctrl-C at the terminal is for us; we then stop it */
    if (null >= 0)
        dup2(null, STDIN_FILENO);
    if (fd >= 0) {
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
    }
    execv(w->items[0], (char *const *)w->items);
    dprintf(STDERR_FILENO, "cannot start '%s': %s\n", w->items[0], strerror(errno));
    _exit(127);
}

static rag_code spawn(eval_daemon *d, const char *dir, const eval_daemon_options *opt, rag_err *err)
{
    words w;
    pid_t parent = getpid();
    char *program = find_program(opt);
    make_words(&w, program, dir, d, opt);
    pid_t pid = fork();
    if (pid == 0)
        run_child(&w, d->log, parent);
    if (pid > 0)
        d->pid = pid;
    else
        rag_fail_errno(err, RAG_IO, errno, "cannot start '%s'", program);
    free_words(&w);
    free(program);
    return pid > 0 ? RAG_OK : err ? err->code : RAG_IO;
}

/* ---- waiting until it is ready ------------------------------------------------------ */

/* The last line it wrote, in `tail`. */
static const char *read_last_line(const char *log, char tail[TAIL_BYTES + 1])
{
    FILE *file = fopen(log, "re");
    if (file && fseek(file, -TAIL_BYTES, SEEK_END))
        rewind(file);
    size_t n = file ? fread(tail, 1, TAIL_BYTES, file) : 0;
    while (n > 0 && (tail[n - 1] == '\n' || tail[n - 1] == ' '))
        n--;
    tail[n] = '\0';
    if (file)
        fclose(file);
    const char *before = strrchr(tail, '\n');
    return before ? before + 1 : tail;
}

static rag_code fail_ended(eval_daemon *d, int status, rag_err *err)
{
    char tail[TAIL_BYTES + 1];
    bool is_configuration = WIFEXITED(status) && WEXITSTATUS(status) == CONFIG_EXIT;
    d->pid = 0;
    const char *line = read_last_line(d->log, tail);
    return rag_fail(err, is_configuration ? RAG_CONFIG : RAG_IO, "the daemon ended before it was ready: %s",
                    *line ? line : "it said nothing");
}

static bool is_ready(client *c, bool with_decoder)
{
    client_reply reply = { 0 };
    rag_code code = client_call(c, "GET", "/readyz", (rag_str){ 0 }, &reply, NULL);
    cJSON *body = !code && reply.status == 200 ? json_parse(rag_buf_str(&reply.body), NULL) : NULL;
    bool ready = body && !(with_decoder && !strcmp(json_string(body, "decoder"), "loading"));
    cJSON_Delete(body);
    rag_buf_free(&reply.body);
    return ready;
}

static rag_code wait_until_ready(eval_daemon *d, client *c, const eval_daemon_options *opt, const volatile int *stop,
                                 rag_err *err)
{
    double until = rag_clock_ms() + (double)opt->timeout_ms;
    int status = 0;
    while (!is_ready(c, opt->wait_for_decoder)) {
        if (stop && *stop)
            return rag_fail(err, RAG_CANCELED, "interrupted");
        if (waitpid(d->pid, &status, WNOHANG) == d->pid)
            return fail_ended(d, status, err);
        if (opt->timeout_ms && rag_clock_ms() > until)
            return rag_fail(err, RAG_DEADLINE, "the daemon was not ready within %lld ms", (long long)opt->timeout_ms);
        sleep_ms(POLL_MS);
    }
    return RAG_OK;
}

rag_code eval_daemon_start(eval_daemon *out, const eval_daemon_options *opt, const volatile int *stop, rag_err *err)
{
    char *dir = NULL;
    client *c = NULL;
    *out = (eval_daemon){ 0 };
    rag_code code = check_dir(opt->dir, &dir, err);
    if (!code)
        code = make_folder(out, err);
    if (!code)
        code = spawn(out, dir, opt, err);
    if (!code)
        code = client_open(&c, &(client_options){ .socket_path = out->socket, .timeout_ms = 5000 }, err);
    if (!code)
        code = wait_until_ready(out, c, opt, stop, err);
    client_close(c);
    free(dir);
    return code;
}

/* ---- stopping ----------------------------------------------------------------------- */

static void end_child(pid_t pid)
{
    double until = rag_clock_ms() + STOP_MS;
    kill(pid, SIGTERM);
    while (rag_clock_ms() < until) {
        if (waitpid(pid, NULL, WNOHANG) != 0)
            return;
        sleep_ms(POLL_MS);
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

void eval_daemon_stop(eval_daemon *d)
{
    if (d->pid > 0)
        end_child(d->pid);
    if (d->folder)
        rag_dir_remove(d->folder, NULL);
    free(d->folder);
    free(d->socket);
    free(d->log);
    *d = (eval_daemon){ 0 };
}
