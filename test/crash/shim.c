/*
 * Put into the server's process with LD_PRELOAD by the crash suite: kills it at named points, fails syncs, and writes a journal of all that
 * the process did to its data folder and of the replies and deliveries in between.
 *
 * Rules
 * 1. The product knows nothing of it: all it sees are the calls to libc.
 * 2. A write is noted once it is done, a sync before and after, a reply before it is sent: in the journal's order, what stands before the
 *    begin of a sync is covered by it, and what was synced before a reply stands before that reply.
 * 3. A kill is SIGKILL to itself, in the middle of the call.
 *
 * Environment
 *   CRASH_DATA     the data folder, an absolute path
 *   CRASH_JOURNAL  the journal's file, outside of it
 *   CRASH_ARM      a file that arms a point once it is there: "<point> <n>", the n-th time the point is passed
 *   CRASH_HOP      the next hop's port
 *   CRASH_NO_SYNC  syncs are neither done nor noted: a server that does not sync, for the test of the tests
 *
 * A record is 32 octets (op, result, ino, offset, length), little-endian, and `length` octets; see journal.ts.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum op { OPEN = 1, WRITE, TRUNCATE, SYNC_BEGIN, SYNC_END, UNLINK, RENAME, MKDIR, RMDIR, REPLY, REPLIED, HOP_CONTENT, HOP_DOT, HOP_250, KILLED };

struct record {
  uint32_t op;
  int32_t result;
  uint64_t ino;
  int64_t offset;
  uint64_t length;
};

enum kind { NONE, DATABASE, WAL, BODY, FOLDER, OTHER, HOP };
static const char *const kinds[] = { "none", "database", "wal", "body", "folder", "other", "hop" };

#define HEAD 2048
#define FDS 65536
struct hop {
  enum { COMMANDS, CONTENT, ANSWER } state;
  char tail[5];
  size_t head_length;
  char head[HEAD];
};
static struct { enum kind kind; uint64_t ino; struct hop *hop; } fds[FDS];

static const char REPLY_MARK[] = "250 2.0.0 OK, message accepted";

static char data[PATH_MAX];
static size_t data_length;
static int journal = -1;
static const char *arm;
static int hop_port;
static int no_sync;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char armed[64];
static int armed_left;
static int is_armed;
static int settling; /* armed, and the next hop's 250 has been read since */
static int settling_written;

#define REAL(name) ({ static __typeof__(&name) real; if (real == NULL) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name); real; })

__attribute__((constructor)) static void begin(void) {
  const char *folder = getenv("CRASH_DATA"), *path = getenv("CRASH_JOURNAL"), *port = getenv("CRASH_HOP");
  if (folder == NULL || path == NULL) return;
  snprintf(data, sizeof data, "%s", folder);
  data_length = strlen(data);
  arm = getenv("CRASH_ARM");
  hop_port = port == NULL ? 0 : atoi(port);
  no_sync = getenv("CRASH_NO_SYNC") != NULL;
  journal = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void note(enum op op, int result, uint64_t ino, int64_t offset, const void *bytes, size_t length) {
  if (journal < 0) return;
  struct record record = { op, result, ino, offset, length };
  struct iovec parts[2] = { { &record, sizeof record }, { (void *)bytes, length } };
  int error = errno;
  syscall(SYS_writev, journal, parts, length == 0 ? 1 : 2);
  errno = error;
}

static void noted(enum op op, int result, uint64_t ino, int64_t offset, const void *bytes, size_t length) {
  pthread_mutex_lock(&lock);
  note(op, result, ino, offset, bytes, length);
  pthread_mutex_unlock(&lock);
}

/* Whether this is the n-th passing of the armed point. */
static int passes(const char *name) {
  if (arm == NULL) return 0;
  int hit = 0;
  pthread_mutex_lock(&lock);
  if (!is_armed && syscall(SYS_faccessat, AT_FDCWD, arm, F_OK) == 0) {
    char text[128] = "";
    int fd = (int)syscall(SYS_openat, AT_FDCWD, arm, O_RDONLY | O_CLOEXEC, 0);
    if (fd >= 0) {
      syscall(SYS_read, fd, text, sizeof text - 1);
      syscall(SYS_close, fd);
    }
    if (sscanf(text, "%63s %d", armed, &armed_left) == 2) is_armed = 1;
  }
  if (is_armed && armed_left > 0 && strcmp(name, armed) == 0) hit = --armed_left == 0;
  pthread_mutex_unlock(&lock);
  return hit;
}

static void die(const char *name) {
  noted(KILLED, 0, 0, 0, name, strlen(name));
  syscall(SYS_kill, (int)syscall(SYS_getpid), SIGKILL);
  for (;;) pause();
}

static void point(const char *name) {
  if (passes(name)) die(name);
}

static const char *of(enum kind kind, const char *what, char *name) {
  snprintf(name, 64, "%s:%s", kinds[kind], what);
  return name;
}

static void point_of(enum kind kind, const char *what) {
  char name[64];
  point(of(kind, what, name));
}

static int is_ours(const char *path) {
  return data_length > 0 && strncmp(path, data, data_length) == 0 && (path[data_length] == '/' || path[data_length] == 0);
}

static enum kind kind_of(const char *path) {
  struct stat found;
  if (stat(path, &found) == 0 && S_ISDIR(found.st_mode)) return FOLDER;
  const char *rest = path + data_length;
  if (strcmp(rest, "/postrider.db") == 0) return DATABASE;
  if (strcmp(rest, "/postrider.db-wal") == 0) return WAL;
  return strncmp(rest, "/bodies/", 8) == 0 ? BODY : OTHER;
}

static void forget(int fd) {
  if (fd < 0 || fd >= FDS) return;
  fds[fd].kind = NONE;
  free(fds[fd].hop);
  fds[fd].hop = NULL;
}

/* libuv closes by the number of the system call: whether a descriptor is still what it was must be looked at. */
static enum kind kind_at(int fd) {
  if (fd < 0 || fd >= FDS || fds[fd].kind == NONE) return NONE;
  if (fds[fd].kind == HOP) return HOP; /* a new socket is forgotten when it is made */
  struct stat found;
  int error = errno;
  if (fstat(fd, &found) != 0 || found.st_ino != fds[fd].ino || S_ISSOCK(found.st_mode)) forget(fd);
  errno = error;
  return fds[fd].kind;
}

static int is_file(int fd) {
  enum kind kind = kind_at(fd);
  return kind != NONE && kind != HOP;
}

/* Files */

static int opened(int fd, const char *path, int flags, int existed) {
  if (fd < 0 || fd >= FDS || !is_ours(path)) return fd;
  struct stat found;
  if (fstat(fd, &found) != 0) return fd;
  fds[fd].kind = kind_of(path);
  fds[fd].ino = found.st_ino;
  int how = (existed ? 0 : 1) | ((flags & O_TRUNC) ? 2 : 0) | (fds[fd].kind == FOLDER ? 4 : 0);
  noted(OPEN, fd, found.st_ino, how, path, strlen(path));
  return fd;
}

#define OPENER(name)                                                                                       \
  int name(const char *path, int flags, ...) {                                                             \
    mode_t mode = 0;                                                                                       \
    if (flags & (O_CREAT | O_TMPFILE)) {                                                                   \
      va_list rest;                                                                                        \
      va_start(rest, flags);                                                                               \
      mode = va_arg(rest, mode_t);                                                                         \
      va_end(rest);                                                                                        \
    }                                                                                                      \
    int existed = !is_ours(path) || syscall(SYS_faccessat, AT_FDCWD, path, F_OK) == 0;                     \
    return opened(REAL(name)(path, flags, mode), path, flags, existed);                                    \
  }
OPENER(open)
OPENER(open64)

int close(int fd) {
  if (fd == journal && fd >= 0) return 0;
  forget(fd);
  return REAL(close)(fd);
}

static void before_write(enum kind kind) {
  if (kind == WAL && settling) {
    point("settling:before-write");
    settling_written = 1;
  }
  point_of(kind, "before-write");
}

static void wrote(int fd, const struct iovec *parts, int count, int64_t offset, ssize_t length) {
  for (int i = 0; i < count && length > 0; i++) {
    size_t some = parts[i].iov_len < (size_t)length ? parts[i].iov_len : (size_t)length;
    noted(WRITE, fd, fds[fd].ino, offset, parts[i].iov_base, some);
    offset += (int64_t)some;
    length -= (ssize_t)some;
  }
  point_of(kind_at(fd), "after-write");
}

#define PWRITER(name, offset_type)                                                                         \
  ssize_t name(int fd, const void *bytes, size_t length, offset_type offset) {                             \
    if (!is_file(fd)) return REAL(name)(fd, bytes, length, offset);                                        \
    before_write(kind_at(fd));                                                                             \
    ssize_t result = REAL(name)(fd, bytes, length, offset);                                                \
    struct iovec part = { (void *)bytes, length };                                                         \
    if (result > 0) wrote(fd, &part, 1, offset, result);                                                   \
    return result;                                                                                         \
  }
PWRITER(pwrite, off_t)
PWRITER(pwrite64, off64_t)

#define PWRITEVER(name, offset_type)                                                                       \
  ssize_t name(int fd, const struct iovec *parts, int count, offset_type offset) {                         \
    if (!is_file(fd)) return REAL(name)(fd, parts, count, offset);                                         \
    before_write(kind_at(fd));                                                                             \
    ssize_t result = REAL(name)(fd, parts, count, offset);                                                 \
    if (result > 0) wrote(fd, parts, count, offset, result);                                               \
    return result;                                                                                         \
  }
PWRITEVER(pwritev, off_t)
PWRITEVER(pwritev64, off64_t)

#define TRUNCATER(name, length_type)                                                                       \
  int name(int fd, length_type length) {                                                                   \
    int result = REAL(name)(fd, length);                                                                   \
    if (result == 0 && is_file(fd)) noted(TRUNCATE, fd, fds[fd].ino, length, NULL, 0);                     \
    return result;                                                                                         \
  }
TRUNCATER(ftruncate, off_t)
TRUNCATER(ftruncate64, off64_t)

#define SYNCER(name)                                                                                       \
  int name(int fd) {                                                                                       \
    enum kind kind = kind_at(fd);                                                                          \
    if (!is_file(fd)) return REAL(name)(fd);                                                               \
    if (no_sync) return 0;                                                                                 \
    if (kind == WAL && settling_written) point("settling:before-sync");                                    \
    point_of(kind, "before-sync");                                                                         \
    noted(SYNC_BEGIN, fd, fds[fd].ino, kind, NULL, 0);                                                     \
    char eio[64];                                                                                          \
    int result = -1;                                                                                       \
    if (passes(of(kind, "eio", eio))) errno = EIO;                                                         \
    else result = REAL(name)(fd);                                                                          \
    noted(SYNC_END, result, fds[fd].ino, kind, NULL, 0);                                                   \
    if (kind == WAL && settling_written) point("settling:after-sync");                                     \
    point_of(kind, "after-sync");                                                                          \
    return result;                                                                                         \
  }
SYNCER(fsync)
SYNCER(fdatasync)

int unlink(const char *path) {
  if (!is_ours(path)) return REAL(unlink)(path);
  enum kind kind = kind_of(path);
  point_of(kind, "before-unlink");
  int result = REAL(unlink)(path);
  if (result == 0) noted(UNLINK, 0, 0, 0, path, strlen(path));
  point_of(kind, "after-unlink");
  return result;
}

int rmdir(const char *path) {
  int result = REAL(rmdir)(path);
  if (result == 0 && is_ours(path)) noted(RMDIR, 0, 0, 0, path, strlen(path));
  return result;
}

int mkdir(const char *path, mode_t mode) {
  int result = REAL(mkdir)(path, mode);
  if (result == 0 && is_ours(path)) noted(MKDIR, 0, 0, 0, path, strlen(path));
  return result;
}

int rename(const char *from, const char *to) {
  int result = REAL(rename)(from, to);
  if (result == 0 && is_ours(from) && is_ours(to)) {
    char both[2 * PATH_MAX];
    int length = snprintf(both, sizeof both, "%s\n%s", from, to);
    noted(RENAME, 0, 0, 0, both, (size_t)length);
  }
  return result;
}

/* Sockets */

int socket(int domain, int type, int protocol) {
  int fd = REAL(socket)(domain, type, protocol);
  forget(fd);
  return fd;
}

int accept(int fd, struct sockaddr *restrict address, socklen_t *restrict length) {
  int made = REAL(accept)(fd, address, length);
  forget(made);
  return made;
}

int accept4(int fd, struct sockaddr *restrict address, socklen_t *restrict length, int flags) {
  int made = REAL(accept4)(fd, address, length, flags);
  forget(made);
  return made;
}

int connect(int fd, const struct sockaddr *address, socklen_t length) {
  if (hop_port != 0 && fd >= 0 && fd < FDS && address->sa_family == AF_INET && ntohs(((const struct sockaddr_in *)address)->sin_port) == hop_port) {
    fds[fd].kind = HOP;
    fds[fd].ino = (uint64_t)fd;
    if (fds[fd].hop == NULL) fds[fd].hop = malloc(sizeof *fds[fd].hop);
    memset(fds[fd].hop, 0, sizeof *fds[fd].hop);
  }
  return REAL(connect)(fd, address, length);
}

static void hop_wrote(int fd, const struct iovec *parts, int count, ssize_t length) {
  struct hop *hop = fds[fd].hop;
  if (hop == NULL || hop->state != CONTENT) return;
  for (int i = 0; i < count && length > 0; i++) {
    size_t some = parts[i].iov_len < (size_t)length ? parts[i].iov_len : (size_t)length;
    const char *bytes = parts[i].iov_base;
    size_t room = HEAD - hop->head_length, part = some < room ? some : room;
    memcpy(hop->head + hop->head_length, bytes, part);
    hop->head_length += part;
    if (some >= 5) memcpy(hop->tail, bytes + some - 5, 5);
    else {
      memmove(hop->tail, hop->tail + some, 5 - some);
      memcpy(hop->tail + 5 - some, bytes, some);
    }
    length -= (ssize_t)some;
  }
  if (memcmp(hop->tail, "\r\n.\r\n", 5) != 0) return;
  hop->state = ANSWER;
  noted(HOP_CONTENT, fd, fds[fd].ino, 0, hop->head, hop->head_length);
  noted(HOP_DOT, fd, fds[fd].ino, 0, NULL, 0);
  point("hop:after-dot");
}

static void hop_read(int fd, const char *bytes, ssize_t length) {
  struct hop *hop = fds[fd].hop;
  if (hop == NULL || length < 3) return;
  if (hop->state == ANSWER && bytes[0] == '2') {
    noted(HOP_250, fd, fds[fd].ino, 0, NULL, 0);
    hop->state = COMMANDS;
    point("hop:after-250");
    if (is_armed) settling = 1;
    return;
  }
  for (ssize_t i = 0; i + 3 <= length; i++) {
    if ((i == 0 || bytes[i - 1] == '\n') && memcmp(bytes + i, "354", 3) == 0) {
      hop->state = CONTENT;
      hop->head_length = 0;
      memset(hop->tail, 0, sizeof hop->tail);
    }
  }
}

static int has_mark(const struct iovec *parts, int count) {
  for (int i = 0; i < count; i++) {
    if (memmem(parts[i].iov_base, parts[i].iov_len, REPLY_MARK, sizeof REPLY_MARK - 1) != NULL) return 1;
  }
  return 0;
}

/* True where a reply that accepts a message is about to be sent. */
static int before_send(int fd, const struct iovec *parts, int count) {
  if (journal < 0) return 0;
  if (kind_at(fd) == HOP) {
    struct hop *hop = fds[fd].hop;
    if (hop != NULL && hop->state == CONTENT && count > 0 && passes("hop:during-data")) {
      syscall(SYS_write, fd, parts[0].iov_base, (parts[0].iov_len + 1) / 2);
      die("hop:during-data");
    }
    return 0;
  }
  if (kind_at(fd) != NONE || !has_mark(parts, count)) return 0;
  point("reply:before");
  for (int i = 0; i < count; i++) noted(REPLY, fd, (uint64_t)fd, 0, parts[i].iov_base, parts[i].iov_len);
  return 1;
}

static void after_send(int fd, const struct iovec *parts, int count, ssize_t result, int accepts) {
  if (result <= 0) return;
  if (kind_at(fd) == HOP) hop_wrote(fd, parts, count, result);
  if (!accepts) return;
  noted(REPLIED, fd, (uint64_t)fd, 0, NULL, 0);
  point("reply:after");
}

ssize_t write(int fd, const void *bytes, size_t length) {
  struct iovec part = { (void *)bytes, length };
  if (is_file(fd)) {
    before_write(kind_at(fd));
    off_t offset = lseek(fd, 0, SEEK_CUR);
    ssize_t result = REAL(write)(fd, bytes, length);
    if (result > 0) wrote(fd, &part, 1, offset, result);
    return result;
  }
  int accepts = before_send(fd, &part, 1);
  ssize_t result = REAL(write)(fd, bytes, length);
  after_send(fd, &part, 1, result, accepts);
  return result;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  if (is_file(fd)) {
    before_write(kind_at(fd));
    off_t offset = lseek(fd, 0, SEEK_CUR);
    ssize_t result = REAL(writev)(fd, parts, count);
    if (result > 0) wrote(fd, parts, count, offset, result);
    return result;
  }
  int accepts = before_send(fd, parts, count);
  ssize_t result = REAL(writev)(fd, parts, count);
  after_send(fd, parts, count, result, accepts);
  return result;
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
  int accepts = before_send(fd, message->msg_iov, (int)message->msg_iovlen);
  ssize_t result = REAL(sendmsg)(fd, message, flags);
  after_send(fd, message->msg_iov, (int)message->msg_iovlen, result, accepts);
  return result;
}

ssize_t send(int fd, const void *bytes, size_t length, int flags) {
  struct iovec part = { (void *)bytes, length };
  int accepts = before_send(fd, &part, 1);
  ssize_t result = REAL(send)(fd, bytes, length, flags);
  after_send(fd, &part, 1, result, accepts);
  return result;
}

ssize_t read(int fd, void *bytes, size_t length) {
  ssize_t result = REAL(read)(fd, bytes, length);
  if (result > 0 && kind_at(fd) == HOP) hop_read(fd, bytes, result);
  return result;
}

ssize_t recv(int fd, void *bytes, size_t length, int flags) {
  ssize_t result = REAL(recv)(fd, bytes, length, flags);
  if (result > 0 && kind_at(fd) == HOP) hop_read(fd, bytes, result);
  return result;
}
