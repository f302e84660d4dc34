#include "ctl/eval_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "base/file.h"
#include "ctl/json.h"

enum { MAX_LISTED = 1000 };

/* Where the reader is, for messages. */
typedef struct place {
    eval_set *set;
    size_t line;
    rag_err *err;
} place;

static rag_code bad(const place *p, const char *what)
{
    return rag_fail(p->err, RAG_INVALID, "'%s':%zu: %s", p->set->file, p->line, what);
}

/* ---- members of a question ---------------------------------------------------------- */

static const cJSON *member(const cJSON *line, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(line, key);
    return cJSON_IsNull(item) ? NULL : item;
}

static rag_code take_text(const place *p, const cJSON *line, const char *key, const char **out)
{
    const cJSON *item = member(line, key);
    if (!cJSON_IsString(item) || !*item->valuestring) {
        char what[64];
        snprintf(what, sizeof what, "a question needs a text as its '%s'", key);
        return bad(p, what);
    }
    *out = rag_arena_strdup(p->set->arena, item->valuestring);
    return RAG_OK;
}

/* A list of texts, or one text alone. */
static rag_code take_texts(const place *p, const cJSON *list, const char *what, eval_texts *out)
{
    int n = cJSON_IsString(list) ? 1 : cJSON_GetArraySize(list);
    const cJSON *item;
    *out = (eval_texts){ 0 };
    if (list && !cJSON_IsArray(list) && !cJSON_IsString(list))
        return bad(p, what);
    if (n > MAX_LISTED)
        return bad(p, "more than 1000 entries in a list");
    out->items = rag_arena_array(p->set->arena, (size_t)n + 1, sizeof *out->items);
    if (cJSON_IsString(list))
        out->items[out->n++] = rag_arena_strdup(p->set->arena, list->valuestring);
    else
        cJSON_ArrayForEach(item, list)
        {
            if (!cJSON_IsString(item))
                return bad(p, what);
            out->items[out->n++] = rag_arena_strdup(p->set->arena, item->valuestring);
        }
    return RAG_OK;
}

static rag_code take_answers(const place *p, const cJSON *line, eval_question *q)
{
    static const char what[] = "'answers' is no list of texts";
    const cJSON *list = member(line, "answers"), *group;
    int n = q->match == EVAL_MATCH_ALL_GROUPS ? cJSON_GetArraySize(list) : 1;
    if (list && !cJSON_IsArray(list))
        return bad(p, what);
    if (n > MAX_LISTED)
        return bad(p, "more than 1000 entries in a list");
    q->groups = rag_arena_array(p->set->arena, (size_t)n + 1, sizeof *q->groups);
    if (q->match == EVAL_MATCH_ALL_GROUPS) {
        cJSON_ArrayForEach(group, list)
            if (take_texts(p, group, what, &q->groups[q->n_groups++]))
                return RAG_INVALID;
        return RAG_OK;
    }
    rag_code code = take_texts(p, list, what, &q->groups[0]);
    q->n_groups = q->groups[0].n > 0;
    return code;
}

static rag_code take_match(const place *p, const cJSON *line, eval_match *out)
{
    const char *match = json_string(line, "match");
    if (!*match || !strcmp(match, "any"))
        *out = EVAL_MATCH_ANY;
    else if (!strcmp(match, "all_groups"))
        *out = EVAL_MATCH_ALL_GROUPS;
    else if (!strcmp(match, "judge") || !strcmp(match, "retrieval_only"))
        *out = EVAL_MATCH_NONE;
    else
        return bad(p, "'match' is none of any, all_groups, judge, retrieval_only");
    return RAG_OK;
}

static void add_span(eval_question *q, const char *doc, rag_span span)
{
    for (size_t i = 0; i < q->n_spans; i++)
        if (!strcmp(q->spans[i].doc, doc) && q->spans[i].span.start == span.start && q->spans[i].span.end == span.end)
            return;
    q->spans[q->n_spans++] = (eval_span){ doc, span };
}

static bool is_offset(const cJSON *item)
{
    return cJSON_IsNumber(item) && item->valuedouble >= 0 && item->valuedouble <= RAG_MAX_TEXT;
}

static rag_code take_spans(const place *p, const cJSON *list, eval_question *q)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        const cJSON *para = member(item, "para"), *from = cJSON_GetArrayItem(para, 0), *to = cJSON_GetArrayItem(para, 1);
        const char *doc = json_string(item, "doc");
        if (!*doc || !is_offset(from) || !is_offset(to) || from->valuedouble >= to->valuedouble)
            return bad(p, "'gold_spans' needs objects with 'doc' and 'para': [start, end]");
        add_span(q, rag_arena_strdup(p->set->arena, doc),
                 (rag_span){ (size_t)from->valuedouble, (size_t)to->valuedouble });
    }
    return RAG_OK;
}

static void locate(eval_set *s, eval_question *q, const char *sentence)
{
    rag_span span;
    s->evidence++;
    for (size_t i = 0; i < q->gold_docs.n; i++)
        if (eval_docs_locate(s->docs, q->gold_docs.items[i], rag_str_of(sentence), &span)) {
            add_span(q, q->gold_docs.items[i], span);
            return;
        }
    s->evidence_missing++;
}

static void drop_repeated(eval_texts *texts)
{
    size_t kept = 0;
    for (size_t i = 0; i < texts->n; i++) {
        bool is_new = true;
        for (size_t k = 0; k < kept; k++)
            is_new = is_new && strcmp(texts->items[k], texts->items[i]);
        if (is_new)
            texts->items[kept++] = texts->items[i];
    }
    texts->n = kept;
}

static rag_code take_gold(const place *p, const cJSON *line, eval_question *q)
{
    eval_texts evidence;
    const cJSON *spans = member(line, "gold_spans");
    if (spans && !cJSON_IsArray(spans))
        return bad(p, "'gold_spans' is no list");
    if (take_texts(p, member(line, "gold_docs"), "'gold_docs' is no list of texts", &q->gold_docs) ||
        take_texts(p, member(line, "evidence"), "'evidence' is no list of texts", &evidence))
        return RAG_INVALID;
    drop_repeated(&q->gold_docs);
    size_t n = (size_t)cJSON_GetArraySize(spans);
    if (n > MAX_LISTED)
        return bad(p, "more than 1000 entries in a list");
    q->spans = rag_arena_array(p->set->arena, n + evidence.n + 1, sizeof *q->spans);
    if (n)
        return take_spans(p, spans, q);
    for (size_t i = 0; i < evidence.n; i++)
        locate(p->set, q, evidence.items[i]);
    return RAG_OK;
}

static rag_code take_question(const place *p, const cJSON *line, eval_question *q)
{
    *q = (eval_question){ 0 };
    if (!cJSON_IsObject(line))
        return bad(p, "the line is no JSON object");
    if (take_text(p, line, "id", &q->id) || take_text(p, line, "question", &q->text) ||
        take_match(p, line, &q->match) || take_answers(p, line, q) || take_gold(p, line, q))
        return RAG_INVALID;
    q->is_answerable = !cJSON_IsFalse(member(line, "answerable"));
    q->is_chinese = !strncmp(json_string(line, "lang"), "zh", 2);
    return RAG_OK;
}

/* ---- the file ----------------------------------------------------------------------- */

static rag_code take_line(const place *p, rag_str text, eval_question *q)
{
    rag_err why = { 0 };
    cJSON *line = json_parse(text, &why);
    if (!line)
        return bad(p, why.message);
    rag_code code = take_question(p, line, q);
    cJSON_Delete(line);
    return code;
}

/* The lines on which the questions stand, and a set of their ids. */
typedef struct seen {
    size_t *lines;  /* by question */
    uint32_t *slots; /* question + 1, by hash of its id */
    size_t size;
} seen;

static rag_code note_id(const place *p, seen *ids, size_t question)
{
    const eval_question *all = p->set->questions;
    size_t slot = rag_xxh3(rag_str_of(all[question].id), 0) & (ids->size - 1);
    for (; ids->slots[slot]; slot = (slot + 1) & (ids->size - 1)) {
        size_t other = ids->slots[slot] - 1;
        if (!strcmp(all[other].id, all[question].id))
            return rag_fail(p->err, RAG_INVALID, "'%s':%zu: the id stands on line %zu already: '%s'", p->set->file, p->line,
                            ids->lines[other], all[question].id);
    }
    ids->slots[slot] = (uint32_t)question + 1;
    ids->lines[question] = p->line;
    return RAG_OK;
}

static size_t count_lines(rag_str text)
{
    size_t n = 1;
    for (size_t i = 0; i < text.len; i++)
        n += text.ptr[i] == '\n';
    return n;
}

static rag_code take_lines(place *p, rag_str text, size_t limit, seen *ids)
{
    eval_set *s = p->set;
    for (size_t at = 0; at < text.len && s->n < limit;) {
        size_t end = rag_str_find(text, RAG_STR("\n"), at);
        end = end == SIZE_MAX ? text.len : end;
        rag_str line = rag_str_trim(rag_str_sub(text, at, end));
        at = end + 1;
        p->line++;
        if (!line.len)
            continue;
        if (take_line(p, line, &s->questions[s->n]) || note_id(p, ids, s->n))
            return RAG_INVALID;
        s->n++;
    }
    return s->n ? RAG_OK : rag_fail(p->err, RAG_INVALID, "'%s' holds no question", s->file);
}

static rag_code take_text_of_set(eval_set *s, rag_str text, size_t limit, rag_err *err)
{
    place p = { .set = s, .err = err };
    seen ids = { .size = 64 };
    size_t lines = count_lines(text);
    if (lines > EVAL_MAX_QUESTIONS)
        return rag_fail(err, RAG_TOO_LARGE, "'%s' holds more than %d lines", s->file, EVAL_MAX_QUESTIONS);
    while (ids.size < 2 * lines)
        ids.size *= 2;
    ids.lines = rag_calloc(lines, sizeof *ids.lines);
    ids.slots = rag_calloc(ids.size, sizeof *ids.slots);
    s->questions = rag_arena_array(s->arena, lines, sizeof *s->questions);
    rag_code code = take_lines(&p, text, limit ? limit : lines, &ids);
    free(ids.lines);
    free(ids.slots);
    return code;
}

/* ---- finding it --------------------------------------------------------------------- */

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The last part of the folder's real path. */
static const char *name_folder(rag_arena *arena, const char *folder)
{
    char *real = rag_path_real(folder);
    const char *path = real ? real : folder, *slash = strrchr(path, '/');
    const char *name = rag_arena_strdup(arena, slash && slash[1] ? slash + 1 : path);
    free(real);
    return name;
}

static rag_code find_files(eval_set *s, const eval_set_options *opt, rag_err *err)
{
    bool is_dir = is_folder(opt->path);
    if (opt->small && !is_dir)
        return rag_fail(err, RAG_INVALID, "--small chooses a file of a folder, and '%s' is none", opt->path);
    char *folder = is_dir ? rag_strdup(opt->path) : rag_path_dir(opt->path);
    char *file = rag_path_join(folder, opt->small ? "questions.small.jsonl" : "questions.jsonl");
    char *docs = rag_path_join(folder, "docs");
    s->file = rag_arena_strdup(s->arena, is_dir ? file : opt->path);
    s->name = name_folder(s->arena, folder);
    s->docs = eval_docs_open(is_folder(docs) ? docs : NULL);
    free(folder);
    free(file);
    free(docs);
    return RAG_OK;
}

rag_code eval_set_read(eval_set *out, const eval_set_options *opt, rag_err *err)
{
    rag_buf text;
    rag_buf_init(&text, RAG_MAX_TEXT);
    *out = (eval_set){ .arena = rag_arena_new() };
    rag_code code = find_files(out, opt, err);
    if (!code)
        code = rag_file_read(out->file, &text, err);
    if (!code)
        code = take_text_of_set(out, rag_buf_str(&text), opt->limit, err);
    rag_buf_free(&text);
    return code;
}

void eval_set_free(eval_set *s)
{
    eval_docs_close(s->docs);
    rag_arena_free(s->arena);
    *s = (eval_set){ 0 };
}

bool eval_is_gold_doc(const eval_question *q, const char *document)
{
    for (size_t i = 0; i < q->gold_docs.n; i++)
        if (!strcmp(q->gold_docs.items[i], document))
            return true;
    return false;
}
