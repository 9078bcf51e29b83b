/* Load for brokers of MQTT 3.1.1: subscribers of one topic or of parts of many, publishers of QoS 0, 1, 2 or, with
 * `--qos 3`, of all three by topic. */
#include "load.h"

static int topic_of(struct conn *p, uint32_t sequence) {
  uint64_t x = ((uint64_t)p->id << 32 | sequence) * 0x9e3779b97f4a7c15ull;
  return (x >> 33) % opt.topics;
}

static int topic_name(char *into, int topic) {
  if (opt.topics == 0) return sprintf(into, "bench/all");
  return sprintf(into, "bench/%d/%d", topic / 1000, topic % 1000);
}

static int qos_of(int topic) { return opt.qos == 3 ? topic % 3 : opt.qos; }

static void proto_hello(struct conn *c) {
  char name[32];
  int length = sprintf(name, "%c%d.%d", c->role == PUBLISHER ? 'p' : 's', opt.prefix, c->id);
  char head[] = {0x10, 12 + length, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, length};
  put(c, head, sizeof head);
  put(c, name, length);
}

static void put_length(struct conn *c, size_t length) {
  do {
    uint8_t byte = length % 128;
    length /= 128;
    if (length > 0) byte |= 128;
    put(c, &byte, 1);
  } while (length > 0);
}

static void put16(struct conn *c, unsigned value) {
  uint8_t bytes[] = {value >> 8, value};
  put(c, bytes, 2);
}

#define FILTERS 400

/* SUBSCRIBE packets for the topics whose number leaves this subscriber's as rest. */
static void subscribe(struct conn *c) {
  static char body[FILTERS * 64];
  int total = opt.topics == 0 ? 1 : (opt.topics - c->id + opt.subs - 1) / opt.subs;
  for (int done = 0; done < total;) {
    size_t length = 0;
    for (int i = 0; i < FILTERS && done < total; i++, done++) {
      int topic = c->id + done * opt.subs;
      int n = topic_name(body + length + 2, topic);
      body[length] = n >> 8;
      body[length + 1] = n;
      body[length + 2 + n] = qos_of(topic);
      length += n + 3;
    }
    put(c, "\x82", 1);
    put_length(c, length + 2);
    put16(c, ++c->pending);
    put(c, body, length);
  }
  if (total == 0) is_ready(c);
}

static void proto_publish(struct conn *p, uint32_t sequence) {
  char name[64];
  int topic = opt.topics == 0 ? 0 : topic_of(p, sequence), qos = qos_of(topic);
  int length = topic_name(name, topic);
  uint8_t first = 0x30 | qos << 1;
  put(p, &first, 1);
  put_length(p, 2 + length + (qos > 0 ? 2 : 0) + opt.size);
  put16(p, length);
  put(p, name, length);
  if (qos > 0) {
    p->left[sequence % RING]++;
    put16(p, sequence % RING + 1);
  }
  put(p, payload_of(p, sequence), opt.size);
}

static void answer(struct conn *c, uint8_t first, unsigned id) {
  uint8_t bytes[] = {first, 2, id >> 8, id};
  put(c, bytes, 4);
}

static void on_publish(struct conn *c, uint8_t first, uint8_t *at, size_t length) {
  int qos = first >> 1 & 3;
  size_t head = 2 + (at[0] << 8 | at[1]);
  if (head + (qos > 0 ? 2 : 0) > length) fail("a PUBLISH is too short");
  if (qos > 0) {
    answer(c, qos == 1 ? 0x40 : 0x50, at[head] << 8 | at[head + 1]);
    head += 2;
  }
  delivered((char *)at + head, length - head);
}

/* The packet identifier of a publisher is its sequence's place in the ring. */
static uint32_t sequence_of(struct conn *p, unsigned id) { return p->low + (id - 1 - p->low) % RING; }

static void on_packet(struct conn *c, uint8_t first, uint8_t *at, size_t length) {
  if (length < 2) fail("a packet 0x%02x is too short", first);
  unsigned id = at[0] << 8 | at[1];
  switch (first >> 4) {
    case 2:
      if (at[1] != 0) fail("CONNACK says %d", at[1]);
      if (c->role == SUBSCRIBER) subscribe(c);
      else is_ready(c);
      return;
    case 3: return on_publish(c, first, at, length);
    case 4:
    case 7: return acknowledged(c, sequence_of(c, id));
    case 5: return answer(c, 0x62, id);
    case 6: return answer(c, 0x70, id);
    case 9:
      for (size_t i = 2; i < length; i++)
        if (at[i] > 2) fail("SUBACK says 0x%02x", at[i]);
      if (--c->pending == 0) is_ready(c);
      return;
    default: fail("a packet 0x%02x came", first);
  }
}

static size_t proto_read(struct conn *c, char *bytes, size_t length) {
  uint8_t *at = (uint8_t *)bytes;
  size_t body = 0, head = 1;
  for (int shift = 0;; shift += 7) {
    if (head >= length) return 0;
    body |= (size_t)(at[head] & 127) << shift;
    if (at[head++] < 128) break;
    if (shift == 21) fail("a remaining length is too long");
  }
  if (head + body > length) return 0;
  on_packet(c, at[0], at + head, body);
  return head + body;
}
