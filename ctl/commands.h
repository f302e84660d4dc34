/* ctl/commands.h: the functions behind the rows of command.c. */
#ifndef RAG_CTL_COMMANDS_H
#define RAG_CTL_COMMANDS_H

#include "ctl/ctl.h"

int cmd_ask(ctl *c, const args *a);
int cmd_search(ctl *c, const args *a);
int cmd_chat(ctl *c, const args *a);
int cmd_get(ctl *c, const args *a);
int cmd_docs_ls(ctl *c, const args *a);
int cmd_docs_show(ctl *c, const args *a);
int cmd_status(ctl *c, const args *a);
int cmd_reload(ctl *c, const args *a);
int cmd_generations_ls(ctl *c, const args *a);
int cmd_generations_activate(ctl *c, const args *a);
int cmd_verify(ctl *c, const args *a);
int cmd_backup(ctl *c, const args *a);
int cmd_restore(ctl *c, const args *a);
int cmd_eval(ctl *c, const args *a);
int cmd_why(ctl *c, const args *a);
int cmd_replay(ctl *c, const args *a);
int cmd_completion(ctl *c, const args *a);

/* The words of the command line as one question; "-" alone reads standard input.  RAG_INVALID when there
 * is none. */
rag_code operands_text(const args *a, const char *what, rag_buf *out, rag_err *err);

/* --batch: all of it, exit code included.  `path` is the route. */
int run_batch(ctl *c, const args *a, const char *path);

/* One question: sends request and prints the answer as the global options say; live shows it while it is being
 * written.  A copy of the answer's conversation_id goes to *conversation (NULL: not wanted), to be freed. */
typedef struct ask_options {
    const char *question;
    bool live, show_question;
    char **conversation;
} ask_options;
int ask_once(ctl *c, cJSON *request, const ask_options *opt);

/* Help and version, from the tables. */
void help_print(FILE *out);
void help_print_command(FILE *out, const command_row *command);
void version_print(FILE *out);

#endif
