// Five gigabytes both ways over real sockets, within the same bounds as some hundred megabytes.
import { test } from 'node:test';
import { download, represent, upload } from '../large-bodies.ts';

const SIZE = 5_000_000_000;

test('5 GB to a handler that reads late', { timeout: 600_000 }, async (t) => {
  t.diagnostic(JSON.stringify(await upload(SIZE)));
});

test('5 GB to a client that reads late', { timeout: 600_000 }, async (t) => {
  t.diagnostic(JSON.stringify(await download(SIZE)));
});

test('5 GB of a representation are read as its client takes them', { timeout: 600_000 }, async (t) => {
  t.diagnostic(JSON.stringify(await represent(SIZE)));
});
