/* Load of requests over HTTP/2 with prior knowledge: each connection keeps `--credit` GETs of `--path` under way, each on a
 * stream of its own, and reads the answers frame by frame. As clients do, it names path and authority once and points at them
 * from then on. */
#include "load.h"

enum { DATA = 0, HEADERS = 1, RST_STREAM = 3, SETTINGS = 4, PING = 6, GOAWAY = 7, CONTINUATION = 9 };

static const uint32_t WINDOW = 0x7fffffff;

/* By descriptor: streams that were begun, requests answered, and bytes of the window that were used up. */
static uint32_t begun[1 << 17], used[1 << 17];
static unsigned char good[1 << 17][512];

static void put_frame(struct conn *c, int length, int type, int flags, uint32_t stream) {
  unsigned char head[9] = {length >> 16, length >> 8, length, type, flags, stream >> 24, stream >> 16, stream >> 8, stream};
  put(c, head, sizeof head);
}

static void put_number(struct conn *c, uint32_t n) {
  unsigned char bytes[4] = {n >> 24, n >> 16, n >> 8, n};
  put(c, bytes, sizeof bytes);
}

static void proto_hello(struct conn *c) {
  putf(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  put_frame(c, 6, SETTINGS, 0, 0);
  put(c, "\0\4", 2);
  put_number(c, WINDOW);
  put_frame(c, 4, 8, 0, 0);
  put_number(c, WINDOW - 65535);
}

static void proto_publish(struct conn *p, uint32_t sequence) {
  uint32_t stream = begun[p->fd]++ * 2 + 1;
  p->left[sequence % RING]++;
  good[p->fd][stream / 2 % 512] = 0;
  if (stream > 1) {
    put_frame(p, 4, HEADERS, 5, stream);
    put(p, "\x82\x86\xbf\xbe", 4);
    return;
  }
  char authority[32];
  int length = snprintf(authority, sizeof authority, "127.0.0.1:%d", opt.port), path = strlen(opt.path);
  if (path > 100) fail("the path is too long");
  put_frame(p, 6 + path + length, HEADERS, 5, stream);
  put(p, "\x82\x86\x44", 3);
  put(p, &(unsigned char){path}, 1);
  put(p, opt.path, path);
  put(p, "\x41", 1);
  put(p, &(unsigned char){length}, 1);
  put(p, authority, length);
}

static size_t proto_read(struct conn *c, char *at, size_t length) {
  const unsigned char *head = (unsigned char *)at;
  if (length < 9) return 0;
  uint32_t size = head[0] << 16 | head[1] << 8 | head[2];
  uint32_t stream = (head[5] & 0x7f) << 24 | head[6] << 16 | head[7] << 8 | head[8];
  if (length < 9 + size) return 0;
  int type = head[3], flags = head[4];
  unsigned char *seen = &good[c->fd][stream / 2 % 512];
  if (type == SETTINGS && !(flags & 1)) {
    put_frame(c, 0, SETTINGS, 1, 0);
    touch(c);
    is_ready(c);
  } else if (type == RST_STREAM || type == GOAWAY || type == CONTINUATION)
    fail("frame %d of %u bytes on stream %u", type, size, stream);
  else if (type == HEADERS) {
    /* Some begin with a new size of the table (RFC 7541 section 6.3). */
    const unsigned char *block = head + 9;
    while (block < head + 9 + size && (*block & 0xe0) == 0x20) {
      if ((*block++ & 0x1f) < 0x1f) continue;
      while (*block++ & 0x80) continue;
    }
    if (*block != 0x88) fail("the answer is not 200");
    *seen = 1;
    if (flags & 1) fail("the answer is empty");
  } else if (type == DATA) {
    if (!*seen) fail("a body before its head");
    used[c->fd] += size;
    if (used[c->fd] > WINDOW / 2) {
      put_frame(c, 4, 8, 0, 0);
      put_number(c, used[c->fd]);
      touch(c);
      used[c->fd] = 0;
    }
    if (flags & 1) {
      *seen = 0;
      acknowledged(c, c->acked++);
    }
  }
  return 9 + size;
}
