/* tests/test_ctl_why.c: ragctl why and replay, beside a running daemon and without one. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "tests/ctl_fixture.h"
#include "tests/daemon_fixture.h"

static const char QUESTION[] = "How many days do I have to return something?";

static world *the_world;
static char the_conf[160];
static cJSON *the_answer; /* generated */

static int set_up(void **state)
{
    (void)state;
    the_world = world_new();
    snprintf(the_conf, sizeof the_conf, "%s/ragd.conf", the_world->folder);
    world_fill(the_world);
    START(the_world);
    the_answer = world_ask(the_world, QUESTION, ",\"mode\":\"generate\"");
    char path[96];
    snprintf(path, sizeof path, "/v1/answers/%.64s", json_text(the_answer, "answer_id"));
    cJSON_Delete(world_json(the_world, "GET", path, NULL)); /* it is written */
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    int code = the_world->pid ? world_stop(the_world, SIGTERM) : 0;
    cJSON_Delete(the_answer);
    world_free(the_world);
    return code;
}

static const char *id(void)
{
    return json_text(the_answer, "answer_id");
}

static void expects(outcome o, int exit_code, const char *out, const char *err)
{
    if (o.exit_code != exit_code || !strstr(o.out, out) || !strstr(o.err, err))
        print_error("exit %d\nstdout: %s\nstderr: %s\n", o.exit_code, o.out, o.err);
    assert_int_equal(o.exit_code, exit_code);
    assert_non_null(strstr(o.out, out));
    assert_non_null(strstr(o.err, err));
    outcome_free(&o);
}

static void test_ctl_why__tells_people_how_the_answer_came_about(void **state)
{
    (void)state;
    static const char *const parts[] = { QUESTION,  "generate (asked for: generate)", "Found, by score:", "returns.md",
                                         "Prompt:", "greedy, seed 0",                 "Check (supported)", "stands",
                                         "[1] ",    "Times, ms:",                     "embedder",          NULL };
    outcome o = RAGCTL(NULL, "--socket", the_world->socket, "why", id());
    assert_int_equal(o.exit_code, 0);
    for (size_t i = 0; parts[i]; i++)
        if (!strstr(o.out, parts[i]))
            fail_msg("no '%s' in %s", parts[i], o.out);
    outcome_free(&o);
}

static void test_ctl_why__is_the_same_by_both_doors(void **state)
{
    (void)state;
    outcome there = RAGCTL(NULL, "--socket", the_world->socket, "--json", "why", id());
    outcome here = RAGCTL(NULL, "-c", the_conf, "--json", "why", id());
    assert_int_equal(here.exit_code, 0);
    assert_int_equal(there.exit_code, 0);
    assert_string_equal(here.out, there.out);
    cJSON *record = cJSON_Parse(here.out);
    assert_string_equal(json_text(record, "answer_id"), id());
    cJSON_Delete(record);
    outcome_free(&here);
    outcome_free(&there);
}

static void test_ctl_why__exits_4_when_there_is_no_such_answer(void **state)
{
    (void)state;
    expects(RAGCTL(NULL, "--socket", the_world->socket, "why", "a-none"), 4, "", "ragctl: ");
    expects(RAGCTL(NULL, "-c", the_conf, "why", "a-none"), 4, "", "ragctl: ");
    expects(RAGCTL(NULL, "-c", the_conf, "--set", "storage.dir=/nowhere/at/all", "why", "a-none"), 4, "", "ragctl: ");
    expects(RAGCTL(NULL, "-c", the_conf, "replay", "a-none"), 4, "", "no record");
    expects(RAGCTL(NULL, "why"), 2, "", "needs ANSWER_ID");
}

static void test_ctl_why__replay_exits_0_when_equal(void **state)
{
    (void)state;
    expects(RAGCTL(NULL, "-c", the_conf, "replay", id()), 0, "equal: ", "");
    expects(RAGCTL(NULL, "-c", the_conf, "--json", "replay", id()), 0, "\"equal\":true", "");
}

static void test_ctl_why__needs_no_daemon(void **state)
{
    (void)state;
    assert_int_equal(world_stop(the_world, SIGTERM), 0);
    expects(RAGCTL(NULL, "-c", the_conf, "why", id()), 0, QUESTION, "");
    expects(RAGCTL(NULL, "-c", the_conf, "replay", id()), 3, "", "ragctl: ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ctl_why__tells_people_how_the_answer_came_about),
        cmocka_unit_test(test_ctl_why__is_the_same_by_both_doors),
        cmocka_unit_test(test_ctl_why__exits_4_when_there_is_no_such_answer),
        cmocka_unit_test(test_ctl_why__replay_exits_0_when_equal),
        cmocka_unit_test(test_ctl_why__needs_no_daemon),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
