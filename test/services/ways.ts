// Ways to call the services of a server, each with a client that is not ours where there is one: for the table test.
import { once } from 'node:events';
import mqtt from 'mqtt';
import protobuf from 'protobufjs';
import { WebSocket } from 'ws';
import { carrierFor } from '../../src/exports/client.ts';
import type { Portico } from '../../src/portico.ts';
import { type Carrier, callOver } from '../../src/resources/services/client.ts';
import { ServiceError } from '../../src/resources/services/status.ts';

/** How a call ended: outputs as ProtoJSON, the code by its name, and the fields that it says are wrong. */
export interface Ended {
  readonly outputs: readonly unknown[];
  readonly code: string;
  readonly message: string;
  readonly fields: readonly string[];
}

export interface Way {
  /** Calls `shop.v1.Orders/<method>`; `many` where the method takes many inputs. */
  call(method: string, inputs: readonly object[], many: boolean): Promise<Ended>;
  close(): Promise<void> | void;
}

export type Opens = (portico: Portico) => Promise<Way>;

interface JsonError {
  readonly code: string;
  readonly message?: string;
  readonly detail?: string;
  readonly details?: readonly { readonly type: string; readonly value: unknown }[];
  readonly violations?: readonly { readonly field: string }[];
}

function endedBy(outputs: readonly unknown[], error: JsonError | null): Ended {
  if (error === null) return { outputs, code: 'OK', message: '', fields: [] };
  const bad = error.details?.find(({ type }) => type === 'google.rpc.BadRequest')?.value as
    | { fieldViolations: { field: string }[] }
    | undefined;
  const violations = error.violations ?? bad?.fieldViolations ?? [];
  return {
    outputs,
    code: error.code,
    message: error.message ?? error.detail ?? '',
    fields: violations.map(({ field }) => field),
  };
}

/** REST, as fetch has it. */
export const rest: Opens = async (portico) => ({
  async call(method, inputs, many) {
    const response = await fetch(`${portico.urls.http}/services/shop.v1.Orders/${method}`, {
      method: 'POST',
      headers: { 'content-type': many ? 'application/x-ndjson' : 'application/json' },
      body: inputs.map((input) => JSON.stringify(input)).join('\n'),
    });
    const text = await response.text();
    if (!response.ok) return endedBy([], JSON.parse(text) as JsonError);
    const values = text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as { error?: JsonError });
    const error = values.at(-1)?.error ?? null;
    return endedBy(error === null ? values : values.slice(0, -1), error);
  },
  close() {},
});

/** `portico.json`, with the client of npm `ws`. */
export const porticoJson: Opens = async (portico) => {
  const socket = new WebSocket(`${portico.urls.ws}/ws`, 'portico.json');
  await once(socket, 'open');
  let last = 0;
  return {
    async call(method, inputs, many) {
      const id = ++last;
      const outputs: unknown[] = [];
      const done = new Promise<Ended>((resolve) => {
        const heard = (data: Buffer) => {
          const said = JSON.parse(String(data)) as {
            id: number;
            next?: unknown;
            result?: unknown;
            error?: JsonError;
            end?: string;
          };
          if (said.id !== id) return;
          if ('next' in said) outputs.push(said.next);
          if ('result' in said) outputs.push(said.result);
          if (said.result === undefined && said.end === undefined && said.error === undefined) return;
          socket.off('message', heard);
          resolve(endedBy(outputs, said.error ?? null));
        };
        socket.on('message', heard);
      });
      const call = `shop.v1.Orders.${method}`;
      socket.send(JSON.stringify(many ? { call, id } : { call, params: inputs[0], id }));
      if (many) {
        for (const params of inputs) socket.send(JSON.stringify({ send: id, params }));
        socket.send(JSON.stringify({ finish: id }));
      }
      return done;
    },
    close: () => socket.close(),
  };
};

/** JSON-RPC 2.0; it has no streams. */
export const jsonRpc: Opens = async (portico) => {
  const socket = new WebSocket(`${portico.urls.ws}/ws`, 'portico.json');
  await once(socket, 'open');
  return {
    async call(method, [params]) {
      const answer = once(socket, 'message');
      socket.send(JSON.stringify({ jsonrpc: '2.0', method: `shop.v1.Orders.${method}`, params, id: 1 }));
      const [data] = (await answer) as [Buffer];
      const { result, error } = JSON.parse(String(data)) as { result?: unknown; error?: { data: JsonError } };
      return error === undefined ? endedBy([result], null) : endedBy([], error.data);
    },
    close: () => socket.close(),
  };
};

/** MQTT 5.0 by request and response, with MQTT.js. */
export const mqttJs: Opens = async (portico) => {
  const client = await mqtt.connectAsync(portico.urls.mqtt!, { protocolVersion: 5 });
  await client.subscribeAsync('replies/js', { qos: 1 });
  let last = 0;
  return {
    async call(method, inputs, many) {
      const correlation = String(++last);
      const outputs: unknown[] = [];
      const done = new Promise<Ended>((resolve) => {
        const heard: mqtt.OnMessageCallback = (_topic, payload, { properties }) => {
          if (String(properties?.correlationData) !== correlation) return;
          const { status } = (properties?.userProperties ?? {}) as { status?: string };
          const json = payload.length === 0 ? undefined : (JSON.parse(String(payload)) as JsonError);
          if (json !== undefined && (status === undefined || status === 'OK')) outputs.push(json);
          if (status === undefined) return;
          client.off('message', heard);
          resolve(endedBy(outputs, status === 'OK' ? null : json!));
        };
        client.on('message', heard);
      });
      const publish = (payload: string, more: boolean) =>
        client.publishAsync(`services/shop.v1.Orders/${method}`, payload, {
          qos: 1,
          properties: {
            responseTopic: 'replies/js',
            correlationData: Buffer.from(correlation),
            ...(more ? { userProperties: { more: 'true' } } : {}),
          },
        });
      for (const input of inputs) await publish(JSON.stringify(input), many);
      if (many) await publish('', false);
      return done;
    },
    close: () => client.endAsync(),
  };
};

/** Any carrier of our own client, with values as JSON. */
export function carrierWay(scheme: string): Opens {
  return async (portico) => {
    const carrier = await carrierFor(portico.urls[scheme] ?? portico.urls.http!.replace(/^http/, scheme), {});
    const kindOf = (_service: string, method: string) =>
      portico.services.method('shop.v1.Orders', method)?.kind ?? null;
    const over: Carrier = {
      kindOf,
      begin: (service, method, options, receiver) =>
        carrier.begin(service, method, { ...options, kind: kindOf(service, method) }, receiver),
    };
    return {
      async call(method, inputs, many) {
        const outputs: unknown[] = [];
        const answer = callOver(over, 'shop.v1.Orders', method, many ? inputs : inputs[0]);
        try {
          if (Symbol.asyncIterator in answer) for await (const output of answer) outputs.push(output);
          else outputs.push(await answer);
          return endedBy(outputs, null);
        } catch (error) {
          if (!(error instanceof ServiceError)) throw error;
          return endedBy(outputs, error as JsonError);
        }
      },
      close: () => carrier.close(),
    };
  };
}

const END_STREAM = 2;

function enveloped(inputs: readonly object[]): Buffer {
  return Buffer.concat(
    inputs.flatMap((input) => {
      const bytes = Buffer.from(JSON.stringify(input));
      const prefix = Buffer.alloc(5);
      prefix.writeUInt32BE(bytes.length, 1);
      return [prefix, bytes];
    }),
  );
}

/** An error of Connect: the code in lower case, details as bytes of protobuf. */
function connectError({
  code,
  message,
  details = [],
}: {
  code: string;
  message?: string;
  details?: unknown[];
}): JsonError {
  const bad = details.find((each) => (each as { type: string }).type === 'google.rpc.BadRequest');
  const violations =
    bad === undefined
      ? []
      : (
          BadRequest.toObject(BadRequest.decode(Buffer.from((bad as { value: string }).value, 'base64'))) as {
            fieldViolations: { field: string }[];
          }
        ).fieldViolations;
  return { code: code === 'canceled' ? 'CANCELLED' : code.toUpperCase(), message: message ?? '', violations };
}

const { root } = protobuf.parse(`syntax = "proto3"; package google.rpc;
  message BadRequest { message FieldViolation { string field = 1; string description = 2; }
  repeated FieldViolation field_violations = 1; }`);
const BadRequest = root.lookupType('google.rpc.BadRequest');

/** Connect in JSON, as fetch has it: methods with one input and one output plainly, streams in envelopes. */
export const connectJson: Opens = async (portico) => ({
  async call(method, inputs, many) {
    const kind = portico.services.method('shop.v1.Orders', method)!.kind;
    const isStream = many || kind === 'server';
    const response = await fetch(`${portico.urls.http}/shop.v1.Orders/${method}`, {
      method: 'POST',
      headers: {
        'content-type': isStream ? 'application/connect+json' : 'application/json',
        'connect-protocol-version': '1',
      },
      body: isStream ? enveloped(inputs) : JSON.stringify(inputs[0]),
    });
    if (!isStream) {
      const json = (await response.json()) as { code: string };
      return response.ok ? endedBy([json], null) : endedBy([], connectError(json));
    }
    const bytes = Buffer.from(await response.arrayBuffer());
    const outputs: unknown[] = [];
    for (let at = 0; at < bytes.length; ) {
      const size = bytes.readUInt32BE(at + 1);
      const json = JSON.parse(String(bytes.subarray(at + 5, at + 5 + size))) as { error?: { code: string } };
      if ((bytes[at]! & END_STREAM) !== 0)
        return endedBy(outputs, json.error === undefined ? null : connectError(json.error));
      outputs.push(json);
      at += 5 + size;
    }
    throw new Error('the stream has no end');
  },
  close() {},
});
