/* Streams through a forwarder: this program is the client at one end and the server at the other.
 *
 * usage: stream PORT TARGET_PORT STREAMS WARM_S MEASURE_S      all on 127.0.0.1
 *
 * Listens on TARGET_PORT, opens STREAMS connections to the forwarder on PORT, and sends as fast as they take it.
 * The bytes repeat with a prime period; one read in CHECKED is compared with what has to be there, the others are
 * dropped in the kernel (MSG_TRUNC, tcp(7)), so that the load costs less than what is measured. Prints "warm"
 * after the warm-up, then one JSON object.
 * Exit: 0 measured, 1 usage or system, 2 a wrong byte, 3 nothing arrived.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
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

#define PERIOD 65521 /* prime: a block that is lost, doubled or moved shows */
#define CHUNK (256 * 1024)
#define CHECKED 16
#define MOST_STREAMS 1000
#define SILENCE_MS 30000

struct end {
    int fd, is_source;
    uint64_t offset, reads;
};

static unsigned char pattern[PERIOD + CHUNK], received[CHUNK];
static uint64_t arrived;

static void die(int status, const char *what)
{
    fprintf(stderr, "stream: %s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
    exit(status);
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static double cpu_s(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec)
           + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static struct sockaddr_in local(const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    address.sin_port = htons((uint16_t)atoi(port));
    return address;
}

static int listen_on(const char *port)
{
    struct sockaddr_in address = local(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, MOST_STREAMS) < 0)
        die(1, "cannot listen on the target port");
    return fd;
}

static int connect_to(const char *port)
{
    struct sockaddr_in address = local(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        die(3, "cannot connect");
    return fd;
}

static void watch(int poll_fd, struct end *end, int fd, int is_source)
{
    struct epoll_event event = {.events = is_source ? EPOLLOUT : EPOLLIN, .data = {.ptr = end}};
    end->fd = fd;
    end->is_source = is_source;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        die(1, "epoll_ctl");
}

/* Whoever looked whether the forwarder is there may be forwarded as well, and end without a word. */
static void accept_all(int listener, int poll_fd)
{
    int fd;
    while ((fd = accept(listener, NULL, NULL)) >= 0) {
        struct end *end = calloc(1, sizeof *end);
        if (!end)
            die(1, "no memory");
        watch(poll_fd, end, fd, 0);
    }
}

static void move_bytes(struct end *end)
{
    const unsigned char *right = pattern + end->offset % PERIOD;
    int is_checked = end->reads++ % CHECKED == 0;
    ssize_t done;
    if (end->is_source)
        done = write(end->fd, right, CHUNK);
    else
        done = recv(end->fd, received, CHUNK, is_checked ? 0 : MSG_TRUNC);
    if (done < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (done == 0 && !end->is_source && !end->offset) {
        close(end->fd);
        return;
    }
    if (done <= 0)
        die(3, "a stream broke");
    if (!end->is_source) {
        errno = 0;
        if (is_checked && memcmp(received, right, (size_t)done))
            die(2, "a byte is not what was sent");
        arrived += (uint64_t)done;
    }
    end->offset += (uint64_t)done;
}

int main(int count, char **arguments)
{
    static struct end sources[MOST_STREAMS];
    struct epoll_event events[256], coming = {.events = EPOLLIN};
    uint64_t warm_end, begin, end, now, state = 88172645463325252u;
    double cpu = 0, seconds;
    long streams, i;
    int poll_fd = epoll_create1(0), listener, fd, ready, warm = 0;

    if (count != 6 || (streams = atol(arguments[3])) < 1 || streams > MOST_STREAMS) {
        errno = 0;
        die(1, "usage: stream PORT TARGET_PORT STREAMS WARM_S MEASURE_S");
    }
    for (i = 0; i < PERIOD; i++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        pattern[i] = (unsigned char)state;
    }
    for (; i < PERIOD + CHUNK; i++)
        pattern[i] = pattern[i - PERIOD];
    listener = listen_on(arguments[2]);
    fcntl(listener, F_SETFL, O_NONBLOCK);
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, listener, &coming) < 0)
        die(1, "epoll_ctl");
    for (i = 0; i < streams; i++) {
        fd = connect_to(arguments[1]);
        watch(poll_fd, &sources[i], fd, 1);
    }
    begin = now_ns();
    warm_end = begin + (uint64_t)(atof(arguments[4]) * 1e9);
    end = warm_end + (uint64_t)(atof(arguments[5]) * 1e9);
    for (;;) {
        ready = epoll_wait(poll_fd, events, 256, SILENCE_MS);
        if (ready < 0 && errno == EINTR)
            continue;
        errno = 0;
        if (ready <= 0)
            die(3, "nothing arrived for 30 s");
        now = now_ns();
        if (!warm && now >= warm_end) {
            warm = 1;
            begin = now;
            end += now - warm_end;
            cpu = cpu_s();
            arrived = 0;
            puts("warm");
            fflush(stdout);
        }
        if (now >= end && arrived)
            break;
        for (i = 0; i < ready; i++)
            if (events[i].data.ptr)
                move_bytes(events[i].data.ptr);
            else
                accept_all(listener, poll_fd);
    }
    seconds = (double)(now - begin) / 1e9;
    printf("{\"megabytes\": %.6f, \"seconds\": %.6f, \"load_cpu_s\": %.6f}\n", (double)arrived / 1e6, seconds, cpu_s() - cpu);
    return 0;
}
