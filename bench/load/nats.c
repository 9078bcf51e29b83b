/* Load for NATS JetStream: publishers that count a message when the stream has acknowledged it. The first one makes the
 * stream, in files as nats-server has them by default. */
#include "load.h"

static const char stream[] = "{\"name\":\"bench\",\"subjects\":[\"bench.>\"],\"storage\":\"file\"}";

static void proto_hello(struct conn *c) { (void)c; }

static void proto_publish(struct conn *p, uint32_t sequence) {
  p->left[sequence % RING]++;
  putf(p, "PUB bench.all in.%d.%u %d\r\n", p->id, sequence, opt.size);
  put(p, payload_of(p, sequence), opt.size);
  put(p, "\r\n", 2);
}

/* The first publisher asks for the stream, the others for a PONG; their acknowledgements come to `in.<id>.<sequence>`. */
static void begin(struct conn *c) {
  putf(c, "CONNECT {\"verbose\":false,\"pedantic\":false}\r\nSUB in.%d.* 1\r\n", c->id);
  if (c->id == 0) putf(c, "PUB $JS.API.STREAM.CREATE.bench in.0.made %zu\r\n%s\r\n", sizeof stream - 1, stream);
  else put(c, "PING\r\n", 6);
}

static size_t on_message(struct conn *c, char *at, size_t line, size_t length) {
  char subject[64], words[64];
  int id, size;
  if (line >= sizeof words + sizeof subject) fail("a MSG line is too long");
  if (sscanf(at, "MSG in.%d.%63s %63s %d", &id, subject, words, &size) != 4) fail("MSG is not understood");
  if (length < line + 2 + size + 2) return 0;
  at[line + 2 + size] = 0;
  if (strstr(at + line + 2, "\"error\"") != NULL) fail("JetStream says %s", at + line + 2);
  if (!strcmp(subject, "made")) is_ready(c);
  else acknowledged(c, strtoul(subject, NULL, 10));
  return line + 2 + size + 2;
}

static size_t proto_read(struct conn *c, char *at, size_t length) {
  char *end = memchr(at, '\n', length);
  if (end == NULL) return 0;
  size_t line = end - at - 1;
  if (!strncmp(at, "MSG ", 4)) {
    at[line] = 0;
    return on_message(c, at, line, length);
  }
  if (!strncmp(at, "INFO ", 5)) begin(c);
  else if (!strncmp(at, "PING", 4)) put(c, "PONG\r\n", 6);
  else if (!strncmp(at, "PONG", 4)) is_ready(c);
  else fail("NATS says %.*s", (int)line, at);
  return line + 2;
}
