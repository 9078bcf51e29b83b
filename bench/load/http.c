/* Load of requests: each connection keeps `--credit` GETs of `--path` under way and reads each answer whole. */
#include "load.h"
#include "answer.h"

static void proto_hello(struct conn *c) { is_ready(c); }

static void proto_publish(struct conn *p, uint32_t sequence) {
  p->left[sequence % RING]++;
  putf(p, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n", opt.path, opt.port);
}

/* What is still to come of the answer that is being read, by descriptor. */
static long rest[1 << 17];

static size_t proto_read(struct conn *c, char *at, size_t length) {
  long *left = &rest[c->fd];
  if (*left > 0) {
    size_t took = (long)length < *left ? length : (size_t)*left;
    *left -= took;
    if (*left == 0) acknowledged(c, c->acked++);
    return took;
  }
  struct answer answer;
  size_t head = read_answer(at, length, &answer);
  if (head == 0) return 0;
  if (answer.status != 200 || answer.length < 1) fail("the answer is %d, of %ld bytes", answer.status, answer.length);
  *left = answer.length;
  return head;
}
