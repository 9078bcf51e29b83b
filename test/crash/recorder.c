// Preloaded into a process, writes every change below a folder to a log, in order and with the data, so that a loss of
// power at any point can be made again. It knows files by their inode and does not know what is in them.
//
// PORTICO_RECORD_FOLDER: absolute, without a link in it. PORTICO_RECORD_LOG: outside that folder.
// A log record, in the machine's byte order: kind u8, path length u16, second path length u16, inode u64, offset u64,
// data length u32; then both paths (relative to the folder) and the data.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CREATE = 1, WRITE, TRUNCATE, RENAME, UNLINK, SYNC, MKDIR, SYNC_FOLDER };

#define DESCRIPTORS 65536

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int log_descriptor = -1;
static char folder[PATH_MAX];
static size_t folder_length;
static unsigned char ours[DESCRIPTORS];

#define REAL(type, name, ...)                                   \
  static type (*real)(__VA_ARGS__);                             \
  if (real == NULL) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static ssize_t real_write(int descriptor, const void *data, size_t length) {
  REAL(ssize_t, "write", int, const void *, size_t);
  return real(descriptor, data, length);
}

static int real_open(const char *path, int flags, mode_t mode) {
  REAL(int, "open", const char *, int, ...);
  return real(path, flags, mode);
}

__attribute__((constructor)) static void begin(void) {
  const char *below = getenv("PORTICO_RECORD_FOLDER");
  const char *log = getenv("PORTICO_RECORD_LOG");
  if (below == NULL || log == NULL || strlen(below) >= sizeof folder) return;
  strcpy(folder, below);
  folder_length = strlen(folder);
  log_descriptor = real_open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

// The path below the folder, "" for the folder itself, or NULL.
static const char *inside(const char *path) {
  if (log_descriptor < 0 || path == NULL || strncmp(path, folder, folder_length) != 0) return NULL;
  if (path[folder_length] == 0) return "";
  return path[folder_length] == '/' ? path + folder_length + 1 : NULL;
}

static int is_ours(int descriptor) {
  return log_descriptor >= 0 && descriptor >= 0 && descriptor < DESCRIPTORS && ours[descriptor];
}

static void put(const void *data, size_t length) {
  const char *at = data;
  while (length > 0) {
    ssize_t done = real_write(log_descriptor, at, length);
    if (done <= 0) _exit(99);
    at += done;
    length -= (size_t)done;
  }
}

static void record(uint8_t kind, const char *one, const char *two, uint64_t inode, uint64_t offset, const void *data,
                   uint32_t length) {
  uint8_t head[25];
  uint16_t one_length = (uint16_t)strlen(one), two_length = (uint16_t)strlen(two);
  head[0] = kind;
  memcpy(head + 1, &one_length, 2);
  memcpy(head + 3, &two_length, 2);
  memcpy(head + 5, &inode, 8);
  memcpy(head + 13, &offset, 8);
  memcpy(head + 21, &length, 4);
  put(head, sizeof head);
  put(one, one_length);
  put(two, two_length);
  put(data, length);
}

static uint64_t inode_of(int descriptor) {
  struct stat found;
  return fstat(descriptor, &found) == 0 ? (uint64_t)found.st_ino : 0;
}

static int open_recorded(const char *path, int flags, mode_t mode) {
  const char *name = inside(path);
  if (name == NULL) {
    int descriptor = real_open(path, flags, mode);
    // A number that was closed behind this library's back is not ours any more.
    if (descriptor >= 0 && descriptor < DESCRIPTORS) ours[descriptor] = 0;
    return descriptor;
  }
  pthread_mutex_lock(&lock);
  struct stat before;
  int existed = stat(path, &before) == 0;
  int descriptor = real_open(path, flags, mode);
  if (descriptor >= 0 && descriptor < DESCRIPTORS) {
    ours[descriptor] = 1;
    uint64_t inode = inode_of(descriptor);
    if (!existed && (flags & O_CREAT)) record(CREATE, name, "", inode, 0, "", 0);
    else if (existed && (flags & O_TRUNC)) record(TRUNCATE, name, "", inode, 0, "", 0);
  }
  pthread_mutex_unlock(&lock);
  return descriptor;
}

static mode_t mode_of(int flags, va_list list) {
  return flags & (O_CREAT | __O_TMPFILE) ? va_arg(list, mode_t) : 0;
}

#define OPEN(name)                                   \
  int name(const char *path, int flags, ...) {       \
    va_list list;                                    \
    va_start(list, flags);                           \
    mode_t mode = mode_of(flags, list);              \
    va_end(list);                                    \
    return open_recorded(path, flags, mode);         \
  }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                     \
  int name(int at, const char *path, int flags, ...) {                                   \
    va_list list;                                                                        \
    va_start(list, flags);                                                               \
    mode_t mode = mode_of(flags, list);                                                  \
    va_end(list);                                                                        \
    if (path[0] == '/') return open_recorded(path, flags, mode);                         \
    REAL(int, "openat", int, const char *, int, ...);                                    \
    return real(at, path, flags, mode);                                                  \
  }
OPENAT(openat)
OPENAT(openat64)

int close(int descriptor) {
  REAL(int, "close", int);
  if (descriptor >= 0 && descriptor < DESCRIPTORS) ours[descriptor] = 0;
  return real(descriptor);
}

static void wrote(int descriptor, const void *data, ssize_t length, off_t offset) {
  if (length > 0) record(WRITE, "", "", inode_of(descriptor), (uint64_t)offset, data, (uint32_t)length);
}

// Where a write without an offset goes.
static off_t place_of(int descriptor) {
  struct stat found;
  if ((fcntl(descriptor, F_GETFL) & O_APPEND) && fstat(descriptor, &found) == 0) return found.st_size;
  return lseek(descriptor, 0, SEEK_CUR);
}

ssize_t write(int descriptor, const void *data, size_t length) {
  if (!is_ours(descriptor)) return real_write(descriptor, data, length);
  pthread_mutex_lock(&lock);
  off_t offset = place_of(descriptor);
  ssize_t done = real_write(descriptor, data, length);
  wrote(descriptor, data, done, offset);
  pthread_mutex_unlock(&lock);
  return done;
}

#define PWRITE(name)                                                             \
  ssize_t name(int descriptor, const void *data, size_t length, off_t offset) {  \
    REAL(ssize_t, "pwrite", int, const void *, size_t, off_t);                   \
    if (!is_ours(descriptor)) return real(descriptor, data, length, offset);     \
    pthread_mutex_lock(&lock);                                                   \
    ssize_t done = real(descriptor, data, length, offset);                       \
    wrote(descriptor, data, done, offset);                                       \
    pthread_mutex_unlock(&lock);                                                 \
    return done;                                                                 \
  }
PWRITE(pwrite)
PWRITE(pwrite64)

static ssize_t wrote_parts(int descriptor, const struct iovec *parts, ssize_t done, off_t offset) {
  ssize_t left = done;
  for (int index = 0; left > 0; index++) {
    ssize_t length = (ssize_t)parts[index].iov_len < left ? (ssize_t)parts[index].iov_len : left;
    wrote(descriptor, parts[index].iov_base, length, offset);
    offset += length;
    left -= length;
  }
  return done;
}

ssize_t writev(int descriptor, const struct iovec *parts, int count) {
  REAL(ssize_t, "writev", int, const struct iovec *, int);
  if (!is_ours(descriptor)) return real(descriptor, parts, count);
  pthread_mutex_lock(&lock);
  off_t offset = place_of(descriptor);
  ssize_t done = wrote_parts(descriptor, parts, real(descriptor, parts, count), offset);
  pthread_mutex_unlock(&lock);
  return done;
}

#define PWRITEV(name)                                                                   \
  ssize_t name(int descriptor, const struct iovec *parts, int count, off_t offset) {    \
    REAL(ssize_t, "pwritev", int, const struct iovec *, int, off_t);                    \
    if (!is_ours(descriptor)) return real(descriptor, parts, count, offset);            \
    pthread_mutex_lock(&lock);                                                          \
    ssize_t done = wrote_parts(descriptor, parts, real(descriptor, parts, count, offset), offset); \
    pthread_mutex_unlock(&lock);                                                        \
    return done;                                                                        \
  }
PWRITEV(pwritev)
PWRITEV(pwritev64)

#define FTRUNCATE(name)                                                               \
  int name(int descriptor, off_t length) {                                            \
    REAL(int, "ftruncate", int, off_t);                                               \
    if (!is_ours(descriptor)) return real(descriptor, length);                        \
    pthread_mutex_lock(&lock);                                                        \
    int done = real(descriptor, length);                                              \
    if (done == 0) record(TRUNCATE, "", "", inode_of(descriptor), (uint64_t)length, "", 0); \
    pthread_mutex_unlock(&lock);                                                      \
    return done;                                                                      \
  }
FTRUNCATE(ftruncate)
FTRUNCATE(ftruncate64)

// Before the call: what is written while it runs need not be part of it.
static void syncing(int descriptor) {
  if (!is_ours(descriptor)) return;
  struct stat found;
  pthread_mutex_lock(&lock);
  if (fstat(descriptor, &found) == 0) {
    if (S_ISDIR(found.st_mode)) {
      char link[64], path[PATH_MAX];
      snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
      ssize_t length = readlink(link, path, sizeof path - 1);
      if (length > 0) {
        path[length] = 0;
        const char *name = inside(path);
        if (name != NULL) record(SYNC_FOLDER, name, "", 0, 0, "", 0);
      }
    } else record(SYNC, "", "", (uint64_t)found.st_ino, 0, "", 0);
  }
  pthread_mutex_unlock(&lock);
}

int fsync(int descriptor) {
  REAL(int, "fsync", int);
  syncing(descriptor);
  return real(descriptor);
}

int fdatasync(int descriptor) {
  REAL(int, "fdatasync", int);
  syncing(descriptor);
  return real(descriptor);
}

int rename(const char *from, const char *to) {
  REAL(int, "rename", const char *, const char *);
  const char *one = inside(from), *two = inside(to);
  if (one == NULL || two == NULL) return real(from, to);
  pthread_mutex_lock(&lock);
  int done = real(from, to);
  if (done == 0) record(RENAME, one, two, 0, 0, "", 0);
  pthread_mutex_unlock(&lock);
  return done;
}

int unlink(const char *path) {
  REAL(int, "unlink", const char *);
  const char *name = inside(path);
  if (name == NULL) return real(path);
  pthread_mutex_lock(&lock);
  int done = real(path);
  if (done == 0) record(UNLINK, name, "", 0, 0, "", 0);
  pthread_mutex_unlock(&lock);
  return done;
}

int mkdir(const char *path, mode_t mode) {
  REAL(int, "mkdir", const char *, mode_t);
  const char *name = inside(path);
  if (name == NULL) return real(path, mode);
  pthread_mutex_lock(&lock);
  int done = real(path, mode);
  if (done == 0) record(MKDIR, name, "", 0, 0, "", 0);
  pthread_mutex_unlock(&lock);
  return done;
}
