/* daemon/timer.h: milliseconds for libevent.  The loop's. */
#ifndef RAG_DAEMON_TIMER_H
#define RAG_DAEMON_TIMER_H

#include <event2/event.h>
#include <stdint.h>

static inline void timer_arm(struct event *timer, int64_t ms)
{
    struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
    event_add(timer, &tv);
}

#endif
