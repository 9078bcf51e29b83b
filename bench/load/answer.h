/* Reads the heads of HTTP/1.1's answers, as far as load needs them: the status, the length, whether it comes in chunks. */
struct answer {
  int status, chunked;
  long length; /* -1 where none is said */
};

static int same(const char *at, const char *word, size_t length) {
  for (size_t i = 0; i < length; i++)
    if ((at[i] | 32) != word[i]) return 0;
  return 1;
}

/* The bytes of the head, or 0 where it is not whole yet. */
static size_t read_answer(const char *at, size_t length, struct answer *into) {
  const char *end = memmem(at, length, "\r\n\r\n", 4);
  if (end == NULL) return 0;
  if (memcmp(at, "HTTP/1.1 ", 9)) fail("the answer is no HTTP/1.1: %.*s", 40, at);
  *into = (struct answer){.status = atoi(at + 9), .length = -1};
  for (const char *line = memchr(at, '\n', end - at); line != NULL && line < end; line = memchr(line, '\n', end - line)) {
    line++;
    if (end - line > 15 && same(line, "content-length:", 15)) into->length = strtol(line + 15, NULL, 10);
    if (end - line >= 26 && same(line, "transfer-encoding: chunked", 26)) into->chunked = 1;
  }
  return end + 4 - at;
}
