// Any bytes neither throw nor hang, and however they are cut the conversation is the same.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PREFACE } from './codec.ts';
import { ROUTES } from './testing/rules.ts';
import { type Client, frame, Stage, settings } from './testing/stage.ts';

const client = () => new Stage(() => {}).connect();

const type = fc.oneof(fc.nat(10), fc.constantFrom(0x10, 0x77));
const stream = fc.oneof(fc.constantFrom(0, 1, 3, 5, 2), fc.nat(20));
const flags = fc.oneof(fc.constantFrom(0, 1, 4, 5, 8, 0x20, 0x2d), fc.nat(255));
/** Frames as they might be, some of whose payloads are right. */
const anyFrame = fc
  .tuple(type, flags, stream, fc.uint8Array({ maxLength: 60 }))
  .map(([kind, flag, id, payload]) => frame(kind, flag, id, payload));

// Not `/large`: who gets the last of the connection's window depends on who asks first.
const path = fc.constantFrom('/', '/slow', '/echo');
const method = fc.constantFrom('GET', 'POST', 'HEAD', 'CONNECT', 'get');

function request(of: Client, id: number, asks: { method: string; path: string; more: string; ends: boolean }): Buffer {
  const fields = { ':method': asks.method, ':scheme': 'http', ':authority': 'a', ':path': asks.path };
  return frame(1, asks.ends ? 5 : 4, id, of.block({ ...fields, 'x-more': asks.more }));
}

const anyRequest = fc.record({ method, path, more: fc.constantFrom('a', 'b', 'c'.repeat(50)), ends: fc.boolean() });
const conversation = fc
  .array(fc.oneof(anyFrame, anyRequest, fc.uint8Array({ maxLength: 30 })), { maxLength: 25 })
  .map((parts) => {
    const of = client();
    let id = -1;
    return Buffer.concat([
      PREFACE,
      settings(),
      ...parts.map((part) => (part instanceof Uint8Array ? part : request(of, (id += 2), part))),
    ]);
  });

/** What is heard, but for dates, and what is left open. */
function heard(bytes: Uint8Array, cuts: readonly number[] = []): { told: string[]; faults: string[] } {
  const stage = new Stage(ROUTES);
  const peer = stage.connect();
  let at = 0;
  for (const cut of cuts) {
    peer.says(bytes.subarray(at, at + cut));
    at = Math.min(bytes.length, at + cut);
    stage.world.pass(1);
  }
  peer.says(bytes.subarray(at));
  const told = peer.hears(200);
  assert.deepEqual(stage.world.bugs, []);
  assert.deepEqual(stage.logged, []);
  return { told: told.filter((line) => !line.startsWith('WINDOW_UPDATE')), faults: stage.faults };
}

/** What is said of each stream; the streams do not wait for one another. */
function byStream(told: readonly string[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of told) {
    const [name, id] = line.split(' ');
    if (line.startsWith('GOAWAY')) continue;
    found.set(id!, `${found.get(id!) ?? ''}${name === 'DATA' ? line.slice(6 + id!.length) : `|${line}|`}`);
  }
  return found;
}

test('any conversation neither throws nor hangs', () => {
  fc.assert(
    fc.property(conversation, (bytes) => void heard(bytes)),
    { numRuns: 600 },
  );
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void heard(bytes)));
});

test('however its bytes are cut, it is the same', () => {
  fc.assert(
    fc.property(conversation, fc.array(fc.integer({ min: 1, max: 80 }), { maxLength: 60 }), (bytes, cuts) => {
      const whole = heard(bytes);
      const cut = heard(bytes, cuts);
      // A client that said GOAWAY is let go as soon as nothing is open, whatever it may send later: how much of that was heard
      // depends on when it came (RFC 9113 §6.8).
      const left = cut.faults.length === 0 && cut.told.some((line) => line.startsWith('GOAWAY'));
      if (!left) assert.deepEqual(cut.faults, whole.faults);
      // What was not sent yet when a fault ended the connection is not sent any more.
      if (whole.faults.length > 0) return;
      const streams = byStream(whole.told);
      if (!left) assert.deepEqual(byStream(cut.told), streams);
      for (const [id, told] of byStream(cut.told))
        assert.ok(streams.get(id)?.startsWith(told), `stream ${id}: ${told}`);
    }),
    { numRuns: 300 },
  );
});
