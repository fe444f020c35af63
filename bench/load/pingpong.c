/* Closed-loop load for a server that answers every request with the same bytes.
 *
 * usage: pingpong HOST PORT CONNECTIONS BYTES WARM_S MEASURE_S
 *
 * Each connection has one request in flight. A request carries its connection and sequence number in the first
 * 16 bytes and a pattern of both in the rest, so that a reply that belongs to another request, another
 * connection or an earlier moment does not pass. After the warm-up it prints the line "warm"; after the
 * measurement, which lasts until there is anything to count, one JSON object. Exit: 0 measured, 1 usage, 2 wrong
 * reply, 3 the server did not answer.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "histogram.h"

#define SILENCE_MS 30000
struct peer {
    int fd;
    uint64_t sequence, sent_ns;
    size_t received;
    unsigned char *request, *reply;
};

static struct histogram times;
static size_t size;

static void die(int status, const char *what)
{
    fprintf(stderr, "pingpong: %s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
    exit(status);
}

static void send_request(struct peer *peer, uint64_t number)
{
    size_t i;
    peer->sequence++;
    memcpy(peer->request, &number, 8);
    memcpy(peer->request + 8, &peer->sequence, 8);
    for (i = 16; i < size; i++)
        peer->request[i] = (unsigned char)(i * 31 + number * 7 + peer->sequence);
    peer->received = 0;
    peer->sent_ns = now_ns();
    if (write(peer->fd, peer->request, size) != (ssize_t)size)
        die(3, "the server takes no request");
}

/* Returns 1 when a whole reply came and was right, 0 when more is to come. */
static int take_reply(struct peer *peer)
{
    ssize_t got = read(peer->fd, peer->reply + peer->received, size + 1 - peer->received);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (got <= 0) {
        if (got == 0)
            errno = 0;
        die(3, "the server closed a connection");
    }
    peer->received += (size_t)got;
    errno = 0;
    if (peer->received > size || memcmp(peer->request, peer->reply, peer->received) != 0)
        die(2, "a reply is not what was asked for");
    return peer->received == size;
}

static void open_peer(struct peer *peer, const struct sockaddr_in *address, int poll_fd)
{
    struct epoll_event event = {.events = EPOLLOUT, .data = {.ptr = peer}};
    int one = 1;
    peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    peer->request = malloc(size);
    peer->reply = malloc(size + 1); /* one more: a server that says too much is seen */
    if (peer->fd < 0 || !peer->request || !peer->reply)
        die(1, "no socket or memory");
    setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(peer->fd, (const struct sockaddr *)address, sizeof *address) < 0 && errno != EINPROGRESS)
        die(3, "cannot connect");
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, peer->fd, &event) < 0)
        die(1, "epoll_ctl");
}

static void become_connected(struct peer *peer, int poll_fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = peer}};
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(peer->fd, SOL_SOCKET, SO_ERROR, &error, &length);
    errno = error;
    if (error || epoll_ctl(poll_fd, EPOLL_CTL_MOD, peer->fd, &event) < 0)
        die(3, "cannot connect");
}

int main(int count, char **arguments)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    struct epoll_event events[512];
    struct peer *peers;
    uint64_t begin, warm_end, end, done = 0, now;
    double cpu = 0, seconds;
    long connections, i;
    int poll_fd, ready, warm = 0;

    if (count != 7 || inet_pton(AF_INET, arguments[1], &address.sin_addr) != 1
        || (connections = atol(arguments[3])) < 1 || (size = (size_t)atol(arguments[4])) < 16) {
        errno = 0;
        die(1, "usage: pingpong HOST PORT CONNECTIONS BYTES(>=16) WARM_S MEASURE_S");
    }
    address.sin_port = htons((uint16_t)atoi(arguments[2]));
    peers = calloc((size_t)connections, sizeof *peers);
    poll_fd = epoll_create1(0);
    if (!peers || poll_fd < 0)
        die(1, "no memory or epoll");
    for (i = 0; i < connections; i++)
        open_peer(&peers[i], &address, poll_fd);

    begin = now_ns();
    warm_end = begin + (uint64_t)(atof(arguments[5]) * 1e9);
    end = warm_end + (uint64_t)(atof(arguments[6]) * 1e9);
    for (;;) {
        ready = epoll_wait(poll_fd, events, 512, SILENCE_MS);
        if (ready < 0 && errno == EINTR)
            continue;
        errno = 0;
        if (ready <= 0)
            die(3, "no reply for 30 s");
        now = now_ns();
        if (!warm && now >= warm_end) {
            warm = 1;
            begin = now;
            end += now - warm_end;
            cpu = cpu_s();
            done = 0;
            memset(&times, 0, sizeof times);
            puts("warm");
            fflush(stdout);
        }
        if (now >= end && done)
            break;
        for (i = 0; i < ready; i++) {
            struct peer *peer = events[i].data.ptr;
            if (peer->sequence == 0)
                become_connected(peer, poll_fd);
            else if (!take_reply(peer))
                continue;
            else {
                count_ns(&times, now_ns() - peer->sent_ns);
                done++;
            }
            send_request(peer, (uint64_t)(peer - peers));
        }
    }
    seconds = (double)(now - begin) / 1e9;
    printf("{\"requests\": %llu, \"seconds\": %.6f, \"load_cpu_s\": %.6f, \"p50_us\": %.2f, \"p99_us\": %.2f}\n",
           (unsigned long long)done, seconds, cpu_s() - cpu, percentile_us(&times, 0.50), percentile_us(&times, 0.99));
    return 0;
}
