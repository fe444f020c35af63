/* Load of connections for a server that gives everybody a number and hangs up.
 *
 * usage: connect PORT CLIENTS WARM_S MEASURE_S      to 127.0.0.1
 *
 * Each of CLIENTS connects, reads until the server hangs up, and begins again. What it reads has to be one
 * decimal number and a newline, and a number that nobody got before in this run. Source addresses go round in
 * 127.0.0.0/8, so that no port is still in TIME_WAIT. Prints "warm" after the warm-up, then, as soon as there is anything
 * to count, one JSON object.
 * Exit: 0 measured, 1 usage, 2 a wrong or repeated number, 3 the server did not answer.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "histogram.h"

#define SILENCE_MS 30000
#define SOURCES 200
#define NUMBERS (1u << 28) /* one bit each: 32 MB, touched only where numbers are */

struct client {
    int fd;
    uint64_t began_ns;
    size_t received;
    char text[32];
};

static struct histogram times;
static unsigned char *seen;
static uint64_t lowest = UINT64_MAX, highest, connections;
static struct sockaddr_in address = {.sin_family = AF_INET};

static void die(int status, const char *what)
{
    fprintf(stderr, "connect: %s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
    exit(status);
}

static void begin_connection(struct client *client, int poll_fd)
{
    static unsigned turn;
    struct sockaddr_in source = {.sin_family = AF_INET};
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = client}};
    int one = 1;
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (client->fd < 0)
        die(1, "no socket");
    source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + turn++ % SOURCES);
    setsockopt(client->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (bind(client->fd, (struct sockaddr *)&source, sizeof source) < 0)
        die(1, "cannot bind a source address");
    client->received = 0;
    client->began_ns = now_ns();
    if (connect(client->fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS)
        die(3, "cannot connect");
    errno = 0;
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, client->fd, &event) < 0)
        die(1, "epoll_ctl");
}

static void take_number(const struct client *client)
{
    char *end;
    uint64_t number;
    errno = 0;
    number = strtoull(client->text, &end, 10);
    if (errno || client->received < 2 || end != client->text + client->received - 1 || *end != '\n'
        || client->text[0] < '0' || client->text[0] > '9' || number >= NUMBERS)
        die(2, "a reply is not a number and a newline");
    if (seen[number / 8] & (1u << number % 8))
        die(2, "a number was given twice");
    seen[number / 8] |= (unsigned char)(1u << number % 8);
    if (number < lowest)
        lowest = number;
    if (number > highest)
        highest = number;
}

/* Returns 1 when the server hung up and its number was right, 0 when more is to come. */
static int take_reply(struct client *client)
{
    for (;;) {
        ssize_t got = read(client->fd, client->text + client->received, sizeof client->text - 1 - client->received);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return 0;
        if (got < 0)
            die(3, "a connection broke");
        if (got == 0)
            break;
        client->received += (size_t)got;
        if (client->received == sizeof client->text - 1) {
            errno = 0;
            die(2, "a reply is too long");
        }
    }
    client->text[client->received] = 0;
    take_number(client);
    close(client->fd);
    return 1;
}

int main(int count, char **arguments)
{
    struct epoll_event events[512];
    struct client *clients;
    uint64_t begin, warm_end, end, now;
    double cpu = 0, seconds;
    long wanted, i;
    int poll_fd, ready, warm = 0;

    if (count != 5 || (wanted = atol(arguments[2])) < 1) {
        errno = 0;
        die(1, "usage: connect PORT CLIENTS WARM_S MEASURE_S");
    }
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)atoi(arguments[1]));
    clients = calloc((size_t)wanted, sizeof *clients);
    seen = calloc(NUMBERS / 8, 1);
    poll_fd = epoll_create1(0);
    if (!clients || !seen || poll_fd < 0)
        die(1, "no memory or epoll");
    for (i = 0; i < wanted; i++)
        begin_connection(&clients[i], poll_fd);
    begin = now_ns();
    warm_end = begin + (uint64_t)(atof(arguments[3]) * 1e9);
    end = warm_end + (uint64_t)(atof(arguments[4]) * 1e9);
    for (;;) {
        ready = epoll_wait(poll_fd, events, 512, SILENCE_MS);
        if (ready < 0 && errno == EINTR)
            continue;
        errno = 0;
        if (ready <= 0)
            die(3, "nobody was answered for 30 s");
        now = now_ns();
        if (!warm && now >= warm_end) {
            warm = 1;
            begin = now;
            end += now - warm_end;
            cpu = cpu_s();
            connections = 0;
            memset(&times, 0, sizeof times);
            puts("warm");
            fflush(stdout);
        }
        if (now >= end && connections)
            break;
        for (i = 0; i < ready; i++) {
            struct client *client = events[i].data.ptr;
            if (!take_reply(client))
                continue;
            count_ns(&times, now_ns() - client->began_ns);
            connections++;
            begin_connection(client, poll_fd);
        }
    }
    seconds = (double)(now - begin) / 1e9;
    printf("{\"connections\": %llu, \"seconds\": %.6f, \"load_cpu_s\": %.6f, \"p50_us\": %.2f, \"p99_us\": %.2f, "
           "\"lowest\": %llu, \"highest\": %llu}\n",
           (unsigned long long)connections, seconds, cpu_s() - cpu, percentile_us(&times, 0.50), percentile_us(&times, 0.99),
           (unsigned long long)lowest, (unsigned long long)highest);
    return 0;
}
