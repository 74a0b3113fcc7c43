/* A seam between a program and the system: counts every call that changes what lies below a directory, and can let one of them be the
 * last, or the first that the disk refuses. Loaded with LD_PRELOAD, so that Python's calls and SQLite's are the same to it, in every
 * thread and process of a session. It reads its orders when it is loaded, and again whenever a program calls `seam_begin`.
 *
 * SEAM_ROOT     the directory (absolute); calls about anything else pass unseen
 * SEAM_COUNTER  a file of 8 octets, shared by all processes: how many such calls there were
 * SEAM_POINT    the number of the call at which something happens; 0 lets all pass
 * SEAM_EVENT    what happens: `group` (the whole process group is killed before the call), `alone` (only the process that makes it),
 *               `full` (half of what it writes still has room, and nothing after it), `dying` (it and all later ones fail)
 * SEAM_SHADOW   a directory where every fsync leaves what it made durable: <inode>.<call> holds a file's content or a directory's
 *               entries (`type inode name`), and `log` says in which order: F a file, D a directory, C a file made anew
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static const char *root, *shadow;
static size_t root_length;
static volatile uint64_t *counter;
static uint64_t point;
static char event;
static int ready;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) void seam_begin(void) {
    const char *place = getenv("SEAM_COUNTER"), *number = getenv("SEAM_POINT"), *what = getenv("SEAM_EVENT");
    root = getenv("SEAM_ROOT");
    shadow = getenv("SEAM_SHADOW");
    if (!root || !place) return;
    int file = REAL(open)(place, O_RDWR);
    void *page = mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (page == MAP_FAILED) abort();
    REAL(close)(file);
    counter = page;
    point = number ? strtoull(number, NULL, 10) : 0;
    event = what ? *what : 'g';
    root_length = strlen(root);
    ready = 1;
}

static int inside(const char *path) {
    return ready && path && !strncmp(path, root, root_length) && (path[root_length] == '/' || !path[root_length]);
}

static int holds(int file) {
    char name[64], path[4096];
    if (!ready) return 0;
    snprintf(name, sizeof name, "/proc/self/fd/%d", file);
    ssize_t length = readlink(name, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return inside(path);
}

static uint64_t step(void) {
    uint64_t number = __sync_add_and_fetch(counter, 1);
    if (number == point && (event == 'g' || event == 'a')) {
        kill(event == 'g' ? 0 : getpid(), SIGKILL);
        for (;;) pause();
    }
    return number;
}

/* Whether the disk refuses a call, which wants room or does not. */
static int refused(uint64_t number, int grows) {
    if (!point || number < point || !(event == 'd' || (event == 'f' && grows))) return 0;
    errno = event == 'd' ? EIO : ENOSPC;
    return 1;
}

static void put(int file, const char *text, size_t length) {
    while (length) {
        ssize_t done = REAL(write)(file, text, length);
        if (done <= 0) abort();
        text += done;
        length -= done;
    }
}

static void told(char kind, ino_t inode, uint64_t number) {
    char path[4096], line[128];
    if (!shadow) return;
    snprintf(path, sizeof path, "%s/log", shadow);
    int file = REAL(open)(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    put(file, line, snprintf(line, sizeof line, "%c %llu %llu\n", kind, (unsigned long long)inode, (unsigned long long)number));
    REAL(close)(file);
}

static void keep(int file, uint64_t number) {
    char name[64], path[4096], buffer[65536];
    struct stat about;
    if (!shadow || fstat(file, &about)) return;
    snprintf(name, sizeof name, "/proc/self/fd/%d", file);
    snprintf(path, sizeof path, "%s/%llu.%llu", shadow, (unsigned long long)about.st_ino, (unsigned long long)number);
    int copy = REAL(open)(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (S_ISDIR(about.st_mode)) {
        DIR *entries = opendir(name);
        struct dirent *entry;
        while (entries && (entry = readdir(entries)))
            if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
                put(copy, buffer, snprintf(buffer, sizeof buffer, "%c %llu %s%c", entry->d_type == DT_DIR ? 'd' : 'f',
                                           (unsigned long long)entry->d_ino, entry->d_name, 0));
        if (entries) closedir(entries);
    } else {
        int content = REAL(open)(name, O_RDONLY);
        ssize_t length;
        while ((length = REAL(read)(content, buffer, sizeof buffer)) > 0) put(copy, buffer, length);
        REAL(close)(content);
    }
    REAL(close)(copy);
    told(S_ISDIR(about.st_mode) ? 'D' : 'F', about.st_ino, number);
}

static int opened(const char *name, int where, const char *path, int flags, mode_t mode) {
    int (*real)(int, const char *, int, ...) = dlsym(RTLD_NEXT, name);
    struct stat about;
    int makes = (flags & O_CREAT) && inside(path) && lstat(path, &about);
    if ((makes || ((flags & O_TRUNC) && inside(path))) && refused(step(), makes)) return -1;
    int file = real(where, path, flags, mode);
    if (makes && file >= 0 && !fstat(file, &about)) told('C', about.st_ino, 0);
    return file;
}

#define MODE(flags) mode_t mode = 0; if ((flags) & (O_CREAT | O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }
int open(const char *path, int flags, ...) { MODE(flags) return opened("openat", AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return opened("openat64", AT_FDCWD, path, flags, mode); }
int openat(int where, const char *path, int flags, ...) { MODE(flags) return opened("openat", where, path, flags, mode); }
int openat64(int where, const char *path, int flags, ...) { MODE(flags) return opened("openat64", where, path, flags, mode); }

/* How much of a write there is room for; negative: it is refused. */
static ssize_t room(int file, size_t length) {
    if (!holds(file)) return length;
    uint64_t number = step();
    if (event == 'f' && number == point && length > 1) return length / 2;
    return refused(number, 1) ? -1 : (ssize_t)length;
}

#define WRITE(...) ssize_t some = room(file, length); return some < 0 ? -1 : __VA_ARGS__
ssize_t write(int file, const void *data, size_t length) { WRITE(REAL(write)(file, data, some)); }
ssize_t pwrite(int file, const void *data, size_t length, off_t at) { WRITE(REAL(pwrite)(file, data, some, at)); }
ssize_t pwrite64(int file, const void *data, size_t length, off64_t at) { WRITE(REAL(pwrite64)(file, data, some, at)); }

#define CALL(seen, grows, ...) if ((seen) && refused(step(), grows)) return -1; return __VA_ARGS__
int ftruncate(int file, off_t length) { CALL(holds(file), 0, REAL(ftruncate)(file, length)); }
int ftruncate64(int file, off64_t length) { CALL(holds(file), 0, REAL(ftruncate64)(file, length)); }
int rename(const char *from, const char *to) { CALL(inside(from) || inside(to), 1, REAL(rename)(from, to)); }
int renameat(int a, const char *from, int b, const char *to) { CALL(inside(from) || inside(to), 1, REAL(renameat)(a, from, b, to)); }
int link(const char *from, const char *to) { CALL(inside(to), 1, REAL(link)(from, to)); }
int linkat(int a, const char *from, int b, const char *to, int flags) { CALL(inside(to), 1, REAL(linkat)(a, from, b, to, flags)); }
int unlink(const char *path) { CALL(inside(path), 0, REAL(unlink)(path)); }
int unlinkat(int where, const char *path, int flags) { CALL(inside(path), 0, REAL(unlinkat)(where, path, flags)); }
int mkdir(const char *path, mode_t mode) { CALL(inside(path), 1, REAL(mkdir)(path, mode)); }
int mkdirat(int where, const char *path, mode_t mode) { CALL(inside(path), 1, REAL(mkdirat)(where, path, mode)); }

static int forced(int file, int (*real)(int)) {
    if (!holds(file)) return real(file);
    uint64_t number = step();
    if (refused(number, 0)) return -1;
    int done = real(file);
    if (!done) keep(file, number);
    return done;
}
/* A disk that is full says so. */
static int weighed(const char *path, struct statvfs *disk, int done) {
    if (!done && inside(path) && event == 'f' && point && *counter >= point) disk->f_bfree = disk->f_bavail = 0;
    return done;
}
int statvfs(const char *path, struct statvfs *disk) { return weighed(path, disk, REAL(statvfs)(path, disk)); }
int statvfs64(const char *path, struct statvfs64 *disk) { return weighed(path, (struct statvfs *)disk, REAL(statvfs64)(path, disk)); }

int fsync(int file) { return forced(file, REAL(fsync)); }
int fdatasync(int file) { return forced(file, REAL(fdatasync)); }
