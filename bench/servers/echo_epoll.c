/* The floor under every event loop: an echo server that is one epoll loop and nothing else.
 *
 * usage: echo_epoll PORT     serves 127.0.0.1 until it is killed
 *
 * What a reply cannot take at once is dropped with its connection: the load has one small request in flight, so
 * a short write means that the measurement is wrong, and its generator will say so.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static void accept_all(int listener, int poll_fd)
{
    int one = 1, fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event);
    }
}

int main(int count, char **arguments)
{
    static char buffer[65536];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct epoll_event events[512], event = {.events = EPOLLIN};
    int listener, poll_fd, ready, one = 1, i;

    if (count != 2)
        return 64;
    address.sin_port = htons((uint16_t)atoi(arguments[1]));
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    event.data.fd = listener;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 1024) < 0
        || epoll_ctl(poll_fd, EPOLL_CTL_ADD, listener, &event) < 0) {
        perror("echo_epoll");
        return 69;
    }
    for (;;) {
        ready = epoll_wait(poll_fd, events, 512, -1);
        if (ready < 0 && errno != EINTR)
            return 74;
        for (i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            ssize_t got;
            if (fd == listener) {
                accept_all(listener, poll_fd);
                continue;
            }
            got = read(fd, buffer, sizeof buffer);
            if (got <= 0 || write(fd, buffer, (size_t)got) != got)
                close(fd);
        }
    }
}
