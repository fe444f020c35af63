#ifndef CRASHTRACE_H
#define CRASHTRACE_H
/* What both halves of the tracer share; see crashtrace.c. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(type, name, ...)                                                                                \
    static type (*real)(__VA_ARGS__);                                                                        \
    if (!real) real = dlsym(RTLD_NEXT, #name)

#define HIDDEN __attribute__((visibility("hidden")))

enum kind { OTHER, TAP, FOLDER, SOCKET };

extern HIDDEN char trace_folder[PATH_MAX];
extern HIDDEN int trace_log;

/* Take the lock under which records are written; no signal is handled meanwhile. */
HIDDEN void hold(void);
HIDDEN void release(void);
/* syscall(2) past our own wrapper. */
HIDDEN long raw(long number, long a, long b, long c);
/* Whether a file of this name is of interest. */
HIDDEN int counts(const char *name);
HIDDEN const char *base(const char *path);
/* What a descriptor is; its name in the folder and its inode if it is a tap. */
HIDDEN enum kind look(int fd, char *name, uint64_t *inode);
/* Write one record; the caller holds the lock. */
HIDDEN void put(char op, int fd, int result, const char *name, uint64_t inode, int64_t offset,
                const struct iovec *parts, size_t count, size_t limit);
/* Write a record about a socket. */
HIDDEN void say(char op, int fd, const struct iovec *parts, size_t count);
#endif
