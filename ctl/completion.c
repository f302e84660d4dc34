/* completion: scripts for the shells, from the tables of commands and options. */
#include <string.h>

#include "base/str.h"
#include "ctl/commands.h"

static void first_words(rag_buf *out)
{
    rag_str last = { 0 };
    for (const command_row *row = args_commands; row->name; row++) {
        rag_str word = { row->name, strcspn(row->name, " ") };
        if (!rag_str_eq(word, last))
            rag_buf_putf(out, "%s%.*s", out->len ? " " : "", RAG_STR_ARG(word));
        last = word;
    }
}

static void second_words(rag_buf *out, rag_str first)
{
    for (const command_row *row = args_commands; row->name; row++) {
        size_t len = strcspn(row->name, " ");
        if (row->name[len] && rag_str_eq((rag_str){ row->name, len }, first))
            rag_buf_putf(out, "%s%s", out->len ? " " : "", row->name + len + 1);
    }
}

static void option_words(rag_buf *out, const option_row *rows)
{
    for (const option_row *row = rows; row->name; row++)
        rag_buf_putf(out, "%s--%s", out->len ? " " : "", row->name);
}

static void choices(rag_buf *out, const char *value)
{
    for (const char *at = value; *at; at++)
        rag_buf_putc(out, *at == '|' ? ' ' : *at);
}

static bool takes_file(const command_row *row)
{
    return !strcmp(row->operands, "FILE") || !strcmp(row->operands, "SET");
}

/* ---- bash, and zsh through bashcompinit -------------------------------------------- */

static void bash_values(rag_buf *out, const option_row *rows, const char *command)
{
    for (const option_row *row = rows; row->name; row++) {
        if (row->kind == OPTION_FLAG)
            continue;
        rag_buf_putf(out, "        '%s '--%s) ", command, row->name);
        if (row->kind == OPTION_FILE) {
            rag_buf_puts(out, "COMPREPLY=($(compgen -f -- \"$cur\"))");
        } else if (row->kind == OPTION_CHOICE) {
            rag_buf_puts(out, "COMPREPLY=($(compgen -W '");
            choices(out, row->value);
            rag_buf_puts(out, "' -- \"$cur\"))");
        } else {
            rag_buf_putc(out, ':'); /* nothing to offer */
        }
        rag_buf_puts(out, "; return ;;\n");
    }
}

static void bash_words(rag_buf *out, const command_row *row)
{
    rag_buf_putf(out, "        '%s') words=\"$words ", row->name);
    rag_buf options;
    rag_buf_init(&options, RAG_MAX_LINE);
    option_words(&options, row->options);
    rag_buf_puts(out, options.ptr ? options.ptr : "");
    rag_buf_free(&options);
    if (strchr(row->operands, '|')) {
        rag_buf_putc(out, ' ');
        choices(out, strcmp(row->operands, "N|latest") ? row->operands : "latest");
    }
    rag_buf_puts(out, takes_file(row) ? "\"; files=1 ;;\n" : "\" ;;\n");
}

/* The command typed so far: one word, or two where the first has more than one meaning. */
static void bash_find_command(rag_buf *out)
{
    rag_buf_puts(out, "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
                      "        w=${COMP_WORDS[i]}\n"
                      "        case \"$w\" in\n");
    for (const option_row *row = args_globals; row->name; row++) {
        if (row->kind == OPTION_FLAG)
            continue;
        rag_buf_puts(out, "            ");
        if (row->letter)
            rag_buf_putf(out, "-%c|", row->letter);
        rag_buf_putf(out, "--%s) ((i++)) ;;\n", row->name);
    }
    rag_buf_puts(out, "            -*) ;;\n"
                      "            *) if [[ -z $command ]]; then command=$w\n"
                      "               elif [[ $command == docs || $command == generations ]]; then command=\"$command $w\"\n"
                      "               fi ;;\n"
                      "        esac\n"
                      "    done\n");
}

static void print_bash(rag_buf *out)
{
    rag_buf words;
    rag_buf_init(&words, RAG_MAX_LINE);
    rag_buf_puts(out, "_ragctl() {\n"
                      "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
                      "    local command= words= files= w i\n"
                      "    COMPREPLY=()\n");
    bash_find_command(out);
    rag_buf_puts(out, "    case \"$command $prev\" in\n");
    for (const command_row *row = args_commands; row->name; row++)
        bash_values(out, row->options, row->name);
    rag_buf_puts(out, "    esac\n    case \" $prev\" in\n        ' -c') COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n");
    bash_values(out, args_globals, "");
    option_words(&words, args_globals);
    rag_buf_putf(out, "    esac\n    [[ $cur == -* ]] && words='%s'\n    case \"$command\" in\n", words.ptr);
    rag_buf_clear(&words);
    first_words(&words);
    rag_buf_putf(out, "        '') words=\"$words %s\" ;;\n", words.ptr);
    static const char *const groups[] = { "docs", "generations" };
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        rag_buf_clear(&words);
        second_words(&words, rag_str_of(groups[i]));
        rag_buf_putf(out, "        %s) words=\"$words %s\" ;;\n", groups[i], words.ptr);
    }
    for (const command_row *row = args_commands; row->name; row++)
        bash_words(out, row);
    rag_buf_puts(out, "    esac\n"
                      "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
                      "    [[ -n $files && $cur != -* ]] && COMPREPLY+=($(compgen -f -- \"$cur\"))\n"
                      "    return 0\n"
                      "}\n");
    rag_buf_puts(out, "complete -F _ragctl ragctl\n");
    rag_buf_free(&words);
}

/* ---- fish --------------------------------------------------------------------------- */

static void fish_quoted(rag_buf *out, const char *text)
{
    rag_buf_putc(out, '\'');
    for (const char *at = text; *at; at++) {
        if (*at == '\'' || *at == '\\')
            rag_buf_putc(out, '\\');
        rag_buf_putc(out, *at);
    }
    rag_buf_putc(out, '\'');
}

static void fish_condition(rag_buf *out, rag_str first, rag_str second)
{
    if (!first.len)
        return;
    rag_buf_putf(out, " -n '__fish_seen_subcommand_from %.*s", RAG_STR_ARG(first));
    if (second.len)
        rag_buf_putf(out, "; and __fish_seen_subcommand_from %.*s", RAG_STR_ARG(second));
    rag_buf_putc(out, '\'');
}

static void fish_option(rag_buf *out, const option_row *row, rag_str first, rag_str second)
{
    rag_buf_puts(out, "complete -c ragctl");
    fish_condition(out, first, second);
    rag_buf_putf(out, " -l %s", row->name);
    if (row->letter)
        rag_buf_putf(out, " -s %c", row->letter);
    if (row->kind == OPTION_FILE)
        rag_buf_puts(out, " -r -F");
    else if (row->kind != OPTION_FLAG)
        rag_buf_puts(out, " -x");
    if (row->kind == OPTION_CHOICE) {
        rag_buf_puts(out, " -a '");
        choices(out, row->value);
        rag_buf_putc(out, '\'');
    }
    rag_buf_puts(out, " -d ");
    fish_quoted(out, row->help);
    rag_buf_putc(out, '\n');
}

static void fish_command(rag_buf *out, const command_row *row)
{
    rag_str name = rag_str_of(row->name);
    rag_str first = rag_str_sub(name, 0, strcspn(row->name, " "));
    rag_str second = rag_str_sub(name, first.len + 1, name.len);
    rag_buf_puts(out, "complete -c ragctl");
    if (second.len)
        fish_condition(out, first, (rag_str){ 0 });
    else
        rag_buf_puts(out, " -n __fish_use_subcommand");
    rag_buf_putf(out, " -a %.*s -d ", RAG_STR_ARG(second.len ? second : first));
    fish_quoted(out, row->summary);
    rag_buf_putc(out, '\n');
    for (const option_row *option = row->options; option->name; option++)
        fish_option(out, option, first, second);
    if (takes_file(row))
        rag_buf_putf(out, "complete -c ragctl -n '__fish_seen_subcommand_from %.*s' -F\n", RAG_STR_ARG(first));
}

static void print_fish(rag_buf *out)
{
    rag_buf_puts(out, "complete -c ragctl -f\n"
                      "complete -c ragctl -n __fish_use_subcommand -a docs -d 'documents'\n"
                      "complete -c ragctl -n __fish_use_subcommand -a generations -d 'versions of the knowledge base'\n"
                      "complete -c ragctl -n '__fish_seen_subcommand_from completion' -a 'bash zsh fish'\n");
    for (const option_row *row = args_globals; row->name; row++)
        fish_option(out, row, (rag_str){ 0 }, (rag_str){ 0 });
    for (const command_row *row = args_commands; row->name; row++)
        fish_command(out, row);
}

int cmd_completion(ctl *c, const args *a)
{
    (void)c;
    const char *shell = a->operands[0];
    rag_buf out;
    rag_buf_init(&out, 16 * RAG_MAX_LINE);
    if (!strcmp(shell, "zsh"))
        rag_buf_puts(&out, "#compdef ragctl\nautoload -U +X bashcompinit && bashcompinit\n");
    if (!strcmp(shell, "bash") || !strcmp(shell, "zsh"))
        print_bash(&out);
    else if (!strcmp(shell, "fish"))
        print_fish(&out);
    bool is_known = out.len > 0;
    fwrite(out.ptr ? out.ptr : "", 1, out.len, stdout);
    rag_buf_free(&out);
    return is_known ? EXIT_DONE : ctl_usage("completion knows bash, zsh and fish, not '%s'", shell);
}
