// For tests: random and mutated frames into the session of either role and into the dissector, for any number of runs.
// Throws when one of them throws or stands still, or when cutting the input changes what is told.
import assert from 'node:assert/strict';
import { Random } from '../../sim/random.ts';
import { acceptOffer, ServerDeflate } from './deflate.ts';
import { webSocketDissector } from './dissect.ts';
import { readExtensions } from './extensions.ts';
import { closing, frame, SocketBench } from './testing/bench.ts';

const OPCODES = [0, 1, 1, 1, 2, 2, 8, 9, 10, 3];
const PAYLOADS: readonly Buffer[] = [
  ...['', 'Hello', '\u20ac\u{10ffff}', 'x'.repeat(124), 'x'.repeat(126), 'y'.repeat(300)].map((text) =>
    Buffer.from(text),
  ),
  closing(1000, 'bye'),
  Buffer.from('f248cdc9c90700', 'hex'),
  Buffer.of(0xe2, 0x82),
];

function conversation(random: Random, masked: boolean): Buffer {
  const frames: Buffer[] = [];
  for (let count = 1 + random.below(6); count > 0; count--) {
    const rsv = random.below(5) === 0 ? 4 : 0;
    frames.push(frame(random.pick(OPCODES), random.pick(PAYLOADS), { fin: random.below(3) > 0, rsv, masked }));
  }
  const bytes = Buffer.concat(frames);
  for (let blows = random.below(4) - 1; blows > 0; blows--) bytes[random.below(bytes.length)]! ^= 1 << random.below(8);
  return random.below(8) === 0 ? bytes.subarray(0, random.below(bytes.length)) : bytes;
}

/** What is told of the input, cut into pieces of up to `cut` bytes. */
function told(role: 'server' | 'client', bytes: Buffer, cut: number, deflate: boolean): string {
  const terms = acceptOffer(readExtensions('permessage-deflate')!, true)!.terms;
  const compression = deflate ? new ServerDeflate(1).open(terms) : null;
  const limits = { messageBytesMax: 500, compressBytesLeast: 1_000 };
  const bench = new SocketBench({ role, cut, compression, limits, seed: cut + 1 });
  if (bytes.length > 0) bench.says(bytes);
  const heard = bench.hears(1_000);
  bench.peer.pipe.end();
  bench.world.pass(10_000);
  assert.ok(bench.echo.told.at(-1)!.startsWith('lost'), 'it does not end');
  return JSON.stringify([heard, bench.faulted, bench.echo.told]);
}

/** @param count how many inputs */
export function fuzzWebSocket(count: number, seed: number): void {
  const random = new Random(seed);
  for (let run = 0; run < count; run++) {
    const role = run % 2 === 0 ? 'server' : 'client';
    const bytes = conversation(random, role === 'server');
    const deflate = random.below(2) === 0;
    try {
      const whole = told(role, bytes, 0, deflate);
      assert.equal(told(role, bytes, 1 + random.below(9), deflate), whole, 'a cut changes it');
      const dissector = webSocketDissector(role === 'server' ? 'in' : 'out', random.below(2) === 0);
      const cut = random.below(bytes.length + 1);
      dissector.push(bytes, 0, cut);
      dissector.push(bytes, cut, bytes.length);
    } catch (error) {
      const stack = error instanceof Error ? error.stack : String(error);
      throw new Error(`seed ${seed}, run ${run}, ${role}, deflate ${deflate}: ${bytes.toString('hex')}: ${stack}`);
    }
  }
}
