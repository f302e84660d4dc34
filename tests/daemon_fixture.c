/* tests/daemon_fixture.c */
#include "tests/daemon_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/utf8.h"
#include "daemon/json.h"
#include "embed/embed.h"
#include "ingest/ingest.h"

enum { PATIENCE_MS = 20000, MAX_WORDS = 64 };

char *world_path(const world *w, const char *name)
{
    return rag_path_join(w->folder, name);
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

world *world_new(void)
{
    world *w = rag_calloc(1, sizeof *w);
    strcpy(w->folder, "/tmp/ragd-test-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    snprintf(w->socket, sizeof w->socket, "%s/ragd.sock", w->folder);
    char *docs = world_path(w, "docs"), *conf = world_path(w, "ragd.conf");
    assert_int_equal(mkdir(docs, 0700), 0);
    char *prompts = rag_path_real("conf/prompts");
    rag_buf text;
    rag_buf_init(&text, RAG_MAX_LINE);
    rag_buf_putf(&text, "[storage]\ndir = data\n[unix]\npath = ragd.sock\n[http]\nlisten = 127.0.0.1:0\n[models]\n"
                        "embed = /fake/embedder\ndecoder = /fake/decoder\n[prompts]\ndir = %s\n"
                        /* confidence is calibrated on the real embedder's cosines */
                        "[answer]\nrefuse_below = 0\n", prompts);
    write_file(conf, text.ptr);
    rag_buf_free(&text);
    free(prompts);
    free(docs);
    free(conf);
    return w;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

void world_free(world *w)
{
    if (w->pid)
        world_stop(w, SIGKILL);
    nftw(w->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(w);
}

/* ---- the knowledge base ------------------------------------------------------------- */

void world_write(world *w, const char *name, const char *text)
{
    char *docs = world_path(w, "docs"), *path = rag_path_join(docs, name);
    if (text)
        write_file(path, text);
    else
        assert_int_equal(unlink(path), 0);
    free(path);
    free(docs);
}

int64_t world_ingest_folder(world *w, const char *folder, const char *collection, const char *groups)
{
    rag_err err = { 0 };
    rag_index *ix = NULL;
    rag_embedder *e = NULL;
    rag_ingest_summary summary;
    rag_arena *arena = rag_arena_new();
    char *docs = world_path(w, folder), *dir = world_path(w, "data");
    rag_ingest_path path = { .path = docs, .collection = collection, .groups = groups };
    rag_index_options index_options = { .dir = dir, .create = true };
    rag_embed_options embed_options = { .model_path = "fake" };
    rag_ingest_options options = { .paths = &path, .n_paths = 1, .chunker = { 256, 320 }, .allow_removal = true };
    assert_int_equal(rag_embed_open(&e, &embed_options, &err), RAG_OK);
    if (rag_index_open(&ix, &index_options, &err) != RAG_OK ||
        rag_ingest_run(ix, e, &options, arena, &summary, &err) != RAG_OK)
        fail_msg("%s", err.message);
    assert_int_equal(summary.documents_failed, 0);
    int64_t generation = summary.generation;
    rag_index_close(ix);
    rag_embed_close(e);
    rag_arena_free(arena);
    free(docs);
    free(dir);
    return generation;
}

int64_t world_ingest(world *w, const char *collection, const char *groups)
{
    return world_ingest_folder(w, "docs", collection, groups);
}

void world_fill(world *w)
{
    world_write(w, "returns.md",
                "# Returns\n\nReturns are accepted within 30 days with the original receipt. Refunds take five working "
                "days to arrive.\n\n## Damaged goods\n\nDamaged goods are replaced without charge. Send a photograph of "
                "the damage to the help desk.\n");
    world_write(w, "shipping.md",
                "# Shipping\n\nStandard shipping costs 4.90 euros and takes three days. Express shipping costs 12 euros "
                "and takes one day.\n\n- Orders above 50 euros ship free.\n- Parcels to islands take two days longer.\n");
    world_write(w, "warranty.txt",
                "The warranty lasts 24 months from the day of purchase. It covers faults of material and work.\n\n"
                "Caf\xC3\xA9 machines have a warranty of 36 months. Batteries have six months.\n");
    world_write(w, "zh.md",
                "# 退货\n\n商品可以在三十天内退货，请附上收据。退款需要五个工作日。\n\n## 保修\n\n保修期为二十四个月。"
                "电池的保修期为六个月。\n");
    world_ingest(w, "default", NULL);
}

/* ---- the process -------------------------------------------------------------------- */

static void exec_daemon(world *w, const char *const *words, int out)
{
    const char *argv[MAX_WORDS] = { RAGD_FAKE, "-c" };
    char *conf = world_path(w, "ragd.conf"), *log = world_path(w, "log");
    size_t n = 2;
    argv[n++] = conf;
    for (; *words; words++)
        argv[n++] = *words;
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(out >= 0 ? out : fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    execv(argv[0], (char *const *)argv);
    _exit(127);
}

static void read_port(world *w, int fd)
{
    char line[512];
    FILE *f = fdopen(fd, "r");
    while (fgets(line, sizeof line, f)) {
        char *colon = strrchr(line, ':');
        if (strstr(line, "listening on 127.0.0.1:"))
            w->port = atoi(colon + 1);
        if (strstr(line, "ragd.sock"))
            break;
    }
    fclose(f);
}

void world_spawn(world *w, const char *const *words)
{
    int out[2];
    assert_int_equal(pipe(out), 0);
    w->pid = fork();
    if (w->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails takes its daemon along */
        close(out[0]);
        exec_daemon(w, words, out[1]);
    }
    close(out[1]);
    read_port(w, out[0]);
}

static void nap(void)
{
    nanosleep(&(struct timespec){ .tv_nsec = 10 * 1000 * 1000 }, NULL);
}

void world_start(world *w, const char *const *words)
{
    double end = rag_clock_ms() + PATIENCE_MS;
    world_spawn(w, words);
    for (int status = 0; status != 200; nap()) {
        reply r;
        assert_true(rag_clock_ms() < end);
        status = world_call(w, "GET", "/readyz", NULL, &r);
        reply_free(&r);
    }
}

int world_wait(world *w)
{
    int status;
    double end = rag_clock_ms() + PATIENCE_MS;
    while (waitpid(w->pid, &status, WNOHANG) == 0) {
        if (rag_clock_ms() > end)
            kill(w->pid, SIGKILL);
        nap();
    }
    w->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int world_stop(world *w, int signal_number)
{
    kill(w->pid, signal_number);
    return world_wait(w);
}

int world_run(world *w, const char *const *words)
{
    world other = *w;
    other.pid = fork();
    if (other.pid == 0)
        exec_daemon(w, words, -1);
    return world_wait(&other);
}

bool world_log_has(const world *w, const char *text)
{
    rag_buf log;
    char *path = world_path(w, "log");
    rag_buf_init(&log, RAG_MAX_TEXT);
    bool has = rag_file_read(path, &log, NULL) == RAG_OK &&
               rag_str_find(rag_buf_str(&log), rag_str_of(text), 0) != SIZE_MAX;
    rag_buf_free(&log);
    free(path);
    return has;
}

bool world_log_gets(const world *w, const char *text)
{
    double end = rag_clock_ms() + PATIENCE_MS;
    while (!world_log_has(w, text) && rag_clock_ms() < end)
        nap();
    return world_log_has(w, text);
}

/* ---- requests ----------------------------------------------------------------------- */

static void be_patient(int fd)
{
    struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
}

int world_dial(const world *w)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    memcpy(a.sun_path, w->socket, sizeof a.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0) {
        close(fd);
        return -1;
    }
    be_patient(fd);
    return fd;
}

int world_dial_tcp(const world *w)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)w->port) };
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    be_patient(fd);
    return fd;
}

static int call(int fd, const char *method, const char *path, const char *headers, const char *body, reply *r)
{
    rag_buf request;
    memset(r, 0, sizeof *r);
    if (fd < 0)
        return 0;
    rag_buf_init(&request, RAG_MAX_TEXT);
    rag_buf_putf(&request, "%s %s HTTP/1.1\r\nHost: ragd\r\n%s", method, path, headers);
    if (body && !strstr(headers, "Content-Type"))
        rag_buf_puts(&request, "Content-Type: application/json\r\n");
    if (body)
        rag_buf_putf(&request, "Content-Length: %zu\r\n\r\n%s", strlen(body), body);
    else
        rag_buf_puts(&request, "\r\n");
    send_bytes(fd, request.ptr, request.len);
    rag_buf_free(&request);
    read_reply(fd, r, strcmp(method, "HEAD") == 0);
    close(fd);
    return r->status;
}

int world_call(const world *w, const char *method, const char *path, const char *body, reply *r)
{
    return call(world_dial(w), method, path, "", body, r);
}

int world_call_tcp(const world *w, const char *method, const char *path, const char *headers, const char *body,
                   reply *r)
{
    return call(world_dial_tcp(w), method, path, headers, body, r);
}

static cJSON *parse(rag_str text)
{
    cJSON *json;
    const char *code = NULL;
    rag_err err = { 0 };
    assert_true(rag_utf8_valid(text, NULL));
    if (json_parse(text, &json, &code, &err) != RAG_OK)
        fail_msg("%s: %s in %.*s", code, err.message, RAG_STR_ARG(text));
    return json;
}

cJSON *world_json(const world *w, const char *method, const char *path, const char *body)
{
    reply r;
    int status = world_call(w, method, path, body, &r);
    if (status != 200)
        fail_msg("%s %s %s: %d %s", method, path, body ? body : "", status, r.body.ptr ? r.body.ptr : "");
    cJSON *json = parse(rag_buf_str(&r.body));
    reply_free(&r);
    return json;
}

static cJSON *post(const world *w, const char *path, const char *key, const char *value, const char *more)
{
    rag_buf body;
    json_writer out;
    rag_buf_init(&body, RAG_MAX_TEXT);
    json_begin(&out, &body);
    json_open(&out, NULL, '{');
    json_cstr(&out, key, value);
    rag_buf_putf(&body, "%s}", more);
    cJSON *json = world_json(w, "POST", path, body.ptr);
    rag_buf_free(&body);
    return json;
}

cJSON *world_ask(const world *w, const char *question, const char *more)
{
    return post(w, "/v1/ask", "question", question, more);
}

cJSON *world_search(const world *w, const char *query, const char *more)
{
    return post(w, "/v1/search", "query", query, more);
}

cJSON *json_item(const cJSON *object, const char *key)
{
    cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!item)
        fail_msg("no key '%s'", key);
    return item;
}

const char *json_text(const cJSON *object, const char *key)
{
    cJSON *item = json_item(object, key);
    assert_true(cJSON_IsString(item));
    return item->valuestring;
}

double json_value(const cJSON *object, const char *key)
{
    cJSON *item = json_item(object, key);
    assert_true(cJSON_IsNumber(item));
    return item->valuedouble;
}

/* ---- server-sent events ------------------------------------------------------------- */

static void parse_event(rag_str frame, sse_event *out)
{
    size_t line = rag_str_find(frame, RAG_STR("\ndata: "), 0);
    *out = (sse_event){ 0 };
    if (frame.ptr[0] == ':') {
        out->name = rag_strdup(":");
        return;
    }
    assert_true(rag_str_starts(frame, RAG_STR("event: ")));
    assert_true(line != SIZE_MAX);
    rag_str data = rag_str_sub(frame, line + 7, frame.len);
    assert_true(rag_str_find(data, RAG_STR("\n"), 0) == SIZE_MAX);
    out->name = rag_strndup(rag_str_sub(frame, 7, line));
    out->data = parse(data);
}

size_t sse_parse(rag_str s, sse_event *out, size_t max)
{
    size_t n = 0;
    for (size_t at = 0; at < s.len;) {
        size_t end = rag_str_find(s, RAG_STR("\n\n"), at);
        assert_true(end != SIZE_MAX && n < max);
        parse_event(rag_str_sub(s, at, end), &out[n++]);
        at = end + 2;
    }
    return n;
}

void sse_free(sse_event *events, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(events[i].name);
        cJSON_Delete(events[i].data);
    }
}
