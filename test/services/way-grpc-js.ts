// Calls over gRPC for the table test with @grpc/grpc-js, which reads the .proto that `portico export` writes.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import protobuf from 'protobufjs';
import { ANNOTATIONS, googleFile, protoFiles } from '../../src/formats/schema/proto-files.ts';
import { protoText } from '../../src/formats/schema/proto-text.ts';
import { CODE_NAMES } from '../../src/resources/services/status.ts';
import type { Ended, Opens } from './ways.ts';

type Plain = Record<string, unknown>;

/** Fields of the shop's that are messages of Google's, which this client has as such. */
const TIMES = /^(?:placed|moments?|maybeMoment)$/;
const SPANS = /^span$/;

interface Seconds {
  readonly seconds: string;
  readonly nanos: number;
}

/** ProtoJSON as this client takes it. */
function given(value: unknown, name = ''): unknown {
  if (Array.isArray(value)) return value.map((each) => given(each, name));
  if (typeof value === 'string' && TIMES.test(name)) {
    const ms = Date.parse(value);
    const seconds = Math.floor(ms / 1_000);
    return { seconds: String(seconds), nanos: (ms - seconds * 1_000) * 1_000_000 };
  }
  if (typeof value === 'string' && SPANS.test(name)) {
    const [seconds, rest = ''] = value.slice(0, -1).split('.');
    return { seconds, nanos: Number(rest.padEnd(9, '0')) };
  }
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, given(each, key)]));
}

/** What this client gives as ProtoJSON. */
function taken(value: unknown, name = ''): unknown {
  if (Array.isArray(value)) return value.map((each) => taken(each, name));
  if (typeof value !== 'object' || value === null) return value;
  const { seconds, nanos } = value as Seconds;
  if (TIMES.test(name)) return new Date(Number(seconds) * 1_000 + nanos / 1_000_000).toISOString();
  if (SPANS.test(name))
    return `${seconds}.${String(nanos)
      .padStart(9, '0')
      .replace(/(?:000){1,2}$/, '')}s`;
  const entries = Object.entries(value).filter(([, each]) => each !== null && each !== undefined);
  return Object.fromEntries(entries.map(([key, each]) => [key, taken(each, key)]));
}

const { root } = protobuf.parse(`syntax = "proto3"; package google.rpc;
  message Any { string type_url = 1; bytes value = 2; }
  message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
  message BadRequest { message FieldViolation { string field = 1; string description = 2; }
  repeated FieldViolation field_violations = 1; }`);
const Status = root.lookupType('google.rpc.Status');
const BadRequest = root.lookupType('google.rpc.BadRequest');

function fieldsOf(metadata: grpc.Metadata): string[] {
  const [bytes] = metadata.get('grpc-status-details-bin');
  if (bytes === undefined) return [];
  const { details = [] } = Status.decode(bytes as Buffer) as unknown as {
    details?: { typeUrl: string; value: Uint8Array }[];
  };
  const bad = details.find(({ typeUrl }) => typeUrl.endsWith('/google.rpc.BadRequest'));
  if (bad === undefined) return [];
  const { fieldViolations } = BadRequest.decode(bad.value) as unknown as { fieldViolations: { field: string }[] };
  return fieldViolations.map(({ field }) => field);
}

export const grpcJs: Opens = async (portico) => {
  const folder = mkdtempSync(join(tmpdir(), 'portico-table-'));
  const files = protoFiles([portico.services.all.get('shop.v1.Orders')!]);
  for (const file of [...files, googleFile(ANNOTATIONS)!, googleFile('google/api/http.proto')!]) {
    mkdirSync(dirname(join(folder, file.name)), { recursive: true });
    writeFileSync(join(folder, file.name), protoText(file));
  }
  const loaded = loadSync('shop/v1.proto', {
    ...{
      includeDirs: [folder],
      longs: String,
      enums: String,
      bytes: String,
      defaults: true,
      arrays: true,
      objects: true,
    },
  });
  rmSync(folder, { recursive: true });
  const { shop } = grpc.loadPackageDefinition(loaded) as unknown as {
    shop: { v1: { Orders: grpc.ServiceClientConstructor } };
  };
  const client = new shop.v1.Orders(new URL(portico.urls.http!).host, grpc.credentials.createInsecure());
  return {
    call(method, inputs) {
      const { path, requestSerialize, responseDeserialize } = shop.v1.Orders.service[method] as grpc.MethodDefinition<
        Plain,
        Plain
      >;
      return new Promise<Ended>((resolve) => {
        const outputs: unknown[] = [];
        // As a stream both ways every method is called the same.
        const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
        call.on('data', (output: Plain) => void outputs.push(taken(output)));
        call.on('error', () => {});
        call.on('status', ({ code, details, metadata }: grpc.StatusObject) =>
          resolve({ outputs, code: CODE_NAMES[code]!, message: details, fields: fieldsOf(metadata) }),
        );
        for (const input of inputs) call.write(given(input) as Plain);
        call.end();
      });
    },
    close: () => client.close(),
  };
};
