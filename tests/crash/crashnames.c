/* The other half of the tracer: names in the folder, and what sockets are told; see crashtrace.c. */
#include "crashtrace.h"
#include <stdarg.h>

/* Whether a path leads to a file of interest directly in the folder. */
static int ours(int dir, const char *path)
{
    char parent[PATH_MAX], whole[PATH_MAX];
    int saved = errno, yes = 0;
    if (trace_log < 0 || !counts(base(path))) return 0;
    if (dir != AT_FDCWD && path[0] != '/') {
        snprintf(parent, sizeof parent, "/proc/self/fd/%d", dir);
    } else {
        size_t size = (size_t)(base(path) - path);
        if (size >= sizeof parent) return 0;
        memcpy(parent, path, size);
        strcpy(parent + size, ".");
    }
    yes = realpath(parent, whole) && !strcmp(whole, trace_folder);
    errno = saved;
    return yes;
}

static uint64_t inode_of(int dir, const char *path)
{
    struct stat status;
    int saved = errno;
    uint64_t inode = fstatat(dir, path, &status, AT_SYMLINK_NOFOLLOW) ? 0 : status.st_ino;
    errno = saved;
    return inode;
}

/* Both names of a rename or a link are in one record: the old one as data. */
static void put_names(char op, const char *old, const char *new, uint64_t inode)
{
    struct iovec part = {(void *)base(old), strlen(base(old))};
    put(op, -1, 0, base(new), inode, 0, &part, 1, SIZE_MAX);
}

/* --- names ---------------------------------------------------------------------------------------------- */

static int opened(int (*real)(int, const char *, int, ...), int dir, const char *path, int flags, mode_t mode)
{
    if (!(flags & (O_CREAT | O_TRUNC)) || (flags & O_TMPFILE) == O_TMPFILE || !ours(dir, path))
        return real(dir, path, flags, mode);
    hold();
    uint64_t before = inode_of(dir, path);
    int fd = real(dir, path, flags, mode);
    if (fd >= 0 && !before) put('c', fd, 0, base(path), inode_of(dir, path), 0, NULL, 0, 0);
    if (fd >= 0 && before && (flags & O_TRUNC)) put('t', fd, 0, base(path), before, 0, NULL, 0, 0);
    release();
    return fd;
}

#define MODE                                                                                                 \
    mode_t mode = 0;                                                                                         \
    if (flags & (O_CREAT | O_TMPFILE)) {                                                                     \
        va_list rest;                                                                                        \
        va_start(rest, flags);                                                                               \
        mode = va_arg(rest, mode_t);                                                                         \
        va_end(rest);                                                                                        \
    }

#define OPEN(symbol, at_symbol)                                                                              \
    int at_symbol(int dir, const char *path, int flags, ...)                                                 \
    {                                                                                                        \
        REAL(int, at_symbol, int, const char *, int, ...);                                                   \
        MODE                                                                                                 \
        return opened(real, dir, path, flags, mode);                                                         \
    }                                                                                                        \
    int symbol(const char *path, int flags, ...)                                                             \
    {                                                                                                        \
        REAL(int, at_symbol, int, const char *, int, ...);                                                   \
        MODE                                                                                                 \
        return opened(real, AT_FDCWD, path, flags, mode);                                                    \
    }
OPEN(open, openat)
OPEN(open64, openat64)

int renameat(int old_dir, const char *old, int new_dir, const char *new)
{
    REAL(int, renameat, int, const char *, int, const char *);
    if (!ours(old_dir, old) && !ours(new_dir, new)) return real(old_dir, old, new_dir, new);
    hold();
    uint64_t inode = inode_of(old_dir, old);
    int failed = real(old_dir, old, new_dir, new);
    if (!failed) put_names('r', old, new, inode);
    release();
    return failed;
}

int rename(const char *old, const char *new) { return renameat(AT_FDCWD, old, AT_FDCWD, new); }

int linkat(int old_dir, const char *old, int new_dir, const char *new, int flags)
{
    REAL(int, linkat, int, const char *, int, const char *, int);
    if (!ours(new_dir, new)) return real(old_dir, old, new_dir, new, flags);
    hold();
    int failed = real(old_dir, old, new_dir, new, flags);
    if (!failed) put_names('l', old, new, inode_of(new_dir, new));
    release();
    return failed;
}

int link(const char *old, const char *new) { return linkat(AT_FDCWD, old, AT_FDCWD, new, 0); }

int unlinkat(int dir, const char *path, int flags)
{
    REAL(int, unlinkat, int, const char *, int);
    if ((flags & AT_REMOVEDIR) || !ours(dir, path)) return real(dir, path, flags);
    hold();
    uint64_t inode = inode_of(dir, path);
    int failed = real(dir, path, flags);
    if (!failed) put('u', -1, 0, base(path), inode, 0, NULL, 0, 0);
    release();
    return failed;
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }

/* --- sockets -------------------------------------------------------------------------------------------- */

static int is_socket(int fd)
{
    char name[NAME_MAX + 1];
    uint64_t inode;
    return look(fd, name, &inode) == SOCKET;
}

ssize_t send(int fd, const void *data, size_t size, int flags)
{
    REAL(ssize_t, send, int, const void *, size_t, int);
    struct iovec part = {(void *)data, size};
    if (is_socket(fd)) say('s', fd, &part, 1);
    return real(fd, data, size, flags);
}

ssize_t sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *to, socklen_t to_size)
{
    REAL(ssize_t, sendto, int, const void *, size_t, int, const struct sockaddr *, socklen_t);
    struct iovec part = {(void *)data, size};
    if (is_socket(fd)) say('s', fd, &part, 1);
    return real(fd, data, size, flags, to, to_size);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    REAL(ssize_t, sendmsg, int, const struct msghdr *, int);
    if (is_socket(fd)) say('s', fd, message->msg_iov, message->msg_iovlen);
    return real(fd, message, flags);
}

int sendmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags)
{
    REAL(int, sendmmsg, int, struct mmsghdr *, unsigned int, int);
    if (is_socket(fd))
        for (unsigned int i = 0; i < count; i++)
            say('s', fd, messages[i].msg_hdr.msg_iov, messages[i].msg_hdr.msg_iovlen);
    return real(fd, messages, count, flags);
}

int shutdown(int fd, int how)
{
    REAL(int, shutdown, int, int);
    if (how != SHUT_RD && is_socket(fd)) say('e', fd, NULL, 0);
    return real(fd, how);
}

int close(int fd)
{
    REAL(int, close, int);
    if (is_socket(fd)) say('e', fd, NULL, 0);
    return real(fd);
}

/* libuv closes by syscall(2). */
long syscall(long number, ...)
{
    static long (*real)(long, ...);
    if (!real) real = dlsym(RTLD_NEXT, "syscall");
    va_list rest;
    va_start(rest, number);
    long a[6];
    for (int i = 0; i < 6; i++) a[i] = va_arg(rest, long);
    va_end(rest);
    if (number == SYS_close && is_socket((int)a[0])) say('e', (int)a[0], NULL, 0);
    return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
