/* conf/inifile.h: one INI file, line by line.  The only user of inih.
 *
 * inih cuts lines over its buffer in two, cuts names at 49 bytes, stops at a NUL, takes an
 * indented line for more of the value above, and goes on after an error.  Here the first two are
 * errors, as are NUL, other control characters and invalid UTF-8; an indented line is a
 * line; and the first error ends it.
 *
 * Threads: pure. */
#ifndef RAG_CONF_INIFILE_H
#define RAG_CONF_INIFILE_H

#include "base/err.h"
#include "base/str.h"

/* Called for each "[section]" (key and value NULL) and each "key = value", with white space and
 * comments stripped.  Anything but RAG_OK ends the reading; err->message gets file and line in front. */
typedef rag_code inifile_fn(void *user, const char *section, const char *key, const char *value, size_t line, rag_err *err);

/* All errors are RAG_CONFIG. */
rag_code inifile_read(const char *path, inifile_fn *on_item, void *user, rag_err *err);

#endif
