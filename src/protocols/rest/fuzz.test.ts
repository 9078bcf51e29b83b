// Requests that nobody would make: each is answered, and none is a bug.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Fields } from '../../core/fields.ts';
import { Bench } from './testing/bench.ts';

const piece = fc.oneof(
  fc.constantFrom('a', '/', '%', '%2', '%23', '#', '+', '%2B', '?', '&', '=', 'after=', 'limit=', 'wait=0', 'filter='),
  fc.constantFrom(
    '%00',
    '%ff',
    '%F0%9F%90%9F',
    '$SYS',
    '..',
    ' ',
    '\u{1f41f}',
    '99999999999999999999',
    '-1',
    '0',
    '1e3',
  ),
  fc.string({ maxLength: 5 }),
);
const target = fc.tuple(
  fc.constantFrom('/topics/', '/topics/', '/topics/a?', '/topics', '/topics?', '/healthz', 'http://h/topics/'),
  fc.array(piece, { maxLength: 8 }),
);
const value = fc.oneof(
  fc.constantFrom(
    '*',
    '"1"',
    'W/"1"',
    'gzip',
    'identity',
    'application/json',
    'text/*;q=0',
    'respond-async',
    '5',
    "UTF-8''%41",
  ),
  fc.string({ maxLength: 12 }),
);
const name = fc.constantFrom(
  'accept',
  'content-type',
  'content-encoding',
  'content-range',
  'if-match',
  'if-none-match',
  'if-modified-since',
  'if-unmodified-since',
  'prefer',
  'x-expiry',
  'x-property-a',
  'x-property-%2',
  'x-property-a*',
  'last-event-id',
);

test('any request is answered', async () => {
  const bench = await Bench.open({ limits: { waitMaxMs: 10, bodyBytesMax: 20 } });
  await bench.house.publish('a', 'x', { retain: true, contentType: 'no\ntype', properties: ['a\n', '\0', '', ''] });
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'get'),
      target,
      fc.array(fc.tuple(name, value), { maxLength: 4 }),
      fc.string({ maxLength: 30 }),
      async (method, [path, rest], given, body) => {
        const fields = new Fields();
        for (const [name, text] of given) fields.append(name, text);
        const sends = method === 'POST' || method === 'PUT';
        const client = await bench.ask(method, path + rest.join(''), fields, sends ? body : '');
        assert.ok(client.status >= 200 && client.status < 500, `${client.status}`);
        assert.ok(client.ended);
        if (client.status >= 400) assert.equal(client.fields.get('content-type'), 'application/problem+json');
        // What a field cannot have would break the answer on a real wire.
        for (const [name, text] of client.fields) assert.match(`${name}: ${text}`, /^[!-9;-~]+: [ -~]*$/);
      },
    ),
    { numRuns: 400 },
  );
  assert.deepEqual(bench.house.world.bugs, []);
});
