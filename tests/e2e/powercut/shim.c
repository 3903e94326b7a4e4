/* A recorder of everything a program does to a directory tree, loaded with LD_PRELOAD.
 *
 *   program ──open, write, rename, fsync …──▶ shim ──▶ libc ──▶ kernel
 *                                              └─▶ one log, in the order in which things happened
 *
 * POWERCUT_ROOT  the tree that is watched (a real path, without a slash at the end)
 * POWERCUT_LOG   where the log goes, outside the tree; appended to
 * POWERCUT_FULL  optional: while a file of this name exists, whatever would take space fails with ENOSPC
 *
 * Changes are made and recorded under one lock, so the log's order is the order of the kernel. A sync is recorded after it
 * returned, together with the log's length when it was called: it answers only for what was done by then. What the log cannot
 * express (writing through a mapping, exchanging two names …) is recorded as unsupported, and the replay refuses it.
 *
 * Record: u32 length of what follows, u8 kind, u8 is_directory, u16 mode, u64 a, u64 b, u64 c, u64 d, u32 length of name, name,
 * u32 length of data, data; the machine's byte order. Files and directories are their inode numbers.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind {
    CREATE = 1,   /* a parent, b object, mode, name */
    WRITE = 2,    /* a object, b offset, data */
    TRUNCATE = 3, /* a object, b length */
    LINK = 4,     /* a parent, b object, name */
    UNLINK = 5,   /* a parent, b object, name */
    RENAME = 6,   /* a old parent, b object, c new parent, d object replaced or 0, name old, data new */
    SYNC = 7,     /* a object, b log length at the call, name: path below the root */
    MODE = 8,     /* a object, mode */
    ALLOCATE = 9, /* a object, b length it has at least afterwards */
    UNSUPPORTED = 10 /* name: what was tried */
};

#define FD_MAX 65536
struct watched { uint64_t inode; dev_t device; };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct watched watched[FD_MAX];
static char root[PATH_MAX];
static size_t root_length;
static const char *full;
static int log_fd = -1;
static uint64_t log_length;

#define REAL(type, name, ...)                                                                                                      \
    static type (*real_##name)(__VA_ARGS__);                                                                                       \
    if (!real_##name) real_##name = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

static ssize_t raw_writev(int fd, const struct iovec *parts, int count) {
    REAL(ssize_t, writev, int, const struct iovec *, int);
    return real_writev(fd, parts, count);
}

static int raw_open(const char *path, int flags, mode_t mode) {
    REAL(int, open64, const char *, int, ...);
    return real_open64(path, flags, mode);
}

__attribute__((constructor)) static void start(void) {
    const char *tree = getenv("POWERCUT_ROOT"), *log = getenv("POWERCUT_LOG");
    if (!tree || !log) return;
    full = getenv("POWERCUT_FULL");
    if (!realpath(tree, root)) { fprintf(stderr, "powercut: no directory %s\n", tree); _exit(97); }
    root_length = strlen(root);
    int fd = raw_open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) { fprintf(stderr, "powercut: cannot open %s\n", log); _exit(97); }
    /* A high number, so that the program's own are what they would be. */
    log_fd = fcntl(fd, F_DUPFD_CLOEXEC, 900);
    close(fd);
    struct stat st;
    if (log_fd < 0 || fstat(log_fd, &st)) _exit(97);
    log_length = (uint64_t)st.st_size;
}

static void record(enum kind kind, int directory, mode_t mode, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                   const char *name, const void *data, size_t data_length) {
    struct __attribute__((packed)) { uint32_t length; uint8_t kind, directory; uint16_t mode; uint64_t a, b, c, d; uint32_t name; } head;
    uint32_t name_length = name ? (uint32_t)strlen(name) : 0, length = (uint32_t)data_length;
    head.kind = (uint8_t)kind; head.directory = (uint8_t)directory; head.mode = (uint16_t)(mode & 07777);
    head.a = a; head.b = b; head.c = c; head.d = d; head.name = name_length;
    head.length = (uint32_t)(sizeof head - 4 + name_length + 4 + length);
    struct iovec parts[4] = {{&head, sizeof head}, {(void *)name, name_length}, {&length, 4}, {(void *)data, length}};
    size_t whole = sizeof head + name_length + 4 + length;
    if (raw_writev(log_fd, parts, 4) != (ssize_t)whole) { fprintf(stderr, "powercut: the log cannot be written\n"); _exit(97); }
    log_length += whole;
}

static void unsupported(const char *what) { record(UNSUPPORTED, 0, 0, 0, 0, 0, 0, what, NULL, 0); }

static void enter(void) { pthread_mutex_lock(&lock); }
static void leave(void) { int saved = errno; pthread_mutex_unlock(&lock); errno = saved; }

static int no_space(void) {
    if (full && access(full, F_OK) == 0) { errno = ENOSPC; return 1; }
    return 0;
}

static int below_root(const char *path) {
    return strncmp(path, root, root_length) == 0 && (path[root_length] == '/' || path[root_length] == 0);
}

/* The parent's inode and the last part of a path, if it is below the root. The root itself has no parent here. */
static int place(int directory_fd, const char *path, uint64_t *parent, char *name) {
    char whole[PATH_MAX * 2], real[PATH_MAX];
    if (log_fd < 0 || !path || !*path) return 0;
    if (path[0] == '/') snprintf(whole, sizeof whole, "%s", path);
    else {
        char base[PATH_MAX], link[64];
        if (directory_fd == AT_FDCWD) snprintf(link, sizeof link, "/proc/self/cwd");
        else snprintf(link, sizeof link, "/proc/self/fd/%d", directory_fd);
        ssize_t length = readlink(link, base, sizeof base - 1);
        if (length <= 0) return 0;
        base[length] = 0;
        snprintf(whole, sizeof whole, "%s/%s", base, path);
    }
    size_t end = strlen(whole);
    while (end > 1 && whole[end - 1] == '/') whole[--end] = 0;
    char *slash = strrchr(whole, '/');
    if (!slash || strlen(slash + 1) > NAME_MAX) return 0;
    strcpy(name, slash + 1);
    *slash = 0;
    if (!realpath(*whole ? whole : "/", real) || !below_root(real)) return 0;
    struct stat st;
    if (stat(real, &st)) return 0;
    *parent = st.st_ino;
    if (!strcmp(name, ".") || !strcmp(name, "..")) { unsupported("a path that ends with dots"); return 0; }
    return 1;
}

static struct watched *of_fd(int fd, struct stat *st) {
    if (log_fd < 0 || fd < 0 || fd >= FD_MAX || !watched[fd].inode || fd == log_fd) return NULL;
    if (fstat(fd, st) || st->st_ino != watched[fd].inode || st->st_dev != watched[fd].device) return NULL;
    return &watched[fd];
}

static void watch(int fd) {
    struct stat st;
    if (fd < 0) return;
    if (fd >= FD_MAX) { unsupported("a file number above 65535"); return; }
    if (!fstat(fd, &st)) { watched[fd].inode = st.st_ino; watched[fd].device = st.st_dev; }
}

/* ---- open ---- */

static int open_watched(int directory_fd, const char *path, int flags, mode_t mode) {
    REAL(int, openat64, int, const char *, int, ...);
    char name[NAME_MAX + 1];
    uint64_t parent;
    if (log_fd < 0) return real_openat64(directory_fd, path, flags, mode);
    enter();
    int inside = place(directory_fd, path, &parent, name);
    struct stat before, after;
    int there = fstatat(directory_fd, path, &before, 0) == 0;
    if (!inside) {
        /* The root itself, opened to be synced. */
        char real[PATH_MAX];
        inside = there && S_ISDIR(before.st_mode) && directory_fd == AT_FDCWD && realpath(path, real) && !strcmp(real, root);
        int fd = real_openat64(directory_fd, path, flags, mode);
        if (fd >= 0 && fd < FD_MAX) watched[fd].inode = 0;
        if (inside) watch(fd);
        leave();
        return fd;
    }
    if ((flags & O_TMPFILE) == O_TMPFILE) { unsupported("O_TMPFILE"); }
    if (!there && (flags & O_CREAT) && no_space()) { leave(); return -1; }
    int fd = real_openat64(directory_fd, path, flags, mode);
    if (fd >= 0 && !fstat(fd, &after)) {
        if (!there && (flags & O_CREAT)) record(CREATE, 0, after.st_mode, parent, after.st_ino, 0, 0, name, NULL, 0);
        else if ((flags & O_TRUNC) && S_ISREG(after.st_mode) && before.st_size) record(TRUNCATE, 0, 0, after.st_ino, 0, 0, 0, NULL, NULL, 0);
        watch(fd);
    }
    leave();
    return fd;
}

#define MODE_ARGUMENT                                                                                                              \
    mode_t mode = 0;                                                                                                               \
    if ((flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE) { va_list list; va_start(list, flags); mode = va_arg(list, mode_t); va_end(list); }

int open(const char *path, int flags, ...) { MODE_ARGUMENT return open_watched(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE_ARGUMENT return open_watched(AT_FDCWD, path, flags, mode); }
int openat(int fd, const char *path, int flags, ...) { MODE_ARGUMENT return open_watched(fd, path, flags, mode); }
int openat64(int fd, const char *path, int flags, ...) { MODE_ARGUMENT return open_watched(fd, path, flags, mode); }
int creat(const char *path, mode_t mode) { return open_watched(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

int close(int fd) {
    REAL(int, close, int);
    if (fd >= 0 && fd < FD_MAX && fd != log_fd) watched[fd].inode = 0;
    return real_close(fd);
}

static int copied(int from, int to) {
    if (to >= 0 && to < FD_MAX && from >= 0 && from < FD_MAX) watched[to] = watched[from];
    return to;
}
int dup(int fd) { REAL(int, dup, int); return copied(fd, real_dup(fd)); }
int dup2(int fd, int to) { REAL(int, dup2, int, int); return copied(fd, real_dup2(fd, to)); }
int dup3(int fd, int to, int flags) { REAL(int, dup3, int, int, int); return copied(fd, real_dup3(fd, to, flags)); }

static int fcntl_watched(int fd, int command, void *argument) {
    REAL(int, fcntl64, int, int, ...);
    int result = real_fcntl64(fd, command, argument);
    return command == F_DUPFD || command == F_DUPFD_CLOEXEC ? copied(fd, result) : result;
}
#define POINTER_ARGUMENT va_list list; va_start(list, command); void *argument = va_arg(list, void *); va_end(list);
int fcntl(int fd, int command, ...) { POINTER_ARGUMENT return fcntl_watched(fd, command, argument); }
int fcntl64(int fd, int command, ...) { POINTER_ARGUMENT return fcntl_watched(fd, command, argument); }

/* ---- contents ---- */

static void written(struct watched *file, uint64_t offset, const struct iovec *parts, int count, size_t length) {
    for (int i = 0; i < count && length; i++) {
        size_t part = parts[i].iov_len < length ? parts[i].iov_len : length;
        if (part) record(WRITE, 0, 0, file->inode, offset, 0, 0, NULL, parts[i].iov_base, part);
        offset += part;
        length -= part;
    }
}

/* offset -1: at the file's own position, which is also right for files opened to append. */
static ssize_t write_watched(int fd, const struct iovec *parts, int count, off_t offset) {
    REAL(ssize_t, pwritev64, int, const struct iovec *, int, off_t);
    struct stat st;
    if (log_fd < 0 || fd < 0 || fd >= FD_MAX || !watched[fd].inode)
        return offset < 0 ? raw_writev(fd, parts, count) : real_pwritev64(fd, parts, count, offset);
    enter();
    struct watched *file = of_fd(fd, &st);
    if (file && no_space()) { leave(); return -1; }
    ssize_t done = offset < 0 ? raw_writev(fd, parts, count) : real_pwritev64(fd, parts, count, offset);
    if (file && done > 0) {
        off_t at = offset < 0 ? lseek(fd, 0, SEEK_CUR) - done : offset;
        written(file, (uint64_t)at, parts, count, (size_t)done);
    }
    leave();
    return done;
}

ssize_t write(int fd, const void *data, size_t length) {
    REAL(ssize_t, write, int, const void *, size_t);
    if (log_fd < 0 || fd < 0 || fd >= FD_MAX || !watched[fd].inode) return real_write(fd, data, length);
    struct iovec part = {(void *)data, length};
    return write_watched(fd, &part, 1, -1);
}
ssize_t writev(int fd, const struct iovec *parts, int count) { return write_watched(fd, parts, count, -1); }
ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) {
    struct iovec part = {(void *)data, length};
    return write_watched(fd, &part, 1, offset);
}
ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) { return pwrite(fd, data, length, offset); }
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) { return write_watched(fd, parts, count, offset); }
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) { return write_watched(fd, parts, count, offset); }

int ftruncate64(int fd, off64_t length) {
    REAL(int, ftruncate64, int, off64_t);
    struct stat st;
    enter();
    struct watched *file = of_fd(fd, &st);
    int result = real_ftruncate64(fd, length);
    if (file && !result) record(TRUNCATE, 0, 0, file->inode, (uint64_t)length, 0, 0, NULL, NULL, 0);
    leave();
    return result;
}
int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

int fallocate64(int fd, int mode, off64_t offset, off64_t length) {
    REAL(int, fallocate64, int, int, off64_t, off64_t);
    struct stat st;
    enter();
    struct watched *file = of_fd(fd, &st);
    if (file && no_space()) { leave(); return -1; }
    int result = real_fallocate64(fd, mode, offset, length);
    if (file && !result) {
        if (mode == 0) record(ALLOCATE, 0, 0, file->inode, (uint64_t)(offset + length), 0, 0, NULL, NULL, 0);
        else if (mode != FALLOC_FL_KEEP_SIZE) unsupported("fallocate");
    }
    leave();
    return result;
}
int fallocate(int fd, int mode, off_t offset, off_t length) { return fallocate64(fd, mode, offset, length); }
int posix_fallocate64(int fd, off64_t offset, off64_t length) { return fallocate64(fd, 0, offset, length) ? errno : 0; }
int posix_fallocate(int fd, off_t offset, off_t length) { return posix_fallocate64(fd, offset, length); }

/* Programs fall back to reading and writing. */
ssize_t copy_file_range(int in, off64_t *in_offset, int out, off64_t *out_offset, size_t length, unsigned flags) {
    REAL(ssize_t, copy_file_range, int, off64_t *, int, off64_t *, size_t, unsigned);
    struct stat st;
    if (of_fd(out, &st)) { errno = ENOSYS; return -1; }
    return real_copy_file_range(in, in_offset, out, out_offset, length, flags);
}
ssize_t sendfile64(int out, int in, off64_t *offset, size_t length) {
    REAL(ssize_t, sendfile64, int, int, off64_t *, size_t);
    struct stat st;
    if (of_fd(out, &st)) { errno = ENOSYS; return -1; }
    return real_sendfile64(out, in, offset, length);
}
ssize_t sendfile(int out, int in, off_t *offset, size_t length) { return sendfile64(out, in, offset, length); }
ssize_t splice(int in, off64_t *in_offset, int out, off64_t *out_offset, size_t length, unsigned flags) {
    REAL(ssize_t, splice, int, off64_t *, int, off64_t *, size_t, unsigned);
    struct stat st;
    if (of_fd(out, &st)) { errno = ENOSYS; return -1; }
    return real_splice(in, in_offset, out, out_offset, length, flags);
}

static int is_shared_memory(int fd) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    return length > 4 && !strncmp(path + length - 4, "-shm", 4);
}

/* SQLite's -shm is rebuilt after a crash; any other file written through memory would escape the log. */
void *mmap64(void *address, size_t length, int protection, int flags, int fd, off64_t offset) {
    REAL(void *, mmap64, void *, size_t, int, int, int, off64_t);
    struct stat st;
    if (fd >= 0 && (protection & PROT_WRITE) && (flags & MAP_SHARED) && of_fd(fd, &st) && !is_shared_memory(fd)) {
        enter();
        unsupported("a writable shared mapping");
        leave();
    }
    return real_mmap64(address, length, protection, flags, fd, offset);
}
void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
    return mmap64(address, length, protection, flags, fd, offset);
}

int fchmod(int fd, mode_t mode) {
    REAL(int, fchmod, int, mode_t);
    struct stat st;
    enter();
    struct watched *file = of_fd(fd, &st);
    int result = real_fchmod(fd, mode);
    if (file && !result) record(MODE, S_ISDIR(st.st_mode), mode, file->inode, 0, 0, 0, NULL, NULL, 0);
    leave();
    return result;
}
int fchmodat(int directory_fd, const char *path, mode_t mode, int flags) {
    REAL(int, fchmodat, int, const char *, mode_t, int);
    char name[NAME_MAX + 1];
    uint64_t parent;
    struct stat st;
    enter();
    int inside = place(directory_fd, path, &parent, name);
    int result = real_fchmodat(directory_fd, path, mode, flags);
    if (inside && !result && !fstatat(directory_fd, path, &st, flags)) record(MODE, S_ISDIR(st.st_mode), mode, st.st_ino, 0, 0, 0, NULL, NULL, 0);
    leave();
    return result;
}
int chmod(const char *path, mode_t mode) { return fchmodat(AT_FDCWD, path, mode, 0); }

/* ---- names ---- */

int renameat2(int old_fd, const char *old_path, int new_fd, const char *new_path, unsigned flags) {
    REAL(int, renameat2, int, const char *, int, const char *, unsigned);
    char old_name[NAME_MAX + 1], new_name[NAME_MAX + 1];
    uint64_t old_parent, new_parent;
    struct stat moved, replaced;
    enter();
    int from = place(old_fd, old_path, &old_parent, old_name), to = place(new_fd, new_path, &new_parent, new_name);
    int there = from && !fstatat(old_fd, old_path, &moved, AT_SYMLINK_NOFOLLOW);
    int over = to && !fstatat(new_fd, new_path, &replaced, AT_SYMLINK_NOFOLLOW);
    int result = real_renameat2(old_fd, old_path, new_fd, new_path, flags);
    if (!result && (from || to)) {
        if (from != to || !there || (flags & ~1u /* RENAME_NOREPLACE */)) unsupported("a rename into or out of the tree, or an exchange");
        else if (!(over && replaced.st_ino == moved.st_ino))
            record(RENAME, S_ISDIR(moved.st_mode), 0, old_parent, moved.st_ino, new_parent, over ? replaced.st_ino : 0, old_name, new_name, strlen(new_name));
    }
    leave();
    return result;
}
int renameat(int old_fd, const char *old_path, int new_fd, const char *new_path) { return renameat2(old_fd, old_path, new_fd, new_path, 0); }
int rename(const char *old_path, const char *new_path) { return renameat2(AT_FDCWD, old_path, AT_FDCWD, new_path, 0); }

int linkat(int old_fd, const char *old_path, int new_fd, const char *new_path, int flags) {
    REAL(int, linkat, int, const char *, int, const char *, int);
    char name[NAME_MAX + 1];
    uint64_t parent;
    struct stat st;
    enter();
    int inside = place(new_fd, new_path, &parent, name);
    if (inside && no_space()) { leave(); return -1; }
    int result = real_linkat(old_fd, old_path, new_fd, new_path, flags);
    if (inside && !result && !fstatat(new_fd, new_path, &st, AT_SYMLINK_NOFOLLOW)) record(LINK, 0, 0, parent, st.st_ino, 0, 0, name, NULL, 0);
    leave();
    return result;
}
int link(const char *old_path, const char *new_path) { return linkat(AT_FDCWD, old_path, AT_FDCWD, new_path, 0); }

int unlinkat(int directory_fd, const char *path, int flags) {
    REAL(int, unlinkat, int, const char *, int);
    char name[NAME_MAX + 1];
    uint64_t parent;
    struct stat st;
    enter();
    int inside = place(directory_fd, path, &parent, name) && !fstatat(directory_fd, path, &st, AT_SYMLINK_NOFOLLOW);
    int result = real_unlinkat(directory_fd, path, flags);
    if (inside && !result) record(UNLINK, S_ISDIR(st.st_mode), 0, parent, st.st_ino, 0, 0, name, NULL, 0);
    leave();
    return result;
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }
int remove(const char *path) {
    struct stat st;
    if (lstat(path, &st)) return -1;
    return unlinkat(AT_FDCWD, path, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0);
}

int mkdirat(int directory_fd, const char *path, mode_t mode) {
    REAL(int, mkdirat, int, const char *, mode_t);
    char name[NAME_MAX + 1];
    uint64_t parent;
    struct stat st;
    enter();
    int inside = place(directory_fd, path, &parent, name);
    if (inside && no_space()) { leave(); return -1; }
    int result = real_mkdirat(directory_fd, path, mode);
    if (inside && !result && !fstatat(directory_fd, path, &st, 0)) record(CREATE, 1, st.st_mode, parent, st.st_ino, 0, 0, name, NULL, 0);
    leave();
    return result;
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

int symlinkat(const char *target, int directory_fd, const char *path) {
    REAL(int, symlinkat, const char *, int, const char *);
    char name[NAME_MAX + 1];
    uint64_t parent;
    enter();
    if (place(directory_fd, path, &parent, name)) unsupported("a symbolic link");
    int result = real_symlinkat(target, directory_fd, path);
    leave();
    return result;
}
int symlink(const char *target, const char *path) { return symlinkat(target, AT_FDCWD, path); }

int truncate64(const char *path, off64_t length) {
    REAL(int, truncate64, const char *, off64_t);
    char name[NAME_MAX + 1];
    uint64_t parent;
    struct stat st;
    enter();
    int inside = place(AT_FDCWD, path, &parent, name);
    int result = real_truncate64(path, length);
    if (inside && !result && !stat(path, &st)) record(TRUNCATE, 0, 0, st.st_ino, (uint64_t)length, 0, 0, NULL, NULL, 0);
    leave();
    return result;
}
int truncate(const char *path, off_t length) { return truncate64(path, length); }

/* ---- durability ---- */

static int synced(int fd, int (*sync)(int)) {
    struct stat st;
    char link[64], path[PATH_MAX];
    enter();
    struct watched *file = of_fd(fd, &st);
    uint64_t inode = file ? file->inode : 0, at = log_length;
    if (file) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(link, path, sizeof path - 1);
        path[length > 0 ? length : 0] = 0;
    }
    leave();
    int result = sync(fd);
    if (file && !result) {
        enter();
        /* The root itself is "". */
        const char *relative = below_root(path) ? path + root_length + (path[root_length] == '/') : path;
        record(SYNC, S_ISDIR(st.st_mode), 0, inode, at, 0, 0, relative, NULL, 0);
        leave();
    }
    return result;
}
int fsync(int fd) { REAL(int, fsync, int); return synced(fd, real_fsync); }
int fdatasync(int fd) { REAL(int, fdatasync, int); return synced(fd, real_fdatasync); }
/* Gives no promise about metadata and is not recorded: whoever relies on it is found out. */
