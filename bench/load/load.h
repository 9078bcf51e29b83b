/* The engine under all load generators: connections on one epoll, publishers that keep a credit, a warm-up and a timed
 * window. It knows no protocol: the file that includes it says hello, reads what comes and writes a publication.
 *
 * Each payload begins with the publisher (4 hex digits) and its sequence (8), so that every delivery is counted for the
 * message that it is, once; what is lost, doubled or of the wrong size ends the run with an error. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define RING 1024
#define CHUNK 262144
#define KEEP_MAX 1048576
#define STALL_NS 10000000000ull
#define PAYLOAD_LEAST 12

enum role { SUBSCRIBER, PUBLISHER };

struct conn {
  int fd, id, state, pending, dirty, waits;
  enum role role;
  char *keep, *out;
  size_t kept, keep_room, out_length, out_room;
  /* A publisher's: the next sequence, the oldest that is not done, and what each in between still waits for. */
  uint32_t next, low, acked;
  uint16_t *left;
  /* For the protocol. */
  uint64_t bytes_left;
  int extra;
};

static struct {
  int port, subs, pubs, credit, size, qos, topics, idle, warm, run, watch, prefix;
  const char *path;
} opt = {.pubs = 1, .credit = 16, .size = 64, .qos = 0, .topics = 0, .warm = 1000, .run = 3000, .path = "/topics/bench"};

static struct conn **subs, **pubs, **dirty;
static int dirty_count, ready_count, poll_fd, running;
static uint64_t counted;
static char chunk[KEEP_MAX + CHUNK];
static char *payload;

/* What the protocol gives. */
static void proto_hello(struct conn *c);
static size_t proto_read(struct conn *c, char *at, size_t length);
/* Adds to what the publication waits for (`left`), if it is answered. */
static void proto_publish(struct conn *p, uint32_t sequence);

static void __attribute__((noreturn, format(printf, 1, 2))) fail(const char *format, ...) {
  va_list rest;
  va_start(rest, format);
  vfprintf(stderr, format, rest);
  va_end(rest);
  fputc('\n', stderr);
  exit(1);
}

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000ull + t.tv_nsec;
}

static double cpu_seconds(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return u.ru_utime.tv_sec + u.ru_stime.tv_sec + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* What a process has had of processors, all its threads together; 0 where that cannot be read. */
static double cpu_of(int pid) {
  char path[64], text[1024];
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  FILE *file = fopen(path, "r");
  if (file == NULL) return 0;
  size_t length = fread(text, 1, sizeof text - 1, file);
  fclose(file);
  text[length] = 0;
  unsigned long user, system;
  char *name_end = strrchr(text, ')');
  if (name_end == NULL) return 0;
  if (sscanf(name_end + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2) return 0;
  return (double)(user + system) / sysconf(_SC_CLK_TCK);
}

static void touch(struct conn *c) {
  if (c->dirty) return;
  c->dirty = 1;
  dirty[dirty_count++] = c;
}

static char *room(struct conn *c, size_t length) {
  if (c->out_length + length > c->out_room) {
    c->out_room = (c->out_length + length) * 2;
    c->out = realloc(c->out, c->out_room);
    if (c->out == NULL) fail("no memory");
  }
  char *at = c->out + c->out_length;
  c->out_length += length;
  touch(c);
  return at;
}

static void put(struct conn *c, const void *bytes, size_t length) { memcpy(room(c, length), bytes, length); }

static void __attribute__((unused, format(printf, 2, 3))) putf(struct conn *c, const char *format, ...) {
  char text[4096];
  va_list rest;
  va_start(rest, format);
  int length = vsnprintf(text, sizeof text, format, rest);
  va_end(rest);
  if (length < 0 || length >= (int)sizeof text) fail("text too long");
  put(c, text, length);
}

static void flush_out(struct conn *c) {
  size_t sent = 0;
  while (sent < c->out_length) {
    ssize_t n = send(c->fd, c->out + sent, c->out_length - sent, MSG_NOSIGNAL);
    if (n < 0) {
      if (errno == EAGAIN) break;
      fail("send: %s", strerror(errno));
    }
    sent += n;
  }
  memmove(c->out, c->out + sent, c->out_length - sent);
  c->out_length -= sent;
  int waits = c->out_length > 0;
  if (waits != c->waits) {
    struct epoll_event e = {.events = EPOLLIN | (waits ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(poll_fd, EPOLL_CTL_MOD, c->fd, &e);
    c->waits = waits;
  }
}

static void is_ready(struct conn *c) {
  (void)c;
  ready_count++;
}

/* One of the things that a message waits for has come. */
static void one_less(struct conn *p, uint32_t sequence) {
  if (sequence - p->low >= RING || sequence - p->low >= p->next - p->low || p->left[sequence % RING] == 0)
    fail("publisher %d: message %u came once too often", p->id, sequence);
  p->left[sequence % RING]--;
  while (p->low != p->next && p->left[p->low % RING] == 0) p->low++;
  touch(p);
}

static int hex(const char *at, int digits, uint32_t *value) {
  uint32_t v = 0;
  for (int i = 0; i < digits; i++) {
    char d = at[i];
    int n = d >= '0' && d <= '9' ? d - '0' : d >= 'a' && d <= 'f' ? d - 'a' + 10 : -1;
    if (n < 0) return 0;
    v = v << 4 | (uint32_t)n;
  }
  *value = v;
  return 1;
}

static void __attribute__((unused)) delivered(const char *at, size_t length) {
  uint32_t who, sequence;
  if (length != (size_t)opt.size) fail("a payload has %zu bytes, not %d", length, opt.size);
  if (!hex(at, 4, &who) || !hex(at + 4, 8, &sequence) || who >= (uint32_t)opt.pubs) fail("a payload is not ours");
  counted++;
  one_less(pubs[who], sequence);
}

static void __attribute__((unused)) acknowledged(struct conn *p, uint32_t sequence) {
  if (opt.subs == 0) counted++;
  one_less(p, sequence);
}

/* How many subscribers get one publication. */
static int fan(void) { return opt.subs == 0 ? 0 : opt.topics > 0 ? 1 : opt.subs; }

static const char __attribute__((unused)) *payload_of(struct conn *p, uint32_t sequence) {
  static const char digits[] = "0123456789abcdef";
  for (int i = 0; i < 4; i++) payload[i] = digits[p->id >> (12 - 4 * i) & 15];
  for (int i = 0; i < 8; i++) payload[4 + i] = digits[sequence >> (28 - 4 * i) & 15];
  return payload;
}

static void pump(struct conn *p) {
  while (p->next - p->low < (uint32_t)opt.credit) {
    uint32_t sequence = p->next++;
    p->left[sequence % RING] = fan();
    proto_publish(p, sequence);
  }
}

static void settle(void) {
  for (int i = 0; i < dirty_count; i++) {
    struct conn *c = dirty[i];
    if (c->role == PUBLISHER && running) pump(c);
    c->dirty = 0;
    if (c->out_length > 0) flush_out(c);
  }
  dirty_count = 0;
}

static void take(struct conn *c) {
  memcpy(chunk, c->keep, c->kept);
  ssize_t n = recv(c->fd, chunk + c->kept, CHUNK, 0);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) fail("%s %d was closed: %s", c->role == PUBLISHER ? "publisher" : "subscriber", c->id, n == 0 ? "by the server" : strerror(errno));
  size_t length = c->kept + n, used = 0;
  while (used < length) {
    size_t step = proto_read(c, chunk + used, length - used);
    if (step == 0) break;
    used += step;
  }
  c->kept = length - used;
  if (c->kept > KEEP_MAX) fail("a message is too long");
  if (c->kept > c->keep_room) {
    c->keep_room = c->kept * 2;
    c->keep = realloc(c->keep, c->keep_room);
  }
  memcpy(c->keep, chunk + used, c->kept);
}

static void turn(void) {
  struct epoll_event events[512];
  int n = epoll_wait(poll_fd, events, 512, 20);
  for (int i = 0; i < n; i++) {
    struct conn *c = events[i].data.ptr;
    if (events[i].events & EPOLLOUT) flush_out(c);
    if (events[i].events & ~EPOLLOUT) take(c);
  }
  settle();
}

static struct conn *open_conn(enum role role, int id, int number) {
  struct conn *c = calloc(1, sizeof *c);
  if (c == NULL) fail("no memory");
  c->role = role;
  c->id = id;
  if (role == PUBLISHER) c->left = calloc(RING, sizeof *c->left);
  c->fd = socket(AF_INET, SOCK_STREAM, 0);
  if (c->fd < 0) fail("socket: %s", strerror(errno));
  int yes = 1;
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  /* Servers bound connections by address: they come from eight of loopback's. */
  struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + number % 8)};
  setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
  if (bind(c->fd, (struct sockaddr *)&from, sizeof from) < 0) fail("bind: %s", strerror(errno));
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(opt.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0) fail("connect: %s", strerror(errno));
  fcntl(c->fd, F_SETFL, O_NONBLOCK);
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
  epoll_ctl(poll_fd, EPOLL_CTL_ADD, c->fd, &e);
  proto_hello(c);
  return c;
}

static void until_ready(int wanted) {
  uint64_t end = now_ns() + 6 * STALL_NS;
  while (ready_count < wanted) {
    turn();
    if (now_ns() > end) fail("only %d of %d are ready", ready_count, wanted);
  }
}

static void run_until(uint64_t end) {
  uint64_t seen = counted, seen_at = now_ns(), now;
  while ((now = now_ns()) < end) {
    turn();
    if (counted != seen) {
      seen = counted;
      seen_at = now;
    } else if (now - seen_at > STALL_NS)
      fail("stalled: nothing came for ten seconds, after %llu", (unsigned long long)counted);
  }
}

static void read_options(int count, char **words) {
  for (int i = 1; i + 1 < count; i += 2) {
    const char *name = words[i], *text = words[i + 1];
    int value = atoi(text);
    if (!strcmp(name, "--port")) opt.port = value;
    else if (!strcmp(name, "--subs")) opt.subs = value;
    else if (!strcmp(name, "--pubs")) opt.pubs = value;
    else if (!strcmp(name, "--credit")) opt.credit = value;
    else if (!strcmp(name, "--size")) opt.size = value;
    else if (!strcmp(name, "--qos")) opt.qos = value;
    else if (!strcmp(name, "--topics")) opt.topics = value;
    else if (!strcmp(name, "--idle")) opt.idle = value;
    else if (!strcmp(name, "--warm")) opt.warm = value;
    else if (!strcmp(name, "--run")) opt.run = value;
    else if (!strcmp(name, "--watch")) opt.watch = value;
    else if (!strcmp(name, "--prefix")) opt.prefix = value;
    else if (!strcmp(name, "--path")) opt.path = text;
    else fail("unknown option %s", name);
  }
  if (opt.credit < 1 || opt.credit > RING / 2) fail("--credit is from 1 to %d", RING / 2);
  if (opt.size < PAYLOAD_LEAST || opt.size > 65536) fail("--size is from %d to 65536", PAYLOAD_LEAST);
  if (opt.subs < 0 || opt.subs > 60000 || opt.pubs < 0 || opt.pubs > 60000) fail("too many connections");
}

/* Sits there with `idle` connections until its input ends. */
static int stay_idle(void) {
  if (ready_count < opt.idle) fail("not all are connected");
  puts("ready");
  fflush(stdout);
  char byte;
  while (read(0, &byte, 1) > 0) continue;
  return 0;
}

int main(int count, char **words) {
  read_options(count, words);
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  if (opt.idle > 0) opt.subs = 0, opt.pubs = opt.idle;
  subs = calloc(opt.subs + 1, sizeof *subs);
  pubs = calloc(opt.pubs + 1, sizeof *pubs);
  dirty = calloc(opt.subs + opt.pubs + 1, sizeof *dirty);
  payload = malloc(opt.size);
  memset(payload, 'x', opt.size);
  poll_fd = epoll_create1(0);
  int total = opt.subs + opt.pubs;
  for (int i = 0; i < total; i++) {
    if (i < opt.subs) subs[i] = open_conn(SUBSCRIBER, i, i);
    else pubs[i - opt.subs] = open_conn(PUBLISHER, i - opt.subs, i);
    /* Not past what a listener's backlog holds. */
    if (i % 64 == 63) until_ready(i + 1);
  }
  until_ready(total);
  if (opt.idle > 0) return stay_idle();
  running = 1;
  for (int i = 0; i < opt.pubs; i++) touch(pubs[i]);
  settle();
  run_until(now_ns() + opt.warm * 1000000ull);
  uint64_t from = now_ns(), before = counted;
  double cpu = cpu_seconds(), theirs = cpu_of(opt.watch);
  run_until(from + opt.run * 1000000ull);
  double seconds = (now_ns() - from) / 1e9;
  printf("{\"perSecond\":%.1f,\"busy\":%.3f,\"serverBusy\":%.3f}\n", (counted - before) / seconds,
         (cpu_seconds() - cpu) / seconds, (cpu_of(opt.watch) - theirs) / seconds);
  return 0;
}
