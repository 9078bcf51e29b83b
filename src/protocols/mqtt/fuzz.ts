// For tests: random and mutated input into the reader and the dissector, for any number of runs. Throws when either throws,
// stands still, runs out of its input, or when cutting the input changes what is read.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { BAD, MORE } from '../../bytes/reader.ts';
import { Random } from '../../sim/random.ts';
import { PacketReader, type Sender } from './codec.ts';
import { MqttDissector } from './dissect.ts';
import * as P from './packets.ts';
import { bytesOf, connectSamples, samples } from './samples.ts';

const BOUNDS = { packetBytesMax: 1_048_576, userPropertiesMax: 64, filtersMax: 64 };
const VERSIONS = [P.V31, P.V311, P.V5] as const;

/** Lawful packets to damage, made once. */
function corpus(seed: number, version: P.Version, sender: Sender): Buffer[] {
  const found = fc.sample(samples(version, sender), { numRuns: 200, seed });
  const connects = sender === 'client' ? fc.sample(connectSamples(version), { numRuns: 50, seed }) : [];
  return [...found, ...connects].map((sample) => bytesOf(sample, version));
}

function damage(random: Random, bytes: Buffer): Buffer {
  const damaged = Buffer.from(bytes);
  const blows = 1 + random.below(3);
  for (let blow = 0; blow < blows; blow++) {
    const at = random.below(damaged.length);
    const way = random.below(4);
    if (way === 0) damaged[at] = random.below(256);
    else if (way === 1) damaged[at] = damaged[at]! ^ (1 << random.below(8));
    else if (way === 2) damaged[at] = random.pick([0, 1, 0x7f, 0x80, 0xff]);
    else if (damaged.length > 1) damaged.copyWithin(at, random.below(damaged.length));
  }
  return random.below(4) === 0 ? damaged.subarray(0, random.below(damaged.length) + 1) : damaged;
}

/** What a reader makes of the input, offered in one piece or cut at `cut`: types, sizes and the fault. */
function outcome(reader: PacketReader, input: Uint8Array, cut: number, found: number[]): number {
  let at = 0;
  for (const end of [cut, input.length]) {
    while (at < end) {
      const next = reader.read(input, at, end);
      if (next === MORE) break;
      if (next === BAD) {
        assert.ok(reader.fault !== null);
        found.push(-reader.fault.wire - 1);
        return found.length;
      }
      assert.ok(next > at && next <= end, 'the reader stands still or runs out');
      at = next;
      if (reader.type !== 0) found.push(reader.type, reader.size);
      if (reader.type === P.PUBLISH) reader.topic();
    }
  }
  return found.length;
}

/** @param runs how many inputs */
export function fuzz(seed: number, runs: number): void {
  const random = new Random(seed);
  const sides: { version: P.Version; sender: Sender; lawful: Buffer[] }[] = [];
  for (const version of VERSIONS)
    for (const sender of ['client', 'server'] as const)
      sides.push({ version, sender, lawful: corpus(seed, version, sender) });
  const whole: number[] = [];
  const cut: number[] = [];
  const noise = Buffer.alloc(40);
  for (let run = 0; run < runs; run++) {
    const { version, sender, lawful } = sides[run % sides.length]!;
    let input: Buffer;
    if (random.below(8) === 0) {
      random.fill(noise);
      input = Buffer.from(noise.subarray(0, 1 + random.below(noise.length)));
    } else input = damage(random, random.pick(lawful));
    if (random.below(4) === 0) input = Buffer.concat([input, random.pick(lawful)]);
    const started = sender === 'server' || random.below(8) !== 0 ? version : 0;
    const told = () => `seed ${seed}, run ${run}, ${sender} ${started}: ${input.toString('hex')}`;
    try {
      const reader = new PacketReader(sender, BOUNDS);
      reader.version = input[0]! >>> 4 === P.CONNECT && sender === 'client' ? 0 : started;
      const again = new PacketReader(sender, BOUNDS);
      again.version = reader.version;
      whole.length = 0;
      cut.length = 0;
      outcome(reader, input, input.length, whole);
      outcome(again, input, random.below(input.length + 1), cut);
      assert.ok(whole.length === cut.length && whole.every((value, index) => value === cut[index]), 'a cut changes it');
      if (run % 8 === 0) new MqttDissector(sender, started, BOUNDS).push(input, 0, input.length);
    } catch (error) {
      throw new Error(`${told()}: ${error instanceof Error ? error.stack : String(error)}`);
    }
  }
}
