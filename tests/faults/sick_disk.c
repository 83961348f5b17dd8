/* A disk that fails on order, below everything that a server does: preloaded, it stands between the process
 * (Python and SQLite alike) and the C library, and lets the n-th call of a kind fail that concerns the database
 * or the spool below the folder SICK_HOME. Orders come through the file SICK_ORDERS, mapped into memory. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

enum { WRITE = 1, SYNC = 2, MAKE = 4, RENAME = 8 };

struct orders {
    int32_t kinds;     /* which calls are meant */
    int32_t error;     /* errno; 0: half of the bytes are written, which is no error */
    int32_t sticky;    /* all later calls fail too */
    int32_t remaining; /* calls until the first failure; 0: no failure is ordered */
    int32_t seen;      /* calls of these kinds so far */
    int32_t failed;    /* failures so far */
};


static struct orders *orders;
static const char *home;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void begin(void) {
    const char *name = getenv("SICK_ORDERS");
    int file = name ? open(name, O_RDWR | O_CLOEXEC) : -1;
    home = getenv("SICK_HOME");
    if (file < 0 || !home) return;
    void *map = mmap(NULL, sizeof *orders, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (map != MAP_FAILED) orders = map;
}

static int concerns(const char *path) {
    size_t length = strlen(home);
    if (strncmp(path, home, length)) return 0;
    return !strncmp(path + length, "/birdbath.db", 12) || !strncmp(path + length, "/spool", 6);
}

static int concerns_open(int descriptor) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return concerns(path);
}

static int concerns_at(int directory, const char *path) {
    return path[0] == '/' ? concerns(path) : directory != AT_FDCWD && concerns_open(directory);
}

/* Whether this call has to fail. */
static int fails(int kind) {
    int failing = 0;
    pthread_mutex_lock(&lock);
    orders->seen++;
    if (orders->remaining > 0 && (orders->kinds & kind)) {
        if (orders->remaining > 1) orders->remaining--;
        else failing = 1;
        if (failing && !orders->sticky) orders->remaining = 0;
    }
    orders->failed += failing;
    pthread_mutex_unlock(&lock);
    return failing;
}

#define NEXT(name) ((typeof(&name))dlsym(RTLD_NEXT, #name))
#define MEANT(kind, concerned) (orders && (orders->kinds & (kind)) && (concerned) && fails(kind))
#define FAIL_IF(kind, concerned) \
    if (MEANT(kind, concerned)) { errno = orders->error; return -1; }

static size_t half(size_t size) { return size > 1 ? size / 2 : size; }

#define WRITER(name, offset_type) \
    ssize_t name(int file, const void *data, size_t size, offset_type at) { \
        if (MEANT(WRITE, concerns_open(file))) { \
            if (orders->error) { errno = orders->error; return -1; } \
            size = half(size); \
        } \
        return NEXT(name)(file, data, size, at); \
    }
WRITER(pwrite, off_t)
WRITER(pwrite64, off64_t)

ssize_t write(int file, const void *data, size_t size) {
    if (MEANT(WRITE, concerns_open(file))) {
        if (orders->error) { errno = orders->error; return -1; }
        size = half(size);
    }
    return NEXT(write)(file, data, size);
}

#define TRUNCATER(name, offset_type) \
    int name(int file, offset_type size) { \
        FAIL_IF(WRITE, orders->error && concerns_open(file)) \
        return NEXT(name)(file, size); \
    }
TRUNCATER(ftruncate, off_t)
TRUNCATER(ftruncate64, off64_t)

int fsync(int file) { FAIL_IF(SYNC, concerns_open(file)) return NEXT(fsync)(file); }
int fdatasync(int file) { FAIL_IF(SYNC, concerns_open(file)) return NEXT(fdatasync)(file); }

int mkdir(const char *path, mode_t mode) {
    FAIL_IF(MAKE, concerns_at(AT_FDCWD, path))
    return NEXT(mkdir)(path, mode);
}
int mkdirat(int directory, const char *path, mode_t mode) {
    FAIL_IF(MAKE, concerns_at(directory, path))
    return NEXT(mkdirat)(directory, path, mode);
}
int rename(const char *from, const char *to) {
    FAIL_IF(RENAME, concerns_at(AT_FDCWD, to))
    return NEXT(rename)(from, to);
}
int renameat(int from_at, const char *from, int to_at, const char *to) {
    FAIL_IF(RENAME, concerns_at(to_at, to))
    return NEXT(renameat)(from_at, from, to_at, to);
}

#define OPENER(name) \
    int name(const char *path, int flags, ...) { \
        va_list rest; va_start(rest, flags); mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0; va_end(rest); \
        FAIL_IF(MAKE, (flags & O_CREAT) && concerns_at(AT_FDCWD, path)) \
        return NEXT(name)(path, flags, mode); \
    }
OPENER(open)
OPENER(open64)
#define OPENER_AT(name) \
    int name(int directory, const char *path, int flags, ...) { \
        va_list rest; va_start(rest, flags); mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0; va_end(rest); \
        FAIL_IF(MAKE, (flags & O_CREAT) && concerns_at(directory, path)) \
        return NEXT(name)(directory, path, flags, mode); \
    }
OPENER_AT(openat)
OPENER_AT(openat64)
