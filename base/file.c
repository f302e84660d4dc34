#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char *concat(const char *a, const char *b, const char *c)
{
    rag_buf joined;
    rag_buf_init(&joined, SIZE_MAX);
    rag_buf_puts(&joined, a);
    rag_buf_puts(&joined, b);
    rag_buf_puts(&joined, c);
    return rag_buf_detach(&joined);
}

static rag_code check_regular(int fd, const char *path, size_t max, rag_err *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return rag_fail_errno(err, RAG_IO, errno, "cannot stat '%s'", path);
    if (!S_ISREG(st.st_mode))
        return rag_fail(err, RAG_UNSUPPORTED, "cannot read '%s': not a regular file", path);
    if ((uintmax_t)st.st_size > max)
        return rag_fail(err, RAG_TOO_LARGE, "cannot read '%s': %jd bytes are more than %zu", path,
                        (intmax_t)st.st_size, max);
    return RAG_OK;
}

static rag_code read_all(int fd, const char *path, rag_buf *out, rag_err *err)
{
    char piece[64 * 1024];
    for (;;) {
        ssize_t n = read(fd, piece, sizeof piece);
        if (n == 0)
            return RAG_OK;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return rag_fail_errno(err, RAG_IO, errno, "cannot read '%s'", path);
        rag_buf_put(out, (rag_str){ piece, (size_t)n });
        if (out->overflow)
            return rag_fail(err, RAG_TOO_LARGE, "cannot read '%s': more than %zu bytes", path, out->max);
    }
}

rag_code rag_file_read(const char *path, rag_buf *out, rag_err *err)
{
    rag_buf_clear(out);
    /* O_NONBLOCK: a FIFO must not hold us before it is seen to be one. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && errno == ENXIO)
        return rag_fail(err, RAG_UNSUPPORTED, "cannot read '%s': not a regular file", path);
    if (fd < 0)
        return rag_fail_errno(err, RAG_IO, errno, "cannot open '%s'", path);
    rag_code code = check_regular(fd, path, out->max, err);
    if (code == RAG_OK)
        code = read_all(fd, path, out, err);
    close(fd);
    return code;
}

static rag_code write_all(int fd, const char *path, rag_str bytes, rag_err *err)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.ptr, bytes.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return rag_fail_errno(err, RAG_IO, errno, "cannot write '%s'", path);
        bytes = rag_str_sub(bytes, (size_t)n, bytes.len);
    }
    return RAG_OK;
}

static rag_code write_and_sync(int fd, const char *path, rag_str bytes, rag_err *err)
{
    rag_code code = write_all(fd, path, bytes, err);
    if (code == RAG_OK && (fchmod(fd, 0640) < 0 || fsync(fd) < 0))
        code = rag_fail_errno(err, RAG_IO, errno, "cannot write '%s'", path);
    return code;
}

rag_code rag_file_write_atomic(const char *path, rag_str bytes, rag_err *err)
{
    char *temporary = concat(path, ".XXXXXX", "");
    char *dir = rag_path_dir(path);
    int fd = mkostemp(temporary, O_CLOEXEC);
    rag_code code;
    if (fd < 0) {
        code = rag_fail_errno(err, RAG_IO, errno, "cannot create '%s'", path);
        goto out;
    }
    code = write_and_sync(fd, path, bytes, err);
    if (close(fd) < 0 && code == RAG_OK)
        code = rag_fail_errno(err, RAG_IO, errno, "cannot write '%s'", path);
    if (code == RAG_OK && rename(temporary, path) < 0)
        code = rag_fail_errno(err, RAG_IO, errno, "cannot rename to '%s'", path);
    if (code != RAG_OK)
        unlink(temporary);
    else
        code = rag_file_fsync_dir(dir, err);
out:
    free(dir);
    free(temporary);
    return code;
}

rag_code rag_file_fsync_dir(const char *dir, rag_err *err)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return rag_fail_errno(err, RAG_IO, errno, "cannot open folder '%s'", dir);
    rag_code code = RAG_OK;
    if (fsync(fd) < 0)
        code = rag_fail_errno(err, RAG_IO, errno, "cannot sync folder '%s'", dir);
    close(fd);
    return code;
}

static rag_code make_one(const char *path, rag_err *err)
{
    if (mkdir(path, 0750) == 0)
        return RAG_OK;
    int why = errno;
    struct stat st;
    if (why == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return RAG_OK;
    return rag_fail_errno(err, RAG_IO, why, "cannot make folder '%s'", path);
}

rag_code rag_dir_make(const char *path, rag_err *err)
{
    char *partial = rag_strdup(path);
    rag_code code = RAG_OK;
    for (char *slash = strchr(partial + (*partial == '/'), '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        struct stat st;
        if (stat(partial, &st) < 0)
            code = make_one(partial, err);
        *slash = '/';
        if (code != RAG_OK)
            goto out;
    }
    code = make_one(path, err);
out:
    free(partial);
    return code;
}

static bool is_self_or_parent(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

rag_code rag_dir_remove(const char *path, rag_err *err)
{
    DIR *dir = opendir(path);
    if (!dir)
        return rag_fail_errno(err, RAG_IO, errno, "cannot open folder '%s'", path);
    rag_code code = RAG_OK;
    struct dirent *entry;
    while (code == RAG_OK && (entry = readdir(dir)))
        if (!is_self_or_parent(entry->d_name) && unlinkat(dirfd(dir), entry->d_name, 0) < 0)
            code = rag_fail_errno(err, RAG_IO, errno, "cannot delete '%s/%s'", path, entry->d_name);
    closedir(dir);
    if (code == RAG_OK && rmdir(path) < 0)
        code = rag_fail_errno(err, RAG_IO, errno, "cannot delete folder '%s'", path);
    return code;
}

char *rag_path_join(const char *a, const char *b)
{
    size_t n = strlen(a);
    if (*b == '/' || n == 0)
        return rag_strdup(b);
    return concat(a, a[n - 1] == '/' ? "" : "/", b);
}

char *rag_path_dir(const char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    while (n > 0 && path[n - 1] != '/')
        n--;
    if (n == 0)
        return rag_strdup(".");
    while (n > 1 && path[n - 1] == '/')
        n--;
    return rag_strndup((rag_str){ path, n });
}

char *rag_path_real(const char *path)
{
    return realpath(path, NULL);
}

char *rag_path_self_dir(void)
{
    char *self = rag_path_real("/proc/self/exe");
    char *dir = rag_path_dir(self ? self : "./ragd");
    free(self);
    return dir;
}

static rag_code tell_holder(int fd, const char *path, rag_err *err)
{
    char pid[24] = { 0 };
    ssize_t n = pread(fd, pid, sizeof pid - 1, 0);
    long holder = n > 0 ? strtol(pid, NULL, 10) : 0;
    if (holder > 0)
        return rag_fail(err, RAG_BUSY, "process %ld holds the lock '%s'", holder, path);
    return rag_fail(err, RAG_BUSY, "another process holds the lock '%s'", path);
}

rag_code rag_lock_take(const char *path, int *fd, rag_err *err)
{
    *fd = -1;
    int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (lock < 0)
        return rag_fail_errno(err, RAG_IO, errno, "cannot open lock '%s'", path);
    rag_code code = RAG_OK;
    char pid[24];
    int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (flock(lock, LOCK_EX | LOCK_NB) < 0)
        code = errno == EWOULDBLOCK ? tell_holder(lock, path, err)
                                    : rag_fail_errno(err, RAG_IO, errno, "cannot lock '%s'", path);
    else if (ftruncate(lock, 0) < 0 || pwrite(lock, pid, (size_t)n, 0) != n)
        code = rag_fail_errno(err, RAG_IO, errno, "cannot write lock '%s'", path);
    if (code != RAG_OK) {
        close(lock);
        return code;
    }
    *fd = lock;
    return RAG_OK;
}

void rag_lock_release(int fd)
{
    if (fd >= 0)
        close(fd);
}

double rag_clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

int64_t rag_clock_wall_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void rag_time_format(int64_t wall_ns, char out[32])
{
    int64_t rest = wall_ns % 1000000000;
    if (rest < 0)
        rest += 1000000000;
    time_t seconds = (time_t)((wall_ns - rest) / 1000000000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    size_t n = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &tm);
    if (rest)
        n += (size_t)snprintf(out + n, 32 - n, ".%03d", (int)(rest / 1000000));
    snprintf(out + n, 32 - n, "Z");
}

/* `digits` of them, then the mark (0: none). */
static bool take_number(rag_str *s, size_t digits, char mark, int *out)
{
    if (s->len < digits + (mark != 0))
        return false;
    *out = 0;
    for (size_t i = 0; i < digits; i++) {
        if (s->ptr[i] < '0' || s->ptr[i] > '9')
            return false;
        *out = 10 * *out + (s->ptr[i] - '0');
    }
    char found = mark ? s->ptr[digits] : mark;
    if (found != mark && (mark != 'T' || found != 't'))
        return false;
    *s = rag_str_sub(*s, digits + (mark != 0), s->len);
    return true;
}

static bool take_fraction(rag_str *s, int64_t *ns)
{
    size_t n = 1;
    *ns = 0;
    if (s->len == 0 || s->ptr[0] != '.')
        return true;
    for (int64_t unit = 100000000; n < s->len && s->ptr[n] >= '0' && s->ptr[n] <= '9'; n++, unit /= 10)
        *ns += unit * (s->ptr[n] - '0');
    *s = rag_str_sub(*s, n, s->len);
    return n > 1;
}

static bool take_date(rag_str *s, int64_t *seconds)
{
    struct tm tm = { 0 };
    int month;
    if (!take_number(s, 4, '-', &tm.tm_year) || !take_number(s, 2, '-', &month) || !take_number(s, 2, 'T', &tm.tm_mday))
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon = month - 1;
    int day = tm.tm_mday;
    *seconds = timegm(&tm);
    return tm.tm_mday == day && tm.tm_mon == month - 1; /* else there is no such day */
}

bool rag_time_parse(rag_str text, int64_t *wall_ns)
{
    int hour, minute, second;
    int64_t seconds, fraction, ns;
    if (!take_date(&text, &seconds) || !take_number(&text, 2, ':', &hour) || !take_number(&text, 2, ':', &minute) ||
        !take_number(&text, 2, 0, &second) || !take_fraction(&text, &fraction))
        return false;
    bool is_leap = hour == 23 && minute == 59 && second == 60;
    if (hour > 23 || minute > 59 || (second > 59 && !is_leap))
        return false;
    if (!rag_str_eq(text, RAG_STR("Z")) && !rag_str_eq(text, RAG_STR("z")) && !rag_str_eq(text, RAG_STR("+00:00")) &&
        !rag_str_eq(text, RAG_STR("-00:00")))
        return false;
    seconds += hour * 3600 + minute * 60 + second;
    if (__builtin_mul_overflow(seconds, (int64_t)1000000000, &ns) || __builtin_add_overflow(ns, fraction, &ns))
        return false;
    *wall_ns = ns;
    return true;
}

typedef struct unit {
    const char *name;
    int64_t factor;
} unit;

static bool parse_with_units(const char *text, const unit *units, size_t n_units, int64_t *out)
{
    if (*text < '0' || *text > '9')
        return false;
    int64_t value = 0;
    for (; *text >= '0' && *text <= '9'; text++)
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, *text - '0', &value))
            return false;
    while (*text == ' ')
        text++;
    for (size_t i = 0; i < n_units; i++)
        if (strcasecmp(text, units[i].name) == 0)
            return !__builtin_mul_overflow(value, units[i].factor, out);
    return false;
}

bool rag_parse_size(const char *text, int64_t *out)
{
    static const int64_t k = 1024, m = k * 1024, g = m * 1024, t = g * 1024;
    const unit units[] = {
        { "", 1 },    { "b", 1 },    { "k", k },  { "kb", k },  { "kib", k }, { "m", m },   { "mb", m },
        { "mib", m }, { "g", g },    { "gb", g }, { "gib", g }, { "t", t },   { "tb", t },  { "tib", t },
    };
    return parse_with_units(text, units, sizeof units / sizeof *units, out);
}

bool rag_parse_duration(const char *text, int64_t *out_ms)
{
    static const unit units[] = {
        { "", 1 }, { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 },
    };
    return parse_with_units(text, units, sizeof units / sizeof *units, out_ms);
}
