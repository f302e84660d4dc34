/* tests/test_mailbox.c: letters from many threads to one loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <event2/event.h>
#include <pthread.h>

#include "base/str.h"
#include "daemon/mailbox.h"

enum { SENDERS = 4, LETTERS = 5000 };

typedef struct numbered {
    letter l;
    struct office *office;
    int sender, number;
} numbered;

typedef struct office {
    mailbox *box;
    struct event_base *base;
    pthread_t loop;
    int next[SENDERS]; /* the number that must come now */
    int total, expected;
    bool in_order, on_the_loop;
} office;

typedef struct sender {
    office *office;
    int id;
} sender;

static void deliver(letter *l)
{
    numbered *n = (numbered *)l;
    office *o = n->office;
    o->in_order = o->in_order && n->number == o->next[n->sender];
    o->on_the_loop = o->on_the_loop && pthread_equal(pthread_self(), o->loop);
    o->next[n->sender]++;
    if (++o->total == o->expected)
        event_base_loopbreak(o->base);
    free(n);
}

static void post(office *o, int id, int number)
{
    numbered *n = rag_calloc(1, sizeof *n);
    *n = (numbered){ .l.deliver = deliver, .office = o, .sender = id, .number = number };
    mailbox_post(o->box, &n->l);
}

static void *send_all(void *context)
{
    sender *s = context;
    for (int i = 0; i < LETTERS; i++)
        post(s->office, s->id, i);
    return NULL;
}

static void open_office(office *o, int expected)
{
    rag_err err = { 0 };
    *o = (office){ .base = event_base_new(), .loop = pthread_self(), .expected = expected, .in_order = true,
                   .on_the_loop = true };
    assert_int_equal(mailbox_open(&o->box, o->base, &err), RAG_OK);
}

static void close_office(office *o)
{
    mailbox_close(o->box);
    event_base_free(o->base);
}

static void test_mailbox__delivers_in_posting_order_on_the_loop(void **state)
{
    office o;
    sender senders[SENDERS];
    pthread_t threads[SENDERS];
    (void)state;
    open_office(&o, SENDERS * LETTERS);
    for (int i = 0; i < SENDERS; i++) {
        senders[i] = (sender){ &o, i };
        pthread_create(&threads[i], NULL, send_all, &senders[i]);
    }
    event_base_dispatch(o.base);
    for (int i = 0; i < SENDERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(o.total, SENDERS * LETTERS);
    assert_true(o.in_order);
    assert_true(o.on_the_loop);
    close_office(&o);
}

static void test_mailbox__delivers_what_is_left_when_it_closes(void **state)
{
    office o;
    (void)state;
    open_office(&o, -1);
    post(&o, 0, 0);
    post(&o, 0, 1);
    assert_int_equal(o.total, 0);
    close_office(&o);
    assert_int_equal(o.total, 2);
    assert_true(o.in_order);
}

static void deliver_and_answer(letter *l)
{
    numbered *n = (numbered *)l;
    post(n->office, n->sender, n->number);
    free(n);
}

static void test_mailbox__takes_letters_that_are_posted_during_delivery(void **state)
{
    office o;
    (void)state;
    open_office(&o, 1);
    numbered *n = rag_calloc(1, sizeof *n);
    *n = (numbered){ .l.deliver = deliver_and_answer, .office = &o };
    mailbox_post(o.box, &n->l);
    event_base_dispatch(o.base);
    assert_int_equal(o.total, 1);
    close_office(&o);
    mailbox_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mailbox__delivers_in_posting_order_on_the_loop),
        cmocka_unit_test(test_mailbox__delivers_what_is_left_when_it_closes),
        cmocka_unit_test(test_mailbox__takes_letters_that_are_posted_during_delivery),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
