/* LD_PRELOAD: keeps beside each file of a folder what a power cut would leave of it.
 *
 * What was written to a file before a successful fsync(2) or fdatasync(2) of it began is copied to
 * POWERCUT_DISK/<inode>-<birth>; nothing else is. After the process has been killed, whoever puts these copies
 * back in place of the files of POWERCUT_FOLDER has the disk as the power cut left it, at its worst: no page was
 * written that nobody asked for. Names are kept as they are, which is kinder than a disk has to be, to all alike.
 *
 * Knows files only: not who runs, and not what is written.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(type, name, ...)                                                                                \
    static type (*real)(__VA_ARGS__);                                                                        \
    if (!real) real = dlsym(RTLD_NEXT, #name)

enum { FILES = 1024, RANGES = 4096 };

struct range { off_t begin, end; };

/* A file since its last sync: what was written; all of it if nobody has looked yet. */
struct file {
    dev_t device;
    ino_t inode;
    int is_whole, count;
    off_t synced_size;
    struct range *ranges;
};

static struct file files[FILES];
static int file_count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static __thread sigset_t mask_before;
static char folder[PATH_MAX], disk[PATH_MAX];
static size_t folder_size;

static void hold(void)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &mask_before);
    pthread_mutex_lock(&lock);
}

static void release(void)
{
    pthread_mutex_unlock(&lock);
    pthread_sigmask(SIG_SETMASK, &mask_before, NULL);
}

__attribute__((constructor)) static void begin(void)
{
    const char *where = getenv("POWERCUT_FOLDER"), *to = getenv("POWERCUT_DISK");
    if (!where || !to) return;
    folder_size = (size_t)snprintf(folder, sizeof folder, "%s/", where);
    snprintf(disk, sizeof disk, "%s", to);
}

static void must(int is_true, const char *what)
{
    if (is_true) return;
    fprintf(stderr, "powercut: %s: %s\n", what, strerror(errno));
    abort();
}

/* The caller holds the lock. */
static struct file *entry(const struct stat *status)
{
    for (int i = file_count; i-- > 0;)
        if (files[i].inode == status->st_ino && files[i].device == status->st_dev) return &files[i];
    must(file_count < FILES, "too many files");
    struct file *made = &files[file_count++];
    *made = (struct file){.device = status->st_dev, .inode = status->st_ino, .is_whole = 1};
    made->ranges = malloc(RANGES * sizeof *made->ranges);
    must(made->ranges != NULL, "no memory");
    return made;
}

static void changed(int fd, off_t at, ssize_t size)
{
    struct stat status;
    int saved = errno;
    if (size > 0 && folder_size && !fstat(fd, &status) && S_ISREG(status.st_mode)) {
        hold();
        struct file *file = entry(&status);
        if (at < 0) at = lseek(fd, 0, SEEK_CUR) - size; /* just written, at the position or the end */
        struct range *last = file->count ? &file->ranges[file->count - 1] : NULL;
        if (last && last->end == at) {
            last->end += size;
        } else if (file->count < RANGES) {
            file->ranges[file->count++] = (struct range){at, at + size};
        } else {
            file->is_whole = 1;
        }
        release();
    }
    errno = saved;
}

static void rewritten(int fd)
{
    struct stat status;
    int saved = errno;
    if (folder_size && !fstat(fd, &status) && S_ISREG(status.st_mode)) {
        hold();
        entry(&status)->is_whole = 1;
        release();
    }
    errno = saved;
}

/* --- what changes a file -------------------------------------------------------------------------------- */

ssize_t write(int fd, const void *data, size_t size)
{
    REAL(ssize_t, write, int, const void *, size_t);
    ssize_t done = real(fd, data, size);
    changed(fd, -1, done);
    return done;
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    REAL(ssize_t, writev, int, const struct iovec *, int);
    ssize_t done = real(fd, parts, count);
    changed(fd, -1, done);
    return done;
}

#define PWRITE(symbol)                                                                                       \
    ssize_t symbol(int fd, const void *data, size_t size, off_t offset)                                      \
    {                                                                                                        \
        REAL(ssize_t, symbol, int, const void *, size_t, off_t);                                             \
        ssize_t done = real(fd, data, size, offset);                                                         \
        changed(fd, offset, done);                                                                           \
        return done;                                                                                         \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

#define PWRITEV(symbol)                                                                                      \
    ssize_t symbol(int fd, const struct iovec *parts, int count, off_t offset)                               \
    {                                                                                                        \
        REAL(ssize_t, symbol, int, const struct iovec *, int, off_t);                                        \
        ssize_t done = real(fd, parts, count, offset);                                                       \
        changed(fd, offset, done);                                                                           \
        return done;                                                                                         \
    }
PWRITEV(pwritev)
PWRITEV(pwritev64)

#define TRUNCATE(symbol)                                                                                     \
    int symbol(int fd, off_t size)                                                                           \
    {                                                                                                        \
        REAL(int, symbol, int, off_t);                                                                       \
        rewritten(fd);                                                                                       \
        return real(fd, size);                                                                               \
    }
TRUNCATE(ftruncate)
TRUNCATE(ftruncate64)

ssize_t copy_file_range(int in, off64_t *from, int fd, off64_t *to, size_t size, unsigned int flags)
{
    REAL(ssize_t, copy_file_range, int, off64_t *, int, off64_t *, size_t, unsigned int);
    rewritten(fd);
    return real(in, from, fd, to, size, flags);
}

/* --- syncs ---------------------------------------------------------------------------------------------- */

/* Where the copy of a file is; 0 if the file is none of the folder's. */
static int copy_of(int fd, char *path)
{
    char link[64], name[PATH_MAX];
    struct statx status;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, name, sizeof name - 1);
    if (size <= 0) return 0;
    name[size] = 0;
    if (strncmp(name, folder, folder_size)) return 0;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &status)) return 0;
    snprintf(path, PATH_MAX, "%s/%llu-%lld%09u", disk, (unsigned long long)status.stx_ino,
             (long long)status.stx_btime.tv_sec, status.stx_btime.tv_nsec);
    return 1;
}

static int synced(int (*real)(int), int fd)
{
    struct stat status;
    char path[PATH_MAX], self[64];
    if (!folder_size || fstat(fd, &status) || !S_ISREG(status.st_mode) || !copy_of(fd, path)) return real(fd);

    /* What is on the disk afterwards: as it is now, not as it may be when the sync returns. */
    hold();
    struct file *file = entry(&status);
    int count = 0, is_whole = file->is_whole;
    struct range *ranges = malloc((RANGES + 1) * sizeof *ranges);
    must(ranges != NULL && !fstat(fd, &status), "cannot look at a file");
    if (is_whole) {
        ranges[count++] = (struct range){0, status.st_size};
    } else {
        memcpy(ranges, file->ranges, (size_t)file->count * sizeof *ranges);
        count = file->count;
        /* stdio writes without passing here: whatever a file has grown by is taken as well. */
        if (status.st_size > file->synced_size)
            ranges[count++] = (struct range){file->synced_size, status.st_size};
    }
    file->is_whole = file->count = 0;
    file->synced_size = status.st_size;
    char **contents = calloc((size_t)count + 1, sizeof *contents);
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    int from = open(self, O_RDONLY | O_CLOEXEC);
    must(from >= 0 && contents != NULL, "cannot read a file");
    for (int i = 0; i < count; i++) {
        if (ranges[i].end > status.st_size) ranges[i].end = status.st_size;
        off_t size = ranges[i].end - ranges[i].begin;
        if (size <= 0) continue;
        contents[i] = malloc((size_t)size);
        must(contents[i] != NULL && pread(from, contents[i], (size_t)size, ranges[i].begin) == size, "read");
    }
    close(from);
    release();

    int failed = real(fd);
    int saved = errno;

    hold();
    if (!failed) {
        static ssize_t (*put)(int, const void *, size_t, off_t);
        static int (*cut)(int, off_t);
        if (!put) put = dlsym(RTLD_NEXT, "pwrite64");
        if (!cut) cut = dlsym(RTLD_NEXT, "ftruncate64");
        int to = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        must(to >= 0, "cannot write the copy");
        for (int i = 0; i < count; i++) {
            off_t size = ranges[i].end - ranges[i].begin;
            if (size > 0) must(put(to, contents[i], (size_t)size, ranges[i].begin) == size, "write");
        }
        /* Last: a kill in between leaves a shorter file, as an interrupted sync does, and no zeros at its end. */
        must(!cut(to, status.st_size), "cut");
        close(to);
    } else {
        entry(&status)->is_whole = 1;
    }
    release();
    for (int i = 0; i < count; i++) free(contents[i]);
    free(contents);
    free(ranges);
    errno = saved;
    return failed;
}

int fsync(int fd)
{
    REAL(int, fsync, int);
    return synced(real, fd);
}

int fdatasync(int fd)
{
    REAL(int, fdatasync, int);
    return synced(real, fd);
}
