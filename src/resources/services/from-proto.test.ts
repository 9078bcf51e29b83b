import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import type { Field, MessageType, Schema } from '../../formats/schema/types.ts';
import { describeProto, readProto } from './from-proto.ts';
import { changesOf, lockedOf } from './lock.ts';
import { protoService } from './proto-service.ts';
import { protoTypes } from './proto-types.ts';

const FOLDER = mkdtempSync(join(tmpdir(), 'portico-proto-'));
after(() => rmSync(FOLDER, { recursive: true, force: true }));
let count = 0;

/** Writes files and reads the first. */
function read(files: Record<string, string>, include: string[] = []) {
  const base = join(FOLDER, String(++count));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(base, name)), { recursive: true });
    writeFileSync(join(base, name), text);
  }
  return readProto(
    join(base, Object.keys(files)[0]!),
    include.map((each) => join(base, each)),
  );
}

function fields(schema: Schema, name: string): Record<string, Field> {
  const type = schema.types.get(name) as MessageType;
  return Object.fromEntries(type.fields.map((field) => [field.protoName, field]));
}

const SHOP = `
syntax = "proto3";
package shop.v1;
import "google/api/annotations.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/empty.proto";
import "google/protobuf/duration.proto";
import "types/colour.proto";
// What somebody wants.
message Order {
  // Given by the shop.
  string id = 1;
  optional int32 small_number = 2 [deprecated = true];
  repeated string names = 3;
  repeated int32 loose = 4 [packed = false];
  map<int64, Line> lines_by_id = 5;
  oneof payment { string card = 6; Line line = 7; }
  google.protobuf.Timestamp placed_at = 8;
  google.protobuf.Value any = 9;
  google.protobuf.Duration span = 10;
  sfixed64 fixed = 11;
  sint32 zigzag = 12;
  Colour colour = 13 [json_name = "color"];
  repeated Order children = 14;
  message Line { string sku__code = 1; }
}
service Orders {
  // Gets one.
  rpc Get(Order) returns (Order) {
    option idempotency_level = NO_SIDE_EFFECTS;
    option (google.api.http) = {
      get: "/v1/orders/{id}"
      additional_bindings { post: "/v1/orders:get" body: "*" }
      additional_bindings { put: "/v1/orders/{id}" body: "line" response_body: "line" }
    };
  }
  rpc Watch(google.protobuf.Empty) returns (stream Order) { option deprecated = true; }
  rpc Put(stream Order) returns (google.protobuf.Empty) { option idempotency_level = IDEMPOTENT; }
  rpc Both(stream Order) returns (stream Order);
}
`;
const COLOUR = `syntax = "proto3"; package shop.v1; enum Colour { COLOUR_NONE = 0; RED = 5; }`;

test('proto3: names, numbers, presence, oneofs, maps, packing, wire forms, Google’s types', () => {
  const { services, files } = read({ 'a/shop.proto': SHOP, 'types/colour.proto': COLOUR });
  assert.equal(files.length, 2);
  const [service] = services;
  const { schema } = service!;
  const order = fields(schema, 'shop.v1.Order');
  assert.deepEqual(order.id, {
    name: 'id',
    protoName: 'id',
    number: 1,
    type: { kind: 'scalar', name: 'string' },
    many: 'one',
    optional: false,
    required: false,
    description: 'Given by the shop.',
  });
  assert.equal(order.small_number?.name, 'smallNumber');
  assert.deepEqual([order.small_number?.optional, order.small_number?.deprecated], [true, true]);
  assert.equal(order.small_number?.oneof, undefined);
  assert.deepEqual([order.names?.many, order.names?.unpacked, order.loose?.unpacked], ['list', undefined, true]);
  assert.deepEqual([order.lines_by_id?.many, order.lines_by_id?.mapKey], ['map', 'int64']);
  assert.deepEqual(order.lines_by_id?.type, { kind: 'named', name: 'shop.v1.Order.Line' });
  assert.deepEqual([order.card?.oneof, order.card?.optional, order.line?.oneof], ['payment', true, 'payment']);
  assert.deepEqual(order.placed_at?.type, { kind: 'scalar', name: 'timestamp' });
  assert.equal(order.placed_at?.optional, true);
  assert.equal(order.any?.type.name, 'any');
  assert.equal(order.span?.type.name, 'duration');
  assert.deepEqual(order.fixed?.type, { kind: 'scalar', name: 'int64', wire: 'fixed' });
  assert.deepEqual(order.zigzag?.type, { kind: 'scalar', name: 'int32', wire: 'zigzag' });
  assert.equal(order.colour?.name, 'color');
  assert.equal(fields(schema, 'shop.v1.Order.Line').sku__code?.name, 'skuCode');
  assert.deepEqual(schema.types.get('shop.v1.Colour'), {
    kind: 'enum',
    name: 'shop.v1.Colour',
    values: [
      { name: 'COLOUR_NONE', number: 0 },
      { name: 'RED', number: 5 },
    ],
  });
  assert.equal((schema.types.get('shop.v1.Order') as MessageType).description, 'What somebody wants.');
});

test('methods: kinds, idempotency, google.api.http with more bindings', () => {
  const { services } = read({ 'a/shop.proto': SHOP, 'types/colour.proto': COLOUR });
  const methods = [...services[0]!.methods.values()];
  assert.deepEqual(
    methods.map(({ name, kind, idempotency, deprecated, description }) => [
      name,
      kind,
      idempotency,
      deprecated,
      description,
    ]),
    [
      ['Get', 'unary', 'safe', false, 'Gets one.'],
      ['Watch', 'server', 'none', true, ''],
      ['Put', 'client', 'idempotent', false, ''],
      ['Both', 'both', 'none', false, ''],
    ],
  );
  assert.deepEqual(methods[0]!.http, [
    { method: 'GET', path: '/v1/orders/{id}', body: '', responseBody: '' },
    { method: 'POST', path: '/v1/orders:get', body: '*', responseBody: '' },
    { method: 'PUT', path: '/v1/orders/{id}', body: 'line', responseBody: 'line' },
  ]);
  assert.equal(methods[1]!.input.name, 'google.protobuf.Empty');
});

test('proto2: required, presence, defaults, closed enums, no packing', () => {
  const { services } = read({
    'two.proto': `syntax = "proto2"; package two;
      message M {
        required string a = 1; optional int32 b = 2 [default = 5]; repeated int32 c = 3; repeated int32 d = 4 [packed = true];
        optional E e = 5 [default = B]; optional bytes f = 6 [default = "a\\001"]; optional int64 g = 7 [default = 7];
        optional bool h = 8 [default = true]; extensions 100 to 200;
      }
      extend M { optional int32 more = 100; }
      enum E { A = 1; B = 2; }
      service S { rpc Do(M) returns (M); }`,
  });
  const { schema } = services[0]!;
  const m = fields(schema, 'two.M');
  assert.deepEqual([m.a?.required, m.a?.optional, m.b?.optional], [true, false, true]);
  assert.deepEqual(
    [m.b?.preset, m.e?.preset, m.f?.preset, m.g?.preset, m.h?.preset],
    [5, 'B', new Uint8Array([97, 1]), 7n, true],
  );
  assert.deepEqual([m.c?.unpacked, m.d?.unpacked], [true, undefined]);
  assert.equal((schema.types.get('two.E') as { closed?: boolean }).closed, true);
  assert.deepEqual(Object.keys(m).sort(), ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']);
});

test('editions say presence field by field', () => {
  const { services } = read({
    'e.proto': `edition = "2023"; package e;
      message M { string a = 1; int32 b = 2 [features.field_presence = IMPLICIT]; }
      service S { rpc Do(M) returns (M); }`,
  });
  const m = fields(services[0]!.schema, 'e.M');
  assert.deepEqual([m.a?.optional, m.b?.optional], [true, false]);
});

test('what cannot be read is said with file and place', () => {
  const rows: [Record<string, string>, RegExp][] = [
    [{ 'x.proto': 'syntax = "proto3"; message {' }, /x\.proto.*illegal/],
    [{ 'x.proto': 'syntax = "proto3"; import "none/y.proto";' }, /imports none\/y\.proto, which is not beside it/],
    [{ 'x.proto': 'syntax = "proto3"; message M { Other o = 1; }' }, /no such type: Other|Other/],
    [
      { 'x.proto': 'syntax = "proto2"; message M { optional group G = 1 { optional int32 x = 1; } }' },
      /M\.g is a group/,
    ],
    [{ 'x.proto': 'syntax = "proto3"; message M { int32 a_b = 1; int32 aB = 2; }' }, /two fields that are aB in JSON/],
  ];
  for (const [files, text] of rows)
    assert.throws(
      () => read(files),
      (error: Error) => error.name === 'DefinitionError' && text.test(error.message),
    );
  assert.throws(() => readProto('nowhere.proto'), /no such file/);
});

test('imports are found beside, above, and where one says', () => {
  const main = 'syntax = "proto3"; import "lib/one.proto"; service S { rpc Do(lib.One) returns (lib.One); }';
  const one = 'syntax = "proto3"; package lib; import "two.proto"; message One { Two two = 1; }';
  const two = 'syntax = "proto3"; package lib; message Two { int32 a = 1; }';
  assert.equal(read({ 'deep/down/main.proto': main, 'lib/one.proto': one, 'lib/two.proto': two }).files.length, 3);
  assert.equal(
    read({ 'main.proto': main, 'else/lib/one.proto': one, 'else/lib/two.proto': two }, ['else']).files.length,
    3,
  );
});

test('handlers are put to methods by name; what is not given is unimplemented', () => {
  const path = join(FOLDER, 'plain.proto');
  writeFileSync(
    path,
    'syntax = "proto3"; package p; message M {} service S { rpc Do(M) returns (M); rpc Other(M) returns (M); }',
  );
  const { services } = describeProto(protoService(path, { 'p.S': { Do: () => ({}) } }));
  assert.equal(services.length, 1);
  assert.throws(() => (services[0]!.handlers.get('Other')!.handler as () => unknown)(), /does not implement/);
  assert.throws(() => describeProto(protoService(path, { 'p.T': {} })), /has no service p\.T; it has p\.S/);
  assert.throws(
    () => describeProto(protoService(path, { 'p.S': { Not: () => ({}) } })),
    /no method Not; it has Do, Other/,
  );
});

test('a number that changes in a .proto is told against the lock', () => {
  const text = (number: number) =>
    `syntax = "proto3"; package p; message M { string a = ${number}; } service S { rpc Do(M) returns (M); }`;
  const lock = lockedOf(read({ 'x.proto': text(1) }).services[0]!);
  const [change] = changesOf(lock, read({ 'x.proto': text(2) }).services[0]!);
  assert.equal(change?.text, 'its number was 1 and is 2: give it its old number');
});

test('the types of a .proto, as text', () => {
  const { services } = read({ 'a/shop.proto': SHOP, 'types/colour.proto': COLOUR });
  const text = protoTypes(services, 'shop.proto');
  assert.match(text, /export type Colour = 'COLOUR_NONE' \| 'RED' \| number;/);
  assert.match(
    text,
    / {2}\/\*\* Given by the shop\. \*\/\n {2}readonly id: string;\n {2}readonly smallNumber\?: number \| undefined;/,
  );
  assert.match(text, /readonly linesById: Record<string, OrderLine>;/);
  assert.match(text, /export interface OrderGiven \{\n.*\n {2}readonly id\?: string \| undefined;/);
  assert.match(text, / {2}Watch: ServerHandler<Empty, OrderGiven>;/);
  assert.match(text, /Get: \{ kind: 'unary'; input: OrderGiven; output: Order \};/);
  assert.match(text, /export interface Handlers \{\n {2}'shop\.v1\.Orders'\?: Partial<OrdersHandlers>;\n\}/);
});
