/* Preloaded into the command by the tests: reads and writes that give less than was asked for or
 * are interrupted, a clock that jumps, and one on which a second passes in 20 ms. FAULTS names what is
 * wanted: "short", "clock", "hurry". */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static unsigned calls;

static unsigned next(void) {
    return __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED) * 2654435761u >> 8;
}

static int wanted(const char *what) {
    const char *faults = getenv("FAULTS");
    return faults && strstr(faults, what);
}

/* -1: interrupted; else how much of it there is this time. */
static ssize_t part(size_t size) {
    unsigned chance = next();
    if (!wanted("short") || size == 0)
        return (ssize_t)size;
    if (chance % 5 == 0) {
        errno = EINTR;
        return -1;
    }
    size_t some = 1 + chance % 1999;
    return (ssize_t)(some < size ? some : size);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t read(int fd, void *to, size_t size) {
    ssize_t some = part(size);
    return some < 0 ? some : REAL(read)(fd, to, (size_t)some);
}

ssize_t write(int fd, const void *from, size_t size) {
    ssize_t some = part(size);
    return some < 0 ? some : REAL(write)(fd, from, (size_t)some);
}

ssize_t pread64(int fd, void *to, size_t size, off64_t offset) {
    ssize_t some = part(size);
    return some < 0 ? some : REAL(pread64)(fd, to, (size_t)some, offset);
}

ssize_t pwrite64(int fd, const void *from, size_t size, off64_t offset) {
    ssize_t some = part(size);
    return some < 0 ? some : REAL(pwrite64)(fd, from, (size_t)some, offset);
}

ssize_t readv(int fd, const struct iovec *to, int count) {
    (void)count;
    return read(fd, to[0].iov_base, to[0].iov_len);
}

ssize_t writev(int fd, const struct iovec *from, int count) {
    (void)count;
    return write(fd, from[0].iov_base, from[0].iov_len);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int answer = REAL(clock_gettime)(clock, now);
    if (answer == 0 && wanted("clock")) {
        static const long long jumps[] = {0, -4000000000LL, 9000000000LL, -86400, 3, 400000000000LL};
        now->tv_sec += jumps[next() % (sizeof jumps / sizeof *jumps)];
        if (clock != CLOCK_REALTIME && now->tv_sec < 0)
            now->tv_sec = 0;
    }
    if (answer == 0 && clock == CLOCK_MONOTONIC && wanted("hurry")) {
        long long passed = (now->tv_sec * 1000000000LL + now->tv_nsec) * 50;
        now->tv_sec = passed / 1000000000;
        now->tv_nsec = passed % 1000000000;
    }
    return answer;
}
