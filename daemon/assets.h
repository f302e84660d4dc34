/* daemon/assets.h: files that cmake/embed.cmake put into the program. */
#ifndef RAG_DAEMON_ASSETS_H
#define RAG_DAEMON_ASSETS_H

#include "base/str.h"

typedef struct asset {
    const char *name; /* of the file, without its folder */
    const unsigned char *bytes;
    size_t len;
} asset;

/* Ends with a NULL name. */
extern const asset assets[];

/* Empty when there is no such file: a slip of ours. */
rag_str asset_find(const char *name);

#endif
