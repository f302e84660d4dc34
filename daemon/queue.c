/* daemon/queue.c */
#include <pthread.h>
#include <stdlib.h>

#include "daemon/queue.h"

struct job_queue {
    pthread_mutex_t mu;
    pthread_cond_t filled;
    job_list jobs;
    bool is_closed;
};

void job_list_init(job_list *l)
{
    *l = (job_list){ .tail = &l->head };
}

void job_list_push(job_list *l, job *j)
{
    j->next = NULL;
    *l->tail = j;
    l->tail = &j->next;
    l->n++;
}

job *job_list_pop(job_list *l)
{
    job *j = l->head;
    if (!j)
        return NULL;
    l->head = j->next;
    if (!l->head)
        l->tail = &l->head;
    l->n--;
    j->next = NULL;
    return j;
}

void job_list_prepend(job_list *l, job_list *front)
{
    if (!front->head)
        return;
    *front->tail = l->head;
    if (!l->head)
        l->tail = front->tail;
    l->head = front->head;
    l->n += front->n;
    job_list_init(front);
}

job_queue *queue_new(void)
{
    job_queue *q = rag_calloc(1, sizeof *q);
    pthread_mutex_init(&q->mu, NULL);
    pthread_cond_init(&q->filled, NULL);
    job_list_init(&q->jobs);
    return q;
}

void queue_free(job_queue *q)
{
    if (!q)
        return;
    pthread_cond_destroy(&q->filled);
    pthread_mutex_destroy(&q->mu);
    free(q);
}

void queue_push(job_queue *q, job *j)
{
    pthread_mutex_lock(&q->mu);
    job_list_push(&q->jobs, j);
    pthread_cond_signal(&q->filled);
    pthread_mutex_unlock(&q->mu);
}

job *queue_pop(job_queue *q)
{
    pthread_mutex_lock(&q->mu);
    while (!q->jobs.head && !q->is_closed)
        pthread_cond_wait(&q->filled, &q->mu);
    job *j = job_list_pop(&q->jobs);
    pthread_mutex_unlock(&q->mu);
    return j;
}

job *queue_take(job_queue *q)
{
    pthread_mutex_lock(&q->mu);
    job *j = job_list_pop(&q->jobs);
    pthread_mutex_unlock(&q->mu);
    return j;
}

void queue_close(job_queue *q)
{
    pthread_mutex_lock(&q->mu);
    q->is_closed = true;
    pthread_cond_broadcast(&q->filled);
    pthread_mutex_unlock(&q->mu);
}

size_t queue_length(job_queue *q)
{
    pthread_mutex_lock(&q->mu);
    size_t n = q->jobs.n;
    pthread_mutex_unlock(&q->mu);
    return n;
}
