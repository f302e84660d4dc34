/* daemon/mailbox.c: a list, an eventfd, and an event on the loop. */
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/str.h"
#include "daemon/mailbox.h"

struct mailbox {
    pthread_mutex_t mu;
    letter *head, **tail;
    int fd;
    struct event *event;
};

static letter *take_all(mailbox *m)
{
    pthread_mutex_lock(&m->mu);
    letter *all = m->head;
    m->head = NULL;
    m->tail = &m->head;
    pthread_mutex_unlock(&m->mu);
    return all;
}

static void deliver_all(mailbox *m)
{
    for (letter *l = take_all(m), *next; l; l = next) {
        next = l->next;
        l->deliver(l);
    }
}

static void on_wake(evutil_socket_t fd, short what, void *context)
{
    uint64_t count;
    (void)what;
    (void)!read(fd, &count, sizeof count);
    deliver_all(context);
}

rag_code mailbox_open(mailbox **out, struct event_base *base, rag_err *err)
{
    mailbox *m = rag_calloc(1, sizeof *m);
    pthread_mutex_init(&m->mu, NULL);
    m->tail = &m->head;
    m->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (m->fd >= 0)
        m->event = event_new(base, m->fd, EV_READ | EV_PERSIST, on_wake, m);
    if (!m->event || event_add(m->event, NULL) != 0) {
        rag_fail_errno(err, RAG_IO, errno, "cannot open the mailbox");
        mailbox_close(m);
        return RAG_IO;
    }
    *out = m;
    return RAG_OK;
}

void mailbox_close(mailbox *m)
{
    if (!m)
        return;
    deliver_all(m);
    if (m->event)
        event_free(m->event);
    if (m->fd >= 0)
        close(m->fd);
    pthread_mutex_destroy(&m->mu);
    free(m);
}

void mailbox_post(mailbox *m, letter *l)
{
    l->next = NULL;
    pthread_mutex_lock(&m->mu);
    bool was_empty = !m->head;
    *m->tail = l;
    m->tail = &l->next;
    pthread_mutex_unlock(&m->mu);
    if (was_empty)
        (void)!write(m->fd, &(uint64_t){ 1 }, sizeof(uint64_t));
}
