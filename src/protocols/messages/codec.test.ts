import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { bindLimits } from '../../core/limits.ts';
import { BATCH, PUBLISH, type PublishRequest, REFUSED, type Refused, readRequest, SUBSCRIBE } from './codec.ts';
import { messagesDissector } from './dissect.ts';
import { fuzzMessages } from './fuzz.ts';
import { limits } from './limits.ts';

const LIMITS = bindLimits(limits, { propertiesMax: 2, attributeBytesMax: 8, idCharactersMax: 4, jsonDepthMax: 3 });

function read(message: string | object): ReturnType<typeof readRequest> {
  const bytes = Buffer.from(typeof message === 'string' ? message : JSON.stringify(message));
  return readRequest(bytes, 0, bytes.length, LIMITS);
}

test('what cannot be understood is said', () => {
  for (const [message, detail] of [
    ['[]', 'a batch has at least one request'],
    ['null', 'this is not an object'],
    ['1', 'this is not an object'],
    [{}, 'one of publish, subscribe, unsubscribe, get and call is needed'],
    [{ toString: 1 }, 'one of publish, subscribe, unsubscribe, get and call is needed'],
    ['{"__proto__":{"publish":"a"}}', 'one of publish, subscribe, unsubscribe, get and call is needed'],
    [{ publish: 1, payload: '' }, 'publish must be a string of well-formed Unicode'],
    ['{"publish":"\\ud800","payload":""}', 'publish must be a string of well-formed Unicode'],
    [{ publish: 'a' }, 'one of payload, base64 and json is needed'],
    [{ publish: 'a', payload: '', json: 1 }, 'one of payload, base64 and json is needed'],
    [{ publish: 'a', payload: 21.5 }, 'payload must be a string of well-formed Unicode'],
    [{ publish: 'a', base64: 'a' }, 'base64 must be base64 (RFC 4648 §4)'],
    [{ publish: 'a', base64: '_-==' }, 'base64 must be base64 (RFC 4648 §4)'],
    [{ publish: 'a', payload: '', paylaod: '' }, 'publish has no member "paylaod"'],
    [{ publish: 'a', payload: '', subscribe: 'a' }, 'publish has no member "subscribe"'],
    ['{"publish":"a","payload":"","__proto__":1}', 'publish has no member "__proto__"'],
    [{ publish: 'a', payload: '', [`x${'y'.repeat(90)}`]: 1 }, `publish has no member "x${'y'.repeat(39)}…"`],
    [{ publish: 'a', payload: '', retain: 1 }, 'retain must be true or false'],
    [{ publish: 'a', payload: '', expiry: '1' }, 'expiry must be a number of milliseconds above 0'],
    [{ publish: 'a', payload: '', expiry: 0.5 }, 'expiry must be a number of milliseconds above 0'],
    [{ publish: 'a', payload: '', expiry: 1, expiresIn: 1 }, 'expiry and expiresIn are two ways to say the same'],
    [{ publish: 'a', payload: '', properties: { a: 'b' } }, 'properties must be a list of pairs of strings'],
    [{ publish: 'a', payload: '', properties: [['a']] }, 'properties must be a list of pairs of strings'],
    [
      {
        publish: 'a',
        payload: '',
        properties: [['a', '']].concat([
          ['b', ''],
          ['c', ''],
        ]),
      },
      'more than 2 properties',
    ],
    [{ publish: 'a', payload: '', properties: [['a\0', '']] }, 'a content type or property holds a NUL'],
    [{ publish: 'a', payload: '', contentType: '123456789' }, 'a content type or property is longer than 8 bytes'],
    [{ publish: 'a', payload: '', correlation: 'AAAAAAAAAAAA' }, 'correlation is longer than 8 bytes'],
    [{ publish: 'a', json: [[[[]]]] }, 'json is nested deeper than 3'],
    [{ publish: 'a', payload: '', id: '12345' }, 'id is longer than 4 characters'],
    [{ publish: 'a', payload: '', id: null }, 'id must be a string, or a number that is exact'],
    ['{"publish":"a","payload":"","id":9007199254740993}', 'id must be a string, or a number that is exact'],
    [{ subscribe: 'a', after: 1 }, 'after must be a cursor: a string of digits'],
    [{ subscribe: 'a', after: '-1' }, 'after must be a cursor: a string of digits'],
    [{ subscribe: 'a', after: '9007199254740992' }, 'after must be a cursor: a string of digits'],
    [{ subscribe: 'a', slow: 'no' }, 'slow must be "disconnect", "drop-oldest", "keep-latest"'],
    [{ unsubscribe: 'a', after: '1' }, 'unsubscribe has no member "after"'],
    [{ get: null, id: 1 }, 'get must be a string of well-formed Unicode'],
    [{ call: 7 }, 'call must be a string of well-formed Unicode'],
    [{ call: 'x', metadata: [['a']] }, 'metadata must be a list of pairs of strings'],
    [{ call: 'x', metadata: Array(3).fill(['a', '']) }, 'metadata has more than 2 entries'],
    [{ call: 'x', metadata: [['a', '123456789']] }, 'a name or value of metadata is longer than 8 bytes'],
    [{ call: 'x', timeoutMs: -1 }, 'timeoutMs must be a number of milliseconds above 0'],
    [{ send: {}, params: {} }, 'send must be a string, or a number that is exact'],
    [{ finish: 1, params: {} }, 'finish has no member "params"'],
    [{ jsonrpc: '1.0', method: 'x' }, 'jsonrpc must be "2.0"'],
  ] as const) {
    const request = read(message) as Refused;
    assert.equal(request.verb, REFUSED, JSON.stringify(message));
    assert.equal(request.detail, detail);
  }
});

test('what is not JSON is null, however deep it is nested', () => {
  for (const text of ['', '{', '{"publish":"a",}', "{'publish':'a'}", 'publish a', '['.repeat(500_000), '\ufeff{}'])
    assert.equal(read(text), null);
  assert.equal(read(`${'['.repeat(500_000)}${']'.repeat(500_000)}`)?.verb, BATCH);
});

test('json is published as it was written', () => {
  for (const [source, depth] of [
    ['1.0', 0],
    ['12345678901234567890', 0],
    ['"a\\"}b\\\\"', 0],
    ['{ "a" : [ 1 , {} ] }', 3],
    ['[]', 1],
    ['null', 0],
    ['"\\ud800"', 0],
  ] as const) {
    for (const around of [
      (value: string) => `{"publish":"a","json":${value}}`,
      (value: string) => `\n{ "json" :\t${value} , "publish" : "a" } `,
      (value: string) => `{"publish":"a","properties":[["json","]"]],"id":"}","js\\u006fn":${value}}`,
      (value: string) => `{"publish":"a","json":[[[[[]]]]],"json":${value}}`,
    ]) {
      const request = read(around(source)) as PublishRequest;
      assert.equal(request.verb, PUBLISH, around(source));
      assert.equal(request.payload.toString(), source);
      assert.equal(request.contentType, 'application/json');
      assert.ok(depth <= 3);
    }
  }
});

test('any value of JSON comes back as json', () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 2 }), fc.constantFrom('', ' ', '\n\t'), (json, space) => {
      const request = read(`{"json":${space}${json}${space},"publish":"a"}`) as PublishRequest;
      assert.equal(request.verb, PUBLISH);
      assert.equal(request.payload.toString(), json);
    }),
  );
});

test('any bytes neither throw nor hang', () => fuzzMessages(3_000, 1));

test('a subscription has its options', () => {
  assert.deepEqual(
    read({ subscribe: 'a/#', id: 2, after: '123', encoding: 'base64', slow: 'keep-latest', echo: false }),
    {
      verb: SUBSCRIBE,
      id: 2,
      filter: 'a/#',
      after: 123,
      encoding: 'base64',
      slow: 'keep-latest',
      retained: undefined,
      echo: false,
    },
  );
});

test('the dissector shows messages as trees, wherever they are cut', () => {
  const text = '{"publish":"a/b","json":{"n":[1, "x"]},"id":1}{"ack":1}{"error":{"outcome":"DENIED"}}';
  for (const cut of [0, 5, 20, 60]) {
    const dissector = messagesDissector('in', false);
    const bytes = Buffer.from(text);
    const pieces = [...dissector.push(bytes, 0, cut), ...dissector.push(bytes, cut, bytes.length)];
    assert.deepEqual(
      pieces.map(({ label, value }) => [label, value]),
      [
        ['publish', 'a/b'],
        ['ack', '1'],
        ['error', ''],
      ],
    );
    const json = pieces[0]!.pieces![1]!;
    assert.equal(text.slice(json.start, json.end), '{"n":[1, "x"]}');
    assert.deepEqual(
      json.pieces![0]!.pieces!.map(({ label, value }) => `${label}=${value}`),
      ['0=1', '1=x'],
    );
    const code = pieces[2]!.pieces![0]!.pieces![0]!;
    assert.equal(text.slice(code.start, code.end), '"DENIED"');
  }
  const dissector = messagesDissector('out', false);
  assert.equal(dissector.push(Buffer.from('plain'), 0, 5)[0]!.value, 'plain');
  assert.equal(dissector.push(Buffer.from([0xff, 1]), 0, 2)[0]!.value, 'ff01');
  const [message] = dissector.push(Buffer.from('{"topic":"a","payload":"x"}'), 0, 27);
  assert.deepEqual([message!.label, message!.value, message!.start], ['message', 'a', 7]);
});
