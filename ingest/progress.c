#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/utf8.h"
#include "ingest/cli.h"

enum { BAR_CELLS = 20, BAR_EVERY_MS = 100, JSON_EVERY_MS = 250, DEFAULT_COLUMNS = 80 };

void progress_init(progress *p, progress_kind kind)
{
    *p = (progress){ .kind = kind };
    if (kind == PROGRESS_AUTO)
        p->kind = isatty(STDERR_FILENO) ? PROGRESS_BAR : PROGRESS_NONE;
}

static size_t columns(void)
{
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : DEFAULT_COLUMNS;
}

static void put_bar(rag_buf *b, const rag_ingest_progress *at)
{
    int64_t total = at->bytes_total > 0 ? at->bytes_total : 1;
    int full = (int)(at->bytes_done * BAR_CELLS / total);
    rag_buf_putf(b, "%-7s [", at->stage);
    for (int i = 0; i < BAR_CELLS; i++)
        rag_buf_putc(b, i < full ? '#' : '.');
    rag_buf_putf(b, "] %lld/%lld files, %lld tokens", (long long)at->files_done, (long long)at->files_total,
                 (long long)at->tokens);
    if (at->seconds >= 1 && at->bytes_done > 0 && at->bytes_done < at->bytes_total) {
        double left = at->seconds * (double)(at->bytes_total - at->bytes_done) / (double)at->bytes_done;
        rag_buf_putf(b, ", %d:%02d left", (int)left / 60, (int)left % 60);
    }
    if (at->path) {
        rag_buf_puts(b, "  ");
        rag_utf8_escape(b, rag_str_of(at->path));
    }
}

static void clear_bar(progress *p)
{
    if (p->is_bar_shown)
        fputs("\r\033[K", stderr);
    p->is_bar_shown = false;
}

static void show_bar(progress *p, const rag_ingest_progress *at)
{
    rag_buf b;
    rag_buf_init(&b, RAG_MAX_LINE);
    put_bar(&b, at);
    rag_str line = rag_buf_str(&b);
    line = rag_str_sub(line, 0, rag_utf8_floor(line, line.len < columns() ? line.len : columns() - 1));
    fprintf(stderr, "\r%.*s\033[K", RAG_STR_ARG(line));
    fflush(stderr);
    p->is_bar_shown = true;
    rag_buf_free(&b);
}

void progress_show(void *context, const rag_ingest_progress *at)
{
    progress *p = context;
    double now = rag_clock_ms();
    bool is_last = strcmp(at->stage, "publish") == 0;
    if (p->kind == PROGRESS_NONE)
        return;
    if (!is_last && now - p->shown_ms < (p->kind == PROGRESS_BAR ? BAR_EVERY_MS : JSON_EVERY_MS))
        return;
    p->shown_ms = now;
    if (p->kind == PROGRESS_BAR)
        show_bar(p, at);
    else
        report_progress_json(stderr, at);
}

void progress_failure(void *context, const rag_ingest_failure *f)
{
    progress *p = context;
    rag_buf b;
    rag_buf_init(&b, RAG_MAX_LINE);
    rag_utf8_escape(&b, rag_str_of(f->path));
    clear_bar(p);
    fprintf(stderr, "ragd-ingest: '%.*s': %s (%s)\n", RAG_STR_ARG(rag_buf_str(&b)), f->message, f->code);
    rag_buf_free(&b);
}

void progress_end(progress *p)
{
    clear_bar(p);
    fflush(stderr);
}
