/* chat: a line a question, in one conversation. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/utf8.h"
#include "ctl/commands.h"
#include "ctl/json.h"
#include "ctl/print.h"

typedef struct chat {
    ctl *ctl;
    const args *args;
    char *conversation; /* NULL: a new one */
    bool is_interactive;
    int exit_code;
} chat;

static const char help[] = "Type a question. :new begins a new conversation, :quit (or end of input) leaves.\n";

/* True when the line was a command and not a question. */
static bool take_colon(chat *t, rag_str line, bool *quit)
{
    *quit = rag_str_eq(line, RAG_STR(":quit")) || rag_str_eq(line, RAG_STR(":q"));
    if (*quit)
        return true;
    if (rag_str_eq(line, RAG_STR(":new"))) {
        free(t->conversation);
        t->conversation = NULL;
        return true;
    }
    if (rag_str_eq(line, RAG_STR(":help"))) {
        fputs(help, stdout);
        return true;
    }
    return false;
}

static void ask(chat *t, rag_str line)
{
    char *question = rag_strndup(line);
    cJSON *request = cJSON_CreateObject();
    args_request(t->args, request);
    if (t->conversation)
        cJSON_AddStringToObject(request, "conversation_id", t->conversation);
    ask_options opt = { .question = question, .live = isatty(STDOUT_FILENO),
                        .show_question = !t->is_interactive, .conversation = &t->conversation };
    int exit_code = ask_once(t->ctl, request, &opt);
    if (exit_code != EXIT_DONE && exit_code != EXIT_NOTHING && !t->is_interactive && !t->exit_code)
        t->exit_code = exit_code;
    fflush(stdout);
    cJSON_Delete(request);
    free(question);
}

/* False at the end of the input.  What is over the line's ceiling is dropped and seen in out->overflow. */
static bool read_line(rag_buf *out)
{
    int c;
    rag_buf_clear(out);
    while ((c = getchar()) != EOF && c != '\n')
        rag_buf_putc(out, (char)c);
    return c != EOF || out->len > 0;
}

static bool take_line(chat *t, const rag_buf *input)
{
    bool quit = false;
    rag_str line = rag_str_trim(rag_buf_str(input));
    if (!line.len || take_colon(t, line, &quit))
        return !quit;
    if (input->overflow || !rag_utf8_valid(line, NULL) || memchr(line.ptr, 0, line.len)) {
        int exit_code = ctl_usage("the question is too long or not valid UTF-8");
        t->exit_code = t->is_interactive || t->exit_code ? t->exit_code : exit_code;
        return true;
    }
    ask(t, line);
    return t->exit_code != EXIT_UNREACHABLE;
}

int cmd_chat(ctl *c, const args *a)
{
    rag_buf line;
    chat t = { .ctl = c, .args = a, .is_interactive = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) };
    bool goes_on = true;
    rag_buf_init(&line, RAG_MAX_QUERY);
    if (t.is_interactive)
        fputs(help, stdout);
    while (goes_on) {
        fputs(t.is_interactive ? "> " : "", stdout);
        fflush(stdout);
        if (!read_line(&line))
            break;
        goes_on = take_line(&t, &line);
    }
    if (t.is_interactive && goes_on)
        fputc('\n', stdout);
    rag_buf_free(&line);
    free(t.conversation);
    return t.exit_code;
}
