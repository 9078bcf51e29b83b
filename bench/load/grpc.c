/* Load of gRPC with prior knowledge: each connection keeps `--credit` calls under way, each on a stream of its own. `--path` is
 * the path of the method, a colon, the message in hex, a colon, and how many bytes the answer's messages and prefixes have. As
 * clients do, the head is named once and pointed at from then on. */
#include "load.h"

enum { DATA = 0, HEADERS = 1, RST_STREAM = 3, SETTINGS = 4, PING = 6, GOAWAY = 7, WINDOW_UPDATE = 8, CONTINUATION = 9 };

static const uint32_t WINDOW = 0x7fffffff;

static uint32_t begun[1 << 17], used[1 << 17], came[1 << 10][1024];
static unsigned char message[4096];
static uint32_t message_length, expected;
static char path[128];

static void put_frame(struct conn *c, int length, int type, int flags, uint32_t stream) {
  unsigned char head[9] = {length >> 16, length >> 8, length, type, flags, stream >> 24, stream >> 16, stream >> 8, stream};
  put(c, head, sizeof head);
}

static void put_number(struct conn *c, uint32_t n) {
  unsigned char bytes[4] = {n >> 24, n >> 16, n >> 8, n};
  put(c, bytes, sizeof bytes);
}

static void read_message(void) {
  const char *colon = strchr(opt.path, ':'), *last = colon == NULL ? NULL : strchr(colon + 1, ':');
  if (last == NULL || colon - opt.path >= (long)sizeof path) fail("--path is path:hex:bytes");
  memcpy(path, opt.path, colon - opt.path);
  uint32_t size = (last - colon - 1) / 2;
  if (size + 5 > sizeof message) fail("the message is too long");
  message[3] = size >> 8;
  message[4] = size;
  for (uint32_t i = 0; i < size; i++) {
    uint32_t byte;
    if (!hex(colon + 1 + i * 2, 2, &byte)) fail("the message is not hex");
    message[5 + i] = byte;
  }
  message_length = size + 5;
  expected = atoi(last + 1);
}

static void proto_hello(struct conn *c) {
  if (message_length == 0) read_message();
  if (c->fd >= 1 << 10) fail("too many connections");
  putf(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  put_frame(c, 6, SETTINGS, 0, 0);
  put(c, "\0\4", 2);
  put_number(c, WINDOW);
  put_frame(c, 4, WINDOW_UPDATE, 0, 0);
  put_number(c, WINDOW - 65535);
}

static void put_text(struct conn *c, const char *text) {
  put(c, &(unsigned char){strlen(text)}, 1);
  put(c, text, strlen(text));
}

static void proto_publish(struct conn *p, uint32_t sequence) {
  uint32_t stream = begun[p->fd]++ * 2 + 1;
  p->left[sequence % RING]++;
  came[p->fd][stream / 2 % 1024] = 0;
  if (stream > 1) {
    /* POST, http, and what was named: path, authority, content-type, te, user-agent, grpc-accept-encoding. */
    put_frame(p, 8, HEADERS, 4, stream);
    put(p, "\x83\x86\xc3\xc2\xc1\xc0\xbf\xbe", 8);
  } else {
    char authority[32];
    snprintf(authority, sizeof authority, "127.0.0.1:%d", opt.port);
    const char *type = "application/grpc", *te = "trailers", *agent = "grpc-node-js/1.14.7";
    const char *name = "grpc-accept-encoding", *codings = "identity,deflate,gzip";
    int texts = strlen(path) + strlen(authority) + strlen(type) + strlen(te) + strlen(agent) + strlen(name) + strlen(codings);
    put_frame(p, 18 + texts, HEADERS, 4, stream);
    put(p, "\x83\x86\x44", 3);
    put_text(p, path);
    put(p, "\x41", 1);
    put_text(p, authority);
    put(p, "\x5f", 1);
    put_text(p, type);
    put(p, "\x40", 1);
    put_text(p, "te");
    put_text(p, te);
    put(p, "\x7a", 1);
    put_text(p, agent);
    put(p, "\x40", 1);
    put_text(p, name);
    put_text(p, codings);
  }
  put_frame(p, message_length, DATA, 1, stream);
  put(p, message, message_length);
}

static size_t proto_read(struct conn *c, char *at, size_t length) {
  const unsigned char *head = (unsigned char *)at;
  if (length < 9) return 0;
  uint32_t size = head[0] << 16 | head[1] << 8 | head[2];
  uint32_t stream = (head[5] & 0x7f) << 24 | head[6] << 16 | head[7] << 8 | head[8];
  if (length < 9 + size) return 0;
  int type = head[3], flags = head[4];
  if (type == SETTINGS && !(flags & 1)) {
    put_frame(c, 0, SETTINGS, 1, 0);
    touch(c);
    is_ready(c);
  } else if (type == PING && !(flags & 1)) {
    put_frame(c, 8, PING, 1, 0);
    put(c, head + 9, 8);
    touch(c);
  } else if (type == RST_STREAM || type == GOAWAY || type == CONTINUATION)
    fail("frame %d of %u bytes on stream %u", type, size, stream);
  else if (type == HEADERS && (flags & 1)) {
    uint32_t got = came[c->fd][stream / 2 % 1024];
    /* Some write what is the default as well. */
    if (got < expected) fail("an answer has %u bytes, not %u", got, expected);
    acknowledged(c, c->acked++);
  } else if (type == DATA) {
    if (flags & 1) fail("an answer without trailers");
    came[c->fd][stream / 2 % 1024] += size;
    used[c->fd] += size;
    if (used[c->fd] > WINDOW / 2) {
      put_frame(c, 4, WINDOW_UPDATE, 0, 0);
      put_number(c, used[c->fd]);
      touch(c);
      used[c->fd] = 0;
    }
  }
  return 9 + size;
}
