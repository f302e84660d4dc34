/* How likely an answer is right: the coefficients, built in or from a file, and what they make of features. */
#include "daemon/answer_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/utf8.h"

enum { MAX_COEFFICIENT_FILE = 64 * 1024, MAX_VALUE = 64 };
static const double MAX_WEIGHT = 1000;

const answer_model ANSWER_MODEL = { .weight = {
    [ANSWER_BIAS] = -2.906,
    [ANSWER_COSINE] = 1.781,
    [ANSWER_OVERLAP] = 0.213,
    [ANSWER_PASSAGE_OVERLAP] = 0.161,
    [ANSWER_RAREST] = -0.071,
    [ANSWER_COVERAGE] = 0.459,
    [ANSWER_ELSEWHERE] = -0.177,
    [ANSWER_NAMES] = -0.372,
    [ANSWER_NAMES_FAR] = -0.426,
    [ANSWER_WANTS_FIGURE] = 0.596,
    [ANSWER_WANTS_NAME] = 0.406,
    [ANSWER_WANTS_REASON] = 0.108,
    [ANSWER_MARGIN] = 0.223,
    [ANSWER_PASSAGE_MARGIN] = 0.346,
    [ANSWER_HIT_COSINE] = 0.122,
    [ANSWER_HIT_SECOND] = 0.362,
    [ANSWER_HIT_LAST] = 0.986,
    [ANSWER_HIT_TEXT] = -0.205,
    [ANSWER_HIT_CLOSENESS] = -0.267,
    [ANSWER_BOTH_FIRST] = 0.494,
    [ANSWER_FROM_FIRST] = 0.197,
    [ANSWER_ONE_DOCUMENT] = -0.737,
    [ANSWER_LENGTH] = -0.458,
    [ANSWER_CHINESE] = -1.023,
    [ANSWER_CHINESE_COSINE] = 0.550,
    [ANSWER_CHINESE_OVERLAP] = 1.958,
    [ANSWER_ACROSS] = 2.470,
    [ANSWER_ACROSS_COSINE] = 1.166,
    [ANSWER_ACROSS_HIT] = -0.306,
} };

static const char *const NAMES[ANSWER_FEATURES] = {
    [ANSWER_BIAS] = "bias",
    [ANSWER_COSINE] = "cosine",
    [ANSWER_OVERLAP] = "overlap",
    [ANSWER_PASSAGE_OVERLAP] = "passage_overlap",
    [ANSWER_RAREST] = "rarest",
    [ANSWER_COVERAGE] = "coverage",
    [ANSWER_ELSEWHERE] = "elsewhere",
    [ANSWER_NAMES] = "names",
    [ANSWER_NAMES_FAR] = "names_far",
    [ANSWER_WANTS_FIGURE] = "wants_figure",
    [ANSWER_WANTS_NAME] = "wants_name",
    [ANSWER_WANTS_REASON] = "wants_reason",
    [ANSWER_MARGIN] = "margin",
    [ANSWER_PASSAGE_MARGIN] = "passage_margin",
    [ANSWER_HIT_COSINE] = "hit_cosine",
    [ANSWER_HIT_SECOND] = "hit_second",
    [ANSWER_HIT_LAST] = "hit_last",
    [ANSWER_HIT_TEXT] = "hit_text",
    [ANSWER_HIT_CLOSENESS] = "hit_closeness",
    [ANSWER_BOTH_FIRST] = "both_first",
    [ANSWER_FROM_FIRST] = "from_first",
    [ANSWER_ONE_DOCUMENT] = "one_document",
    [ANSWER_LENGTH] = "length",
    [ANSWER_CHINESE] = "chinese",
    [ANSWER_CHINESE_COSINE] = "chinese_cosine",
    [ANSWER_CHINESE_OVERLAP] = "chinese_overlap",
    [ANSWER_ACROSS] = "across",
    [ANSWER_ACROSS_COSINE] = "across_cosine",
    [ANSWER_ACROSS_HIT] = "across_hit",
    [ANSWER_RERANK] = "rerank",
    [ANSWER_ALIGNED] = "aligned",
    [ANSWER_TOKENS] = "tokens",
    [ANSWER_SPAN_AGREES] = "span_agrees",
    [ANSWER_SPAN_MARGIN] = "span_margin",
};

const char *answer_feature_name(answer_feature f)
{
    return NAMES[f];
}

double answer_probability(const answer_model *m, const answer_features *f)
{
    const answer_model *model = m ? m : &ANSWER_MODEL;
    double z = 0;
    for (int i = 0; i < ANSWER_FEATURES; i++)
        z += model->weight[i] * f->value[i];
    return 1 / (1 + exp(-z));
}

double answer_confidence(const answer_evidence *ev, const answer_sentence *s)
{
    answer_features f;
    answer_features_of(ev, s, &f);
    return answer_probability(ev->model, &f);
}

/* ---- the file ------------------------------------------------------------------------ */

typedef struct reading {
    const char *path;
    size_t line;
    bool seen[ANSWER_FEATURES];
} reading;

static rag_code bad(const reading *r, rag_str what, const char *why, rag_err *err)
{
    return rag_fail(err, RAG_CONFIG, "%s:%zu: '%.*s' %s", r->path, r->line, what.len < 80 ? (int)what.len : 80, what.ptr, why);
}

static int find_name(rag_str name)
{
    for (int i = 0; i < ANSWER_FEATURES; i++)
        if (rag_str_eq(name, rag_str_of(NAMES[i])))
            return i;
    return -1;
}

static bool is_for_people(rag_str name)
{
    return rag_str_eq(name, RAG_STR("date")) || rag_str_eq(name, RAG_STR("data")) || rag_str_eq(name, RAG_STR("answers"));
}

static bool parse_weight(rag_str text, double *out)
{
    char digits[MAX_VALUE], *end;
    if (!text.len || text.len >= sizeof digits)
        return false;
    memcpy(digits, text.ptr, text.len);
    digits[text.len] = '\0';
    if (strspn(digits, "+-.0123456789eE") != text.len)
        return false;
    *out = strtod(digits, &end);
    return *end == '\0' && fabs(*out) <= MAX_WEIGHT;
}

static rag_code read_line(reading *r, rag_str line, answer_model *out, rag_err *err)
{
    size_t sign = rag_str_find(line, RAG_STR("="), 0);
    if (sign == SIZE_MAX)
        return bad(r, line, "is no 'name = value'", err);
    rag_str name = rag_str_trim(rag_str_sub(line, 0, sign)), value = rag_str_trim(rag_str_sub(line, sign + 1, line.len));
    if (is_for_people(name))
        return RAG_OK;
    int i = find_name(name);
    if (i < 0)
        return bad(r, name, "is no feature", err);
    if (r->seen[i])
        return bad(r, name, "stands there twice", err);
    r->seen[i] = true;
    return parse_weight(value, &out->weight[i]) ? RAG_OK : bad(r, value, "is no number between -1000 and 1000", err);
}

static rag_code read_lines(const char *path, rag_str text, answer_model *out, rag_err *err)
{
    reading r = { .path = path };
    if (!rag_utf8_valid(text, NULL))
        return rag_fail(err, RAG_CONFIG, "'%s' is not valid UTF-8", path);
    for (size_t pos = 0; pos < text.len;) {
        size_t end = rag_str_find(text, RAG_STR("\n"), pos);
        end = end == SIZE_MAX ? text.len : end;
        rag_str line = rag_str_trim(rag_str_sub(text, pos, end));
        pos = end + 1;
        r.line++;
        if (line.len == 0 || line.ptr[0] == '#')
            continue;
        rag_code code = read_line(&r, line, out, err);
        if (code != RAG_OK)
            return code;
    }
    return r.seen[ANSWER_BIAS] ? RAG_OK : rag_fail(err, RAG_CONFIG, "'%s' has no 'bias'", path);
}

rag_code answer_model_load(const char *path, answer_model *out, rag_err *err)
{
    answer_model fresh = { 0 };
    rag_buf text;
    rag_buf_init(&text, MAX_COEFFICIENT_FILE);
    rag_code code = rag_file_read(path, &text, err);
    if (code != RAG_OK)
        code = err ? (err->code = RAG_CONFIG) : RAG_CONFIG;
    else
        code = read_lines(path, rag_buf_str(&text), &fresh, err);
    rag_buf_free(&text);
    if (code == RAG_OK)
        *out = fresh;
    return code;
}
