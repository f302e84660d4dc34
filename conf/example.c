#include <string.h>

#include "conf/conf.h"
#include "conf/options.h"

static const char opening[] =
    "# ragd.conf: every option with its default.\n"
    "#\n"
    "# Take a # away to change a value.  What follows \" ;\" on a line is a comment, too.\n"
    "# Sizes: 64k, 2M, 1G (powers of 1024).  Durations: 250ms, 10s, 5m, 2h, 7d.\n"
    "# A relative path starts at the folder above conf/, or at this file's own folder when that is\n"
    "# not named conf.  Stronger than this file, the strongest first: --set SECTION.KEY=VALUE, the\n"
    "# environment's RAGD_SECTION__KEY, and conf.d/*.conf beside this file.\n"
    "# `ragd -T` shows what is in force and where each value comes from.\n";

static const char sources[] =
    "\n"
    "# A folder that `ragd-ingest` without arguments reads; as many of these sections as there are folders.\n"
    "# Only path must be given.\n"
    "#[source handbook]\n"
    "# Folder or file.\n"
    "#path = docs\n"
    "# Collection that it goes into.\n"
    "#collection = default\n"
    "# Groups that may read it, separated by commas; none: everybody.\n"
    "#groups =\n"
    "# Put before each document's path.\n"
    "#prefix =\n"
    "# Where the originals are: address that a document's path is appended to.\n"
    "#url =\n";

static void print_comment(FILE *out, const char *lines)
{
    while (*lines) {
        size_t n = strcspn(lines, "\n");
        fprintf(out, "# %.*s\n", (int)n, lines);
        lines += n + (lines[n] == '\n');
    }
}

static void print_size(FILE *out, double bytes)
{
    static const char *const units[] = { "", "k", "M", "G" };
    int64_t n = (int64_t)bytes;
    size_t u = 0;
    for (; u < 3 && n % 1024 == 0 && n > 0; u++)
        n /= 1024;
    fprintf(out, "%lld%s", (long long)n, units[u]);
}

static void print_duration(FILE *out, double ms)
{
    static const struct {
        int64_t ms;
        const char *name;
    } units[] = { { 86400000, "d" }, { 3600000, "h" }, { 60000, "m" }, { 1000, "s" }, { 1, "ms" } };
    int64_t n = (int64_t)ms;
    size_t u = 0;
    while (n % units[u].ms != 0)
        u++;
    fprintf(out, "%lld%s", (long long)(n / units[u].ms), n ? units[u].name : "");
}

static void print_bound(FILE *out, const option *o, double bound)
{
    if (bound == AT_MOST_CORES)
        fputs("the number of cores", out);
    else if (o->kind == OPTION_SIZE)
        print_size(out, bound);
    else if (o->kind == OPTION_DURATION)
        print_duration(out, bound);
    else if (o->kind == OPTION_OCTAL)
        fprintf(out, "%04o", (unsigned)bound);
    else
        fprintf(out, "%.0f", bound);
}

static void print_limits(FILE *out, const option *o)
{
    if (o->choices) {
        fprintf(out, "# One of %s.\n", o->choices);
    } else if (o->kind == OPTION_BOOL) {
        fputs("# on or off.\n", out);
    } else if (option_is_path(o)) {
        if (o->system)
            fprintf(out, "# Without a checkout: %s.\n", o->system);
        if (o->off)
            fprintf(out, "# Nothing or %s: there is none.\n", o->off);
    } else if (o->kind != OPTION_STRING) {
        fputs("# From ", out);
        print_bound(out, o, o->min);
        fputs(" to ", out);
        print_bound(out, o, o->max);
        fputs(".\n", out);
    }
}

void rag_conf_print_example(FILE *out)
{
    fputs(opening, out);
    const char *section = "";
    for (size_t i = 0; i < n_options; i++) {
        const option *o = &option_table[i];
        fputc('\n', out);
        if (strcmp(section, o->section) != 0)
            fprintf(out, "[%s]\n", section = o->section);
        print_comment(out, o->help);
        print_limits(out, o);
        fprintf(out, "#%s =%s%s\n", o->key, *o->fallback ? " " : "", o->fallback);
    }
    fputs(sources, out);
}
