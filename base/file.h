/* base/file.h: files, paths, locks, time.
 *
 * Threads: any; a lock belongs to the process that took it. */
#ifndef RAG_BASE_FILE_H
#define RAG_BASE_FILE_H

#include "base/err.h"
#include "base/str.h"

/* Reads a regular file of at most out->max bytes into out (cleared first); RAG_TOO_LARGE above,
 * RAG_NOT_FOUND when absent, RAG_UNSUPPORTED when it is not a regular file. */
rag_code rag_file_read(const char *path, rag_buf *out, rag_err *err);

/* Writes path by a temporary file in the same folder, fsync, rename, fsync of the folder. */
rag_code rag_file_write_atomic(const char *path, rag_str bytes, rag_err *err);
rag_code rag_file_fsync_dir(const char *dir, rag_err *err);

rag_code rag_dir_make(const char *path, rag_err *err); /* mkdir -p, mode 0750 */
/* Deletes a folder and what is in it, one level deep. */
rag_code rag_dir_remove(const char *path, rag_err *err);

/* a + "/" + b, b alone when it is absolute; to be freed. */
char *rag_path_join(const char *a, const char *b);
/* The folder of path, "." when it names none; to be freed. */
char *rag_path_dir(const char *path);
/* Absolute and without symbolic links; NULL when it does not exist; to be freed. */
char *rag_path_real(const char *path);
/* The folder that holds the running program; to be freed. */
char *rag_path_self_dir(void);

/* Takes an exclusive flock on path, created if absent, holding this process's id.
 * RAG_BUSY when another process has it. *fd is to be closed with rag_lock_release. */
rag_code rag_lock_take(const char *path, int *fd, rag_err *err);
void rag_lock_release(int fd); /* copes with -1 */

double rag_clock_ms(void);     /* monotonic, milliseconds */
int64_t rag_clock_wall_ns(void); /* since 1970 */
/* RFC 3339 in UTC, to the millisecond when ns is not whole seconds; out >= 32 bytes. */
void rag_time_format(int64_t wall_ns, char out[32]);
/* RFC 3339, date and time in UTC: "2026-11-24T08:00:00Z", with a fraction, "+00:00" for Z.  False for anything else, and
 * for years that do not fit (1678 to 2261 do). */
bool rag_time_parse(rag_str text, int64_t *wall_ns);

/* "10", "64k", "2M", "1G" (powers of 1024, also KiB, MB …) to bytes. */
bool rag_parse_size(const char *text, int64_t *out);
/* "250", "250ms", "10s", "5m", "2h", "7d" to milliseconds; a bare number is milliseconds. */
bool rag_parse_duration(const char *text, int64_t *out_ms);

#endif
