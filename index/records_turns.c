#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "index/records_impl.h"

typedef struct row_of {
    int64_t number, used_ns, turns;
} row_of;

static rag_code check(rag_str id, rag_str owner, rag_err *err)
{
    rag_code code = records_check_name("conversation_id", id, false, err);
    return code == RAG_OK ? records_check_name("owner", owner, true, err) : code;
}

static rag_code check_turn(const rag_turn *t, rag_err *err)
{
    rag_code code = records_check_name("answer_id", t->answer_id, true, err);
    if (code == RAG_OK)
        code = records_check_length("question", t->question, RAG_MAX_QUERY, err);
    if (code == RAG_OK)
        code = records_check_length("resolved question", t->resolved, RAG_MAX_QUERY, err);
    if (code == RAG_OK && t->n_documents > RAG_TURN_DOCUMENTS)
        code = rag_fail(err, RAG_TOO_LARGE, "a turn cites more than %d documents", RAG_TURN_DOCUMENTS);
    return code;
}

/* RAG_NOT_FOUND also when it has ended: *row then says which row is left of it, and whoever it belonged to. */
static rag_code find(rag_records *r, rag_str id, rag_str owner, row_of *row, rag_conversation *out, rag_arena *arena,
                     rag_err *err)
{
    sqlite3_stmt *st = NULL;
    bool found = false;
    *row = (row_of){ 0 };
    rag_code code = db_query(r->db, &st, "SELECT number, used_ns, turns, created_ns, owner FROM conversations"
                                         " WHERE id = ?",
                             BIND(text(id)), err);
    if (code == RAG_OK)
        code = db_step(r->db, st, &found, err);
    if (code == RAG_OK && found)
        *row = (row_of){ sqlite3_column_int64(st, 0), sqlite3_column_int64(st, 1), sqlite3_column_int64(st, 2) };
    if (code == RAG_OK && (!found || row->used_ns < records_oldest_conversation(r)))
        code = rag_fail(err, RAG_NOT_FOUND, "no conversation '%.*s'", RAG_STR_ARG(id));
    else if (code == RAG_OK && !rag_str_eq(column_str(st, 4), owner))
        code = rag_fail(err, RAG_DENIED, "conversation '%.*s' is another caller's", RAG_STR_ARG(id));
    else if (code == RAG_OK && out)
        *out = (rag_conversation){ .id = rag_arena_str(arena, id), .owner = rag_arena_str(arena, owner),
                                   .created_ns = sqlite3_column_int64(st, 3), .used_ns = row->used_ns };
    db_done(st);
    return code;
}

/* ---- adding ------------------------------------------------------------------------------------ */

static rag_code delete_row(rag_records *r, int64_t number, rag_err *err)
{
    rag_code code = db_run(r->db, "DELETE FROM conversations WHERE number = ?", BIND(num(number)), err);
    if (code == RAG_OK)
        r->n_conversations -= db_changes(r->db);
    return code;
}

static rag_code make_row(rag_records *r, rag_str id, rag_str owner, row_of *row, rag_err *err)
{
    int64_t now = records_now(r);
    rag_code code = row->number ? delete_row(r, row->number, err) : RAG_OK;
    if (code == RAG_OK)
        code = db_run(r->db, "INSERT INTO conversations(id, owner, created_ns, used_ns, turns) VALUES(?, ?, ?, ?, 0)",
                      BIND(text(id), text(owner), num(now), num(now)), err);
    if (code == RAG_OK)
        r->n_conversations++;
    *row = (row_of){ .number = db_last_id(r->db), .used_ns = now };
    return code;
}

static void put_documents(rag_buf *b, const rag_turn *t)
{
    for (size_t i = 0; i < t->n_documents; i++)
        rag_buf_putf(b, "%s%" PRId64, i ? "," : "", t->documents[i]);
}

static rag_code put_turn(rag_records *r, const row_of *row, const rag_turn *t, rag_err *err)
{
    rag_buf documents;
    rag_str answer = rag_str_sub(t->answer, 0, RAG_TURN_ANSWER);
    answer.len = answer.len < t->answer.len ? rag_utf8_floor(t->answer, answer.len) : answer.len;
    rag_buf_init(&documents, RAG_TURN_DOCUMENTS * 24);
    put_documents(&documents, t);
    rag_code code = db_run(r->db, "INSERT INTO turns(conversation, ordinal, question, resolved, answer, answer_id,"
                                  " documents) VALUES(?, ?, ?, ?, ?, ?, ?)",
                           BIND(num(row->number), num(row->turns + 1), text(t->question), text(t->resolved),
                                text(answer), text(t->answer_id), text(rag_buf_str(&documents))),
                           err);
    rag_buf_free(&documents);
    if (code == RAG_OK)
        code = db_run(r->db, "UPDATE conversations SET used_ns = ?, turns = ? WHERE number = ?",
                      BIND(num(records_now(r)), num(row->turns + 1), num(row->number)), err);
    if (code == RAG_OK)
        code = db_run(r->db, "DELETE FROM turns WHERE conversation = ? AND ordinal <= ?",
                      BIND(num(row->number), num(row->turns + 1 - r->opt.max_turns)), err);
    return code;
}

rag_code rag_turns_add(rag_records *r, rag_str conversation_id, rag_str owner, const rag_turn *turn, rag_err *err)
{
    row_of row;
    rag_code code = check(conversation_id, owner, err);
    if (code == RAG_OK)
        code = check_turn(turn, err);
    if (code != RAG_OK)
        return code;
    code = records_begin(r, err);
    if (code == RAG_OK)
        code = find(r, conversation_id, owner, &row, NULL, NULL, err);
    if (code == RAG_NOT_FOUND)
        code = make_row(r, conversation_id, owner, &row, err);
    if (code == RAG_OK)
        code = put_turn(r, &row, turn, err);
    return records_end(r, code, err);
}

/* ---- reading ------------------------------------------------------------------------------------- */

static void take_documents(rag_str s, rag_arena *arena, rag_turn *out)
{
    int64_t *ids = rag_arena_array(arena, RAG_TURN_DOCUMENTS, sizeof *ids);
    const char *at = rag_arena_cstr(arena, s);
    while (*at && out->n_documents < RAG_TURN_DOCUMENTS) {
        char *end;
        ids[out->n_documents++] = strtoll(at, &end, 10);
        at = *end == ',' ? end + 1 : "";
    }
    out->documents = ids;
}

static void take_turn(sqlite3_stmt *st, rag_arena *arena, rag_turn *out)
{
    *out = (rag_turn){
        .ordinal = sqlite3_column_int64(st, 0),
        .question = rag_arena_str(arena, column_str(st, 1)),
        .resolved = rag_arena_str(arena, column_str(st, 2)),
        .answer = rag_arena_str(arena, column_str(st, 3)),
        .answer_id = rag_arena_str(arena, column_str(st, 4)),
    };
    take_documents(column_str(st, 5), arena, out);
}

/* The newest first, then turned round. */
static rag_code read_turns(rag_records *r, const row_of *row, size_t limit, rag_arena *arena, rag_conversation *out,
                           rag_err *err)
{
    sqlite3_stmt *st = NULL;
    bool more = true;
    out->turns = rag_arena_array(arena, limit, sizeof *out->turns);
    rag_code code = db_query(r->db, &st, "SELECT ordinal, question, resolved, answer, answer_id, documents FROM turns"
                                         " WHERE conversation = ? ORDER BY ordinal DESC LIMIT ?",
                             BIND(num(row->number), num((int64_t)limit)), err);
    while (code == RAG_OK && more && out->n < limit) {
        code = db_step(r->db, st, &more, err);
        if (code == RAG_OK && more)
            take_turn(st, arena, &out->turns[out->n++]);
    }
    db_done(st);
    for (size_t i = 0; i < out->n / 2; i++) {
        rag_turn t = out->turns[i];
        out->turns[i] = out->turns[out->n - 1 - i];
        out->turns[out->n - 1 - i] = t;
    }
    return code;
}

rag_code rag_turns_read(rag_records *r, rag_str conversation_id, rag_str owner, size_t limit, rag_arena *arena,
                        rag_conversation *out, rag_err *err)
{
    row_of row;
    size_t kept = (size_t)r->opt.max_turns;
    *out = (rag_conversation){ 0 };
    rag_code code = check(conversation_id, owner, err);
    if (code != RAG_OK)
        return code;
    pthread_mutex_lock(&r->mu);
    code = find(r, conversation_id, owner, &row, out, arena, err);
    if (code == RAG_OK)
        code = read_turns(r, &row, limit && limit < kept ? limit : kept, arena, out, err);
    pthread_mutex_unlock(&r->mu);
    return code;
}

/* ---- forgetting ------------------------------------------------------------------------------------ */

/* Answers first: were it the other way round, nobody could ask again after a failure. */
static rag_code forget_some_answers(rag_records *r, rag_str id, rag_str owner, int64_t *removed, rag_err *err)
{
    row_of row;
    rag_code code = records_begin(r, err);
    *removed = 0;
    if (code == RAG_OK)
        code = find(r, id, owner, &row, NULL, NULL, err);
    if (code == RAG_OK)
        code = db_run(r->db, "DELETE FROM answers WHERE number IN (SELECT number FROM answers WHERE conversation = ?"
                             " AND conversation <> '' LIMIT 64)",
                      BIND(text(id)), err);
    if (code == RAG_OK) {
        *removed = db_changes(r->db);
        r->n_answers -= *removed;
    }
    if (code == RAG_OK && *removed == 0)
        code = delete_row(r, row.number, err);
    return records_end(r, code, err);
}

rag_code rag_turns_forget(rag_records *r, rag_str conversation_id, rag_str owner, rag_err *err)
{
    int64_t removed = 1;
    rag_code code = check(conversation_id, owner, err);
    while (code == RAG_OK && removed > 0)
        code = forget_some_answers(r, conversation_id, owner, &removed, err);
    return code;
}
