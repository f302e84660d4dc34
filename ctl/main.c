/* ragctl: client and admin of ragd. */
#include <errno.h>
#include <locale.h>
#include <stdio.h>

#include "ctl/commands.h"

static int run(const args *a)
{
    ctl c;
    rag_err err = { 0 };
    int exit_code = ctl_open(&c, a, &err) ? ctl_fail(&err) : a->command->run(&c, a);
    ctl_close(&c);
    return exit_code;
}

static int dispatch(const args *a)
{
    if (args_value(a, "version")) {
        version_print(stdout);
        return EXIT_DONE;
    }
    if (args_value(a, "help")) {
        if (a->command)
            help_print_command(stdout, a->command);
        else
            help_print(stdout);
        return EXIT_DONE;
    }
    if (!a->command) {
        help_print(stderr);
        return EXIT_USAGE;
    }
    return run(a);
}

int main(int argc, char **argv)
{
    args a;
    rag_err err = { 0 };
    int exit_code = args_parse(&a, argc, argv, &err) ? ctl_fail(&err) : dispatch(&a);
    args_free(&a);
    if ((fflush(stdout) || ferror(stdout)) && exit_code == EXIT_DONE) {
        rag_fail_errno(&err, RAG_IO, errno, "cannot write the output");
        exit_code = ctl_fail(&err);
    }
    return exit_code;
}
