// The same order of calls, with the same answers and the same errors, through every way there is to call a service.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Portico } from '../../src/portico.ts';
import { shopService } from '../../src/resources/services/testing/shop.ts';
import { graphqlCarrier } from './way-graphql.ts';
import { grpcJs } from './way-grpc-js.ts';
import { carrierWay, connectJson, jsonRpc, mqttJs, type Opens, porticoJson, rest } from './ways.ts';

const TIMEOUT = { timeout: 60_000 };

/** What each way can carry. */
const WAYS: Readonly<Record<string, { readonly open: Opens; readonly streams: boolean }>> = {
  'REST, fetch': { open: rest, streams: true },
  'portico.json, ws': { open: porticoJson, streams: true },
  'JSON-RPC 2.0, ws': { open: jsonRpc, streams: false },
  'MQTT 5.0, MQTT.js': { open: mqttJs, streams: true },
  'gRPC, @grpc/grpc-js': { open: grpcJs, streams: true },
  'Connect in JSON, fetch': { open: connectJson, streams: true },
  ...Object.fromEntries(
    ['http', 'ws', 'mqtt', 'grpc', 'connect'].map((scheme) => [
      `${scheme}, portico/client`,
      { open: carrierWay(scheme), streams: true },
    ]),
  ),
  'SOAP by its WSDL, our client': { open: carrierWay('soap'), streams: false },
  'GraphQL, our client': { open: graphqlCarrier, streams: true },
};

const ITEM = { sku: 'a', quantity: 2, unitPrice: 1.5, colour: 'RED' };
const ORDER = { customer: 'ann', items: [ITEM], labels: { gift: 'yes' }, note: 'ö', voucher: 'x' };
const placed = (number: number) => ({
  ...ORDER,
  id: `order-${number}`,
  express: false,
  placed: `2023-11-14T22:13:20.00${number}Z`,
});
const EVERYTHING = {
  flag: true,
  small: -5,
  natural: 4_294_967_295,
  large: '-9223372036854775808',
  largeNatural: '18446744073709551615',
  single: 1.5,
  real: 1e300,
  text: 'ö\u{1f600}',
  raw: 'AAH/',
  moment: '2024-02-29T12:00:00.123Z',
  span: '1.500s',
  colour: 'BLUE',
  presetText: 'preset',
  presetSmall: 7,
  flags: [false, true],
  smalls: [1, -1],
  larges: ['1', '-1'],
  reals: [0.5, -0.25],
  texts: ['', 'b'],
  raws: ['AA=='],
  moments: ['1969-12-31T23:59:59.000Z'],
  colours: ['RED', 'GREEN'],
  items: [ITEM],
  textByName: { a: 'b' },
  largeByName: { a: '5' },
  itemByName: { a: ITEM },
  chosenLarge: '7',
};
const { presetText: _, presetSmall: __, ...WITHOUT_PRESETS } = EVERYTHING;
const TREE = { root: { name: 'a', children: [{ name: 'b', children: [{ name: 'c', children: [] }] }] } };

interface Step {
  readonly method: string;
  readonly inputs: readonly object[];
  /** Nothing for an error. */
  readonly outputs?: readonly unknown[];
  readonly code?: string;
  readonly message?: string;
  readonly fields?: readonly string[];
  /** It takes many inputs. */
  readonly many?: boolean;
  readonly stream?: boolean;
}

/** The state goes from one step to the next, but for the streams, which not every way has. */
const STEPS: readonly Step[] = [
  { method: 'PlaceOrder', inputs: [ORDER], outputs: [placed(1)] },
  { method: 'GetOrder', inputs: [{ id: 'order-1' }], outputs: [placed(1)] },
  { method: 'EchoEverything', inputs: [WITHOUT_PRESETS], outputs: [EVERYTHING] },
  { method: 'EchoTree', inputs: [TREE], outputs: [TREE] },
  { method: 'GetOrder', inputs: [{ id: 'none' }], code: 'NOT_FOUND', message: 'there is no order none' },
  {
    method: 'PlaceOrder',
    inputs: [{ ...ORDER, customer: '', items: [{ ...ITEM, quantity: 0 }] }],
    code: 'INVALID_ARGUMENT',
    fields: ['customer', 'items[0].quantity'],
  },
  {
    method: 'PlaceOrder',
    inputs: [{ ...ORDER, items: [{ ...ITEM, sku: 'sold-out' }] }],
    code: 'FAILED_PRECONDITION',
    message: 'sold-out is sold out',
  },
  ...[
    'CANCELLED',
    'UNKNOWN',
    'ALREADY_EXISTS',
    'PERMISSION_DENIED',
    'RESOURCE_EXHAUSTED',
    'ABORTED',
    'OUT_OF_RANGE',
  ].map((code) => ({ method: 'Fail', inputs: [{ how: code, message: 'so' }], code, message: 'so' })),
  ...['UNIMPLEMENTED', 'INTERNAL', 'UNAVAILABLE', 'DATA_LOSS', 'UNAUTHENTICATED', 'DEADLINE_EXCEEDED'].map((code) => ({
    method: 'Fail',
    inputs: [{ how: code, message: 'so' }],
    code,
    message: 'so',
  })),
  { method: 'Fail', inputs: [{ how: 'THROW', message: 'key' }], code: 'INTERNAL' },
  { method: 'Fail', inputs: [{ how: 'WRONG' }], code: 'INTERNAL' },
  { method: 'CancelOrder', inputs: [{ id: 'order-1' }], outputs: [{}] },
  { method: 'GetOrder', inputs: [{ id: 'order-1' }], code: 'NOT_FOUND' },
  {
    method: 'Count',
    inputs: [{ count: 3, size: 1 }],
    outputs: [0, 1, 2].map((index) => ({ index, filler: 'x' })),
    stream: true,
  },
  { method: 'Count', inputs: [{ count: 0 }], outputs: [], stream: true },
  { method: 'Count', inputs: [{ count: -1 }], code: 'INVALID_ARGUMENT', fields: ['count'], stream: true },
  {
    method: 'PlaceOrders',
    inputs: [ORDER, ORDER],
    outputs: [{ placed: 2, ids: ['order-2', 'order-3'] }],
    many: true,
    stream: true,
  },
  { method: 'WatchOrders', inputs: [{}], outputs: [placed(2), placed(3)], stream: true },
  {
    method: 'Chat',
    inputs: [{ text: 'a' }, { text: 'b' }],
    outputs: [
      { text: 'you said a', index: 0 },
      { text: 'you said b', index: 1 },
    ],
    many: true,
    stream: true,
  },
];

for (const [name, { open, streams }] of Object.entries(WAYS))
  test(`the same calls with the same answers: ${name}`, TIMEOUT, async () => {
    const portico = await Portico.start({
      ports: 'ephemeral',
      storage: 'memory',
      services: [shopService()],
      log: { level: 'silent' },
    });
    const way = await open(portico);
    try {
      for (const { method, inputs, outputs = [], code = 'OK', message, fields = [], many = false, stream } of STEPS) {
        if (stream === true && !streams) continue;
        const ended = await way.call(method, inputs, many);
        const at = `${method} ${JSON.stringify(inputs).slice(0, 200)}: ${ended.message}`;
        assert.equal(ended.code, code, at);
        assert.deepEqual(ended.outputs, outputs, at);
        assert.deepEqual(ended.fields, fields, at);
        if (message !== undefined) assert.equal(ended.message, message, at);
        assert.doesNotMatch(ended.message, /key|secret/, at);
      }
    } finally {
      await way.close();
      await portico.close();
    }
  });
