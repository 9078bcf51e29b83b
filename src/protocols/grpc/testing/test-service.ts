// The service that gRPC's public interoperability cases call (grpc/doc/interop-test-descriptions.md): its messages as far as the
// cases need them, and handlers that behave as they are described. For tests.
import { messageOf, writtenSchema } from '../../../formats/schema/protobuf-google.ts';
import type { CallKind, Method, Service } from '../../../resources/services/contract.ts';
import type { Described } from '../../../resources/services/define.ts';
import type { AnyHandler, HandlerCall } from '../../../resources/services/handler.ts';
import { CODE_NAMES, type CodeName, ServiceError } from '../../../resources/services/status.ts';

export const SCHEMA = writtenSchema({
  'grpc.testing.Empty': {},
  'grpc.testing.PayloadType': { COMPRESSABLE: 0 },
  'grpc.testing.BoolValue': { value: '1 bool' },
  'grpc.testing.Payload': { type: '1 grpc.testing.PayloadType', body: '2 bytes' },
  'grpc.testing.EchoStatus': { code: '1 int32', message: '2 string' },
  'grpc.testing.SimpleRequest': {
    response_type: '1 grpc.testing.PayloadType',
    response_size: '2 int32',
    payload: '3 grpc.testing.Payload',
    fill_username: '4 bool',
    fill_oauth_scope: '5 bool',
    response_compressed: '6 grpc.testing.BoolValue',
    response_status: '7 grpc.testing.EchoStatus',
    expect_compressed: '8 grpc.testing.BoolValue',
  },
  'grpc.testing.SimpleResponse': { payload: '1 grpc.testing.Payload', username: '2 string', oauth_scope: '3 string' },
  'grpc.testing.StreamingInputCallRequest': {
    payload: '1 grpc.testing.Payload',
    expect_compressed: '2 grpc.testing.BoolValue',
  },
  'grpc.testing.StreamingInputCallResponse': { aggregated_payload_size: '1 int32' },
  'grpc.testing.ResponseParameters': {
    size: '1 int32',
    interval_us: '2 int32',
    compressed: '3 grpc.testing.BoolValue',
  },
  'grpc.testing.StreamingOutputCallRequest': {
    response_type: '1 grpc.testing.PayloadType',
    response_parameters: '2 list grpc.testing.ResponseParameters',
    payload: '3 grpc.testing.Payload',
    response_status: '7 grpc.testing.EchoStatus',
  },
  'grpc.testing.StreamingOutputCallResponse': { payload: '1 grpc.testing.Payload' },
});

interface Payload {
  readonly body: Uint8Array;
}
interface EchoStatus {
  readonly code: number;
  readonly message: string;
}
interface Request {
  readonly responseSize: number;
  readonly payload?: Payload;
  readonly responseStatus?: EchoStatus;
}
interface Outputs {
  readonly responseParameters: readonly { readonly size: number; readonly intervalUs: number }[];
  readonly responseStatus?: EchoStatus;
}

function payloadOf(size: number): { readonly payload: unknown } {
  return { payload: { type: 'COMPRESSABLE', body: new Uint8Array(size) } };
}

/** The two that the case custom_metadata sends come back, one before and one behind the answer. */
function echo({ metadata, sendHeaders, setTrailers }: HandlerCall): void {
  const find = (wanted: string) =>
    metadata.flatMap((name, at) => (at % 2 === 0 && name === wanted ? [name, metadata[at + 1]!] : []));
  const initial = find('x-grpc-test-echo-initial');
  const trailing = find('x-grpc-test-echo-trailing-bin');
  if (initial.length > 0) sendHeaders(initial);
  if (trailing.length > 0) setTrailers(trailing);
}

function check(status: EchoStatus | undefined): void {
  if (status === undefined || status.code === 0) return;
  throw new ServiceError((CODE_NAMES[status.code] ?? 'UNKNOWN') as Exclude<CodeName, 'OK'>, status.message);
}

async function* outputs({ responseParameters, responseStatus }: Outputs, signal: AbortSignal): AsyncGenerator<unknown> {
  check(responseStatus);
  for (const { size, intervalUs } of responseParameters) {
    if (intervalUs > 0) await new Promise((resolve) => setTimeout(resolve, intervalUs / 1_000));
    if (signal.aborted) return;
    yield payloadOf(size);
  }
}

const HANDLERS: Readonly<Record<string, readonly [CallKind, input: string, output: string, AnyHandler]>> = {
  EmptyCall: ['unary', 'Empty', 'Empty', () => ({})],
  UnaryCall: [
    'unary',
    'SimpleRequest',
    'SimpleResponse',
    (input: unknown, call: HandlerCall) => {
      const { responseSize, responseStatus } = input as Request;
      echo(call);
      check(responseStatus);
      return payloadOf(responseSize);
    },
  ],
  StreamingOutputCall: [
    'server',
    'StreamingOutputCallRequest',
    'StreamingOutputCallResponse',
    (input: unknown, call: HandlerCall) => outputs(input as Outputs, call.signal),
  ],
  StreamingInputCall: [
    'client',
    'StreamingInputCallRequest',
    'StreamingInputCallResponse',
    async (inputs: unknown) => {
      let size = 0;
      for await (const { payload } of inputs as AsyncIterable<Request>) size += payload?.body.length ?? 0;
      return { aggregatedPayloadSize: size };
    },
  ],
  FullDuplexCall: [
    'both',
    'StreamingOutputCallRequest',
    'StreamingOutputCallResponse',
    async function* (inputs: unknown, call: HandlerCall) {
      echo(call);
      for await (const input of inputs as AsyncIterable<Outputs>) yield* outputs(input, call.signal);
    },
  ],
};

/** `grpc.testing.TestService`. */
export function testService(): Described {
  const methods = new Map<string, Method>();
  const service: Service = {
    name: 'grpc.testing.TestService',
    description: '',
    schema: SCHEMA,
    methods,
    origin: 'program',
  };
  const handlers = new Map<
    string,
    Described['handlers'] extends ReadonlyMap<string, infer Handled> ? Handled : never
  >();
  for (const [name, [kind, input, output, handler]] of Object.entries(HANDLERS)) {
    methods.set(name, {
      name,
      service,
      kind,
      input: messageOf(SCHEMA, `grpc.testing.${input}`),
      output: messageOf(SCHEMA, `grpc.testing.${output}`),
      idempotency: 'none',
      http: [],
      description: '',
      deprecated: false,
      deadlineMs: Number.POSITIVE_INFINITY,
    });
    handlers.set(name, { handler, refineInput: null, refineOutput: null });
  }
  return { service, handlers };
}
