#include <errno.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <event2/util.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "daemon/http_impl.h"

enum { BACKLOG = 511, ACCEPT_PAUSE_MS = 100 };

static bool is_off(const char *where)
{
    return !where || !*where || !strcmp(where, "off");
}

/* Accepting. */

static void enable(http_server *s, bool on)
{
    struct evconnlistener *doors[] = { s->tcp, s->local };
    for (size_t i = 0; i < 2; i++)
        if (doors[i])
            (on ? evconnlistener_enable : evconnlistener_disable)(doors[i]);
}

static void on_pause_over(int fd, short what, void *arg)
{
    (void)fd, (void)what;
    enable(arg, true);
}

/* Out of descriptors or memory the socket stays readable: without a pause the loop would spin. */
static void on_accept_error(struct evconnlistener *door, void *arg)
{
    http_server *s = arg;
    struct timeval pause = { 0, ACCEPT_PAUSE_MS * 1000 };
    int error = errno;
    (void)door;
    rag_log(RAG_WARN, "cannot accept a connection: %s; pausing %d ms", strerror(error), ACCEPT_PAUSE_MS);
    enable(s, false);
    event_add(s->pause, &pause);
}

static void on_accept(struct evconnlistener *door, evutil_socket_t fd, struct sockaddr *peer, int len, void *arg)
{
    http_server *s = arg;
    (void)peer, (void)len;
    conn_open(s, fd, door == s->local);
}

static struct evconnlistener *start(http_server *s, int fd)
{
    struct evconnlistener *l = evconnlistener_new(s->base, on_accept, s, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC,
                                                  BACKLOG, fd);
    if (!l)
        return NULL;
    evconnlistener_set_error_cb(l, on_accept_error);
    if (!s->pause)
        s->pause = event_new(s->base, -1, 0, on_pause_over, s);
    return l;
}

/* TCP. */

static bool split_address(const char *listen, char *host, size_t host_size, const char **port)
{
    rag_str s = rag_str_of(listen);
    const char *colon = strrchr(listen, ':');
    char *end;
    if (!colon || colon[1] < '0' || colon[1] > '9' || strtol(colon + 1, &end, 10) > 65535 || *end)
        return false;
    rag_str h = rag_str_sub(s, 0, (size_t)(colon - listen));
    if (rag_str_starts(h, RAG_STR("[")) && rag_str_ends(h, RAG_STR("]")))
        h = rag_str_sub(h, 1, h.len - 1);
    else if (rag_str_find(h, RAG_STR(":"), 0) != SIZE_MAX)
        return false;
    if (!h.len || h.len >= host_size)
        return false;
    memcpy(host, h.ptr, h.len);
    host[h.len] = '\0';
    *port = colon + 1;
    return true;
}

static rag_code resolve(const char *listen, struct addrinfo **out, rag_err *err)
{
    char host[256];
    const char *port;
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
    if (!split_address(listen, host, sizeof host, &port))
        return rag_fail(err, RAG_CONFIG, "cannot listen on '%s': it must be ADDRESS:PORT, [ADDRESS]:PORT or off", listen);
    int rc = getaddrinfo(host, port, &hints, out);
    if (rc != 0)
        return rag_fail(err, RAG_CONFIG, "cannot listen on '%s': %s", listen, gai_strerror(rc));
    return RAG_OK;
}

static rag_code fail_listen(rag_err *err, const char *where)
{
    int e = errno;
    rag_code code = e == EACCES ? RAG_DENIED : RAG_IO;
    return rag_fail(err, code, "cannot listen on '%s': %s", where, strerror(e));
}

static int bound_port(int fd)
{
    struct sockaddr_storage a;
    socklen_t len = sizeof a;
    if (getsockname(fd, (struct sockaddr *)&a, &len) != 0)
        return 0;
    return ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port : ((struct sockaddr_in *)&a)->sin_port);
}

rag_code listen_tcp(http_server *s, rag_err *err)
{
    const char *where = s->options.listen;
    struct addrinfo *a = NULL;
    if (is_off(where))
        return RAG_OK;
    rag_code rc = resolve(where, &a, err);
    if (rc != RAG_OK)
        return rc;
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || evutil_make_listen_socket_reuseable(fd) != 0 || bind(fd, a->ai_addr, a->ai_addrlen) != 0 ||
        !(s->tcp = start(s, fd))) {
        rc = fail_listen(err, where);
        if (fd >= 0)
            close(fd);
    } else {
        s->port = bound_port(fd);
    }
    freeaddrinfo(a);
    return rc;
}

/* The Unix socket. */

static rag_code make_folder(const char *path, rag_err *err)
{
    char *folder = rag_path_dir(path);
    rag_code rc = rag_dir_make(folder, err);
    free(folder);
    return rc;
}

/* True when somebody accepts, or might: a full backlog is a live one. */
static bool is_live(const struct sockaddr_un *a)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool live = fd >= 0 && (connect(fd, (const struct sockaddr *)a, sizeof *a) == 0 || errno == EAGAIN);
    if (fd >= 0)
        close(fd);
    return live;
}

static rag_code clear_stale(const struct sockaddr_un *a, rag_err *err)
{
    struct stat st;
    if (lstat(a->sun_path, &st) != 0)
        return errno == ENOENT ? RAG_OK : rag_fail_errno(err, RAG_IO, errno, "cannot listen on '%s'", a->sun_path);
    if (!S_ISSOCK(st.st_mode))
        return rag_fail(err, RAG_CONFIG, "cannot listen on '%s': something else has that name", a->sun_path);
    if (is_live(a))
        return rag_fail(err, RAG_BUSY, "cannot listen on '%s': another process listens there", a->sun_path);
    if (unlink(a->sun_path) != 0 && errno != ENOENT)
        return rag_fail_errno(err, RAG_IO, errno, "cannot remove the stale socket '%s'", a->sun_path);
    return RAG_OK;
}

/* The file is born with mode 0600 (fchmod before bind; the umask only takes away) and opened
 * to others before anybody can connect. */
static bool bind_private(http_server *s, int fd, const struct sockaddr_un *a)
{
    struct stat st;
    if (fchmod(fd, 0600) != 0 || bind(fd, (const struct sockaddr *)a, sizeof *a) != 0)
        return false;
    s->unix_path = rag_strdup(a->sun_path);
    if (chmod(a->sun_path, (mode_t)s->options.unix_mode) != 0 || lstat(a->sun_path, &st) != 0)
        return false;
    s->unix_dev = st.st_dev;
    s->unix_ino = st.st_ino;
    return true;
}

rag_code listen_unix(http_server *s, rag_err *err)
{
    const char *where = s->options.unix_path;
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    if (is_off(where))
        return RAG_OK;
    if (strlen(where) >= sizeof a.sun_path)
        return rag_fail(err, RAG_CONFIG, "cannot listen on '%s': the path is longer than %zu bytes", where,
                        sizeof a.sun_path - 1);
    memcpy(a.sun_path, where, strlen(where));
    rag_code rc = make_folder(where, err);
    if (rc == RAG_OK)
        rc = clear_stale(&a, err);
    if (rc != RAG_OK)
        return rc;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && bind_private(s, fd, &a) && (s->local = start(s, fd)))
        return RAG_OK;
    rc = fail_listen(err, where);
    if (fd >= 0)
        close(fd);
    return rc;
}

/* Only the file that was made here: another daemon may have replaced it. */
static void remove_socket_file(http_server *s)
{
    struct stat st;
    if (!s->unix_path)
        return;
    if (lstat(s->unix_path, &st) == 0 && st.st_dev == s->unix_dev && st.st_ino == s->unix_ino)
        unlink(s->unix_path);
    free(s->unix_path);
    s->unix_path = NULL;
}

void listen_close(http_server *s)
{
    if (s->pause)
        event_free(s->pause);
    if (s->tcp)
        evconnlistener_free(s->tcp);
    if (s->local)
        evconnlistener_free(s->local);
    s->pause = NULL;
    s->tcp = s->local = NULL;
    remove_socket_file(s);
}
