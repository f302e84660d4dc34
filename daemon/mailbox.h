/* daemon/mailbox.h: the only door back to the loop.
 *
 * A letter is allocated by the sender, or lies inside what it tells about, and belongs to the receiver
 * from mailbox_post on.  Letters are delivered on the loop's thread in posting order.
 *
 * Threads: mailbox_post from any; the rest on the loop's. */
#ifndef RAG_DAEMON_MAILBOX_H
#define RAG_DAEMON_MAILBOX_H

#include "base/err.h"

struct event_base;

typedef struct letter letter;
struct letter {
    letter *next;
    void (*deliver)(letter *l); /* frees it */
};

typedef struct mailbox mailbox;

rag_code mailbox_open(mailbox **out, struct event_base *base, rag_err *err);
/* Delivers what is still in it first. */
void mailbox_close(mailbox *m);
void mailbox_post(mailbox *m, letter *l);

#endif
