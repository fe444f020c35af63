/* What stands behind a forwarder whose connections are counted: each client gets the next number, then the end.
 *
 * usage: numbers PORT     serves 127.0.0.1 until it is killed
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int count, char **arguments)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    unsigned long number = 0;
    char text[32];
    int listener, fd, one = 1;

    if (count != 2)
        return 64;
    address.sin_port = htons((uint16_t)atoi(arguments[1]));
    listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 1024) < 0) {
        perror("numbers");
        return 69;
    }
    for (;;) {
        int size;
        if ((fd = accept(listener, NULL, NULL)) < 0)
            continue;
        size = snprintf(text, sizeof text, "%lu\n", number++);
        if (write(fd, text, (size_t)size) != size)
            number--; /* gone already: nobody has it */
        close(fd);
    }
}
