/* Load of one request: each connection keeps `--credit` of what the file `--path` has under way, head and body as they are,
 * and reads each answer whole, also one that comes in chunks. */
#include "load.h"
#include "answer.h"

static char *request;
static size_t request_length;

static void proto_hello(struct conn *c) { is_ready(c); }

static void read_request(void) {
  FILE *file = fopen(opt.path, "r");
  if (file == NULL) fail("%s: %s", opt.path, strerror(errno));
  request = malloc(1 << 20);
  request_length = fread(request, 1, 1 << 20, file);
  fclose(file);
}

static void proto_publish(struct conn *p, uint32_t sequence) {
  if (request == NULL) read_request();
  p->left[sequence % RING]++;
  put(p, request, request_length);
}

/* What is still to come of the answer, or of its chunk, by descriptor. */
static long rest[1 << 17];
/* Within an answer in chunks. */
static char chunked[1 << 17];

static size_t read_chunk(struct conn *c, char *at, size_t length) {
  char *end = memmem(at, length, "\r\n", 2);
  if (end == NULL) return 0;
  size_t head = end + 2 - at;
  long size = strtol(at, NULL, 16);
  if (size > 0) {
    rest[c->fd] = size + 2;
    return head;
  }
  if (length < head + 2) return 0;
  chunked[c->fd] = 0;
  acknowledged(c, c->acked++);
  return head + 2;
}

static size_t proto_read(struct conn *c, char *at, size_t length) {
  long *left = &rest[c->fd];
  if (*left > 0) {
    size_t took = (long)length < *left ? length : (size_t)*left;
    *left -= took;
    if (*left == 0 && !chunked[c->fd]) acknowledged(c, c->acked++);
    return took;
  }
  if (chunked[c->fd]) return read_chunk(c, at, length);
  struct answer answer;
  size_t head = read_answer(at, length, &answer);
  if (head == 0) return 0;
  if (answer.status != 200 || (answer.length < 1 && !answer.chunked))
    fail("the answer is %d, of %ld bytes", answer.status, answer.length);
  chunked[c->fd] = answer.chunked;
  *left = answer.chunked ? 0 : answer.length;
  return head;
}
