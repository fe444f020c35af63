/* LD_PRELOAD shim: one call among those that change the taps of one folder fails, as on a disk that is broken
 * or full.
 *
 * FAULT_FOLDER: the folder, without symbolic links; files with ".tap" in their names count (not ".lock").
 * FAULT_LOG:    a line "CLASS NUMBER CALL FILE" for each call; the one that fails ends with " FAULT".
 * FAULT_CLASS:  "write" (write, pwrite, ftruncate), "room" (fallocate), "sync" (fsync, fdatasync, of the folder
 *               too) or "name" (open that creates, rename); FAULT_NUMBER: which one, from 1; FAULT_ERRNO: how.
 * FAULT_STAYS:  if set, each later call of the class fails as well; else the disk is well again, which is
 *               worse: whoever tries again believes that all is written.
 *
 * A write that fails has written its first half, in whole sectors: what a full disk leaves behind is torn.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REAL(type, name, ...)                                                                                \
    static type (*real)(__VA_ARGS__);                                                                        \
    if (!real) real = dlsym(RTLD_NEXT, #name)

#define HALF(size) ((size) / 2 / 512 * 512)

static const char *const CLASSES[] = {"write", "room", "sync", "name"};
enum class { WRITE, ROOM, SYNC, NAME, CLASSES_SIZE };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *folder;
static size_t folder_size;
static int log_fd = -1, failing_class = -1, failing_errno;
static long failing_number, counts[CLASSES_SIZE];
static int stays;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("FAULT_LOG"), *class = getenv("FAULT_CLASS");
    folder = getenv("FAULT_FOLDER");
    if (!path || !folder) return;
    folder_size = strlen(folder);
    for (int i = 0; class && i < CLASSES_SIZE; i++)
        if (!strcmp(class, CLASSES[i])) failing_class = i;
    if (failing_class >= 0) {
        failing_number = atol(getenv("FAULT_NUMBER"));
        failing_errno = atoi(getenv("FAULT_ERRNO"));
        stays = getenv("FAULT_STAYS") != NULL;
    }
    log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* Count one call; whether it has to fail. */
static int fails(enum class class, const char *call, const char *name)
{
    char line[64 + NAME_MAX];
    int saved = errno;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    pthread_mutex_lock(&lock);
    long number = ++counts[class];
    int yes = (int)class == failing_class && (stays ? number >= failing_number : number == failing_number);
    int size = snprintf(line, sizeof line, "%s %ld %s %.200s%s\n", CLASSES[class], number, call, name,
                        yes ? " FAULT" : "");
    static ssize_t (*real)(int, const void *, size_t);
    if (!real) real = dlsym(RTLD_NEXT, "write");
    if (real(log_fd, line, (size_t)size) != size) abort();
    pthread_mutex_unlock(&lock);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = yes ? failing_errno : saved;
    return yes;
}

static int is_tap(const char *name)
{
    size_t size = strlen(name);
    return strstr(name, ".tap") && !(size > 5 && !strcmp(name + size - 5, ".lock"));
}

/* The name in the folder of what a descriptor is: 1 a tap, 2 the folder itself, 0 anything else. */
static int look(int fd, char *name)
{
    char link[64], path[PATH_MAX];
    int saved = errno, kind = 0;
    if (log_fd < 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    errno = saved;
    if (size <= 0) return 0;
    path[size] = 0;
    if (!strcmp(path, folder)) {
        kind = 2;
        strcpy(name, "(folder)");
    } else if (!strncmp(path, folder, folder_size) && path[folder_size] == '/' &&
               !strchr(path + folder_size + 1, '/') && is_tap(path + folder_size + 1)) {
        kind = 1;
        snprintf(name, NAME_MAX, "%s", path + folder_size + 1);
    }
    return kind;
}

static int creates(const char *path, int flags)
{
    char parent[PATH_MAX], whole[PATH_MAX];
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    if (log_fd < 0 || !(flags & O_CREAT) || !is_tap(name)) return 0;
    if (!access(path, F_OK)) return 0; /* opens only */
    int saved = errno, yes;
    snprintf(parent, sizeof parent, "%.*s.", (int)(name - path), path);
    yes = realpath(parent, whole) && !strcmp(whole, folder);
    errno = saved;
    return yes && fails(NAME, "open", name);
}

/* SQLite syncs the folder too, once, and takes no notice of what comes of it; ours follows. */
static int is_of_sqlite(void *caller)
{
    Dl_info info;
    return dladdr(caller, &info) && info.dli_fname && strstr(info.dli_fname, "sqlite3");
}

/* --- writing -------------------------------------------------------------------------------------------- */

ssize_t write(int fd, const void *data, size_t size)
{
    REAL(ssize_t, write, int, const void *, size_t);
    char name[NAME_MAX];
    if (look(fd, name) == 1 && fails(WRITE, "write", name)) {
        if (real(fd, data, HALF(size)) < 0) abort();
        errno = failing_errno;
        return -1;
    }
    return real(fd, data, size);
}

#define PWRITE(function)                                                                                     \
    ssize_t function(int fd, const void *data, size_t size, off_t offset)                                    \
    {                                                                                                        \
        REAL(ssize_t, function, int, const void *, size_t, off_t);                                           \
        char name[NAME_MAX];                                                                                 \
        if (look(fd, name) == 1 && fails(WRITE, "pwrite", name)) {                                           \
            if (real(fd, data, HALF(size), offset) < 0) abort();                                               \
            errno = failing_errno;                                                                           \
            return -1;                                                                                       \
        }                                                                                                    \
        return real(fd, data, size, offset);                                                                 \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

#define TRUNCATE(function)                                                                                   \
    int function(int fd, off_t size)                                                                         \
    {                                                                                                        \
        REAL(int, function, int, off_t);                                                                     \
        char name[NAME_MAX];                                                                                 \
        return look(fd, name) == 1 && fails(WRITE, "ftruncate", name) ? -1 : real(fd, size);                 \
    }
TRUNCATE(ftruncate)
TRUNCATE(ftruncate64)

#define ALLOCATE(function)                                                                                   \
    int function(int fd, int mode, off_t offset, off_t size)                                                 \
    {                                                                                                        \
        REAL(int, function, int, int, off_t, off_t);                                                         \
        char name[NAME_MAX];                                                                                 \
        return look(fd, name) == 1 && fails(ROOM, "fallocate", name) ? -1 : real(fd, mode, offset, size);   \
    }
ALLOCATE(fallocate)
ALLOCATE(fallocate64)

#define POSIX_ALLOCATE(function)                                                                             \
    int function(int fd, off_t offset, off_t size)                                                           \
    {                                                                                                        \
        REAL(int, function, int, off_t, off_t);                                                              \
        char name[NAME_MAX];                                                                                 \
        int failed = look(fd, name) == 1 && fails(ROOM, "fallocate", name);                                 \
        return failed ? failing_errno : real(fd, offset, size);                                              \
    }
POSIX_ALLOCATE(posix_fallocate)
POSIX_ALLOCATE(posix_fallocate64)

/* --- syncing -------------------------------------------------------------------------------------------- */

#define SYNC_CALL(function)                                                                                  \
    int function(int fd)                                                                                     \
    {                                                                                                        \
        REAL(int, function, int);                                                                            \
        char name[NAME_MAX];                                                                                 \
        int kind = look(fd, name);                                                                           \
        int counted = kind == 1 || (kind == 2 && !is_of_sqlite(__builtin_return_address(0)));                \
        return counted && fails(SYNC, #function, name) ? -1 : real(fd);                                      \
    }
SYNC_CALL(fsync)
SYNC_CALL(fdatasync)

/* --- names ---------------------------------------------------------------------------------------------- */

#define OPEN(function)                                                                                       \
    int function(const char *path, int flags, ...)                                                           \
    {                                                                                                        \
        REAL(int, function, const char *, int, ...);                                                         \
        mode_t mode = 0;                                                                                     \
        if (flags & (O_CREAT | O_TMPFILE)) {                                                                 \
            va_list rest;                                                                                    \
            va_start(rest, flags);                                                                           \
            mode = va_arg(rest, mode_t);                                                                     \
            va_end(rest);                                                                                    \
        }                                                                                                    \
        return creates(path, flags) ? -1 : real(path, flags, mode);                                          \
    }
OPEN(open)
OPEN(open64)

int rename(const char *old, const char *new)
{
    REAL(int, rename, const char *, const char *);
    const char *slash = strrchr(new, '/'), *name = slash ? slash + 1 : new;
    return log_fd >= 0 && is_tap(name) && fails(NAME, "rename", name) ? -1 : real(old, new);
}
