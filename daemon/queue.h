/* daemon/queue.h: jobs that wait for a search thread.
 *
 * It has no bound of its own: lanes (request.h) bound what is on its way, and a job that was admitted
 * must be able to go on.
 *
 * Threads: any. */
#ifndef RAG_DAEMON_QUEUE_H
#define RAG_DAEMON_QUEUE_H

#include "daemon/request.h"

typedef struct job_queue job_queue;

job_queue *queue_new(void);
void queue_free(job_queue *q); /* it must be empty */
void queue_push(job_queue *q, job *j);
job *queue_pop(job_queue *q);  /* waits; NULL when it was closed and is empty */
job *queue_take(job_queue *q); /* does not wait */
void queue_close(job_queue *q);
size_t queue_length(job_queue *q);

#endif
