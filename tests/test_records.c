#include "kb.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "index/records.h"

static const int64_t second_ns = 1000000000, day_ns = 24 * 3600 * INT64_C(1000000000);

static int64_t now; /* of the injected clock */

static int64_t read_clock(void *clock)
{
    return *(int64_t *)clock;
}

static rag_code open_with(rag_records **out, const char *dir, rag_records_options opt)
{
    opt.dir = dir;
    opt.now_ns = opt.read_only ? opt.now_ns : read_clock;
    opt.clock = &now;
    return rag_records_open(out, &opt, &kb_err);
}

static rag_records *open_records(const char *dir, rag_records_options opt)
{
    rag_records *r;
    assert_ok(open_with(&r, dir, opt));
    return r;
}

static rag_code try_open(const char *dir)
{
    rag_records *r;
    rag_code code = open_with(&r, dir, (rag_records_options){ 0 });
    if (code != RAG_OK)
        assert_null(r);
    rag_records_close(r);
    return code;
}

/* Our file, without any of our code. */
static int64_t sql_number(const char *dir, const char *sql)
{
    sqlite3 *handle;
    sqlite3_stmt *st = NULL;
    int64_t out = -1;
    char *file = kb_path(dir, "state.db");
    assert_int_equal(sqlite3_open(file, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(handle, sql, -1, &st, NULL), SQLITE_OK);
    if (sqlite3_step(st) == SQLITE_ROW)
        out = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    sqlite3_close(handle);
    free(file);
    return out;
}

static rag_code put(rag_records *r, const char *id, const char *conversation)
{
    rag_record a = {
        .answer_id = rag_str_of(id), .conversation_id = rag_str_of(conversation), .collection = RAG_STR("default"),
        .generation = 7, .question = RAG_STR("And for opened goods?"),
        .resolved = RAG_STR("And for opened goods? (about: returns)"), .outcome = RAG_STR("answered"),
        .mode = RAG_STR("extract"), .confidence = 0.86, .audit = RAG_STR("{\"candidates\":[1,2,3]}"),
    };
    return rag_records_put(r, &a, &kb_err);
}

static void put_numbered(rag_records *r, int from, int to)
{
    for (int i = from; i <= to; i++) {
        char id[16];
        snprintf(id, sizeof id, "a%d", i);
        assert_ok(put(r, id, ""));
    }
}

static rag_code get(rag_records *r, const char *id)
{
    rag_record a;
    rag_arena *arena = rag_arena_new();
    rag_code code = rag_records_get(r, rag_str_of(id), arena, &a, &kb_err);
    rag_arena_free(arena);
    return code;
}

static rag_code add_turn(rag_records *r, const char *conversation, const char *owner, const char *question)
{
    int64_t documents[] = { 3, 17 };
    rag_turn t = { .question = rag_str_of(question), .answer = RAG_STR("30 days. [1]"), .answer_id = RAG_STR("a1"),
                   .documents = documents, .n_documents = 2 };
    return rag_turns_add(r, rag_str_of(conversation), rag_str_of(owner), &t, &kb_err);
}

static rag_code read_turns(rag_records *r, const char *conversation, const char *owner, rag_arena *arena,
                           rag_conversation *out)
{
    return rag_turns_read(r, rag_str_of(conversation), rag_str_of(owner), 0, arena, out, &kb_err);
}

static size_t count_turns(rag_records *r, const char *conversation)
{
    rag_conversation c;
    rag_arena *arena = rag_arena_new();
    rag_code code = read_turns(r, conversation, "me", arena, &c);
    assert_true(code == RAG_OK || code == RAG_NOT_FOUND);
    size_t n = code == RAG_OK ? c.n : 0;
    rag_arena_free(arena);
    return n;
}

static int setup(void **state)
{
    now = 1800000000 * second_ns;
    return kb_setup(state);
}

/* ---- answers --------------------------------------------------------------------------- */

static void test_records__an_answer_comes_back_as_it_was_written(void **state)
{
    rag_records *r = open_records(*state, (rag_records_options){ 0 });
    rag_arena *arena = rag_arena_new();
    rag_record a;
    assert_ok(put(r, "a1", "c1"));
    rag_records_close(r);
    r = open_records(*state, (rag_records_options){ 0 });
    assert_ok(rag_records_get(r, RAG_STR("a1"), arena, &a, &kb_err));
    assert_true(rag_str_eq(a.answer_id, RAG_STR("a1")));
    assert_true(rag_str_eq(a.conversation_id, RAG_STR("c1")));
    assert_true(rag_str_eq(a.collection, RAG_STR("default")));
    assert_true(rag_str_eq(a.question, RAG_STR("And for opened goods?")));
    assert_true(rag_str_eq(a.resolved, RAG_STR("And for opened goods? (about: returns)")));
    assert_true(rag_str_eq(a.outcome, RAG_STR("answered")));
    assert_true(rag_str_eq(a.mode, RAG_STR("extract")));
    assert_true(rag_str_eq(a.audit, RAG_STR("{\"candidates\":[1,2,3]}")));
    assert_true(a.confidence == 0.86);
    assert_true(a.created_ns == now);
    assert_int_equal(a.generation, 7);
    rag_arena_free(arena);
    rag_records_close(r);
}

static void test_records__a_long_audit_record_is_kept_compressed(void **state)
{
    rag_records *r = open_records(*state, (rag_records_options){ 0 });
    rag_arena *arena = rag_arena_new();
    rag_record in = { .answer_id = RAG_STR("long") }, out;
    enum { BYTES = 2 * 1024 * 1024 };
    char *audit = rag_arena_alloc(arena, BYTES);
    memset(audit, 'x', BYTES);
    in.audit = (rag_str){ audit, BYTES };
    assert_ok(rag_records_put(r, &in, &kb_err));
    assert_ok(rag_records_get(r, RAG_STR("long"), arena, &out, &kb_err));
    assert_true(rag_str_eq(in.audit, out.audit));
    assert_in_range(sql_number(*state, "SELECT length(audit) FROM answers"), 1, 10000);
    rag_arena_free(arena);
    rag_records_close(r);
}

static void test_records__an_unknown_answer_is_not_found(void **state)
{
    rag_records *r = open_records(*state, (rag_records_options){ 0 });
    assert_code(get(r, "nobody"), RAG_NOT_FOUND);
    rag_records_close(r);
}

static void test_records__an_id_is_taken_once(void **state)
{
    rag_records *r = open_records(*state, (rag_records_options){ 0 });
    assert_ok(put(r, "a1", ""));
    assert_code(put(r, "a1", ""), RAG_INVALID);
    assert_code(put(r, "", ""), RAG_INVALID);
    assert_int_equal(sql_number(*state, "SELECT count(*) FROM answers"), 1);
    rag_records_close(r);
}

static void test_records__what_input_chooses_is_bounded(void **state)
{
    rag_records *r = open_records(*state, (rag_records_options){ 0 });
    rag_arena *arena = rag_arena_new();
    char *bytes = rag_arena_alloc(arena, RAG_RECORD_AUDIT + 1);
    memset(bytes, 'x', RAG_RECORD_AUDIT + 1);
    rag_record audit = { .answer_id = RAG_STR("a"), .audit = { bytes, RAG_RECORD_AUDIT + 1 } };
    rag_record question = { .answer_id = RAG_STR("a"), .question = { bytes, RAG_MAX_QUERY + 1 } };
    rag_record id = { .answer_id = { bytes, RAG_RECORD_NAME + 1 } };
    rag_turn turn = { .question = { bytes, RAG_MAX_QUERY + 1 } };
    assert_code(rag_records_put(r, &audit, &kb_err), RAG_TOO_LARGE);
    assert_code(rag_records_put(r, &question, &kb_err), RAG_TOO_LARGE);
    assert_code(rag_records_put(r, &id, &kb_err), RAG_TOO_LARGE);
    assert_code(rag_turns_add(r, RAG_STR("c"), RAG_STR("me"), &turn, &kb_err), RAG_TOO_LARGE);
    assert_code(rag_turns_add(r, RAG_STR(""), RAG_STR("me"), &turn, &kb_err), RAG_INVALID);
    rag_arena_free(arena);
    rag_records_close(r);
}

static void test_records__the_list_is_newest_first_and_in_pages(void **state)
{
    rag_records *r = open_records(*state, (rag_records_options){ 0 });
    rag_arena *arena = rag_arena_new();
    rag_record *list;
    size_t n;
    put_numbered(r, 1, 5);
    assert_ok(rag_records_list(r, 0, 3, arena, &list, &n, &kb_err));
    assert_int_equal(n, 3);
    assert_true(rag_str_eq(list[0].answer_id, RAG_STR("a5")));
    assert_ok(rag_records_list(r, list[2].number, 3, arena, &list, &n, &kb_err));
    assert_int_equal(n, 2);
    assert_true(rag_str_eq(list[1].answer_id, RAG_STR("a1")));
    rag_arena_free(arena);
    rag_records_close(r);
}

static void test_records__a_damaged_audit_record_is_told(void **state)
{
    rag_records *r = open_records(*state, (rag_records_options){ 0 });
    assert_ok(put(r, "a1", ""));
    sql_number(*state, "UPDATE answers SET audit = x'00112233445566'");
    assert_code(get(r, "a1"), RAG_CORRUPT);
    rag_records_close(r);
}

/* ---- bounds ---------------------------------------------------------------------------- */

static void test_records__the_oldest_answers_go_beyond_the_limit(void **state)
{
    rag_records *r = open_records(*state, (rag_records_options){ .max_answers = 10 });
    put_numbered(r, 1, 25);
    assert_code(get(r, "a15"), RAG_NOT_FOUND);
    assert_ok(get(r, "a16"));
    assert_ok(get(r, "a25"));
    assert_int_equal(sql_number(*state, "SELECT count(*) FROM answers"), 10);
    rag_records_close(r);
}

static void test_records__a_smaller_limit_is_reached_in_small_steps(void **state)
{
    rag_records *r = open_records(*state, (rag_records_options){ 0 });
    put_numbered(r, 1, 50);
    rag_records_close(r);
    r = open_records(*state, (rag_records_options){ .max_answers = 10 });
    put_numbered(r, 51, 51);
    int64_t left = sql_number(*state, "SELECT count(*) FROM answers");
    assert_in_range(left, 40, 50);
    bool more = true;
    while (more)
        assert_ok(rag_records_prune(r, &more, &kb_err));
    assert_int_equal(sql_number(*state, "SELECT count(*) FROM answers"), 10);
    assert_ok(get(r, "a51"));
    rag_records_close(r);
}

static void test_records__answers_over_age_are_neither_shown_nor_kept(void **state)
{
    rag_records *r = open_records(*state, (rag_records_options){ .keep_days = 2 });
    rag_arena *arena = rag_arena_new();
    rag_record *list;
    size_t n;
    put_numbered(r, 1, 3);
    now += 2 * day_ns - second_ns;
    assert_ok(get(r, "a1"));
    now += 2 * second_ns;
    assert_code(get(r, "a1"), RAG_NOT_FOUND);
    assert_ok(rag_records_list(r, 0, 10, arena, &list, &n, &kb_err));
    assert_int_equal(n, 0);
    put_numbered(r, 4, 4);
    assert_int_equal(sql_number(*state, "SELECT count(*) FROM answers"), 1);
    rag_arena_free(arena);
    rag_records_close(r);
}

/* ---- conversations --------------------------------------------------------------------- */

static void test_records__turns_come_back_in_their_order(void **state)
{
    rag_records *r = open_records(*state, (rag_records_options){ 0 });
    rag_arena *arena = rag_arena_new();
    rag_conversation c;
    assert_ok(add_turn(r, "c1", "me", "How long may I return goods?"));
    assert_ok(add_turn(r, "c1", "me", "And for opened goods?"));
    assert_ok(read_turns(r, "c1", "me", arena, &c));
    assert_int_equal(c.n, 2);
    assert_true(rag_str_eq(c.owner, RAG_STR("me")));
    assert_int_equal(c.turns[0].ordinal, 1);
    assert_true(rag_str_eq(c.turns[0].question, RAG_STR("How long may I return goods?")));
    assert_true(rag_str_eq(c.turns[1].question, RAG_STR("And for opened goods?")));
    assert_true(rag_str_eq(c.turns[1].answer, RAG_STR("30 days. [1]")));
    assert_int_equal(c.turns[1].n_documents, 2);
    assert_int_equal(c.turns[1].documents[1], 17);
    rag_arena_free(arena);
    rag_records_close(r);
}

static void test_records__only_the_last_turns_are_kept_and_read(void **state)
{
    rag_records *r = open_records(*state, (rag_records_options){ .max_turns = 3 });
    rag_arena *arena = rag_arena_new();
    rag_conversation c;
    for (int i = 0; i < 7; i++)
        assert_ok(add_turn(r, "c1", "me", "again?"));
    assert_int_equal(sql_number(*state, "SELECT count(*) FROM turns"), 3);
    assert_ok(rag_turns_read(r, RAG_STR("c1"), RAG_STR("me"), 2, arena, &c, &kb_err));
    assert_int_equal(c.n, 2);
    assert_int_equal(c.turns[1].ordinal, 7);
    rag_arena_free(arena);
    rag_records_close(r);
}

static void test_records__an_unused_conversation_ends(void **state)
{
    rag_records *r = open_records(*state, (rag_records_options){ .conversation_ms = 60000 });
    assert_ok(add_turn(r, "c1", "me", "first?"));
    now += 59 * second_ns;
    assert_ok(add_turn(r, "c1", "me", "second?"));
    now += 59 * second_ns;
    assert_int_equal(count_turns(r, "c1"), 2);
    now += 2 * second_ns;
    assert_int_equal(count_turns(r, "c1"), 0);
    assert_ok(add_turn(r, "c1", "me", "of another day?"));
    assert_int_equal(count_turns(r, "c1"), 1);
    assert_int_equal(sql_number(*state, "SELECT count(*) FROM turns"), 1);
    rag_records_close(r);
}

static void test_records__the_longest_unused_conversations_go_beyond_the_limit(void **state)
{
    rag_records *r = open_records(*state, (rag_records_options){ .max_conversations = 2 });
    assert_ok(add_turn(r, "c1", "me", "a?"));
    now += second_ns;
    assert_ok(add_turn(r, "c2", "me", "b?"));
    now += second_ns;
    assert_ok(add_turn(r, "c1", "me", "c?"));
    now += second_ns;
    assert_ok(add_turn(r, "c3", "me", "d?"));
    assert_int_equal(count_turns(r, "c1"), 2);
    assert_int_equal(count_turns(r, "c2"), 0);
    assert_int_equal(count_turns(r, "c3"), 1);
    rag_records_close(r);
}

static void test_records__a_conversation_belongs_to_its_caller(void **state)
{
    rag_records *r = open_records(*state, (rag_records_options){ 0 });
    rag_arena *arena = rag_arena_new();
    rag_conversation c;
    assert_ok(add_turn(r, "c1", "me", "mine?"));
    assert_code(add_turn(r, "c1", "you", "yours?"), RAG_DENIED);
    assert_code(read_turns(r, "c1", "you", arena, &c), RAG_DENIED);
    assert_code(rag_turns_forget(r, RAG_STR("c1"), RAG_STR("you"), &kb_err), RAG_DENIED);
    assert_int_equal(count_turns(r, "c1"), 1);
    rag_arena_free(arena);
    rag_records_close(r);
}

static void test_records__a_forgotten_conversation_leaves_nothing(void **state)
{
    rag_records *r = open_records(*state, (rag_records_options){ 0 });
    assert_ok(add_turn(r, "c1", "me", "mine?"));
    assert_ok(put(r, "of-c1", "c1"));
    assert_ok(put(r, "of-none", ""));
    assert_ok(rag_turns_forget(r, RAG_STR("c1"), RAG_STR("me"), &kb_err));
    assert_int_equal(sql_number(*state, "SELECT count(*) FROM turns"), 0);
    assert_code(get(r, "of-c1"), RAG_NOT_FOUND);
    assert_ok(get(r, "of-none"));
    assert_code(rag_turns_forget(r, RAG_STR("c1"), RAG_STR("me"), &kb_err), RAG_NOT_FOUND);
    rag_records_close(r);
}

static void test_records__a_long_answer_is_cut_between_characters(void **state)
{
    rag_records *r = open_records(*state, (rag_records_options){ 0 });
    rag_arena *arena = rag_arena_new();
    rag_conversation c;
    rag_buf b;
    rag_buf_init(&b, RAG_MAX_TEXT);
    while (b.len <= RAG_TURN_ANSWER)
        rag_buf_puts(&b, "答");
    rag_turn t = { .question = RAG_STR("q"), .answer = rag_buf_str(&b) };
    assert_ok(rag_turns_add(r, RAG_STR("c1"), RAG_STR("me"), &t, &kb_err));
    assert_ok(read_turns(r, "c1", "me", arena, &c));
    assert_int_equal(c.turns[0].answer.len, RAG_TURN_ANSWER / 3 * 3);
    rag_buf_free(&b);
    rag_arena_free(arena);
    rag_records_close(r);
}

/* ---- the file -------------------------------------------------------------------------- */

static void write_file(const char *dir, const char *name, char byte, size_t n)
{
    char *file = kb_path(dir, name), *bytes = rag_alloc(n);
    memset(bytes, byte, n);
    assert_ok(rag_file_write_atomic(file, (rag_str){ bytes, n }, &kb_err));
    free(bytes);
    free(file);
}

static void test_records__an_absent_folder_or_file_is_not_found(void **state)
{
    rag_records *r;
    char *inner = kb_path(*state, "nowhere");
    assert_code(try_open(inner), RAG_NOT_FOUND);
    assert_code(open_with(&r, *state, (rag_records_options){ .read_only = true }), RAG_NOT_FOUND);
    free(inner);
}

static void test_records__the_file_is_for_its_owner_and_group(void **state)
{
    struct stat st;
    char *file = kb_path(*state, "state.db");
    assert_code(try_open(*state), RAG_OK);
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 0007, 0);
    free(file);
}

static void test_records__a_newer_version_is_refused_and_left_alone(void **state)
{
    rag_records *r;
    assert_code(try_open(*state), RAG_OK);
    sql_number(*state, "PRAGMA user_version = 99");
    assert_code(try_open(*state), RAG_CONFIG);
    assert_non_null(strstr(kb_err.message, "99"));
    assert_code(open_with(&r, *state, (rag_records_options){ .read_only = true }), RAG_CONFIG);
    assert_int_equal(sql_number(*state, "PRAGMA user_version"), 99);
}

static void test_records__a_foreign_database_is_refused_and_left_alone(void **state)
{
    sql_number(*state, "CREATE TABLE theirs(x)");
    assert_code(try_open(*state), RAG_CORRUPT);
    assert_int_equal(sql_number(*state, "SELECT count(*) FROM sqlite_schema"), 1);
}

static void test_records__a_file_that_is_no_database_can_be_set_aside(void **state)
{
    write_file(*state, "state.db", 'x', 5000);
    assert_code(try_open(*state), RAG_CORRUPT);
    assert_ok(rag_records_set_aside(*state, &kb_err));
    rag_records *r = open_records(*state, (rag_records_options){ 0 });
    assert_ok(put(r, "a1", ""));
    rag_records_close(r);
    char *damaged = kb_path(*state, "state.db.damaged");
    assert_int_equal(access(damaged, F_OK), 0);
    free(damaged);
}

static void test_records__an_old_wal_does_not_outlive_its_file(void **state)
{
    char *wal = kb_path(*state, "state.db.damaged-wal");
    write_file(*state, "state.db.damaged-wal", 'x', 100);
    write_file(*state, "state.db", 'x', 5000);
    assert_ok(rag_records_set_aside(*state, &kb_err));
    assert_int_not_equal(access(wal, F_OK), 0);
    free(wal);
}

static void test_records__damage_inside_is_told_and_nothing_breaks(void **state)
{
    rag_records *r = open_records(*state, (rag_records_options){ 0 });
    char *file = kb_path(*state, "state.db");
    struct stat st;
    put_numbered(r, 1, 200);
    rag_records_close(r);
    assert_int_equal(stat(file, &st), 0);
    int fd = open(file, O_WRONLY);
    char garbage[4096];
    memset(garbage, 0xa5, sizeof garbage);
    for (off_t at = 4096; at < st.st_size; at += sizeof garbage)
        assert_int_equal(pwrite(fd, garbage, sizeof garbage, at), sizeof garbage);
    close(fd);
    rag_code code = open_with(&r, *state, (rag_records_options){ 0 });
    if (code == RAG_OK)
        code = put(r, "new", "");
    assert_code(code, RAG_CORRUPT);
    rag_records_close(r);
    free(file);
}

static void test_records__what_was_written_survives_a_kill(void **state)
{
    pid_t child = fork();
    if (child == 0) {
        rag_records *r = open_records(*state, (rag_records_options){ 0 });
        put_numbered(r, 1, 40);
        if (add_turn(r, "c1", "me", "still there?") != RAG_OK)
            _exit(1);
        kill(getpid(), SIGKILL);
    }
    int status;
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    assert_true(WIFSIGNALED(status));
    rag_records *r = open_records(*state, (rag_records_options){ 0 });
    assert_ok(get(r, "a1"));
    assert_ok(get(r, "a40"));
    assert_int_equal(count_turns(r, "c1"), 1);
    assert_ok(put(r, "after", ""));
    rag_records_close(r);
}

static void test_records__another_process_reads_while_one_writes(void **state)
{
    rag_records *r = open_records(*state, (rag_records_options){ 0 });
    put_numbered(r, 1, 3);
    pid_t child = fork();
    if (child == 0) {
        rag_records *reader;
        bool fine = open_with(&reader, *state, (rag_records_options){ .read_only = true, .now_ns = read_clock }) == RAG_OK;
        fine = fine && get(reader, "a3") == RAG_OK && put(reader, "mine", "") == RAG_DENIED;
        rag_records_close(reader);
        _exit(fine ? 0 : 1);
    }
    int status;
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    put_numbered(r, 4, 4);
    rag_records_close(r);
}

static void test_records__a_reader_sees_what_is_written_after_it_opened(void **state)
{
    rag_records *r = open_records(*state, (rag_records_options){ 0 });
    rag_records *reader = open_records(*state, (rag_records_options){ .read_only = true, .now_ns = read_clock });
    assert_code(get(reader, "a1"), RAG_NOT_FOUND);
    put_numbered(r, 1, 1);
    assert_ok(get(reader, "a1"));
    rag_records_close(reader);
    rag_records_close(r);
}

/* ---- threads --------------------------------------------------------------------------- */

enum { THREADS = 4, EACH = 40 };

typedef struct writer {
    rag_records *records;
    int number, failures;
    pthread_t thread;
} writer;

static void *write_many(void *arg)
{
    writer *w = arg;
    for (int i = 0; i < EACH; i++) {
        char id[32];
        rag_err err;
        rag_arena *arena = rag_arena_new();
        rag_record out, in = { .answer_id = { id, 0 }, .audit = RAG_STR("{}") };
        rag_turn turn = { .question = RAG_STR("?") };
        in.answer_id.len = (size_t)snprintf(id, sizeof id, "%d-%d", w->number, i);
        w->failures += rag_records_put(w->records, &in, &err) != RAG_OK;
        w->failures += rag_records_get(w->records, in.answer_id, arena, &out, &err) != RAG_OK;
        w->failures += rag_turns_add(w->records, RAG_STR("shared"), RAG_STR("me"), &turn, &err) != RAG_OK;
        rag_arena_free(arena);
    }
    return NULL;
}

static void test_records__any_thread_may_write_and_read(void **state)
{
    rag_records *r = open_records(*state, (rag_records_options){ .max_turns = 1000 });
    writer writers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        writers[i] = (writer){ .records = r, .number = i };
        assert_int_equal(pthread_create(&writers[i].thread, NULL, write_many, &writers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(writers[i].thread, NULL);
        assert_int_equal(writers[i].failures, 0);
    }
    assert_int_equal(count_turns(r, "shared"), THREADS * EACH);
    assert_int_equal(sql_number(*state, "SELECT count(*) FROM answers"), THREADS * EACH);
    rag_records_close(r);
}

#define ROW(name) cmocka_unit_test_setup_teardown(test_records__##name, setup, kb_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(an_answer_comes_back_as_it_was_written),
        ROW(a_long_audit_record_is_kept_compressed),
        ROW(an_unknown_answer_is_not_found),
        ROW(an_id_is_taken_once),
        ROW(what_input_chooses_is_bounded),
        ROW(the_list_is_newest_first_and_in_pages),
        ROW(a_damaged_audit_record_is_told),
        ROW(the_oldest_answers_go_beyond_the_limit),
        ROW(a_smaller_limit_is_reached_in_small_steps),
        ROW(answers_over_age_are_neither_shown_nor_kept),
        ROW(turns_come_back_in_their_order),
        ROW(only_the_last_turns_are_kept_and_read),
        ROW(an_unused_conversation_ends),
        ROW(the_longest_unused_conversations_go_beyond_the_limit),
        ROW(a_conversation_belongs_to_its_caller),
        ROW(a_forgotten_conversation_leaves_nothing),
        ROW(a_long_answer_is_cut_between_characters),
        ROW(an_absent_folder_or_file_is_not_found),
        ROW(the_file_is_for_its_owner_and_group),
        ROW(a_newer_version_is_refused_and_left_alone),
        ROW(a_foreign_database_is_refused_and_left_alone),
        ROW(a_file_that_is_no_database_can_be_set_aside),
        ROW(an_old_wal_does_not_outlive_its_file),
        ROW(damage_inside_is_told_and_nothing_breaks),
        ROW(what_was_written_survives_a_kill),
        ROW(another_process_reads_while_one_writes),
        ROW(a_reader_sees_what_is_written_after_it_opened),
        ROW(any_thread_may_write_and_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
