/* Open-loop load for a server that counts: requests come when they come, whether it has answered or not.
 *
 * usage: openloop PORT CONNECTIONS RATE WARM_S MEASURE_S      to 127.0.0.1, RATE in requests per second
 *
 * Arrivals are random and independent (exponential gaps), one connection after the other in turn; a
 * request is INCR of one of 200 keys that only this connection counts, so its reply has to be one more than the
 * last. A latency begins at the moment for which the request was meant, not when it could be sent: a stalled
 * server does not hide its stall. Prints "warm" after the warm-up, and after the last reply one JSON object;
 * late_p99_us says how late the generator itself was. Exit: 0 measured, 1 usage, 2 wrong reply, 3 no answer.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "histogram.h"

#define SILENCE_NS 30000000000ull
#define WAITING 65536u /* requests of one connection without reply; more is a server that is overrun */
#define KEYS 200u

struct peer {
    int fd;
    uint32_t first, last;   /* ring of requests without reply */
    uint64_t *meant_ns;     /* for each of them, the moment it was meant for */
    uint64_t asked, counts[KEYS];
    size_t out_bytes, out_sent, in_bytes;
    char out[1 << 16], in[1 << 14];
};

static struct histogram times, lateness;

static void die(int status, const char *what)
{
    fprintf(stderr, "openloop: %s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
    exit(status);
}

/* xorshift64*: the same arrivals in every run. */
static double uniform(void)
{
    static uint64_t state = 88172645463325252ull;
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (double)((state * 2685821657736338717ull) >> 11) / 9007199254740992.0;
}

/* An exponential variate of mean 1 by von Neumann's comparison of uniforms: no logarithm. */
static double exponential(void)
{
    double whole = 0;
    for (;; whole++) {
        double first = uniform(), previous = first, next;
        unsigned falls = 1;
        while ((next = uniform()) < previous) {
            previous = next;
            falls++;
        }
        if (falls & 1)
            return whole + first;
    }
}

static void flush_peer(struct peer *peer)
{
    while (peer->out_sent < peer->out_bytes) {
        const char *rest = peer->out + peer->out_sent;
        ssize_t sent = send(peer->fd, rest, peer->out_bytes - peer->out_sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR))
            break; /* goes with the next request */
        if (sent < 0)
            die(3, "the server takes no request");
        peer->out_sent += (size_t)sent;
    }
    if (peer->out_sent == peer->out_bytes)
        peer->out_sent = peer->out_bytes = 0;
    errno = 0;
}

static void ask(struct peer *peer, unsigned number, uint64_t meant_ns)
{
    char key[32], *place;
    int length = sizeof "late:00:000" - 1;
    if (peer->last - peer->first == WAITING || peer->out_bytes + 64 > sizeof peer->out)
        die(3, "the server is overrun");
    snprintf(key, sizeof key, "late:%02u:%03u", number % 100, (unsigned)(peer->asked % KEYS));
    place = peer->out + peer->out_bytes;
    peer->out_bytes += (size_t)sprintf(place, "*2\r\n$4\r\nINCR\r\n$%d\r\n%s\r\n", length, key);
    peer->meant_ns[peer->last++ % WAITING] = meant_ns;
    peer->asked++;
}

static void take_line(struct peer *peer, const char *line, uint64_t now, uint64_t from, uint64_t until)
{
    uint64_t *count = &peer->counts[(peer->asked - (peer->last - peer->first)) % KEYS], value, meant;
    char *end;
    errno = 0;
    if (peer->first == peer->last)
        die(2, "a reply that nobody asked for");
    value = strtoull(line + 1, &end, 10);
    if (line[0] != ':' || end == line + 1 || *end != '\r' || (*count && value != *count + 1))
        die(2, "a reply is not one more than the last");
    *count = value;
    meant = peer->meant_ns[peer->first++ % WAITING];
    if (meant >= from && meant < until)
        count_ns(&times, now - meant);
}

static void take_replies(struct peer *peer, uint64_t from, uint64_t until)
{
    ssize_t got = recv(peer->fd, peer->in + peer->in_bytes, sizeof peer->in - 1 - peer->in_bytes, MSG_DONTWAIT);
    char *line = peer->in, *end;
    uint64_t now = now_ns();
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0)
        die(3, "the server closed a connection");
    peer->in_bytes += (size_t)got;
    peer->in[peer->in_bytes] = 0;
    while ((end = strchr(line, '\n')) != NULL) {
        take_line(peer, line, now, from, until);
        line = end + 1;
    }
    peer->in_bytes -= (size_t)(line - peer->in);
    memmove(peer->in, line, peer->in_bytes);
}

static struct peer *open_peers(unsigned count, uint16_t port, int poll_fd)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_port = htons(port)};
    struct peer *peers = calloc(count, sizeof *peers);
    unsigned i;
    int one = 1;
    for (i = 0; peers && i < count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = &peers[i]}};
        peers[i].meant_ns = malloc(WAITING * sizeof(uint64_t));
        peers[i].fd = socket(AF_INET, SOCK_STREAM, 0);
        if (!peers[i].meant_ns || peers[i].fd < 0)
            die(1, "no memory or socket");
        if (connect(peers[i].fd, (struct sockaddr *)&address, sizeof address) < 0)
            die(3, "cannot connect");
        setsockopt(peers[i].fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, peers[i].fd, &event) < 0)
            die(1, "epoll_ctl");
    }
    if (!peers)
        die(1, "no memory");
    return peers;
}

int main(int count, char **arguments)
{
    struct epoll_event events[256];
    struct peer *peers;
    uint64_t from, until, heard, open_requests = 0, i;
    double next_ns, gap_ns, cpu;
    unsigned connections, turn = 0;
    int poll_fd = epoll_create1(0), warm = 0;

    if (count != 6 || (connections = (unsigned)atoi(arguments[2])) < 1 || connections > 100
        || atof(arguments[3]) <= 0) {
        errno = 0;
        die(1, "usage: openloop PORT CONNECTIONS(<=100) RATE WARM_S MEASURE_S");
    }
    prctl(PR_SET_TIMERSLACK, 1);
    peers = open_peers(connections, (uint16_t)atoi(arguments[1]), poll_fd);
    gap_ns = 1e9 / atof(arguments[3]);
    heard = now_ns();
    next_ns = (double)heard + gap_ns;
    from = heard + (uint64_t)(atof(arguments[4]) * 1e9);
    until = from + (uint64_t)(atof(arguments[5]) * 1e9);
    cpu = cpu_s();
    for (;;) {
        uint64_t now = now_ns(), waiting = 0;
        struct timespec pause = {0, 0};
        int ready;
        if (!warm && now >= from) {
            warm = 1;
            cpu = cpu_s();
            puts("warm");
            fflush(stdout);
        }
        while (next_ns <= (double)now && next_ns < (double)until) {
            struct peer *peer = &peers[turn % connections];
            ask(peer, turn % connections, (uint64_t)next_ns);
            turn++;
            if (next_ns >= (double)from) {
                count_ns(&lateness, now - (uint64_t)next_ns);
            }
            flush_peer(peer);
            next_ns += exponential() * gap_ns;
        }
        for (i = 0, open_requests = 0; i < connections; i++) {
            open_requests += peers[i].last - peers[i].first;
            waiting += peers[i].out_bytes;
            if (peers[i].out_bytes)
                flush_peer(&peers[i]);
        }
        if (now >= until && !open_requests)
            break;
        if (open_requests && now - heard > SILENCE_NS) {
            errno = 0;
            die(3, "no reply for 30 s");
        }
        if (!open_requests)
            heard = now;
        now = now_ns();
        if (next_ns < (double)until && next_ns > (double)now)
            pause.tv_nsec = (long)(next_ns - (double)now) % 1000000000;
        else if (next_ns >= (double)until || waiting)
            pause.tv_nsec = 1000000;
        ready = epoll_pwait2(poll_fd, events, 256, &pause, NULL);
        if (ready < 0 && errno != EINTR)
            die(1, "epoll_pwait2");
        if (ready > 0)
            heard = now_ns();
        for (i = 0; ready > 0 && i < (uint64_t)ready; i++)
            take_replies(events[i].data.ptr, from, until);
    }
    printf("{\"requests\": %llu, \"seconds\": %.6f, \"load_cpu_s\": %.6f, \"p50_us\": %.2f, \"p99_us\": %.2f, "
           "\"p999_us\": %.2f, \"late_p99_us\": %.2f}\n",
           (unsigned long long)times.counted, (double)(until - from) / 1e9, cpu_s() - cpu,
           percentile_us(&times, 0.50), percentile_us(&times, 0.99), percentile_us(&times, 0.999),
           percentile_us(&lateness, 0.99));
    return 0;
}
