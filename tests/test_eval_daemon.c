/* `ragctl eval --data`: a daemon of our own, over a knowledge base that was ingested. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/ctl_fixture.h"
#include "tests/daemon_fixture.h"

typedef struct place {
    world *w;
    char *conf, *data, *set, *tmp, *ragd;
} place;

static const char questions[] =
    "{\"id\":\"a\",\"question\":\"Within how many days are returns accepted?\",\"answers\":[\"30 days\"],\"gold_docs\":[\"returns.md\"],"
    "\"evidence\":[\"Returns are accepted within 30 days with the original receipt.\"]}\n"
    "{\"id\":\"b\",\"question\":\"What does standard shipping cost?\",\"answers\":[\"4.90 euros\"],\"gold_docs\":[\"shipping.md\"]}\n";

static int start(void **state)
{
    place *p = rag_calloc(1, sizeof *p);
    char *here = rag_path_self_dir();
    p->w = world_new();
    world_fill(p->w);
    p->conf = world_path(p->w, "ragd.conf");
    p->data = world_path(p->w, "data");
    p->set = world_path(p->w, "questions.jsonl");
    p->tmp = world_path(p->w, "tmp");
    p->ragd = rag_path_join(here, "ragd-fake");
    rag_file_write_atomic(p->set, rag_str_of(questions), NULL);
    rag_dir_make(p->tmp, NULL);
    setenv("TMPDIR", p->tmp, 1);
    free(here);
    *state = p;
    return 0;
}

static int stop(void **state)
{
    place *p = *state;
    world_free(p->w);
    free(p->conf);
    free(p->data);
    free(p->set);
    free(p->tmp);
    free(p->ragd);
    free(p);
    return 0;
}

static bool is_empty(const char *folder)
{
    DIR *dir = opendir(folder);
    size_t n = 0;
    for (const struct dirent *e; (e = readdir(dir));)
        n += e->d_name[0] != '.';
    closedir(dir);
    return n == 0;
}

/* Nobody holds the knowledge base any more: a daemon of our own can have it. */
static void expect_gone(const place *p)
{
    assert_true(is_empty(p->tmp));
    START(p->w);
    assert_int_equal(world_stop(p->w, SIGTERM), 0);
}

static void test_eval_daemon__a_data_directory_is_measured_and_let_go(void **state)
{
    place *p = *state;
    outcome o = RAGCTL(NULL, "eval", "-c", p->conf, "--data", p->data, "--ragd", p->ragd, "--json", "--set", "models.decoder=off",
                       "--mode", "extract", p->set);
    if (o.exit_code)
        print_error("%s\n", o.err);
    assert_int_equal(o.exit_code, 0);
    cJSON *report = cJSON_Parse(o.out), *metrics = json_item(report, "metrics");
    assert_float_equal(json_value(json_item(metrics, "doc_hit_1"), "value"), 1, 1e-9);
    assert_float_equal(json_value(json_item(metrics, "span_recall_10"), "value"), 1, 1e-9);
    assert_float_equal(json_value(json_item(metrics, "exact_quotes"), "value"), 1, 1e-9); /* read from the daemon: there is no docs/ */
    assert_true(json_value(json_item(report, "daemon"), "chunks") >= 4);
    assert_true(json_value(json_item(json_item(json_item(report, "latency_ms"), "search"), "total"), "n") == 2);
    cJSON_Delete(report);
    outcome_free(&o);
    expect_gone(p);
}

static void test_eval_daemon__what_the_daemon_says_is_told(void **state)
{
    place *p = *state;
    outcome o = RAGCTL(NULL, "eval", "-c", p->conf, "--data", p->data, "--ragd", p->ragd, "--set", "search.nonsense=1", p->set);
    assert_int_equal(o.exit_code, 78);
    assert_non_null(strstr(o.err, "the daemon ended before it was ready"));
    assert_non_null(strstr(o.err, "nonsense"));
    outcome_free(&o);
    o = RAGCTL(NULL, "eval", "-c", p->conf, "--data", p->data, "--ragd", "/nonexistent/ragd", p->set);
    assert_int_equal(o.exit_code, 1);
    assert_non_null(strstr(o.err, "cannot start '/nonexistent/ragd'"));
    outcome_free(&o);
    expect_gone(p);
}

static pid_t spawn_endless(const place *p)
{
    char *here = rag_path_self_dir(), *program = rag_path_join(here, "../bin/ragctl");
    rag_buf many;
    rag_buf_init(&many, RAG_MAX_REPLY);
    for (int i = 0; i < 20000; i++)
        rag_buf_putf(&many, "{\"id\":\"q%d\",\"question\":\"What does standard shipping cost?\"}\n", i);
    rag_file_write_atomic(p->set, rag_buf_str(&many), NULL);
    rag_buf_free(&many);
    pid_t pid = fork();
    if (pid == 0) {
        execl(program, program, "eval", "-c", p->conf, "--data", p->data, "--ragd", p->ragd, "--mode", "extract", p->set, (char *)NULL);
        _exit(127);
    }
    free(program);
    free(here);
    return pid;
}

static void test_eval_daemon__an_interrupt_ends_the_daemon_too(void **state)
{
    place *p = *state;
    int status = 0;
    pid_t pid = spawn_endless(p);
    for (int i = 0; i < 400 && is_empty(p->tmp); i++)
        nanosleep(&(struct timespec){ 0, 25000000 }, NULL);
    assert_false(is_empty(p->tmp));
    nanosleep(&(struct timespec){ 0, 500000000 }, NULL); /* starting or asking: either must end */
    kill(pid, SIGINT);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGINT);
    expect_gone(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_eval_daemon__a_data_directory_is_measured_and_let_go, start, stop),
        cmocka_unit_test_setup_teardown(test_eval_daemon__what_the_daemon_says_is_told, start, stop),
        cmocka_unit_test_setup_teardown(test_eval_daemon__an_interrupt_ends_the_daemon_too, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
