/* LD_PRELOAD tracer: what a process does to the taps of one folder, and what it says to sockets, in one order.
 *
 * A record is written with one writev(2) to an O_APPEND file while a lock is held, so the order of the
 * records is the order of the events, over threads and over processes that follow each other.
 *
 *   writes, truncations, names   are done and logged under the lock: as they happen
 *   syncs                        'b' before, 'f' after: what was written before 'b' is on the disk after 'f'
 *   a new process              is 'p': what was open has gone
 *   sends, shutdown, close       are logged before they are done: the peer may know as soon as they begin
 *
 * CRASHTRACE_LOG: the file; CRASHTRACE_FOLDER: the folder, without symbolic links; CRASHTRACE_SYNC_US: how
 * much longer a sync shall take, since the folder may lie in memory; CRASHTRACE_DIES: in which sync of a WAL
 * the process kills itself: all is written, and nobody knows how much of it is on the disk.  In the folder,
 * files with ".tap" in their names count (not ".lock"), and "notes", which the application writes to explain
 * itself.
 */
#include "crashtrace.h"

enum { MAX_PARTS = 1022 }; /* with the head and the name: IOV_MAX */

struct record {
    uint32_t size; /* of the whole record */
    char op, pad[3];
    int32_t fd, result;
    uint64_t inode;
    int64_t offset;
    uint32_t name_size, data_size;
} __attribute__((packed));

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static __thread sigset_t mask_before;
char trace_folder[PATH_MAX];
static size_t folder_size;
int trace_log = -1;
static useconds_t sync_us;
static long wal_syncs_left; /* -1 and less: without end */
static uint64_t wal_written; /* since its last sync */

long raw(long number, long a, long b, long c)
{
    static long (*real)(long, ...);
    if (!real) real = dlsym(RTLD_NEXT, "syscall");
    return real(number, a, b, c);
}

/* A signal handler writes too (Python's wakes the loop through a socket): in a thread that holds the lock it
 * would wait for itself. */
void hold(void)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &mask_before);
    pthread_mutex_lock(&lock);
}

void release(void)
{
    pthread_mutex_unlock(&lock);
    pthread_sigmask(SIG_SETMASK, &mask_before, NULL);
}

const char *base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

int counts(const char *name)
{
    size_t size = strlen(name);
    if (!strcmp(name, "notes")) return 1;
    return strstr(name, ".tap") && !(size > 5 && !strcmp(name + size - 5, ".lock"));
}

enum kind look(int fd, char *name, uint64_t *inode)
{
    char link[64], path[PATH_MAX];
    struct stat status;
    int saved = errno;
    enum kind kind = OTHER;
    name[0] = 0;
    *inode = 0;
    if (trace_log < 0) return OTHER;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size > 0) {
        path[size] = 0;
        if (!strncmp(path, "socket:", 7)) {
            kind = SOCKET;
        } else if (!strcmp(path, trace_folder)) {
            kind = FOLDER;
        } else if (!strncmp(path, trace_folder, folder_size) && path[folder_size] == '/' &&
                   !strchr(path + folder_size + 1, '/')) {
            char *gone = strstr(path, " (deleted)");
            if (gone) *gone = 0;
            if (counts(base(path)) && !fstat(fd, &status)) {
                kind = TAP;
                snprintf(name, NAME_MAX, "%s", base(path));
                *inode = status.st_ino;
            }
        }
    }
    errno = saved;
    return kind;
}

static int is_wal(const char *name)
{
    size_t size = strlen(name);
    return size > 4 && !strcmp(name + size - 4, "-wal");
}

void put(char op, int fd, int result, const char *name, uint64_t inode, int64_t offset,
                const struct iovec *parts, size_t count, size_t limit)
{
    int saved = errno;
    struct record head = {.op = op, .fd = fd, .result = result, .inode = inode, .offset = offset};
    head.name_size = (uint32_t)strlen(name);
    size_t total = 0;
    for (size_t i = 0; i < count; i++) total += parts[i].iov_len;
    head.data_size = (uint32_t)(total < limit ? total : limit);
    head.size = (uint32_t)sizeof head + head.name_size + head.data_size;
    if (op == 'w' && is_wal(name)) wal_written += head.data_size;
    /* No malloc: the call may come from a signal handler that has interrupted one. */
    struct iovec whole[2 + MAX_PARTS] = {{&head, sizeof head}, {(void *)name, head.name_size}};
    int used = 2;
    for (size_t i = 0, left = head.data_size; i < count && left; i++) {
        if (used == 2 + MAX_PARTS) abort();
        size_t some = parts[i].iov_len < left ? parts[i].iov_len : left;
        whole[used++] = (struct iovec){parts[i].iov_base, some};
        left -= some;
    }
    if (raw(SYS_writev, trace_log, (long)whole, used) != (long)head.size) abort();
    errno = saved;
}

void say(char op, int fd, const struct iovec *parts, size_t count)
{
    hold();
    put(op, fd, 0, "", 0, 0, parts, count, SIZE_MAX);
    release();
}

__attribute__((constructor)) static void begin(void)
{
    const char *log = getenv("CRASHTRACE_LOG"), *where = getenv("CRASHTRACE_FOLDER");
    const char *us = getenv("CRASHTRACE_SYNC_US"), *dies = getenv("CRASHTRACE_DIES");
    if (!log || !where) return;
    folder_size = (size_t)snprintf(trace_folder, sizeof trace_folder, "%s", where);
    sync_us = us ? (useconds_t)atoi(us) : 0;
    wal_syncs_left = dies && *dies ? atol(dies) : -1;
    int fd = (int)raw(SYS_open, (long)log, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    trace_log = (int)raw(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 900); /* out of the way of those who count */
    raw(SYS_close, fd, 0, 0);
    say('p', -1, NULL, 0);
}

/* --- content -------------------------------------------------------------------------------------------- */

static int64_t position(int fd)
{
    struct stat status;
    if (raw(SYS_fcntl, fd, F_GETFL, 0) & O_APPEND) return fstat(fd, &status) ? 0 : status.st_size;
    return raw(SYS_lseek, fd, 0, SEEK_CUR);
}

#define WRITES(real_call, where, parts, count)                                                               \
    hold();                                                                                                  \
    int64_t at = (where);                                                                                    \
    ssize_t done = real_call;                                                                                \
    if (done > 0) put('w', fd, 0, name, inode, at, parts, count, (size_t)done);                              \
    release();                                                                                               \
    return done

ssize_t write(int fd, const void *data, size_t size)
{
    REAL(ssize_t, write, int, const void *, size_t);
    char name[NAME_MAX + 1];
    uint64_t inode;
    struct iovec part = {(void *)data, size};
    enum kind kind = look(fd, name, &inode);
    if (kind == SOCKET) say('s', fd, &part, 1);
    if (kind != TAP) return real(fd, data, size);
    WRITES(real(fd, data, size), position(fd), &part, 1);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    REAL(ssize_t, writev, int, const struct iovec *, int);
    char name[NAME_MAX + 1];
    uint64_t inode;
    enum kind kind = look(fd, name, &inode);
    if (kind == SOCKET) say('s', fd, parts, (size_t)count);
    if (kind != TAP) return real(fd, parts, count);
    WRITES(real(fd, parts, count), position(fd), parts, (size_t)count);
}

#define PWRITE(symbol)                                                                                       \
    ssize_t symbol(int fd, const void *data, size_t size, off_t offset)                                      \
    {                                                                                                        \
        REAL(ssize_t, symbol, int, const void *, size_t, off_t);                                             \
        char name[NAME_MAX + 1];                                                                             \
        uint64_t inode;                                                                                      \
        struct iovec part = {(void *)data, size};                                                            \
        if (look(fd, name, &inode) != TAP) return real(fd, data, size, offset);                              \
        WRITES(real(fd, data, size, offset), offset, &part, 1);                                              \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

#define PWRITEV(symbol)                                                                                      \
    ssize_t symbol(int fd, const struct iovec *parts, int count, off_t offset)                               \
    {                                                                                                        \
        REAL(ssize_t, symbol, int, const struct iovec *, int, off_t);                                        \
        char name[NAME_MAX + 1];                                                                             \
        uint64_t inode;                                                                                      \
        if (look(fd, name, &inode) != TAP) return real(fd, parts, count, offset);                            \
        WRITES(real(fd, parts, count, offset), offset, parts, (size_t)count);                                \
    }
PWRITEV(pwritev)
PWRITEV(pwritev64)

#define TRUNCATE(symbol)                                                                                     \
    int symbol(int fd, off_t size)                                                                           \
    {                                                                                                        \
        REAL(int, symbol, int, off_t);                                                                       \
        char name[NAME_MAX + 1];                                                                             \
        uint64_t inode;                                                                                      \
        if (look(fd, name, &inode) != TAP) return real(fd, size);                                            \
        hold();                                                                                              \
        int failed = real(fd, size);                                                                         \
        if (!failed) put('t', fd, 0, name, inode, size, NULL, 0, 0);                                         \
        release();                                                                                           \
        return failed;                                                                                       \
    }
TRUNCATE(ftruncate)
TRUNCATE(ftruncate64)

/* Zeros to the end of what is allocated: a truncation that only grows. */
static int allocated(int result, int fd, int mode, off_t offset, off_t size, const char *name, uint64_t inode)
{
    if (!result && !mode) put('g', fd, 0, name, inode, offset + size, NULL, 0, 0);
    if (!result && (mode & ~FALLOC_FL_KEEP_SIZE)) abort(); /* holes and shifts: nobody does that to a tap */
    return result;
}

#define ALLOCATE(symbol)                                                                                     \
    int symbol(int fd, off_t offset, off_t size)                                                             \
    {                                                                                                        \
        REAL(int, symbol, int, off_t, off_t);                                                                \
        char name[NAME_MAX + 1];                                                                             \
        uint64_t inode;                                                                                      \
        if (look(fd, name, &inode) != TAP) return real(fd, offset, size);                                    \
        hold();                                                                                              \
        int failed = allocated(real(fd, offset, size), fd, 0, offset, size, name, inode);                    \
        release();                                                                                           \
        return failed;                                                                                       \
    }
ALLOCATE(posix_fallocate)
ALLOCATE(posix_fallocate64)

#define FALLOCATE(symbol)                                                                                    \
    int symbol(int fd, int mode, off_t offset, off_t size)                                                   \
    {                                                                                                        \
        REAL(int, symbol, int, int, off_t, off_t);                                                           \
        char name[NAME_MAX + 1];                                                                             \
        uint64_t inode;                                                                                      \
        if (look(fd, name, &inode) != TAP) return real(fd, mode, offset, size);                              \
        hold();                                                                                              \
        int failed = allocated(real(fd, mode, offset, size), fd, mode, offset, size, name, inode);           \
        release();                                                                                           \
        return failed;                                                                                       \
    }
FALLOCATE(fallocate)
FALLOCATE(fallocate64)

/* Whether this sync of a WAL, for some pages of a commit, is the one to die in. */
static int die_now(void)
{
    uint64_t written = wal_written;
    wal_written = 0;
    return written > 8192 && --wal_syncs_left == 0;
}

#define SYNC(symbol)                                                                                         \
    int symbol(int fd)                                                                                       \
    {                                                                                                        \
        REAL(int, symbol, int);                                                                              \
        char name[NAME_MAX + 1];                                                                             \
        uint64_t inode;                                                                                      \
        enum kind kind = look(fd, name, &inode);                                                             \
        if (kind != TAP && kind != FOLDER) return real(fd);                                                  \
        hold();                                                                                              \
        put('b', fd, 0, name, inode, 0, NULL, 0, 0);                                                         \
        if (is_wal(name) && die_now()) raw(SYS_kill, getpid(), SIGKILL, 0);                                  \
        release();                                                                                           \
        if (sync_us) usleep(sync_us);                                                                        \
        int failed = real(fd);                                                                               \
        hold();                                                                                              \
        put('f', fd, failed, name, inode, 0, NULL, 0, 0);                                                    \
        release();                                                                                           \
        return failed;                                                                                       \
    }
SYNC(fsync)
SYNC(fdatasync)
