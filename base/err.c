#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

static size_t cut_at_character(char *message, size_t room, int wanted)
{
    if (wanted < 0)
        wanted = 0;
    size_t len = (size_t)wanted;
    if (len >= room) {
        rag_str whole = { message, room - 1 };
        len = rag_utf8_whole(whole);
    }
    message[len] = '\0';
    return len;
}

static size_t write_sentence(rag_err *err, const char *format, va_list args)
{
    int wanted = vsnprintf(err->message, sizeof err->message, format, args);
    return cut_at_character(err->message, sizeof err->message, wanted);
}

rag_code rag_fail(rag_err *err, rag_code code, const char *format, ...)
{
    if (!err)
        return code;
    rag_err fresh = { .code = code }; /* the arguments may point into *err */
    va_list args;
    va_start(args, format);
    write_sentence(&fresh, format, args);
    va_end(args);
    *err = fresh;
    return code;
}

static rag_code code_of_errno(rag_code code, int errno_value)
{
    switch (errno_value) {
    case ENOSPC:
    case EDQUOT:
        return RAG_FULL;
    case ENOENT:
        return RAG_NOT_FOUND;
    default:
        return code;
    }
}

rag_code rag_fail_errno(rag_err *err, rag_code code, int errno_value, const char *format, ...)
{
    code = code_of_errno(code, errno_value);
    if (!err)
        return code;
    rag_err fresh = { .code = code };
    va_list args;
    va_start(args, format);
    size_t len = write_sentence(&fresh, format, args);
    va_end(args);
    char reason_room[128];
    const char *reason = strerror_r(errno_value, reason_room, sizeof reason_room);
    int wanted = snprintf(fresh.message + len, sizeof fresh.message - len, ": %s", reason);
    cut_at_character(fresh.message + len, sizeof fresh.message - len, wanted);
    *err = fresh;
    return code;
}

const char *rag_code_name(rag_code code)
{
    static const char *const names[] = {
        [RAG_OK] = "ok",
        [RAG_NOT_FOUND] = "not_found",
        [RAG_INVALID] = "invalid",
        [RAG_TOO_LARGE] = "too_large",
        [RAG_UNSUPPORTED] = "unsupported",
        [RAG_DENIED] = "denied",
        [RAG_CONFIG] = "config",
        [RAG_BUSY] = "busy",
        [RAG_FULL] = "full",
        [RAG_CANCELED] = "canceled",
        [RAG_DEADLINE] = "deadline",
        [RAG_CORRUPT] = "corrupt",
        [RAG_UNREACHABLE] = "unreachable",
        [RAG_IO] = "io",
    };
    size_t i = (size_t)code;
    return i < sizeof names / sizeof *names ? names[i] : "unknown";
}
