/* Load of server-sent events: subscribers that read a stream at `--path`, and publishers that POST to it. Comments,
 * ids and other fields are skipped; each `data` line is a message. */
#include "load.h"
#include "answer.h"

enum { HEAD, SIZE, DATA, DATA_END, WHOLE };

static void proto_hello(struct conn *c) {
  if (c->role == PUBLISHER) {
    is_ready(c);
    return;
  }
  putf(c, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: text/event-stream\r\n\r\n", opt.path, opt.port);
}

static void proto_publish(struct conn *p, uint32_t sequence) {
  p->left[sequence % RING]++;
  putf(p, "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n", opt.path,
       opt.port, opt.size);
  put(p, payload_of(p, sequence), opt.size);
}

static size_t read_posted(struct conn *c, char *at, size_t length) {
  struct answer answer;
  size_t head = read_answer(at, length, &answer);
  if (head == 0) return 0;
  if (answer.status < 200 || answer.status > 204) fail("POST is answered with %d: %.*s", answer.status, (int)length, at);
  size_t body = answer.length > 0 ? answer.length : 0;
  if (head + body > length) return 0;
  acknowledged(c, c->acked++);
  return head + body;
}

/* A subscriber's events, taken out of the chunks. */
static struct { char bytes[65536 + 64]; size_t length; } *lines;

static void on_line(const char *at, size_t length) {
  if (length > 6 && !memcmp(at, "data: ", 6)) delivered(at + 6, length - 6);
  else if (length > 5 && !memcmp(at, "data:", 5)) delivered(at + 5, length - 5);
}

static void on_text(struct conn *c, const char *at, size_t length) {
  if (lines == NULL) lines = calloc(opt.subs, sizeof *lines);
  while (length > 0) {
    const char *end = memchr(at, '\n', length);
    size_t part = end == NULL ? length : (size_t)(end - at);
    if (end != NULL && lines[c->id].length == 0) on_line(at, part);
    else {
      if (lines[c->id].length + part > sizeof lines->bytes) fail("a line is too long");
      memcpy(lines[c->id].bytes + lines[c->id].length, at, part);
      lines[c->id].length += part;
      if (end == NULL) return;
      on_line(lines[c->id].bytes, lines[c->id].length);
      lines[c->id].length = 0;
    }
    at += part + 1;
    length -= part + 1;
  }
}

static size_t read_size(struct conn *c, char *at, size_t length) {
  char *end = memchr(at, '\n', length);
  if (end == NULL) return 0;
  c->bytes_left = strtoull(at, NULL, 16);
  if (c->bytes_left == 0) fail("the stream of subscriber %d ended", c->id);
  c->state = DATA;
  return end + 1 - at;
}

static size_t proto_read(struct conn *c, char *at, size_t length) {
  if (c->role == PUBLISHER) return read_posted(c, at, length);
  if (c->state == HEAD) {
    struct answer answer;
    size_t head = read_answer(at, length, &answer);
    if (head == 0) return 0;
    if (answer.status != 200) fail("the stream is answered with %d", answer.status);
    c->state = answer.chunked ? SIZE : WHOLE;
    is_ready(c);
    return head;
  }
  if (c->state == SIZE) return read_size(c, at, length);
  if (c->state == DATA_END) {
    if (length < 2) return 0;
    c->state = SIZE;
    return 2;
  }
  size_t part = c->state == WHOLE || length < c->bytes_left ? length : c->bytes_left;
  on_text(c, at, part);
  if (c->state == DATA && (c->bytes_left -= part) == 0) c->state = DATA_END;
  return part;
}
