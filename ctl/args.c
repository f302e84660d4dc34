#include "ctl/args.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/str.h"
#include "base/utf8.h"

static const option_row *find_option(const option_row *rows, const char *name, size_t len, char letter)
{
    for (const option_row *row = rows; row && row->name; row++)
        if (letter ? row->letter == letter : strlen(row->name) == len && !strncmp(row->name, name, len))
            return row;
    return NULL;
}

static bool is_word(const char *text, size_t len, const char *word)
{
    return strlen(word) == len && !strncmp(text, word, len);
}

static bool is_choice(const char *choices, const char *value)
{
    for (const char *at = choices; *at;) {
        size_t len = strcspn(at, "|");
        if (is_word(at, len, value))
            return true;
        at += len + (at[len] == '|');
    }
    return false;
}

static bool is_int(const char *value)
{
    const char *digits = value + (*value == '-');
    size_t n = strspn(digits, "0123456789");
    return n > 0 && n <= 20 && !digits[n] && (digits[0] != '0' || n == 1);
}

/* A number as JSON writes it, so that it can be sent as it is. */
static bool is_number(const char *value)
{
    const char *at = value + (*value == '-');
    size_t whole = strspn(at, "0123456789");
    char *end = NULL;
    if (!whole || (at[0] == '0' && whole > 1) || strpbrk(value, "xX") || value[strlen(value) - 1] == '.')
        return false;
    return isfinite(strtod(value, &end)) && !*end;
}

/* The time as it is sent. */
static void full_time(const char *value, char out[64])
{
    snprintf(out, 64, "%s%s", value, strlen(value) == strlen("2026-11-24") ? "T00:00:00Z" : "");
}

static bool is_time(const char *value)
{
    char text[64];
    int64_t ns;
    full_time(value, text);
    return strlen(value) < sizeof text && rag_time_parse(rag_str_of(text), &ns);
}

static bool is_list(const char *value)
{
    size_t n = strlen(value);
    return n > 0 && value[0] != ',' && value[n - 1] != ',' && !strstr(value, ",,");
}

static rag_code check_value(const option_row *row, const char *value, rag_err *err)
{
    if (!rag_utf8_valid(rag_str_of(value), NULL) && row->kind != OPTION_FILE)
        return rag_fail(err, RAG_INVALID, "--%s is not valid UTF-8", row->name);
    if (row->kind == OPTION_INT && !is_int(value))
        return rag_fail(err, RAG_INVALID, "--%s takes a whole number, not '%s'", row->name, value);
    if (row->kind == OPTION_NUMBER && !is_number(value))
        return rag_fail(err, RAG_INVALID, "--%s takes a number, not '%s'", row->name, value);
    if (row->kind == OPTION_CHOICE && !is_choice(row->value, value))
        return rag_fail(err, RAG_INVALID, "--%s is one of %s, not '%s'", row->name, row->value, value);
    if (row->kind == OPTION_LIST && !is_list(value))
        return rag_fail(err, RAG_INVALID, "--%s takes names with commas between them, not '%s'", row->name, value);
    if (row->kind == OPTION_TIME && !is_time(value))
        return rag_fail(err, RAG_INVALID, "--%s takes a date or a time in UTC, 2026-11-24 or 2026-11-24T08:00:00Z, not '%s'",
                        row->name, value);
    return RAG_OK;
}

static rag_code keep_value(args *a, const option_row *row, bool is_global, const char *value, rag_err *err)
{
    if (check_value(row, value, err))
        return err ? err->code : RAG_INVALID;
    if (is_global && !strcmp(row->name, "set")) {
        if (a->n_sets == ARGS_MAX_SETS)
            return rag_fail(err, RAG_INVALID, "more than %d --set", ARGS_MAX_SETS);
        a->sets[a->n_sets++] = value;
    } else if (is_global) {
        a->globals[row - args_globals] = value;
    } else {
        a->values[row - a->command->options] = value;
    }
    return RAG_OK;
}

/* Takes one option at argv[*at], and its value where it has one. */
static rag_code take_option(args *a, int argc, char **argv, int *at, rag_err *err)
{
    const char *word = argv[*at];
    bool is_long = word[1] == '-';
    const char *name = word + 2;
    size_t len = is_long ? strcspn(name, "=") : 0;
    const char *inside = is_long ? (name[len] == '=' ? name + len + 1 : NULL) : (word[2] ? word + 2 : NULL);
    char letter = is_long ? 0 : word[1];
    const option_row *row = a->command ? find_option(a->command->options, name, len, letter) : NULL;
    bool is_global = !row;
    if (is_global)
        row = find_option(args_globals, name, len, letter);
    if (!row)
        return rag_fail(err, RAG_INVALID, "unknown option '%s'%s%s", word, a->command ? " of " : "",
                        a->command ? a->command->name : "");
    if (row->kind == OPTION_FLAG && inside)
        return rag_fail(err, RAG_INVALID, "--%s takes no value", row->name);
    if (row->kind != OPTION_FLAG && !inside && *at + 1 >= argc)
        return rag_fail(err, RAG_INVALID, "--%s needs a value: %s", row->name, row->value);
    if (row->kind == OPTION_FLAG)
        inside = "";
    else if (!inside)
        inside = argv[++*at];
    return keep_value(a, row, is_global, inside, err);
}

/* The longest name that fits wins: "docs ls" is two words. */
static const command_row *find_command(const char *first, const char *second, int *words)
{
    for (const command_row *row = args_commands; row->name; row++) {
        size_t len = strcspn(row->name, " ");
        if (!is_word(row->name, len, first))
            continue;
        if (!row->name[len] || (second && !strcmp(row->name + len + 1, second))) {
            *words = row->name[len] ? 2 : 1;
            return row;
        }
    }
    return NULL;
}

static bool is_first_word(const char *word)
{
    for (const command_row *row = args_commands; row->name; row++)
        if (is_word(row->name, strcspn(row->name, " "), word))
            return true;
    return false;
}

/* Commands that are named in the manual of a later version; NULL when the words are none. */
static const char *find_later(const char *first, const char *second)
{
    static const char *const names[] = { "docs rm", "generations diff", "feedback", "tickets", "keys", NULL };
    for (size_t i = 0; names[i]; i++) {
        size_t len = strcspn(names[i], " ");
        if (is_word(names[i], len, first) && (!names[i][len] || (second && !strcmp(names[i] + len + 1, second))))
            return names[i];
    }
    return NULL;
}

static rag_code take_command(args *a, int argc, char **argv, int *at, rag_err *err)
{
    const char *first = argv[*at], *second = *at + 1 < argc ? argv[*at + 1] : NULL;
    int words = 0;
    a->command = find_command(first, second, &words);
    if (a->command) {
        *at += words - 1;
        return RAG_OK;
    }
    const char *later = find_later(first, second);
    if (later)
        return rag_fail(err, RAG_INVALID, "'%s' is not available in this version", later);
    if (is_first_word(first))
        return rag_fail(err, RAG_INVALID, "'%s' needs to know what to do: see 'ragctl --help'", first);
    return rag_fail(err, RAG_INVALID, "unknown command '%s': see 'ragctl --help'", first);
}

static bool is_help(const args *a)
{
    return args_value(a, "help") || args_value(a, "version");
}

static rag_code check_operands(const args *a, rag_err *err)
{
    if (!a->command || is_help(a))
        return RAG_OK;
    if (a->n_operands < a->command->min_operands)
        return rag_fail(err, RAG_INVALID, "%s needs %s: see 'ragctl %s --help'", a->command->name,
                        a->command->operands, a->command->name);
    if (a->command->max_operands >= 0 && a->n_operands > a->command->max_operands)
        return rag_fail(err, RAG_INVALID, "%s does not know what to do with '%s'", a->command->name,
                        a->operands[a->command->max_operands]);
    return RAG_OK;
}

rag_code args_parse(args *out, int argc, char **argv, rag_err *err)
{
    *out = (args){ .operands = rag_calloc((size_t)argc + 1, sizeof(char *)) };
    bool options_ended = false;
    for (int i = 1; i < argc; i++) {
        rag_code code = RAG_OK;
        if (!options_ended && !strcmp(argv[i], "--"))
            options_ended = true;
        else if (!options_ended && argv[i][0] == '-' && argv[i][1])
            code = take_option(out, argc, argv, &i, err);
        else if (!out->command)
            code = take_command(out, argc, argv, &i, err);
        else
            out->operands[out->n_operands++] = argv[i];
        if (code)
            return code;
    }
    return check_operands(out, err);
}

void args_free(args *a)
{
    free(a->operands);
    a->operands = NULL;
}

const char *args_value(const args *a, const char *name)
{
    const option_row *rows = a->command ? a->command->options : NULL;
    const option_row *row = find_option(rows, name, strlen(name), 0);
    if (row)
        return a->values[row - rows];
    row = find_option(args_globals, name, strlen(name), 0);
    return row ? a->globals[row - args_globals] : NULL;
}

rag_code args_int(const args *a, const char *name, long fallback, long min, long max, long *out, rag_err *err)
{
    const char *text = args_value(a, name);
    *out = fallback;
    if (!text)
        return RAG_OK;
    errno = 0;
    *out = strtol(text, NULL, 10);
    if (errno || *out < min || *out > max)
        return rag_fail(err, RAG_INVALID, "--%s is from %ld to %ld, not %s", name, min, max, text);
    return RAG_OK;
}

static cJSON *to_list(const char *value)
{
    cJSON *list = cJSON_CreateArray();
    for (const char *at = value; *at;) {
        size_t len = strcspn(at, ",");
        char *name = rag_strndup((rag_str){ at, len });
        cJSON_AddItemToArray(list, cJSON_CreateString(name));
        free(name);
        at += len + (at[len] == ',');
    }
    return list;
}

static cJSON *to_time(const char *value)
{
    char text[64];
    full_time(value, text);
    return cJSON_CreateString(text);
}

static cJSON *to_json(const option_row *row, const char *value)
{
    if (row->kind == OPTION_LIST)
        return to_list(value);
    if (row->kind == OPTION_TIME)
        return to_time(value);
    if (row->kind == OPTION_FLAG)
        return cJSON_CreateTrue();
    if (row->kind == OPTION_INT || row->kind == OPTION_NUMBER)
        return cJSON_CreateRaw(value); /* all digits of a seed, which a double would lose */
    return cJSON_CreateString(value);
}

static void put_key(cJSON *request, const char *key, cJSON *value)
{
    const char *dot = strchr(key, '.');
    if (!dot) {
        cJSON_AddItemToObject(request, key, value);
        return;
    }
    char *outer = rag_strndup((rag_str){ key, (size_t)(dot - key) });
    cJSON *inner = cJSON_GetObjectItemCaseSensitive(request, outer);
    if (!inner)
        inner = cJSON_AddObjectToObject(request, outer);
    cJSON_AddItemToObject(inner, dot + 1, value);
    free(outer);
}

void args_request(const args *a, cJSON *request)
{
    for (size_t i = 0; a->command->options && a->command->options[i].name; i++) {
        const option_row *row = &a->command->options[i];
        if (row->key && a->values[i])
            put_key(request, row->key, to_json(row, a->values[i]));
    }
}
