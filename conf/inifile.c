#include "conf/inifile.h"

#include <ini.h>
#include <string.h>

#include "base/file.h"
#include "base/utf8.h"

enum { MAX_FILE = 1024 * 1024, MAX_NAME = 49 };

typedef struct reading {
    rag_str rest;
    size_t line;
    char section[MAX_NAME + 1];
    inifile_fn *on_item;
    void *user;
    rag_err why; /* without file and line */
} reading;

static bool has_failed(const reading *r)
{
    return r->why.code != RAG_OK;
}

static rag_str take_line(reading *r)
{
    size_t end = rag_str_find(r->rest, RAG_STR("\n"), 0);
    size_t next = end == SIZE_MAX ? r->rest.len : end + 1;
    rag_str line = rag_str_sub(r->rest, 0, end == SIZE_MAX ? r->rest.len : end);
    r->rest = rag_str_sub(r->rest, next, r->rest.len);
    r->line++;
    return rag_str_trim(line);
}

static rag_code check_bytes(rag_str line, rag_err *err)
{
    if (!rag_utf8_valid(line, NULL))
        return rag_fail(err, RAG_CONFIG, "not valid UTF-8");
    for (size_t i = 0; i < line.len; i++)
        if (((unsigned char)line.ptr[i] < 0x20 && line.ptr[i] != '\t') || line.ptr[i] == 0x7F)
            return rag_fail(err, RAG_CONFIG, "control character 0x%02X", (unsigned char)line.ptr[i]);
    return RAG_OK;
}

static bool is_comment(rag_str s)
{
    return s.len > 0 && (s.ptr[0] == ';' || s.ptr[0] == '#');
}

static rag_code enter_section(reading *r, rag_str line)
{
    size_t end = rag_str_find(line, RAG_STR("]"), 1);
    if (end == SIZE_MAX)
        return rag_fail(&r->why, RAG_CONFIG, "a section without ']'");
    rag_str name = rag_str_sub(line, 1, end), after = rag_str_trim(rag_str_sub(line, end + 1, line.len));
    if (after.len > 0 && !is_comment(after))
        return rag_fail(&r->why, RAG_CONFIG, "unexpected text behind '[%.*s]'", RAG_STR_ARG(name));
    if (name.len > MAX_NAME)
        return rag_fail(&r->why, RAG_CONFIG, "the section's name is longer than %d bytes", MAX_NAME);
    memcpy(r->section, name.ptr, name.len);
    r->section[name.len] = '\0';
    return r->on_item(r->user, r->section, NULL, NULL, r->line, &r->why);
}

/* inih's fgets. */
static char *next_line(char *room, int room_len, void *user)
{
    reading *r = user;
    if (has_failed(r) || r->rest.len == 0)
        return NULL;
    rag_str line = take_line(r);
    if (check_bytes(line, &r->why) != RAG_OK)
        return NULL;
    if (line.len + 3 > (size_t)room_len) {
        rag_fail(&r->why, RAG_CONFIG, "the line is too long: %zu bytes, at most %d", line.len, room_len - 3);
        return NULL;
    }
    if (line.len > 0 && line.ptr[0] == '[' && enter_section(r, line) != RAG_OK)
        return NULL;
    if (line.len)
        memcpy(room, line.ptr, line.len);
    memcpy(room + line.len, "\n", 2);
    return room;
}

static int on_pair(void *user, const char *section, const char *key, const char *value)
{
    (void)section; /* our own copy is whole */
    reading *r = user;
    if (has_failed(r))
        return 0;
    return r->on_item(r->user, r->section, key, value, r->line, &r->why) == RAG_OK;
}

rag_code inifile_read(const char *path, inifile_fn *on_item, void *user, rag_err *err)
{
    reading r = { .on_item = on_item, .user = user };
    rag_buf bytes;
    rag_buf_init(&bytes, MAX_FILE);
    rag_code code = rag_file_read(path, &bytes, err);
    if (code != RAG_OK) {
        if (err)
            err->code = RAG_CONFIG;
        code = RAG_CONFIG;
        goto out;
    }
    r.rest = rag_buf_str(&bytes);
    if (rag_str_starts(r.rest, RAG_STR("\xEF\xBB\xBF")))
        r.rest = rag_str_sub(r.rest, 3, r.rest.len);
    int bad_line = ini_parse_stream(next_line, &r, on_pair, &r);
    if (has_failed(&r))
        code = rag_fail(err, RAG_CONFIG, "%s:%zu: %s", path, r.line, r.why.message);
    else if (bad_line != 0)
        code = rag_fail(err, RAG_CONFIG, "%s:%d: expected '[section]' or 'key = value'", path, bad_line);
out:
    rag_buf_free(&bytes);
    return code;
}
