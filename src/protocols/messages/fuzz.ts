// For tests: random and mutated messages into the reader and the dissector, for any number of runs. Throws when one of them
// throws, or when cutting the bytes changes what is shown.
import assert from 'node:assert/strict';
import { bindLimits } from '../../core/limits.ts';
import { Random } from '../../sim/random.ts';
import { PUBLISH, readRequest } from './codec.ts';
import { messagesDissector } from './dissect.ts';
import { limits } from './limits.ts';

const BOUNDS = bindLimits(limits, { jsonDepthMax: 4, propertiesMax: 2, idCharactersMax: 8 });

const LAWFUL: readonly Buffer[] = [
  '{"publish":"a/b","payload":"text","contentType":"text/plain","properties":[["n","v"]],"retain":true,"id":1}',
  '{"publish":"a","base64":"AAEC","expiry":1800000000000,"id":"x"}',
  '{"publish":"a","json":{"a":[1,2,{"b":"\\"}"}]},"correlation":"AA==","responseTopic":"r"}',
  '{"subscribe":"a/#","id":2,"after":"123","encoding":"base64","slow":"keep-latest","retained":"never"}',
  '{"unsubscribe":"a/#"}',
  '[{"jsonrpc":"2.0","method":"a.B.C","params":{},"id":1},{"jsonrpc":"2.0","method":"a.B.D"}]',
  '{"get":"a/b","id":"\u{1f600}"}',
  '{"call":"service/method","params":{"a":[]},"metadata":[["a","b"]],"timeoutMs":5,"id":1}',
  '{"jsonrpc":"2.0","method":"service.method","params":{},"id":1}',
  '{"send":1,"params":{}}',
  '{"cancel":"x"}',
  '{"topic":"a","payload":"\u00e4","time":1,"cursor":"12","history":"#"}',
  '{"gap":{"filter":"a/#","after":"1","from":"2"}}',
].map((text) => Buffer.from(text));

const TASTY = [0, 0x22, 0x5c, 0x5b, 0x5d, 0x7b, 0x7d, 0x2c, 0x3a, 0x20, 0x30, 0x80, 0xff];

function damage(random: Random, bytes: Buffer): Buffer {
  const damaged = Buffer.from(bytes);
  for (let blows = random.below(4); blows > 0; blows--) {
    const at = random.below(damaged.length);
    const way = random.below(3);
    if (way === 0) damaged[at] = random.below(256);
    else if (way === 1) damaged[at] = random.pick(TASTY);
    else damaged.copyWithin(at, random.below(damaged.length));
  }
  return random.below(8) === 0 ? damaged.subarray(0, random.below(damaged.length) + 1) : damaged;
}

/** @param count how many messages */
export function fuzzMessages(count: number, seed: number): void {
  const random = new Random(seed);
  for (let run = 0; run < count; run++) {
    const input = damage(random, random.pick(LAWFUL));
    try {
      one(random, input);
    } catch (error) {
      const stack = error instanceof Error ? error.stack : String(error);
      throw new Error(`seed ${seed}, run ${run}: ${input.toString('hex')}: ${stack}`);
    }
  }
}

function one(random: Random, input: Buffer): void {
  const request = readRequest(input, 0, input.length, BOUNDS);
  // What is published as JSON is JSON, whole.
  if (request?.verb === PUBLISH && request.contentType === 'application/json' && request.text)
    JSON.parse(request.payload.toString());
  const whole = messagesDissector('in', false);
  const parts = messagesDissector('in', false);
  const cut = random.below(input.length + 1);
  const shown = whole.push(input, 0, input.length);
  // What does not begin as an object is shown as it comes.
  if (input[0] !== 0x7b || shown.some(({ pieces }) => pieces === undefined)) return;
  assert.deepEqual([...parts.push(input, 0, cut), ...parts.push(input, cut, input.length)], shown);
}
