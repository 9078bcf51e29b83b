// A body larger than what the server holds, both ways over real sockets, with somebody slow at the other end.
import { test } from 'node:test';
import { download, represent, upload } from './large-bodies.ts';

const SIZE = 200_000_000;

test('200 MB to a handler that reads late holds the client back', { timeout: 60_000 }, async (t) => {
  t.diagnostic(JSON.stringify(await upload(SIZE)));
});

test('200 MB to a client that reads late are pulled as it reads', { timeout: 60_000 }, async (t) => {
  t.diagnostic(JSON.stringify(await download(SIZE)));
});

test('200 MB of a representation are read as its client takes them', { timeout: 60_000 }, async (t) => {
  t.diagnostic(JSON.stringify(await represent(SIZE)));
});
