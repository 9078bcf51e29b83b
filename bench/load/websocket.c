/* Load of WebSockets: subscribers and a publisher on one path, text messages that are payloads and nothing else. What a
 * publisher is sent back of its own is read and not counted. */
#include "load.h"
#include "answer.h"

enum { HEAD, FRAMES };

static void proto_hello(struct conn *c) {
  /* The key of RFC 6455 §1.3, whose answer is known. */
  putf(c,
       "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
       opt.path, opt.port);
}

static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};

static void put_frame(struct conn *c, uint8_t first, const char *bytes, size_t length) {
  uint8_t head[] = {first, 0x80 | (length < 126 ? length : 126), length >> 8, length};
  put(c, head, length < 126 ? 2 : 4);
  put(c, mask, 4);
  char *at = room(c, length);
  for (size_t i = 0; i < length; i++) at[i] = bytes[i] ^ mask[i & 3];
}

static void proto_publish(struct conn *p, uint32_t sequence) { put_frame(p, 0x81, payload_of(p, sequence), opt.size); }

static void on_frame(struct conn *c, uint8_t first, char *at, size_t length) {
  switch (first) {
    case 0x81:
    case 0x82:
      if (c->role == SUBSCRIBER) delivered(at, length);
      return;
    case 0x88: fail("the server closes with %d: %.*s", length < 2 ? 0 : (uint8_t)at[0] << 8 | (uint8_t)at[1], length < 2 ? 0 : (int)length - 2, at + 2);
    case 0x89: put_frame(c, 0x8a, at, length); return;
    default: fail("a frame 0x%02x came", first);
  }
}

static size_t read_frame(struct conn *c, uint8_t *at, size_t length) {
  if (length < 2) return 0;
  size_t head = 2, body = at[1];
  if (body > 127) fail("a server's frame is masked");
  if (body == 126) {
    if (length < 4) return 0;
    head = 4;
    body = at[2] << 8 | at[3];
  } else if (body == 127) {
    if (length < 10) return 0;
    head = 10;
    body = (size_t)at[6] << 24 | at[7] << 16 | at[8] << 8 | at[9];
  }
  if (head + body > length) return 0;
  on_frame(c, at[0], (char *)at + head, body);
  return head + body;
}

static size_t proto_read(struct conn *c, char *at, size_t length) {
  if (c->state == FRAMES) return read_frame(c, (uint8_t *)at, length);
  struct answer answer;
  size_t head = read_answer(at, length, &answer);
  if (head == 0) return 0;
  if (answer.status != 101) fail("the upgrade is answered with %d: %.*s", answer.status, (int)length, at);
  if (memmem(at, head, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", 28) == NULL) fail("Sec-WebSocket-Accept is wrong");
  c->state = FRAMES;
  is_ready(c);
  return head;
}
