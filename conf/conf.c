#include "conf/conf.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/log.h"
#include "base/utf8.h"
#include "conf/inifile.h"
#include "conf/options.h"

extern char **environ;

typedef struct setting {
    const char *text;   /* as written */
    const char *origin; /* "built-in", "ragd.conf:12", "--set", "environment RAGD_…" */
    const char *base;   /* folder that a relative path starts at */
    const char *path;   /* resolved, "" when unset */
    option_value value;
    size_t file, line;  /* file: which one, from 1; 0 when it is from none */
} setting;

enum { SOURCE_PATH, SOURCE_COLLECTION, SOURCE_GROUPS, SOURCE_PREFIX, SOURCE_URL, N_SOURCE_KEYS };

static const char *const source_keys[N_SOURCE_KEYS] = { "path", "collection", "groups", "prefix", "url" };

typedef struct source {
    const char *name, *origin;
    setting settings[N_SOURCE_KEYS];
    rag_conf_source public;
} source;

struct rag_conf {
    rag_arena *arena;
    const char *checkout, *file;
    setting *settings; /* one for each row of the table */
    source **sources;
    size_t n_sources;
};

/* Where a layer's values come from. */
typedef struct layer {
    rag_conf *c;
    const char *path; /* of the file */
    const char *base;
    size_t file;
} layer;

static const char *keep(rag_conf *c, char *owned)
{
    const char *kept = rag_arena_strdup(c->arena, owned ? owned : "");
    free(owned);
    return kept;
}

/* ---- one value ---- */

static rag_code fail_unknown_key(const char *name, rag_err *err)
{
    char room[64];
    const char *nearest = option_nearest(name, room);
    if (nearest)
        return rag_fail(err, RAG_CONFIG, "unknown key '%s' (did you mean '%s'?)", name, nearest);
    return rag_fail(err, RAG_CONFIG, "unknown key '%s'", name);
}

static rag_code put(const layer *l, const char *name, const char *text, const char *origin, size_t line, rag_err *err)
{
    size_t row = option_find(name);
    if (row == SIZE_MAX)
        return fail_unknown_key(name, err);
    setting *s = &l->c->settings[row];
    if (l->file && s->file == l->file)
        return rag_fail(err, RAG_CONFIG, "'%s' is given twice, first in line %zu", name, s->line);
    option_value value;
    if (option_parse(&option_table[row], text, &value, err) != RAG_OK)
        return RAG_CONFIG;
    *s = (setting){ .text = rag_arena_strdup(l->c->arena, text),
                    .origin = rag_arena_strdup(l->c->arena, origin),
                    .base = l->base,
                    .value = value,
                    .file = l->file,
                    .line = line };
    return RAG_OK;
}

static rag_code put_defaults(rag_conf *c, rag_err *err)
{
    layer l = { .c = c, .base = *c->checkout ? c->checkout : "/" };
    for (size_t i = 0; i < n_options; i++) {
        const option *o = &option_table[i];
        const char *text = o->system && !*c->checkout ? o->system : o->fallback;
        char *name = rag_arena_printf(c->arena, "%s.%s", o->section, o->key);
        if (put(&l, name, text, "built-in", 0, err) != RAG_OK)
            return RAG_CONFIG;
    }
    return RAG_OK;
}

/* ---- files ---- */

static bool is_source_name(const char *name)
{
    size_t n = strlen(name);
    return n > 0 && strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == n;
}

static source *find_or_add_source(const layer *l, const char *name, size_t line)
{
    rag_conf *c = l->c;
    for (size_t i = 0; i < c->n_sources; i++)
        if (strcmp(c->sources[i]->name, name) == 0)
            return c->sources[i];
    c->sources = rag_realloc(c->sources, (c->n_sources + 1) * sizeof *c->sources);
    source *s = c->sources[c->n_sources++] = rag_arena_alloc(c->arena, sizeof *s);
    s->name = rag_arena_strdup(c->arena, name);
    s->origin = rag_arena_printf(c->arena, "%s:%zu", l->path, line);
    return s;
}

static rag_code put_in_source(const layer *l, const char *name, const char *key, const char *text, size_t line, rag_err *err)
{
    if (!is_source_name(name))
        return rag_fail(err, RAG_CONFIG, "bad source name '%s': letters, digits, '-', '_' and '.' only", name);
    source *s = find_or_add_source(l, name, line);
    if (!key)
        return RAG_OK;
    size_t k = 0;
    while (k < N_SOURCE_KEYS && strcmp(source_keys[k], key) != 0)
        k++;
    if (k == N_SOURCE_KEYS)
        return rag_fail(err, RAG_CONFIG, "unknown key '%s' of source '%s'", key, name);
    setting *given = &s->settings[k];
    if (given->file == l->file)
        return rag_fail(err, RAG_CONFIG, "'%s' is given twice, first in line %zu", key, given->line);
    *given = (setting){ .text = rag_arena_strdup(l->c->arena, text),
                        .origin = rag_arena_printf(l->c->arena, "%s:%zu", l->path, line),
                        .base = l->base,
                        .file = l->file,
                        .line = line };
    return RAG_OK;
}

static rag_code on_item(void *user, const char *section, const char *key, const char *value, size_t line, rag_err *err)
{
    const layer *l = user;
    if (strncmp(section, "source ", 7) == 0)
        return put_in_source(l, section + 7 + strspn(section + 7, " "), key, value, line, err);
    if (!key && !option_section_exists(section))
        return rag_fail(err, RAG_CONFIG, "unknown section '%s'", section);
    if (!key)
        return RAG_OK;
    if (!*section)
        return rag_fail(err, RAG_CONFIG, "key '%s' stands before any section", key);
    rag_arena *a = l->c->arena;
    return put(l, rag_arena_printf(a, "%s.%s", section, key), value, rag_arena_printf(a, "%s:%zu", l->path, line), line, err);
}

static int is_conf_file(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && rag_str_ends(rag_str_of(entry->d_name), RAG_STR(".conf"));
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static rag_code read_conf_d(layer *l, const char *dir, rag_err *err)
{
    struct dirent **entries = NULL;
    rag_code code = RAG_OK;
    int n = scandir(dir, &entries, is_conf_file, by_bytes);
    if (n < 0 && errno != ENOENT)
        return rag_fail(err, RAG_CONFIG, "cannot read folder '%s': %s", dir, strerror(errno));
    for (int i = 0; i < n; i++) {
        if (code == RAG_OK) {
            l->path = keep(l->c, rag_path_join(dir, entries[i]->d_name));
            l->file++;
            code = inifile_read(l->path, on_item, l, err);
        }
        free(entries[i]);
    }
    free(entries);
    return code;
}

/* The folder above conf/ when the file lies in a folder of that name, else its folder. */
static const char *base_of_file(rag_conf *c, const char *dir)
{
    char *real = rag_path_real(dir); /* NULL when the file cannot be read either */
    const char *base = keep(c, real ? real : rag_strdup(dir));
    if (rag_str_ends(rag_str_of(base), RAG_STR("/conf")))
        return keep(c, rag_path_dir(base));
    return base;
}

static rag_code read_files(rag_conf *c, rag_err *err)
{
    if (!*c->file)
        return RAG_OK;
    const char *dir = keep(c, rag_path_dir(c->file));
    layer l = { .c = c, .path = c->file, .base = base_of_file(c, dir), .file = 1 };
    if (inifile_read(c->file, on_item, &l, err) != RAG_OK)
        return RAG_CONFIG;
    return read_conf_d(&l, keep(c, rag_path_join(dir, "conf.d")), err);
}

/* ---- environment and flags ---- */

static rag_code put_checked(const layer *l, const char *name, const char *text, const char *origin, rag_err *err)
{
    rag_err why = { .code = RAG_OK };
    if (!rag_utf8_valid(rag_str_of(text), NULL))
        rag_fail(&why, RAG_CONFIG, "not valid UTF-8");
    else
        put(l, name, text, origin, 0, &why);
    return why.code == RAG_OK ? RAG_OK : rag_fail(err, RAG_CONFIG, "%s: %s", origin, why.message);
}

static void lower(char *text)
{
    for (; *text; text++)
        *text = (char)tolower((unsigned char)*text);
}

static rag_code read_variable(const layer *l, const char *variable, rag_err *err)
{
    rag_arena *a = l->c->arena;
    rag_str v = rag_str_of(variable);
    size_t equals = rag_str_find(v, RAG_STR("="), 0), middle = rag_str_find(v, RAG_STR("__"), 0);
    if (!rag_str_starts(v, RAG_STR("RAGD_")) || equals == SIZE_MAX || middle >= equals)
        return RAG_OK;
    if (middle < strlen("RAGD_"))
        return RAG_OK;
    rag_str section = rag_str_sub(v, strlen("RAGD_"), middle), key = rag_str_sub(v, middle + 2, equals);
    char *name = rag_arena_printf(a, "%.*s.%.*s", RAG_STR_ARG(section), RAG_STR_ARG(key));
    lower(name);
    const char *origin = rag_arena_printf(a, "environment %.*s", (int)equals, variable);
    return put_checked(l, name, variable + equals + 1, origin, err);
}

static rag_code read_environment(const layer *l, rag_err *err)
{
    for (char **v = environ; v && *v; v++)
        if (read_variable(l, *v, err) != RAG_OK)
            return RAG_CONFIG;
    return RAG_OK;
}

static rag_code read_flag(const layer *l, const char *flag, rag_err *err)
{
    rag_arena *a = l->c->arena;
    const char *equals = strchr(flag, '=');
    if (!equals)
        return rag_fail(err, RAG_CONFIG, "--set '%s': expected SECTION.KEY=VALUE", flag);
    rag_str name = rag_str_trim((rag_str){ flag, (size_t)(equals - flag) });
    char *value = rag_arena_cstr(a, rag_str_trim(rag_str_of(equals + 1)));
    return put_checked(l, rag_arena_cstr(a, name), value, rag_arena_printf(a, "--set %.*s", RAG_STR_ARG(name)), err);
}

static rag_code read_above_files(rag_conf *c, const rag_conf_options *opt, rag_err *err)
{
    layer l = { .c = c, .base = keep(c, rag_path_real(".")) };
    if (read_environment(&l, err) != RAG_OK)
        return RAG_CONFIG;
    for (size_t i = 0; i < opt->n_sets; i++)
        if (read_flag(&l, opt->sets[i], err) != RAG_OK)
            return RAG_CONFIG;
    return RAG_OK;
}

/* ---- paths and sources, once every layer is in ---- */

static const char *resolve(rag_conf *c, const char *base, const char *text)
{
    while (text[0] == '.' && text[1] == '/')
        text += 2 + strspn(text + 2, "/");
    if (strcmp(text, ".") == 0 || !*text)
        return base;
    return keep(c, rag_path_join(base, text));
}

static setting *setting_of(const rag_conf *c, const char *name)
{
    size_t row = option_find(name);
    if (row == SIZE_MAX) {
        rag_log(RAG_ERROR, "no option is named '%s'", name);
        abort();
    }
    return &c->settings[row];
}

static bool is_built_in(const setting *s)
{
    return strcmp(s->origin, "built-in") == 0;
}

static void resolve_paths(rag_conf *c)
{
    for (size_t i = 0; i < n_options; i++) {
        setting *s = &c->settings[i];
        if (option_table[i].kind == OPTION_PATH)
            s->path = s->value.unset ? "" : resolve(c, s->base, s->text);
    }
    const char *models = setting_of(c, "models.dir")->path;
    for (size_t i = 0; i < n_options; i++) {
        setting *s = &c->settings[i];
        if (option_table[i].kind == OPTION_MODEL)
            s->path = s->value.unset ? "" : resolve(c, strchr(s->text, '/') ? s->base : models, s->text);
    }
}

static void let_socket_follow_storage(rag_conf *c)
{
    const setting *storage = setting_of(c, "storage.dir");
    setting *door = setting_of(c, "unix.path");
    if (is_built_in(door) && !is_built_in(storage)) {
        door->path = keep(c, rag_path_join(storage->path, "ragd.sock"));
        door->origin = "built-in, in storage.dir";
    }
}

static const char *text_or(const setting *s, const char *fallback)
{
    return s->text && *s->text ? s->text : fallback;
}

static rag_code finish_sources(rag_conf *c, rag_err *err)
{
    for (size_t i = 0; i < c->n_sources; i++) {
        source *s = c->sources[i];
        const setting *path = &s->settings[SOURCE_PATH];
        if (!*text_or(path, ""))
            return rag_fail(err, RAG_CONFIG, "%s: source '%s' has no path", s->origin, s->name);
        s->public = (rag_conf_source){
            .name = s->name,
            .path = resolve(c, path->base, path->text),
            .collection = text_or(&s->settings[SOURCE_COLLECTION], "default"),
            .groups = text_or(&s->settings[SOURCE_GROUPS], ""),
            .prefix = text_or(&s->settings[SOURCE_PREFIX], ""),
            .url = text_or(&s->settings[SOURCE_URL], ""),
        };
    }
    return RAG_OK;
}

/* ---- life ---- */

enum { LEVELS_UP = 4 }; /* build/bin/ is two below, build/tests/ too */

static bool is_readable(const char *path)
{
    return access(path, R_OK) == 0;
}

static const char *find_checkout(rag_conf *c)
{
    const char *dir = keep(c, rag_path_self_dir());
    for (int level = 0; level <= LEVELS_UP; level++) {
        if (is_readable(keep(c, rag_path_join(dir, "conf/ragd.conf"))))
            return dir;
        dir = keep(c, rag_path_dir(dir));
    }
    return "";
}

static const char *choose_file(rag_conf *c, const rag_conf_options *opt)
{
    if (opt->file)
        return rag_arena_strdup(c->arena, opt->file);
    if (*c->checkout)
        return keep(c, rag_path_join(c->checkout, "conf/ragd.conf"));
    return access("/etc/ragd/ragd.conf", F_OK) == 0 ? "/etc/ragd/ragd.conf" : "";
}

rag_code rag_conf_load(rag_conf **out, const rag_conf_options *opt, rag_err *err)
{
    static const rag_conf_options none;
    rag_arena *arena = rag_arena_new();
    rag_conf *c = rag_arena_alloc(arena, sizeof *c);
    c->arena = arena;
    c->settings = rag_arena_array(arena, n_options, sizeof *c->settings);
    c->checkout = find_checkout(c);
    c->file = choose_file(c, opt ? opt : &none);
    *out = NULL;
    if (put_defaults(c, err) != RAG_OK || read_files(c, err) != RAG_OK ||
        read_above_files(c, opt ? opt : &none, err) != RAG_OK || finish_sources(c, err) != RAG_OK) {
        rag_conf_free(c);
        return RAG_CONFIG;
    }
    resolve_paths(c);
    let_socket_follow_storage(c);
    *out = c;
    return RAG_OK;
}

void rag_conf_free(rag_conf *c)
{
    if (!c)
        return;
    free(c->sources);
    rag_arena_free(c->arena); /* c itself lies in it */
}

/* ---- reading ---- */

static const setting *get(const rag_conf *c, const char *name, unsigned kinds)
{
    const setting *s = setting_of(c, name);
    if (!(kinds & 1u << option_table[s - c->settings].kind)) {
        rag_log(RAG_ERROR, "option '%s' is of another kind", name);
        abort();
    }
    return s;
}

const char *rag_conf_string(const rag_conf *c, const char *name)
{
    return get(c, name, 1u << OPTION_STRING | 1u << OPTION_CHOICE)->text;
}

const char *rag_conf_path(const rag_conf *c, const char *name)
{
    return get(c, name, 1u << OPTION_PATH | 1u << OPTION_MODEL)->path;
}

int64_t rag_conf_int(const rag_conf *c, const char *name)
{
    return get(c, name, 1u << OPTION_INT | 1u << OPTION_OCTAL | 1u << OPTION_SIZE | 1u << OPTION_DURATION)->value.integer;
}

double rag_conf_number(const rag_conf *c, const char *name)
{
    return get(c, name, 1u << OPTION_NUMBER)->value.number;
}

bool rag_conf_bool(const rag_conf *c, const char *name)
{
    return get(c, name, 1u << OPTION_BOOL)->value.integer != 0;
}

size_t rag_conf_source_count(const rag_conf *c)
{
    return c->n_sources;
}

const rag_conf_source *rag_conf_source_at(const rag_conf *c, size_t i)
{
    return &c->sources[i]->public;
}

const char *rag_conf_file(const rag_conf *c)
{
    return c->file;
}

const char *rag_conf_checkout(const rag_conf *c)
{
    return c->checkout;
}

static void print_line(FILE *out, const char *name, const char *value, const char *origin)
{
    int n = fprintf(out, "%s =%s%s", name, *value ? " " : "", value);
    fprintf(out, "%*s# %s\n", n < 56 ? 56 - n : 1, "", origin);
}

void rag_conf_print_effective(const rag_conf *c, FILE *out)
{
    char name[128];
    for (size_t i = 0; i < n_options; i++) {
        const setting *s = &c->settings[i];
        snprintf(name, sizeof name, "%s.%s", option_table[i].section, option_table[i].key);
        print_line(out, name, s->path && *s->path ? s->path : s->text, s->origin);
    }
    for (size_t i = 0; i < c->n_sources; i++)
        for (size_t k = 0; k < N_SOURCE_KEYS; k++) {
            const setting *s = &c->sources[i]->settings[k];
            snprintf(name, sizeof name, "source %s.%s", c->sources[i]->name, source_keys[k]);
            if (s->text)
                print_line(out, name, k == SOURCE_PATH ? c->sources[i]->public.path : s->text, s->origin);
        }
}
